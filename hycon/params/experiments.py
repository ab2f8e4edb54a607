"""Experiments and variants: rows of tables, and the conditions under which they are compared."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from hycon.params.base import Count, Float, Fraction, Line, Name, NonNegative, Strict, merge, nested
from hycon.params.peers import PeerSettings


class RobustnessConfig(Strict):
    """Evaluation on incomplete and noisy input, without training."""

    missing: Annotated[list[Fraction], Field(min_length=2)]
    """Shares of missing steps, from 0. LNLN has 0 to 0.9."""
    noise: list[NonNegative] = Field(default=[])
    """Standard deviations of normal noise, in those of each feature."""

    @model_validator(mode="after")
    def _begins_at_zero(self) -> Self:
        for key in ("missing", "noise"):
            amounts = getattr(self, key)
            if amounts and (amounts[0] != 0 or sorted(set(amounts)) != amounts):
                raise ValueError(f"{key}: found {amounts}, expected ascending numbers from 0")
        return self


KEY = r"^(model|train)(\.[a-z_]+)+$"


class Sweep(Strict):
    """Other values of a key, at each of which all variants of an experiment are trained."""

    label: Line
    """Name of the axis in the figure of effects."""
    keys: Annotated[list[Annotated[str, StringConstraints(pattern=KEY)]], Field(min_length=1)]
    """Keys of `model` or `train` that are set to a value, before the variants' own changes."""
    values: Annotated[list[bool | int | Float | Line], Field(min_length=1)]
    """The values, besides the one that the key has."""


class Experiment(Strict):
    """A table: a row for each of its variants with each of its text encoders."""

    title: Line
    """Title of the table."""
    reference: Name | None = None
    """Variant that the others are tested against, under the same text encoder; null tests none."""
    curve: Annotated[str, StringConstraints(pattern=KEY)] | None = None
    """Key of `model` or `train`; adds a figure of the scores over its values."""
    tsne: Annotated[list[Name], Field(min_length=2, max_length=2)] | None = None
    """Two variants whose representations are shown next to each other by t-SNE."""
    variants: Annotated[list[Name], Field(min_length=1)]
    """Rows of the table, in order."""
    encoders: Annotated[list[Name], Field(min_length=1)]
    """Text encoders to train each variant with."""
    first_encoder_only: bool = False
    """Whether to use only the first text encoder that the corpus has input for."""
    costs: bool = True
    """Whether to measure the complexity of the rows."""
    robustness: RobustnessConfig | None = None
    """Evaluation of the rows on incomplete input: a table and a figure for each text encoder."""
    controls: Name | None = None
    """Experiment whose rows are shown below those of this one, as controls."""
    representations: Literal["sign", "polarity", "seven"] | None = None
    """Measures the representations of the rows: adds a table. The classes of scores that it
    compares; unused by emotions. Not with leave-one-out."""
    sweeps: dict[Name, Sweep] = Field(default={})
    """Conditions under which the variants are compared with the reference, each with the first
    text encoder; adds rows, and a figure of effects."""
    alone: Name | None = None
    """One of `variants`, with one modality. The figure of effects shows what the reference gains
    over it."""

    @model_validator(mode="after")
    def _sweeps_have_a_reference(self) -> Self:
        if self.sweeps and self.reference not in self.variants:
            raise ValueError("sweeps compare with `reference`, which is none of `variants`; add it")
        if self.alone and self.alone not in self.variants:
            raise ValueError(f"alone: {self.alone} is none of `variants`; add it")
        return self


def switched_on(experiments: Any) -> Any:
    """Drop experiments that an overlay sets to null, also as the controls of others."""
    if not isinstance(experiments, dict):
        return experiments
    gone = {name for name, value in experiments.items() if value is None}
    left = {name: value for name, value in experiments.items() if name not in gone}
    return {
        name: {**value, "controls": None}
        if isinstance(value, dict) and value.get("controls") in gone
        else value
        for name, value in left.items()
    }


class Changes(Strict):
    """Changes of `model` and `train` for a corpus, a text encoder or a variant."""

    model: dict[str, Any] = Field(default={})
    """Changed keys of `model`."""
    train: dict[str, Any] = Field(default={})
    """Changed keys of `train`."""


class VariantChanges(Changes):
    """Changes of a variant for a corpus."""

    peer: dict[str, Any] = Field(default={})
    """Changed keys of the variant's `peer`; `network` and `name` stay."""


class CorpusChanges(Changes):
    """Changes for a corpus: of all its rows, of single variants, of the measurements."""

    variants: dict[Name, VariantChanges] = Field(default={})
    """Changes of single variants on this corpus, applied after those in `variants`, also by the
    variants that are changes `of` them."""
    complexity: dict[str, Any] = Field(default={})
    """Changed keys of `complexity`."""


class Variant(Changes):
    """A named change of `model` and `train`, or of another variant; or a peer network."""

    label: Line
    """Name in tables and figures."""
    of: Name | None = None
    """Variant that this one is a change of."""
    peer: PeerSettings | None = None
    """Network of the package MMSA or of a paper and its sizes, or one of your own, in place of
    `model`."""
    before: Changes = Field(default=Changes())
    """Changes that are made before those of `of` and of the variant itself. The sweeps of an
    experiment set them."""
    seeds: Count | None = None
    """Number of seeds if fewer than the others have: the first ones of `seeds`. Not inherited by
    `of`."""

    @model_validator(mode="after")
    def _check_peer(self) -> Self:
        for key in ("model", "of"):
            if self.peer and getattr(self, key):
                raise ValueError(f"{key} does not apply to a peer network; remove it")
        return self


def with_swept(content: Any) -> Any:
    """Add a variant for each value of each sweep, and each variant of its experiment."""
    plain = isinstance(content, dict) and all(
        isinstance(content.get(key), dict) for key in ("experiments", "variants")
    )
    if not plain:
        return content  # refused later, by name
    added = dict(content["variants"])
    copies: dict[str, list[str]] = {}  # names of the added variants
    for experiment in content["experiments"].values():
        found = experiment if isinstance(experiment, dict) else {}
        for name, sweep in (found.get("sweeps") or {}).items():
            if not isinstance(sweep, Sweep):
                sweep = Sweep.model_validate(sweep)
            for variant in found.get("variants") or ():
                base = content["variants"].get(variant)
                for number, value in enumerate(sweep.values, start=1) if base else ():
                    before: dict[str, Any] = {}
                    for key in sweep.keys:
                        before = merge(before, nested(key, value))
                    own = base.model_dump(exclude_unset=True) if isinstance(base, Variant) else base
                    label = f"{own.get('label', variant)}, {sweep.label} {value}"
                    swept = {**own, "label": label, "before": before}
                    copy = swept_name(variant, name, number)
                    copies.setdefault(variant, []).append(copy)
                    if added.setdefault(copy, swept) != swept:
                        raise ValueError(f"sweeps.{name}: {copy} exists already; rename the sweep")
    changes = _with_copies(content.get("per_corpus"), copies)
    return {**content, "variants": added, **({"per_corpus": changes} if changes else {})}


def _with_copies(per_corpus: Any, copies: dict[str, list[str]]) -> Any:
    """Give copies of a variant the changes that it has on each corpus."""
    if not isinstance(per_corpus, dict):
        return per_corpus
    found = {}
    for corpus, changes in per_corpus.items():
        own = changes.get("variants") if isinstance(changes, dict) else None
        if isinstance(own, dict):
            more = {copy: own[name] for name in copies if name in own for copy in copies[name]}
            changes = {**changes, "variants": {**more, **own}}
        found[corpus] = changes
    return found


def swept_name(variant: str, sweep: str, number: int) -> str:
    """Return the name of a variant at a value of a sweep, counted from 1."""
    return f"{variant}-{sweep}-{number}"
