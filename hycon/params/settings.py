"""Settings of one run: the network and its optimisation."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hycon.params.base import (
    MODALITIES,
    Count,
    Fraction,
    Modalities,
    NonNegative,
    Positive,
    PositiveFraction,
    Probability,
    Strict,
    merge,
    nested,
)
from hycon.params.catalogue import Corpus
from hycon.params.peers import AnyPeer, OwnNetwork


class ModelConfig(Strict):
    """The network (method, sections 2 and 7)."""

    modalities: Modalities = Field(default=list(MODALITIES))
    """Modalities that the network reads; without any, it predicts a constant."""
    dimension: Count
    """Size d of each modality's representation. 50 in MIB, by the same first author."""
    layers: Annotated[int, Field(ge=0)]
    """Layers over audio and over vision. 3 in MIB."""
    text_layers: Annotated[int, Field(ge=0)]
    """Layers over word vectors or the text encoder's states; 0 uses the states directly."""
    network: Literal["transformer", "lstm"]
    """Type of these layers."""
    heads: Count
    """Attention heads; must divide `dimension`. 5 in MIB and MCL."""
    dropout: Probability
    """Dropout probability. 0.3 in MIB."""
    feature_dropout: Probability
    """Dropout on the audio and vision features. Ours; the paper names none."""
    text_pooling: Literal["last", "first", "mean"]
    """State that represents the text: the last valid one, the first ([CLS] of BERT), or the
    mean."""
    fusion: Literal["addition", "concatenation", "multiplication", "tensor", "low-rank", "graph"]
    """How the three representations become one. The paper's method section adds them."""
    rank: Count | None
    """Rank of low-rank fusion; unused by other fusions. 4 in LMF."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network == "transformer" and self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is not a multiple of heads {self.heads}")
        if self.network == "lstm" and self.text_layers and self.text_pooling == "first":
            raise ValueError("text_pooling: first reads one word if network is lstm; use last")
        if self.fusion == "low-rank" and self.rank is None:
            raise ValueError("rank: null, but fusion is low-rank, which needs it")
        return self


class Lambdas(Strict):
    """Weights of the contrastive losses in the total loss."""

    intra: NonNegative
    """Weight of IAMCL. Unknown in the paper."""
    inter: NonNegative
    """Weight of IEMCL. Unknown in the paper."""
    semi: NonNegative
    """Weight of SCL. Unknown in the paper."""


class Selection(Strict):
    """Pair selection (method, section 6)."""

    beta: PositiveFraction
    """Share of the batch kept as positives, and again as negatives. Unknown in the paper."""
    gamma: Positive
    """Smooths the weights of the positives. Unknown in the paper."""
    weighted: bool = True
    """Whether kept pairs are weighted by hardness."""


class Modified(Strict):
    """Changes of IAMCL and IEMCL that are not the paper's (method, section 11). Ours."""

    power: Positive = 1.0
    """Power to which similarities are raised in the ratio. 1 in the paper."""
    logarithm: bool = False
    """Whether the loss is -log(ratio) instead of -ratio."""
    centred: bool = False
    """Whether each modality's mean over the batch is subtracted before similarities are
    computed."""


class Finetuning(Strict):
    """Optimisation of a fine-tuned text encoder."""

    learning_rate: NonNegative
    """Learning rate of the text encoder; 0 freezes it. 2e-5 in MIB and MCL."""
    warmup: Fraction
    """Share of all steps over which the text encoder's learning rate rises from 0."""
    weight_decay: NonNegative
    """Decoupled weight decay of the text encoder."""
    precision: Literal["float32", "bfloat16"]
    """Precision of the text encoder's matrix products. bfloat16 is meant for a GPU."""


class TrainConfig(Strict):
    """Optimisation and contrastive losses (method, sections 3 to 7)."""

    epochs: Count
    """Maximum number of epochs."""
    patience: Count
    """Epochs without a better validation score before training stops."""
    batch_size: Count
    """Utterances per batch, K."""
    learning_rate: Positive
    """Learning rate of Adam."""
    warmup: Fraction
    """Share of all steps over which the learning rate rises from 0."""
    schedule: Literal["constant", "cosine"]
    """Learning rate after the warm-up; cosine falls to 0 at the last of `epochs`."""
    weight_decay: NonNegative
    """Decoupled weight decay (AdamW)."""
    clip_norm: Positive | None
    """Maximum norm of the gradient; null does not clip."""
    averaging: Probability
    """Decay per step of a moving average of the weights, which is then validated and tested; 0
    turns it off. Ours; the paper names none."""
    finetuning: Finetuning | None
    """Optimisation of a text encoder with `finetune: true`."""
    shuffled: Modalities = Field(default=[])
    """Modalities that are exchanged between the utterances of each fold, at random by the seed: a
    control without their information. Ours."""
    missing: Probability = 0.0
    """Share of the steps of each modality that are replaced by zeros in training, drawn anew for
    each batch. For networks that are robust to missing data; 0 in the paper."""
    labelled: PositiveFraction = 1.0
    """Share of the training fold that is used, drawn by the seed; an epoch has about as many steps
    as with all. Ours."""
    noise: NonNegative = 0.0
    """Standard deviation of normal noise that is added to audio and vision in all folds, in those
    of each feature; drawn by the seed. Ours."""
    gradients: bool = False
    """Whether the history of a run has the size and direction of the gradient of the contrastive
    losses, relative to that of the task loss."""
    every_epoch: bool = False
    """Whether a run keeps its predictions of the validation and the test fold after each epoch
    (epochs.safetensors), for `hycon audit` and the table of protocols. Not with leave-one-out."""
    emotion_decision: Literal["one-against-rest", "joint"] | None
    """How emotions are predicted: yes or no for each one, as the field reports them, or one
    choice among all."""
    lambdas: Lambdas
    """Weights of the contrastive losses."""
    pair_loss: Literal["hycon", "contrastive", "triplet", "n-pair", "supcon"] | None
    """The loss over pairs of utterances: hycon is IAMCL and IEMCL, the others replace them."""
    alpha: Fraction | None
    """Modality margin, the target similarity across modalities. 0.8 is the paper's best."""
    refinement: bool | None
    """Whether IAMCL and IEMCL include their refinement term."""
    similarity: Literal["shifted", "nonnegative"] | None
    """shifted: (1 + cos) / 2; nonnegative: softplus, normalise, dot product."""
    classes: Literal["sign", "polarity", "seven"] | None
    """Classes of a score that form pairs: sign (2), polarity (3) or seven."""
    selection: Selection | None
    """Pair selection of HyCon-v2; null uses every pair."""
    modified: Modified | None = None
    """Changes of the losses that are not the paper's; null for none."""

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        if self.batch_size == 1 and (self.lambdas.intra or self.lambdas.inter):
            raise ValueError("batch_size: 1 leaves no pairs; increase it, or set lambdas to 0")
        if self.selection and self.pair_loss not in ("hycon", None):
            raise ValueError(
                f"selection: only for pair_loss hycon, not {self.pair_loss}; set it to null"
            )
        if self.modified and self.pair_loss not in ("hycon", None):
            raise ValueError(
                f"modified: only for pair_loss hycon, not {self.pair_loss}; set it to null"
            )
        for key in ("pair_loss", "alpha", "refinement", "similarity", "classes"):
            if getattr(self, key) is None and key not in self.unused_keys():
                raise ValueError(f"{key}: null, but a loss with a lambda above 0 needs it")
        return self

    def with_modalities(self, count: int) -> Self:
        """Return the options without the losses that so few modalities cannot have.

        IEMCL and SCL compare two modalities, IAMCL needs one.
        """
        if count > 1:
            return self
        none = {"inter": 0.0, "semi": 0.0, **({} if count else {"intra": 0.0})}
        return self.model_copy(update={"lambdas": self.lambdas.model_copy(update=none)})

    def unused_keys(self) -> set[str]:
        """Return the keys of the contrastive losses that have no effect with these lambdas."""
        pairs = self.lambdas.intra or self.lambdas.inter
        ours = pairs and self.pair_loss == "hycon"
        used = {
            "pair_loss": pairs,
            "classes": pairs,
            "selection": ours,
            "modified": ours,
            "refinement": ours,
            "similarity": ours or self.lambdas.semi,
            # the target of IEMCL's refinement, and SCL's
            "alpha": (ours and self.refinement and self.lambdas.inter) or self.lambdas.semi,
        }
        return {key for key, needed in used.items() if not needed}


class Settings(Strict):
    """Everything that a run's results depend on, besides corpus, features and seed."""

    model: Annotated[ModelConfig | AnyPeer | OwnNetwork, Field(discriminator="network")]
    train: TrainConfig

    def reads(self, corpus: Corpus) -> list[str]:
        """Return the modalities to load: those of the network, or one if it predicts a constant."""
        if isinstance(self.model, OwnNetwork):
            return self.model.reads
        if not isinstance(self.model, ModelConfig):
            return list(corpus.modalities)  # a peer reads all that there are
        return self.model.modalities or corpus.modalities[-1:]

    def is_control(self) -> bool:
        """Return whether it is this project's network without contrastive learning, on all labels
        and on features as they are.
        """
        own = isinstance(self.model, ModelConfig)
        changed = self.train.shuffled or self.train.noise or self.train.labelled < 1
        return own and not any(dict(self.train.lambdas).values()) and not changed

    def as_cost(self) -> Self:
        """Return settings in which everything that does not change a step's cost is set to a
        constant, so that rows of equal cost are measured once.
        """
        train = self.train
        lambdas = {name: float(value > 0) for name, value in train.lambdas}
        alike = {
            "epochs": 1,
            "patience": 1,
            "learning_rate": 1e-3,
            "lambdas": Lambdas(**lambdas),
            "alpha": None if train.alpha is None else 0.5,
        }
        return self.model_copy(update={"train": train.model_copy(update=alike)})


def override(base: Settings, values: dict[str, Any]) -> Settings:
    """Return settings with changed values, by keys such as train.lambdas.intra.

    Raises:
        ValidationError: a key is unknown or a value is not allowed.
    """
    changed = base.model_dump()
    for key, value in values.items():
        changed = merge(changed, nested(key, value))
    return Settings.model_validate(changed)


def get_value(settings: Settings, key: str) -> Any:
    """Return what is at a key such as train.alpha, or None."""
    value: Any = settings.model_dump()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def get_path(settings: Settings, key: str) -> float | None:
    """Return the number at a key such as train.alpha, or None."""
    value = get_value(settings, key)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number else None
