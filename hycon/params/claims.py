"""The paper's claims (paper/claims.yaml), and what was fixed before runs (preregistration.yaml)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from hycon.errors import HyConError
from hycon.params.base import Count, Name, Positive, Strict, Text, check_distinct, check_known
from hycon.params.inference import SentimentMetric
from hycon.params.loading import read_yaml
from hycon.params.messages import explain
from hycon.params.schema import Params

CLAIMS = Path("paper/claims.yaml")
PREREGISTRATION = Path("paper/preregistration.yaml")


class Claim(Strict):
    """A claim: each of some rows is better than each of some others."""

    name: Name
    claim: Text
    """The claim, in one sentence."""
    source: Text
    """The words that it comes from, and where they are."""
    kind: Literal["scores", "parameters", "time"] = "scores"
    """Compared by the primary metric; by the number of parameters, fewer is better; or by the time
    of a training step, at most `at_most` times as long."""
    rows: Annotated[list[Name], Field(min_length=1)]
    """Variants that are claimed to be better."""
    against: Annotated[list[Name], Field(min_length=1)]
    """Variants that they are claimed to be better than."""
    at_most: Positive | None = None
    """Largest ratio of times for kind: time."""
    needs: list[Literal["informative", "together"]] = Field(default=[])
    """What must be true of a corpus for the claim to be testable. informative: each modality alone
    is better than a constant; together: all modalities are better than the best alone."""

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if (self.kind == "time") != (self.at_most is not None):
            raise ValueError("at_most belongs to kind: time, and only there")
        if both := set(self.rows) & set(self.against):
            raise ValueError(f"{min(both)} is both in `rows` and in `against`")
        return self


class Preregistration(Strict):
    """What was fixed before runs were made: what is tested, how, and with which seeds."""

    claims: Annotated[list[Name], Field(min_length=1)]
    """Names of claims."""
    corpus: Name
    encoder: Name
    """Text encoder."""
    metric: SentimentMetric | Literal["acc", "f1"]
    """Primary metric."""
    margin: Positive
    """Largest difference that counts as none."""
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)]
    """Seeds, in the order in which they are run."""
    looks: Annotated[list[Count], Field(min_length=1)]
    """Numbers of seeds at which the result is looked at. With several, each look is tested at
    0.05 divided by their number."""
    note: Text
    """What counts as support, and what was known before."""

    @model_validator(mode="after")
    def _looks_at_its_seeds(self) -> Self:
        check_distinct("seeds", self.seeds)
        if self.looks != sorted(set(self.looks)) or self.looks[-1] != len(self.seeds):
            raise ValueError(
                f"looks: found {self.looks}, expected ascending numbers up to the number of seeds, "
                f"{len(self.seeds)}"
            )
        return self


class _Claims(Strict):
    claims: list[Claim]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        check_distinct("claims", [claim.name for claim in self.claims])
        return self


class _Preregistrations(Strict):
    preregistered: list[Preregistration]


def load_claims(params: Params, root: Path = Path()) -> list[Claim]:
    """Return the claims in the order of the file; none if there is no such file.

    Raises:
        HyConError: the file is invalid, or names an unknown variant.
    """
    if not (root / CLAIMS).exists():
        return []
    found = _validated(_Claims, read_yaml(root / CLAIMS), CLAIMS).claims
    for claim in found:
        try:
            check_known("variants", [*claim.rows, *claim.against], params.variants)
        except ValueError as error:
            raise HyConError(f"{CLAIMS}: {claim.name}: {error}") from None
    return found


def load_preregistrations(content: dict | None = None) -> list[Preregistration]:
    """Return what was preregistered, from the file or its content at another commit.

    Raises:
        HyConError: the file is invalid.
    """
    if content is None:
        if not PREREGISTRATION.exists():
            return []
        content = read_yaml(PREREGISTRATION)
    return _validated(_Preregistrations, content, PREREGISTRATION).preregistered


def _validated(model: type[Strict], content: dict, path: Path) -> Strict:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problem = explain(model, error.errors()[0])
    raise HyConError(f"{path}: {problem}")
