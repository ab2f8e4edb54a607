"""What one run is trained with: the network and its optimisation."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from hycon.params.base import (
    Count,
    Float,
    Fraction,
    NonNegative,
    Positive,
    Probability,
    Strict,
    merge,
)
from hycon.params.peers import AnyPeer


class ModelConfig(Strict):
    """The network (method, sections 2 and 7)."""

    dimension: Count
    layers: Annotated[int, Field(ge=0)]
    text_layers: Annotated[int, Field(ge=0)]
    network: Literal["transformer", "lstm"]
    heads: Count
    dropout: Probability
    feature_dropout: Probability
    text_pooling: Literal["last", "first", "mean"]
    fusion: Literal["addition", "concatenation", "multiplication", "tensor", "low-rank", "graph"]
    rank: Count | None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.network == "transformer" and self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is not a multiple of heads {self.heads}")
        if self.network == "lstm" and self.text_layers and self.text_pooling == "first":
            raise ValueError("text_pooling first reads one word where network is lstm: take last")
        if self.fusion == "low-rank" and self.rank is None:
            raise ValueError("rank: fusion low-rank needs one")
        return self


class Lambdas(Strict):
    """Weights of the three contrastive terms in the total loss."""

    intra: NonNegative
    inter: NonNegative
    semi: NonNegative


class Selection(Strict):
    """Pair selection (method, section 6)."""

    beta: Annotated[Float, Field(gt=0, le=1)]
    gamma: Positive
    weighted: bool = True


class Finetuning(Strict):
    """Optimisation of a text encoder that is trained with the rest."""

    learning_rate: NonNegative
    warmup: Fraction
    weight_decay: NonNegative
    precision: Literal["float32", "bfloat16"]


class TrainConfig(Strict):
    """Optimisation and the contrastive part (method, sections 3 to 7)."""

    epochs: Count
    patience: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Fraction
    schedule: Literal["constant", "cosine"]
    weight_decay: NonNegative
    clip_norm: Positive | None
    averaging: Probability
    finetuning: Finetuning | None
    emotion_decision: Literal["one-against-rest", "joint"] | None
    lambdas: Lambdas
    pair_loss: Literal["hycon", "contrastive", "triplet", "n-pair", "supcon"] | None
    alpha: Fraction | None
    refinement: bool | None
    similarity: Literal["shifted", "nonnegative"] | None
    classes: Literal["sign", "polarity", "seven"] | None
    selection: Selection | None

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        if self.batch_size == 1 and (self.lambdas.intra or self.lambdas.inter):
            raise ValueError("batch_size 1 leaves no pairs: raise it, or set lambdas to 0")
        if self.selection and self.pair_loss not in ("hycon", None):
            raise ValueError(f"selection belongs to pair_loss hycon, not to {self.pair_loss}")
        for key in ("pair_loss", "alpha", "refinement", "similarity", "classes"):
            if getattr(self, key) is None and key not in self.unused_keys():
                raise ValueError(f"{key}: null, but the lambdas ask for a loss that needs it")
        return self

    def unused_keys(self) -> set[str]:
        """Return the keys of the contrastive part that change nothing under these weights."""
        pairs = self.lambdas.intra or self.lambdas.inter
        ours = pairs and self.pair_loss == "hycon"
        used = {
            "pair_loss": pairs,
            "classes": pairs,
            "selection": ours,
            "refinement": ours,
            "similarity": ours or self.lambdas.semi,
            # the target of IEMCL's refinement, and SCL's
            "alpha": (ours and self.refinement and self.lambdas.inter) or self.lambdas.semi,
        }
        return {key for key, needed in used.items() if not needed}


class Settings(Strict):
    """All that one run's numbers depend on, besides its corpus, features and seed."""

    model: Annotated[ModelConfig | AnyPeer, Field(discriminator="network")]
    train: TrainConfig

    def as_cost(self) -> Self:
        """Return what a step's cost depends on: `epochs`, `patience`, `learning_rate`, the
        size of lambdas and alpha are all alike, so that another of them is not measured again.
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
    """Return settings with other values at some keys, such as train.lambdas.intra.

    Raises:
        ValidationError: a key is unknown or a value is not allowed.
    """
    changed = base.model_dump()
    for key, value in values.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        changed = merge(changed, nested)
    return Settings.model_validate(changed)


def get_path(settings: Settings, key: str) -> float | None:
    """Return the number at a key such as train.alpha; None if there is none."""
    value: Any = settings.model_dump()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number else None
