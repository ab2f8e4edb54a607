"""The whole configuration, checked across its parts."""

import itertools
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
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
from hycon.params.experiments import Changes, Experiment, Variant, switched_on, with_swept
from hycon.params.inference import InferenceConfig
from hycon.params.messages import explain
from hycon.params.own import Located, locate
from hycon.params.peers import (
    MISSING,
    AnyPeer,
    Own,
    OwnNetwork,
    Source,
    installed,
)
from hycon.params.settings import (
    MODALITIES,
    ModelConfig,
    Settings,
    TrainConfig,
    get_path,
    override,
)
from hycon.params.tuning import TuningConfig

NO_LAMBDAS = {"intra": 0.0, "inter": 0.0, "semi": 0.0}


class _Own(Strict):
    """Settings of a row with this project's network."""

    model: ModelConfig
    train: TrainConfig


class ComplexityConfig(Strict):
    """Measurement of complexity."""

    repeats: Count
    """Timed rounds."""


class Longest(Strict):
    """Maximum frames per utterance in unaligned mode."""

    audio: Count
    """Audio frames kept of an utterance, from its start. 500 in MMSA."""
    vision: Count
    """Vision frames kept of an utterance, from its start. 375 in MMSA."""


class MetricsConfig(Strict):
    """Choices where the field computes one metric in several ways."""

    f1: Literal["weighted", "macro"]
    """weighted: each class counts by its number of utterances; macro: classes count equally.
    Published F1 is weighted."""


Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-Fa-f]{6}$")]


class FigureConfig(Strict):
    """Appearance of figures."""

    line: Colour
    """Colour of curves and their bands."""
    classes: Annotated[list[Colour], Field(min_length=4)]
    """Colours of classes in t-SNE figures."""


class AlignConfig(Strict):
    """Alignment of frames to words, and of words to segments."""

    epsilon: Positive
    """Tolerance at the edges of a word, in seconds. The SDK's main branch has 1e-5, its PyPI
    release 1e-3."""
    mode: Literal["words", "unaligned"]
    """words: mean of the frames within each word; unaligned: frames at their own rate."""
    longest: Longest
    """Frames kept of an utterance if mode is unaligned."""


class Params(Strict):
    """The whole configuration: params.yaml, corpora.yaml and an overlay, merged."""

    corpora: Annotated[list[Name], Field(min_length=1)]
    """Corpora to reproduce, by their names in corpora.yaml."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    """Seeds; there is one run for each corpus, variant and seed."""
    seeds_per_job: Count | None
    """Seeds that one job trains; null trains all seeds of a row in one job. Results are the
    same."""
    mirror: Line | None
    """Folder or address that is asked for every file first; null for none."""
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")]
    """Where to train and encode: auto, cpu, cuda or cuda:N."""
    experiments: Annotated[
        dict[Name, Experiment], BeforeValidator(switched_on), Field(min_length=1)
    ]
    """Tables by name. In an overlay, null removes one."""
    variants: dict[Name, Variant]
    """Variants by name: changes of `model` and `train`."""
    networks: dict[Name, Source] = Field(default={})
    """Networks of your own by name: FILE.py:CLASS, with a file in the project's folder. A variant
    uses one by `peer: {network: own, name: NAME}`."""
    per_corpus: dict[Name, Changes]
    """Changes for a corpus, applied before `per_encoder` and variants."""
    per_encoder: dict[Name, Changes]
    """Changes for a text encoder, applied before variants."""
    encoders: dict[Name, Encoder]
    """Text encoders by name."""
    claims_table: Annotated[Name, StringConstraints(pattern=r"^claims(-[a-z0-9]+)*$")] = "claims"
    """Name of the table of claims. claims-NAME in an overlay keeps the table of another overlay of
    the same corpus."""
    metrics: MetricsConfig
    """Conventions of the metrics."""
    inference: InferenceConfig
    """Margins and primary metrics of the tests between rows."""
    complexity: ComplexityConfig | None
    """Measurement of complexity; null measures none."""
    figures: FigureConfig
    """Appearance of the figures."""
    align: AlignConfig
    """Alignment of audio and vision to words."""
    model: ModelConfig
    """The network."""
    train: TrainConfig
    """Optimisation and the contrastive losses."""
    tuning: TuningConfig
    """Search for better parameters (the rule `tune`)."""
    catalogue: dict[Name, Corpus]
    """Known corpora (corpora.yaml)."""
    _own: dict[str, Located] = PrivateAttr(default_factory=dict)  # the networks that variants use

    @model_validator(mode="before")
    @classmethod
    def _sweeps(cls, content: Any) -> Any:
        return with_swept(content)

    @model_validator(mode="after")
    def _names_resolve(self, info: ValidationInfo) -> Self:
        root = (info.context or {}).get("root", Path())
        for variant in self.variants.values():
            if isinstance(variant.peer, Own) and (name := variant.peer.name) not in self._own:
                self._own[name] = locate(self.networks, name, root)
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
            if experiment.controls:
                check_known(f"experiments.{name}.controls", [experiment.controls], self.experiments)
            if experiment.curve:
                self._check_curve(f"experiments.{name}.curve", experiment)
        for corpus in self.corpora:
            if not any(self.rows(name, corpus) for name in self.experiments):
                reason = self.unusable(corpus, next(iter(self.experiments.values())).encoders[0])
                raise ValueError(
                    f"corpora: no experiment has a text encoder for {corpus} ({reason}); name "
                    "another encoder, or remove the corpus"
                )
        for name, variant in self.variants.items():
            if variant.of is not None:
                check_known(f"variants.{name}.of", [variant.of], self.variants)
                if self.variants[variant.of].of is not None:
                    raise ValueError(
                        f"variants.{name}.of: {variant.of} has an `of` itself; name a variant "
                        "without one"
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
        check_known("tuning.variants", self.tuning.variants, self.variants)
        check_known("tuning.encoder", [self.tuning.encoder], self.encoders)
        self._check_space()
        return self

    def _check_space(self) -> None:
        """Refuse keys and values that fit no network; `tuning_of` checks a row's network."""
        peers = [self._network(self.variants[name].peer) for name in self.tuning.variants]
        for key, choice in self.tuning.space.items():
            model = next((peer for peer in peers if key in _sizes(peer)), self.model)
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
        """Refuse a curve over a key that is unused or not a number in one of the variants."""
        rows = itertools.product(self.corpora, experiment.variants, experiment.encoders)
        for corpus, variant, encoder in rows:
            settings = self.settings(corpus, variant, encoder)
            if get_path(settings, experiment.curve) is None:
                unused = experiment.curve.removeprefix("train.") in settings.train.unused_keys()
                why = "is unused (its lambdas are 0)" if unused else "is not a number"
                raise ValueError(
                    f"{key}: {experiment.curve} {why} in variant {variant} on {corpus}; set the "
                    "curve to null, or remove the variant"
                )

    def unusable(self, corpus: str, encoder: str) -> str | None:
        """Return why a corpus cannot be trained with a text encoder, None if it can."""
        entry, chosen = self.catalogue[corpus], self.encoders[encoder]
        if chosen.kind == "none" and "text" in entry.modalities:
            return f"{encoder} is for corpora without text, and {corpus} has one"
        if chosen.of_corpus and not entry.has_vectors:
            return f"{encoder} needs word vectors, and {corpus} has none"
        if chosen.model and not entry.has_text:
            has = "only vectors" if entry.has_vectors else "no text"
            return f"{encoder} needs words, and {corpus} has {has}"
        return None

    def lacking(self, corpus: str, variant: str) -> str | None:
        """Return why a corpus has no row of a variant, None if it has one.

        A variant that names modalities, or whose parent does, needs them; otherwise one of those of
        `model` is enough. A variant that only names all that the corpus has is the same as its
        parent.
        """
        chosen, here = self.variants[variant], self.catalogue[corpus].modalities
        own = chosen.peer if isinstance(chosen.peer, Own) else None
        if chosen.peer and not own and chosen.peer.of_mmsa and not installed():
            return MISSING
        if chosen.peer and not own:
            if chosen.peer.only_scores and self.catalogue[corpus].task != "regression":
                return "for scores only"
            return None if "text" in here else "the corpus has no text"
        parent = self.variants.get(chosen.of or "")  # a name that is unknown is refused later
        named, shuffled = own and (own.reads or here), ()
        for each in (parent, chosen) if parent else (chosen,):
            named = each.model.get("modalities", named)
            shuffled = each.train.get("shuffled", shuffled)
        wanted = {*(named or ()), *shuffled}
        if named is None:
            changes = self.per_corpus.get(corpus, Changes()).model
            common = changes.get("modalities", self.model.modalities)
            # without any of them the network would predict a constant
            wanted |= set() if set(common) & set(here) else set(common)
        if missing := [name for name in MODALITIES if name in wanted - set(here)]:
            return f"the corpus has no {' and no '.join(missing)}"
        alone = chosen.model.keys() == {"modalities"} and not chosen.train
        if alone and set(named) == set(here) != set(MODALITIES):
            return "all that the corpus has"
        return None

    def settings(self, corpus: str, variant: str, encoder: str) -> Settings:
        """Return the validated `model` and `train` of one row.

        Changes are applied in order: the corpus's, the text encoder's, the variant's. Unused values
        are None, so that changing them reruns nothing: the rank of another fusion, emotion
        decisions where there are none, fine-tuning of a cached encoder, and what lambdas of 0
        switch off. A peer has no contrastive part.
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
                f"variants.{variant}.train: a peer has no contrastive losses; remove lambdas and "
                "selection"
            )
        reads = peer.reads if isinstance(peer, Own) else None
        declared = (reads or list(MODALITIES)) if peer else settings.model.modalities
        if absent := [name for name in settings.train.shuffled if name not in declared]:
            raise ValueError(
                f"variants.{variant}.train.shuffled: {absent[0]} is not in model.modalities; "
                "remove it"
            )
        here = self.catalogue[corpus].modalities
        modalities = [name for name in declared if name in here]
        options = settings.train.with_modalities(len(modalities))
        train: dict[str, Any] = dict.fromkeys(options.unused_keys())
        train["shuffled"] = [name for name in options.shuffled if name in here]
        if not self.encoders[encoder].finetune or "text" not in modalities:
            train["finetuning"] = None
        elif settings.train.finetuning is None:
            raise ValueError(f"encoders.{encoder}: finetune needs train.finetuning, which is null")
        elif settings.train.missing:
            raise ValueError(
                f"encoders.{encoder}: finetune reads tokens, which train.missing cannot drop; "
                "set it to 0"
            )
        if not {"audio", "vision"} & set(modalities):
            train["noise"] = 0.0
        if self.catalogue[corpus].task == "regression":
            train["emotion_decision"] = None
        elif settings.train.emotion_decision is None:
            raise ValueError(f"train.emotion_decision: null, but corpus {corpus} has emotions")
        low_rank = settings.model.fusion == "low-rank"
        rank = {} if low_rank else {"rank": None}
        own = settings.model.model_copy(update={"modalities": modalities, **rank})
        return Settings(
            model=self._network(peer, modalities) or own, train=options.model_copy(update=train)
        )

    def _network(
        self, peer: AnyPeer | Own | None, reads: list[str] | None = None
    ) -> AnyPeer | OwnNetwork | None:
        """Return a variant's peer as it is in the settings of a row."""
        if not isinstance(peer, Own):
            return peer
        reads = reads or list(MODALITIES)  # a corpus with none of them has no row
        return OwnNetwork(**{**dict(peer), "reads": reads}, **self._own[peer.name]._asdict())

    def _changes(
        self, corpus: str, variant: str, encoder: str
    ) -> list[tuple[list[str], dict[str, Any]]]:
        """Return the changes of a row's `model` and `train`, in order, with their places."""
        parent = self.variants[variant].of
        places = [
            ["per_corpus", corpus],
            ["per_encoder", encoder],
            *([["variants", parent]] if parent else []),
            ["variants", variant],
        ]
        changes = [
            (place, getattr(self, place[0])[place[1]].model_dump(include={"model", "train"}))
            for place in places
            if place[1] in getattr(self, place[0])
        ]
        before = ["variants", variant, "before"], self.variants[variant].before.model_dump()
        own = next(at for at, (place, _) in enumerate(changes) if place[0] == "variants")
        return [*changes[:own], before, *changes[own:]]

    def tuning_of(self, corpus: str, variant: str) -> tuple[TuningConfig, dict[str, list[str]]]:
        """Return the search for a row, and the place of each of its keys in an overlay.

        Unused keys are left out of the space: a lambda of 0, alpha if all lambdas are 0, the
        selection if it is null, and this project's `model` in the row of a peer. A key's place is
        where it is set last, or `per_corpus`; the variant if several are tuned.

        Raises:
            ValueError: the row cannot be tuned.
        """
        tuning = self.tuning
        if reason := self.unusable(corpus, tuning.encoder):
            raise ValueError(f"tuning.encoder: {reason}; name another")
        if reason := self.lacking(corpus, variant):
            raise ValueError(f"tuning.variants: {variant}: {reason}; name another")
        if self.catalogue[corpus].leaves_one_out:
            raise ValueError(
                f"corpora: {corpus} tests every group, so a search would see all of them; tune on "
                "a corpus with fixed folds"
            )
        base = self.settings(corpus, variant, tuning.encoder)
        peer = self.variants[variant].peer
        off = {f"lambdas.{name}" for name, value in base.train.lambdas if not value}
        off |= base.train.unused_keys()
        optional = ("selection", "finetuning", "emotion_decision")
        off |= {name for name in optional if getattr(base.train, name) is None}
        space = {
            key: choice
            for key, choice in tuning.space.items()
            if not any(f"{key}.".startswith(f"train.{name}.") for name in off)
            and (key.startswith("train.") or key in _sizes(peer or self.model))
        }
        if not space:
            raise ValueError("tuning.space: no key is in use in this variant; add keys")
        places = {key: self._place(key, corpus, variant) for key in space}
        return tuning.model_copy(update={"variants": [variant], "space": space}), places

    def _place(self, key: str, corpus: str, variant: str) -> list[str]:
        path = key.split(".")
        if key in _sizes(self.variants[variant].peer):
            return ["variants", variant, "peer", *path[1:]]
        if len(self.tuning.variants) > 1:
            return ["variants", variant, *path]
        row = self._changes(corpus, variant, self.tuning.encoder)
        for place, changes in reversed(row):
            value: Any = changes
            for part in path[:-1]:
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, dict) and path[-1] in value:
                return [*place, *path]
        return ["per_corpus", corpus, *path]

    def rows(self, experiment: str, corpus: str) -> list[tuple[str, str]]:
        """Return an experiment's (variant, encoder) pairs in the order of its table.

        Text encoders without input in this corpus are left out (see `unusable`), and variants that
        it cannot have (see `lacking`).
        """
        return [
            (variant, encoder)
            for encoder in self.encoders_of(experiment, corpus)
            for variant in self.variants_of(experiment, corpus)
        ]

    def seeds_of(self, variant: str) -> list[int]:
        """Return the seeds of a variant."""
        return self.seeds[: self.variants[variant].seeds]

    def variants_of(self, experiment: str, corpus: str) -> list[str]:
        """Return the variants that can be trained on a corpus (see `lacking`)."""
        variants = self.experiments[experiment].variants
        return [name for name in variants if self.lacking(corpus, name) is None]

    def encoders_of(self, experiment: str, corpus: str) -> list[str]:
        """Return the text encoders of an experiment's rows on a corpus."""
        chosen = self.experiments[experiment]
        if "text" not in self.catalogue[corpus].modalities:
            return [name for name, each in self.encoders.items() if each.kind == "none"][:1]
        usable = [name for name in chosen.encoders if self.unusable(corpus, name) is None]
        return usable[:1] if chosen.first_encoder_only else usable


def _sizes(network: AnyPeer | Own | ModelConfig | None) -> set[str]:
    """Return the keys of a network's sizes as they appear in a tuning space."""
    if isinstance(network, Own):
        return {f"model.settings.{name}" for name in network.settings}
    fields = set(type(network).model_fields) if network else set()
    kind = set() if isinstance(network, ModelConfig) else {"network"}  # of a peer, no size
    return {f"model.{name}" for name in fields - kind}
