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

from hycon.params.messages import explain, hint

# what hycon.corpus.sample makes
GENERATED = ("words", "vectors", "audio", "vision", "labels", "folds")
GENERATED_EMOTIONS = ("happy", "sad", "angry", "neutral")


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

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if (self.kind == "transformer") != bool(self.model):
            raise ValueError("model belongs to kind: transformer, and only there")
        if self.model and self.model.startswith("tiny:") and self.model != "tiny:bert":
            raise ValueError(f"model {self.model} is unknown; the tiny model is tiny:bert")
        return self

    def as_input(self) -> str:
        """Return as JSON what the states depend on: all but the label."""
        return self.model_copy(update={"label": ""}).as_json()


class Model(_Strict):
    """The network (method, sections 2 and 7)."""

    dimension: Count
    layers: Annotated[int, Field(ge=0)]
    text_layers: Annotated[int, Field(ge=0)]
    heads: Count
    dropout: Probability
    feature_dropout: Probability
    fusion: Literal["addition"]

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.dimension % self.heads:
            raise ValueError(f"dimension {self.dimension} is not a multiple of heads {self.heads}")
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
    lambdas: Lambdas
    alpha: Fraction
    refinement: bool
    similarity: Literal["shifted", "nonnegative"]
    classes: Literal["sign", "polarity", "seven"]
    selection: Selection | None

    @model_validator(mode="after")
    def _pairs_exist(self) -> Self:
        if self.batch_size == 1 and (self.lambdas.intra or self.lambdas.inter):
            raise ValueError("batch_size 1 leaves no pairs: raise it, or set lambdas to 0")
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


class Changes(_Strict):
    """What a corpus or a variant changes of `model` and `train`."""

    model: dict[str, Any] = {}
    train: dict[str, Any] = {}


class Variant(Changes):
    """A named change of `model` and `train`."""

    label: str


class Align(_Strict):
    """How frames reach words and words reach segments."""

    epsilon: Positive


class Params(_Strict):
    """The whole configuration: params.yaml, corpora.yaml and an overlay, merged."""

    corpora: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    mirror: str | None
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    experiments: Annotated[dict[Name, Experiment], Field(min_length=1)]
    variants: dict[Name, Variant]
    per_corpus: dict[Name, Changes]
    encoders: dict[Name, Encoder]
    align: Align
    model: Model
    train: Train
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
                self._check_vectors(name, experiment, corpus)
        _known("per_corpus", list(self.per_corpus), self.catalogue)
        rows = {}
        for variant, encoder in itertools.product(self.variants, self.encoders):
            other = rows.setdefault(f"{variant}-{encoder}", (variant, encoder))
            if other != (variant, encoder):
                raise ValueError(
                    f"variants: {variant} with {encoder} and {' with '.join(other)} would both be "
                    f"called {variant}-{encoder}; rename one"
                )
        for corpus in {**dict.fromkeys(self.corpora), **self.per_corpus}:
            for variant in self.variants:
                self.settings(corpus, variant)
        return self

    def _check_vectors(self, name: str, experiment: Experiment, corpus: str) -> None:
        for encoder in experiment.encoders:
            if self.encoders[encoder].kind == "vectors" and not self.has_vectors(corpus):
                raise ValueError(
                    f"experiments.{name}.encoders: {encoder} needs word vectors, and corpus "
                    f"{corpus} has no file `vectors`; leave one of the two out"
                )

    def has_vectors(self, corpus: str) -> bool:
        """Return whether a corpus comes with word vectors of its own."""
        return "vectors" in self.catalogue[corpus].files

    def settings(self, corpus: str, variant: str) -> Settings:
        """Return `model` and `train` with a corpus's and then a variant's changes, validated."""
        values = {"model": self.model.model_dump(), "train": self.train.model_dump()}
        for key, table in (("per_corpus", self.per_corpus), ("variants", self.variants)):
            name = corpus if key == "per_corpus" else variant
            if name not in table:
                continue
            values = merge(values, table[name].model_dump(include={"model", "train"}))
            try:
                settings = Settings.model_validate(values)
            except ValidationError as error:
                problem = explain(Settings, error.errors()[0])
                raise ValueError(f"{key}.{name}.{problem}") from None
        return settings

    def rows(self, experiment: str) -> list[tuple[str, str]]:
        """Return an experiment's (variant, encoder) pairs in the order of its table."""
        chosen = self.experiments[experiment]
        return [(variant, encoder) for encoder in chosen.encoders for variant in chosen.variants]


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
