"""The whole configuration, checked across its parts."""

import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from hycon.params.base import (
    Count,
    Line,
    Name,
    Positive,
    Strict,
    check_distinct,
    check_known,
    merge,
)
from hycon.params.catalogue import Corpus, Encoder
from hycon.params.messages import explain
from hycon.params.peers import AnyPeer, PeerSettings, installed
from hycon.params.settings import ModelConfig, Settings, TrainConfig, get_path, override
from hycon.params.tuning import TuningConfig

NO_LAMBDAS = {"intra": 0.0, "inter": 0.0, "semi": 0.0}


class Experiment(Strict):
    """A table: its variants in order, each trained with each of the text encoders.

    The others are compared with the variant `reference`, if it is one of them, each under its own
    text encoder. `curve` is a key of `model` or `train`, over which the metrics are drawn; `tsne`
    two variants whose representations are, side by side. With `first_encoder_only` a corpus has
    rows with the first text encoder only that it has input for. `costs` is whether complexity is
    measured of its rows.
    """

    title: Line
    reference: Name | None = None
    curve: Annotated[str, StringConstraints(pattern=r"^(model|train)(\.[a-z_]+)+$")] | None = None
    tsne: Annotated[list[Name], Field(min_length=2, max_length=2)] | None = None
    variants: Annotated[list[Name], Field(min_length=1)]
    encoders: Annotated[list[Name], Field(min_length=1)]
    first_encoder_only: bool = False
    costs: bool = True


def _switched_on(experiments: Any) -> Any:
    """Leave out what an overlay sets to null: so it takes an experiment of params.yaml away."""
    if not isinstance(experiments, dict):
        return experiments
    return {name: value for name, value in experiments.items() if value is not None}


class Changes(Strict):
    """What a corpus, a text encoder or a variant changes of `model` and `train`."""

    model: dict[str, Any] = Field(default={})
    train: dict[str, Any] = Field(default={})


class Variant(Changes):
    """A named change of `model` and `train`, or of another variant; or a peer in place of `model`.

    Of a peer, `train` is what changes of the common optimisation.
    """

    label: Line
    of: Name | None = None
    peer: PeerSettings | None = None

    @model_validator(mode="after")
    def _peer_stands_alone(self) -> Self:
        for key in ("model", "of"):
            if self.peer and getattr(self, key):
                raise ValueError(f"{key} belongs to our own network, and this is a peer: drop it")
        return self


class _Own(Strict):
    """Settings of a row of our own network."""

    model: ModelConfig
    train: TrainConfig


class ComplexityConfig(Strict):
    """How often the cost of each row is measured."""

    repeats: Count


class Longest(Strict):
    """How many frames of an utterance are kept where they are not aligned to words."""

    audio: Count
    vision: Count


class MetricsConfig(Strict):
    """How scores are computed where the field has several ways under one name."""

    f1: Literal["weighted", "macro"]


Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]


class FigureConfig(Strict):
    """How figures look."""

    line: Colour
    classes: Annotated[list[Colour], Field(min_length=4)]


class AlignConfig(Strict):
    """How frames reach words and words reach segments."""

    epsilon: Positive
    mode: Literal["words", "unaligned"]
    longest: Longest


class Params(Strict):
    """The whole configuration: params.yaml, corpora.yaml and an overlay, merged."""

    corpora: Annotated[list[Name], Field(min_length=1)]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    seeds_per_job: Count | None
    mirror: Line | None
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    experiments: Annotated[
        dict[Name, Experiment], BeforeValidator(_switched_on), Field(min_length=1)
    ]
    variants: dict[Name, Variant]
    per_corpus: dict[Name, Changes]
    per_encoder: dict[Name, Changes]
    encoders: dict[Name, Encoder]
    metrics: MetricsConfig
    complexity: ComplexityConfig | None
    figures: FigureConfig
    align: AlignConfig
    model: ModelConfig
    train: TrainConfig
    tuning: TuningConfig
    catalogue: dict[Name, Corpus]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        check_known("corpora", self.corpora, self.catalogue)
        check_distinct("corpora", self.corpora)
        check_distinct("seeds", self.seeds)
        for name, experiment in self.experiments.items():
            for key, table in (("variants", self.variants), ("encoders", self.encoders)):
                chosen = getattr(experiment, key)
                check_known(f"experiments.{name}.{key}", chosen, table)
                check_distinct(f"experiments.{name}.{key}", chosen)
            for key, named in (("reference", [experiment.reference]), ("tsne", experiment.tsne)):
                chosen = [variant for variant in named or [] if variant is not None]
                check_known(f"experiments.{name}.{key}", chosen, self.variants)
            if experiment.curve:
                self._check_curve(f"experiments.{name}.curve", experiment)
        for corpus in self.corpora:
            if not any(self.rows(name, corpus) for name in self.experiments):
                reason = self.unusable(corpus, next(iter(self.experiments.values())).encoders[0])
                raise ValueError(
                    f"corpora: no experiment has a text encoder for {corpus} ({reason}); name "
                    "another encoder, or leave the corpus out"
                )
        for name, variant in self.variants.items():
            if variant.of is not None:
                check_known(f"variants.{name}.of", [variant.of], self.variants)
                if self.variants[variant.of].of is not None:
                    raise ValueError(
                        f"variants.{name}.of: {variant.of} is itself of another; name a variant "
                        "that stands by itself"
                    )
                if self.variants[variant.of].peer:
                    raise ValueError(f"variants.{name}.of: {variant.of} is a peer; name another")
        check_known("per_corpus", list(self.per_corpus), self.catalogue)
        check_known("per_encoder", list(self.per_encoder), self.encoders)
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
        check_known("tuning.variant", [self.tuning.variant], self.variants)
        check_known("tuning.encoder", [self.tuning.encoder], self.encoders)
        self._check_space()
        return self

    def _check_space(self) -> None:
        """Refuse keys and values that fit no network; what fits not this one is for `tuning_of`."""
        peer = self.variants[self.tuning.variant].peer
        for key, choice in self.tuning.space.items():
            model = peer if key in _sizes(peer) else self.model
            base = Settings(model=model, train=self.train)
            for value in choice if isinstance(choice, list) else [choice.low, choice.high]:
                try:
                    override(base, {key: value})
                except ValidationError as error:
                    problem = error.errors()[0]
                    optional = "selection" in problem["loc"] and problem["type"] == "missing"
                    if problem["type"] != "value_error" and not optional:
                        raise ValueError(f"tuning.space: {explain(Settings, problem)}") from None

    def _check_curve(self, key: str, experiment: Experiment) -> None:
        """Refuse to draw over a key that is no number, or takes no part, in a variant."""
        rows = itertools.product(self.corpora, experiment.variants, experiment.encoders)
        for corpus, variant, encoder in rows:
            settings = self.settings(corpus, variant, encoder)
            if get_path(settings, experiment.curve) is None:
                unused = experiment.curve.removeprefix("train.") in settings.train.unused_keys()
                why = "takes no part (its lambdas are 0)" if unused else "is no number"
                raise ValueError(
                    f"{key}: {experiment.curve} {why} in variant {variant} on {corpus}; set the "
                    "curve to null, or take the variant out"
                )

    def unusable(self, corpus: str, encoder: str) -> str | None:
        """Return why a corpus cannot be trained with a text encoder, None if it can."""
        entry, chosen = self.catalogue[corpus], self.encoders[encoder]
        if chosen.kind == "vectors" and not entry.has_vectors:
            return f"{encoder} needs word vectors, which {corpus} has none of"
        if chosen.kind == "transformer" and not entry.has_text:
            return f"{encoder} needs words, and {corpus} has vectors only"
        return None

    def settings(self, corpus: str, variant: str, encoder: str) -> Settings:
        """Return `model` and `train` as one row is trained with, validated.

        A corpus's changes come first, then a text encoder's, then a variant's. What takes no part
        is None, so that a change of it reruns nothing: the rank of another fusion, decisions on
        emotions where there are none, what belongs to fine-tuning for a cached encoder, and what
        the weights of the contrastive terms switch off. A peer has no contrastive part.
        """
        peer = self.variants[variant].peer
        values = {"model": self.model.model_dump(), "train": self.train.model_dump()}
        settings = _Own.model_validate(values)
        for place, changes in self._changes(corpus, variant, encoder):
            if peer and place[0] == "variants":
                values["train"].update(lambdas=NO_LAMBDAS, selection=None)
            values = merge(values, changes)
            try:
                settings = _Own.model_validate(values)
            except ValidationError as error:
                problem = explain(_Own, error.errors()[0])
                raise ValueError(f"{'.'.join(place)}.{problem}") from None
        if peer and (settings.train.selection or any(settings.train.lambdas.model_dump().values())):
            raise ValueError(
                f"variants.{variant}.train: a peer has no contrastive part; drop lambdas, selection"
            )
        train: dict[str, Any] = dict.fromkeys(settings.train.unused_keys())
        if not self.encoders[encoder].finetune:
            train["finetuning"] = None
        elif settings.train.finetuning is None:
            raise ValueError(f"encoders.{encoder}: finetune needs train.finetuning, which is null")
        if self.catalogue[corpus].task == "regression":
            train["emotion_decision"] = None
        elif settings.train.emotion_decision is None:
            raise ValueError(f"train.emotion_decision: null, but corpus {corpus} has emotions")
        low_rank = settings.model.fusion == "low-rank"
        own = settings.model.model_copy(update={} if low_rank else {"rank": None})
        return Settings(model=peer or own, train=settings.train.model_copy(update=train))

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

    def tuning_of(self, corpus: str) -> tuple[TuningConfig, dict[str, list[str]]]:
        """Return the search for a corpus, and where an overlay puts each of its keys.

        What the row has switched off is not searched over: a lambda of 0, alpha where all are 0, or
        the selection where it is null; nor are keys of our own network in the row of a peer. A key
        is put where it is set last, or in `per_corpus`.

        Raises:
            ValueError: the row cannot be tuned so, in one line.
        """
        tuning = self.tuning
        if reason := self.unusable(corpus, tuning.encoder):
            raise ValueError(f"tuning.encoder: {reason}; name another")
        base = self.settings(corpus, tuning.variant, tuning.encoder)
        peer = self.variants[tuning.variant].peer
        off = {f"lambdas.{name}" for name, value in base.train.lambdas if not value}
        off |= base.train.unused_keys()
        optional = ("selection", "finetuning", "emotion_decision")
        off |= {name for name in optional if getattr(base.train, name) is None}
        space = {
            key: choice
            for key, choice in tuning.space.items()
            if not any(f"{key}.".startswith(f"train.{name}.") for name in off)
            and (not peer or key.startswith("train.") or key in _sizes(peer))
        }
        if not space:
            raise ValueError("tuning.space: all of it is switched off in this variant; add keys")
        places = {key: self._place(key, corpus) for key in space}
        return tuning.model_copy(update={"space": space}), places

    def _place(self, key: str, corpus: str) -> list[str]:
        path = key.split(".")
        if key in _sizes(self.variants[self.tuning.variant].peer):
            return ["variants", self.tuning.variant, "peer", *path[1:]]
        row = self._changes(corpus, self.tuning.variant, self.tuning.encoder)
        for place, changes in reversed(row):
            value: Any = changes
            for part in path[:-1]:
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, dict) and path[-1] in value:
                return [*place, *path]
        return ["per_corpus", corpus, *path]

    def rows(self, experiment: str, corpus: str) -> list[tuple[str, str]]:
        """Return an experiment's (variant, encoder) pairs in the order of its table.

        Text encoders that the corpus has no input for are left out (`unusable` says why).
        """
        return [
            (variant, encoder)
            for encoder in self.encoders_of(experiment, corpus)
            for variant in self.variants_of(experiment)
        ]

    def variants_of(self, experiment: str) -> list[str]:
        """Return the variants of an experiment that can be trained here: peers need a package."""
        return [
            name
            for name in self.experiments[experiment].variants
            if self.variants[name].peer is None or installed()
        ]

    def encoders_of(self, experiment: str, corpus: str) -> list[str]:
        """Return the text encoders that an experiment has rows with on a corpus."""
        chosen = self.experiments[experiment]
        usable = [name for name in chosen.encoders if self.unusable(corpus, name) is None]
        return usable[:1] if chosen.first_encoder_only else usable


def _sizes(peer: AnyPeer | None) -> set[str]:
    """Return the keys of a peer's sizes, as a tuning space names them."""
    fields = type(peer).model_fields if peer else {}
    return {f"model.{name}" for name in fields if name != "network"}
