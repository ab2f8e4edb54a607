"""What can be set: one class a part of the configuration, with types, ranges and cross-checks."""

import itertools
import json
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from hycon.params.messages import explain, hint, shown

# what hycon.corpus.sample makes
GENERATED = ("words", "vectors", "audio", "vision", "labels", "folds")
GENERATED_EMOTIONS = ("happy", "sad", "angry", "neutral")
# what hycon.encoders.tiny builds
TINY = ("bert", "xlnet")


def _number(value: Any) -> Any:
    """Read `5e-4`, which YAML 1.1 takes for a text, as the number that was meant."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


Float = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
NonNegative = Annotated[Float, Field(ge=0)]
Positive = Annotated[Float, Field(gt=0)]
Fraction = Annotated[Float, Field(ge=0, le=1)]
Probability = Annotated[Float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
# a name becomes a folder, a rule's wildcard and a key of metrics.json
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Modality = Literal["words", "vectors", "audio", "vision", "labels", "folds"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def as_json(self) -> str:
        """Return the values as one line of JSON with sorted keys, as stages take them."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


class SourceFile(_Strict):
    """One file of a corpus: its path on a server, and what is known of it."""

    path: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @model_validator(mode="after")
    def _stays_inside(self) -> Self:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or not path.name or "\0" in self.path:
            raise ValueError("must be a relative path without '..'")
        return self


class Generator(_Strict):
    """How a made-up corpus is made."""

    videos: Annotated[int, Field(ge=8, le=10_000)]
    utterances_per_video: Annotated[int, Field(ge=3, le=1_000)]
    seed: Annotated[int, Field(ge=0)]


class Corpus(_Strict):
    """One entry of the catalogue (corpora.yaml)."""

    title: str
    task: Literal["regression", "classification"]
    emotions: Annotated[list[Name], Field(min_length=2)] | None = None
    standard_folds: Literal["cmu_mosi", "cmu_mosei"] | None = None
    fold_sizes: Annotated[list[Count], Field(min_length=3, max_length=3)] | None = None
    servers: list[str] = []
    generator: Generator | None = None
    note: str = ""
    citation: str = ""
    licence: str = ""
    files: dict[Modality, SourceFile]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = {"words", "audio", "vision", "labels"} - set(self.files)
        if missing:
            raise ValueError(f"files lacks {', '.join(sorted(missing))}")
        if ("folds" in self.files) == (self.standard_folds is not None):
            raise ValueError("needs either standard_folds or a file `folds`, not both")
        if (self.task == "classification") != (self.emotions is not None):
            raise ValueError("emotions belong to task: classification, and only there")
        names = [file.name for file in self.files.values()]
        if len(set(names)) < len(names):
            raise ValueError("two files of a corpus have the same name")
        _distinct("emotions", self.emotions or [])
        if self.generator:
            self._check_generated()
        return self

    def _check_generated(self) -> None:
        made = {name: f"{name}.{'json' if name == 'folds' else 'csd'}" for name in GENERATED}
        if {name: file.name for name, file in self.files.items()} != made:
            raise ValueError(f"files of a made-up corpus are {', '.join(made.values())}")
        if self.emotions not in (None, list(GENERATED_EMOTIONS)):
            raise ValueError(f"emotions of a made-up corpus are {', '.join(GENERATED_EMOTIONS)}")

    def as_input(self) -> str:
        """Return as JSON what the numbers depend on: not how a corpus is described or found."""
        bare = {"title": "", "note": "", "citation": "", "licence": "", "servers": []}
        return self.model_copy(update=bare).as_json()


class Encoder(_Strict):
    """A text encoder: the corpus's own word vectors, or a pretrained Transformer's states."""

    label: str
    kind: Literal["vectors", "transformer"]
    model: str | None = None
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    max_tokens: Annotated[int, Field(ge=3, le=4096)] = 128
    batch_size: Count = 64
    finetune: bool = False

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if (self.kind == "transformer") != bool(self.model):
            raise ValueError("model belongs to kind: transformer, and only there")
        if self.finetune and not self.model:
            raise ValueError("finetune belongs to kind: transformer, and only there")
        if self.tiny and self.tiny not in TINY:
            made = " and ".join(f"tiny:{name}" for name in TINY)
            raise ValueError(f"model {self.model} is unknown; the tiny models are {made}")
        return self

    @property
    def tiny(self) -> str | None:
        """Which tiny model is built here, if it is one."""
        found = (self.model or "").startswith("tiny:")
        return self.model.removeprefix("tiny:") if found else None

    def as_input(self) -> str:
        """Return as JSON what the states depend on: all but the label."""
        return self.model_copy(update={"label": ""}).as_json()


class Model(_Strict):
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


class Lambdas(_Strict):
    """Weights of the three contrastive terms in the total loss."""

    intra: NonNegative
    inter: NonNegative
    semi: NonNegative


class Selection(_Strict):
    """Pair selection (method, section 6)."""

    beta: Annotated[Float, Field(gt=0, le=1)]
    gamma: Positive
    weighted: bool = True


class Finetuning(_Strict):
    """Optimisation of a text encoder that is trained with the rest."""

    learning_rate: NonNegative
    warmup: Fraction
    weight_decay: NonNegative


class Train(_Strict):
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
    pair_loss: Literal["hycon", "contrastive", "triplet", "n-pair", "supcon"]
    alpha: Fraction
    refinement: bool
    similarity: Literal["shifted", "nonnegative"]
    classes: Literal["sign", "polarity", "seven"]
    selection: Selection | None

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        if self.batch_size == 1 and (self.lambdas.intra or self.lambdas.inter):
            raise ValueError("batch_size 1 leaves no pairs: raise it, or set lambdas to 0")
        if self.selection and self.pair_loss != "hycon":
            raise ValueError(f"selection belongs to pair_loss hycon, not to {self.pair_loss}")
        return self


class Settings(_Strict):
    """All that one run's numbers depend on, besides its corpus, features and seed."""

    model: Model
    train: Train


class Experiment(_Strict):
    """A table: its variants in order, each trained with each of the text encoders."""

    title: str
    variants: Annotated[list[Name], Field(min_length=1)]
    encoders: Annotated[list[Name], Field(min_length=1)]


def _switched_on(experiments: Any) -> Any:
    """Leave out what an overlay sets to null: so it takes an experiment of params.yaml away."""
    if not isinstance(experiments, dict):
        return experiments
    return {name: value for name, value in experiments.items() if value is not None}


class Changes(_Strict):
    """What a corpus, a text encoder or a variant changes of `model` and `train`."""

    model: dict[str, Any] = {}
    train: dict[str, Any] = {}


class Variant(Changes):
    """A named change of `model` and `train`, or of another variant."""

    label: str
    of: Name | None = None


class Align(_Strict):
    """How frames reach words and words reach segments."""

    epsilon: Positive


class Range(_Strict):
    """Numbers to search over; with `log`, evenly on a logarithmic scale."""

    low: Float
    high: Float
    log: bool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, found {self.low:g}")
        return self


def _choice(value: Any) -> Any:
    """Read one entry of a space: a range, or a list of choices."""
    if isinstance(value, dict):
        try:
            return Range.model_validate(value)
        except ValidationError as error:
            raise ValueError(explain(Range, error.errors()[0])) from None
    plain = (bool, int, float, str, type(None), Range)
    values = value if isinstance(value, list) else [value]
    if (
        value == []
        or (not isinstance(value, (list, Range)))
        or not all(isinstance(one, plain) for one in values)
    ):
        raise ValueError(f"found {shown(value)}, expected a list of choices, or low, high and log")
    return value


class Tuning(_Strict):
    """A search for better parameters of one row (the rule `tune`)."""

    variant: Name
    encoder: Name
    trials: Count
    folds: Annotated[int, Field(ge=0)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    space: Annotated[dict[str, Annotated[Any, BeforeValidator(_choice)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _folds_are_several(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds 1 leaves nothing to train on: 0 takes the validation fold")
        _distinct("seeds", self.seeds)
        return self


class Params(_Strict):
    """The whole configuration: params.yaml, corpora.yaml and an overlay, merged."""

    corpora: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    mirror: str | None
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    experiments: Annotated[
        dict[Name, Experiment], BeforeValidator(_switched_on), Field(min_length=1)
    ]
    variants: dict[Name, Variant]
    per_corpus: dict[Name, Changes]
    per_encoder: dict[Name, Changes]
    encoders: dict[Name, Encoder]
    align: Align
    model: Model
    train: Train
    tuning: Tuning
    catalogue: dict[Name, Corpus]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        _known("corpora", self.corpora, self.catalogue)
        _distinct("corpora", self.corpora)
        _distinct("seeds", self.seeds)
        for name, experiment in self.experiments.items():
            for key, table in (("variants", self.variants), ("encoders", self.encoders)):
                chosen = getattr(experiment, key)
                _known(f"experiments.{name}.{key}", chosen, table)
                _distinct(f"experiments.{name}.{key}", chosen)
            for corpus in self.corpora:
                self._check_vectors(f"experiments.{name}.encoders", experiment.encoders, corpus)
        for name, variant in self.variants.items():
            if variant.of is not None:
                _known(f"variants.{name}.of", [variant.of], self.variants)
                if self.variants[variant.of].of is not None:
                    raise ValueError(
                        f"variants.{name}.of: {variant.of} is itself of another; name a variant "
                        "that stands by itself"
                    )
        _known("per_corpus", list(self.per_corpus), self.catalogue)
        _known("per_encoder", list(self.per_encoder), self.encoders)
        rows = {}
        for variant, encoder in itertools.product(self.variants, self.encoders):
            other = rows.setdefault(f"{variant}-{encoder}", (variant, encoder))
            if other != (variant, encoder):
                raise ValueError(
                    f"variants: {variant} with {encoder} and {' with '.join(other)} would both be "
                    f"called {variant}-{encoder}; rename one"
                )
        for corpus in {**dict.fromkeys(self.corpora), **self.per_corpus}:
            for variant, encoder in itertools.product(self.variants, self.encoders):
                self.settings(corpus, variant, encoder)
        _known("tuning.variant", [self.tuning.variant], self.variants)
        _known("tuning.encoder", [self.tuning.encoder], self.encoders)
        self._check_space()
        return self

    def _check_space(self) -> None:
        """Refuse keys and values that fit no network; what fits not this one is for `tuning_of`."""
        base = Settings(model=self.model, train=self.train)
        for key, choice in self.tuning.space.items():
            for value in choice if isinstance(choice, list) else [choice.low, choice.high]:
                try:
                    with_values(base, {key: value})
                except ValidationError as error:
                    problem = error.errors()[0]
                    optional = "selection" in problem["loc"] and problem["type"] == "missing"
                    if problem["type"] != "value_error" and not optional:
                        raise ValueError(f"tuning.space: {explain(Settings, problem)}") from None

    def _check_vectors(self, key: str, encoders: list[str], corpus: str) -> None:
        for encoder in encoders:
            if self.encoders[encoder].kind == "vectors" and not self.has_vectors(corpus):
                raise ValueError(
                    f"{key}: {encoder} needs word vectors, and corpus "
                    f"{corpus} has no file `vectors`; leave one of the two out"
                )

    def has_vectors(self, corpus: str) -> bool:
        """Return whether a corpus comes with word vectors of its own."""
        return "vectors" in self.catalogue[corpus].files

    def settings(self, corpus: str, variant: str, encoder: str) -> Settings:
        """Return `model` and `train` as one row is trained with, validated.

        A corpus's changes come first, then a text encoder's, then a variant's. What takes no part
        is None: the rank of another fusion, decisions on emotions where there are none, and what
        belongs to fine-tuning for a cached encoder.
        """
        values = {"model": self.model.model_dump(), "train": self.train.model_dump()}
        settings = Settings.model_validate(values)
        for place, changes in self._changes(corpus, variant, encoder):
            values = merge(values, changes)
            try:
                settings = Settings.model_validate(values)
            except ValidationError as error:
                problem = explain(Settings, error.errors()[0])
                raise ValueError(f"{'.'.join(place)}.{problem}") from None
        train: dict[str, Any] = {}
        if not self.encoders[encoder].finetune:
            train["finetuning"] = None
        elif settings.train.finetuning is None:
            raise ValueError(f"encoders.{encoder}: finetune needs train.finetuning, which is null")
        if self.catalogue[corpus].task == "regression":
            train["emotion_decision"] = None
        elif settings.train.emotion_decision is None:
            raise ValueError(f"train.emotion_decision: null, but corpus {corpus} has emotions")
        low_rank = settings.model.fusion == "low-rank"
        model = {} if low_rank else {"rank": None}
        return Settings(
            model=settings.model.model_copy(update=model),
            train=settings.train.model_copy(update=train),
        )

    def _changes(
        self, corpus: str, variant: str, encoder: str
    ) -> list[tuple[list[str], dict[str, Any]]]:
        """Return what changes a row's `model` and `train`, in order, each with its place."""
        parent = self.variants[variant].of
        places = [
            ["per_corpus", corpus],
            ["per_encoder", encoder],
            *([["variants", parent]] if parent else []),
            ["variants", variant],
        ]
        return [
            (place, getattr(self, place[0])[place[1]].model_dump(include={"model", "train"}))
            for place in places
            if place[1] in getattr(self, place[0])
        ]

    def tuning_of(self, corpus: str) -> tuple[Tuning, dict[str, list[str]]]:
        """Return the search for a corpus, and where an overlay puts each of its keys.

        What the row has switched off is not searched over: a lambda of 0, alpha where all are 0, or
        the selection where it is null. A key's place is where it is set last, or `per_corpus`.

        Raises:
            ValueError: the row cannot be tuned so, in one line.
        """
        tuning = self.tuning
        self._check_vectors("tuning.encoder", [tuning.encoder], corpus)
        base = self.settings(corpus, tuning.variant, tuning.encoder)
        off = {f"lambdas.{name}" for name, value in base.train.lambdas if not value}
        if len(off) == 3:
            off |= {"alpha", "refinement", "similarity", "classes", "pair_loss", "selection"}
        optional = ("selection", "finetuning", "emotion_decision")
        off |= {name for name in optional if getattr(base.train, name) is None}
        space = {
            key: choice
            for key, choice in tuning.space.items()
            if not any(f"{key}.".startswith(f"train.{name}.") for name in off)
        }
        if not space:
            raise ValueError("tuning.space: all of it is switched off in this variant; add keys")
        places = {key: self._place(key, corpus) for key in space}
        return tuning.model_copy(update={"space": space}), places

    def _place(self, key: str, corpus: str) -> list[str]:
        row = self._changes(corpus, self.tuning.variant, self.tuning.encoder)
        for place, changes in reversed(row):
            value: Any = changes
            *path, last = key.split(".")
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, dict) and last in value:
                return place
        return ["per_corpus", corpus]

    def rows(self, experiment: str) -> list[tuple[str, str]]:
        """Return an experiment's (variant, encoder) pairs in the order of its table."""
        chosen = self.experiments[experiment]
        return [(variant, encoder) for encoder in chosen.encoders for variant in chosen.variants]


def with_values(base: Settings, values: dict[str, Any]) -> Settings:
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


def _known(key: str, names: list[str], table: dict[str, Any]) -> None:
    for name in names:
        if name not in table:
            raise ValueError(f"{key}: unknown name '{name}'{hint(name, table)}")


def _distinct(key: str, values: list[Any]) -> None:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"{key}: {repeated[0]} is there twice; name each once")


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it: mappings key by key, anything else replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
