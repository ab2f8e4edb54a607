"""A search for better parameters."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from hycon.params.base import Count, Float, Name, Strict, check_distinct
from hycon.params.messages import explain, shown


class Range(Strict):
    """A range of numbers to search; with `log`, evenly on a logarithmic scale."""

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
    """Validate one entry of a space: a range, or a list of choices."""
    if isinstance(value, Range):
        return value
    if isinstance(value, dict):
        try:
            return Range.model_validate(value)
        except ValidationError as error:
            raise ValueError(explain(Range, error.errors()[0])) from None
    plain = (bool, int, float, str, type(None))
    choices = value if isinstance(value, list) else []
    if not choices or not all(isinstance(one, plain) for one in choices):
        raise ValueError(f"found {shown(value)}, expected a list of choices, or low, high and log")
    return value


class TuningConfig(Strict):
    """A search for better parameters of each of some rows (the rule `tune`)."""

    variants: Annotated[list[Name], Field(min_length=1)]
    """Variants to tune, each in a search of its own with the same number of trials."""
    encoder: Name
    """Text encoder to tune them with."""
    trials: Count
    """Number of trials of each search."""
    folds: Annotated[int, Field(ge=0)]
    """Parts of the training and validation folds for cross-validation by video; 0 uses the
    validation fold alone."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
    """Seeds of each trial; a trial's score is the mean over seeds and parts."""
    space: Annotated[dict[str, Annotated[Any, BeforeValidator(_choice)]], Field(min_length=1)]
    """Search space: a key of `model` or `train` and its choices, or a range `{low, high, log}`."""

    @model_validator(mode="after")
    def _check_folds(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds: 1 leaves nothing to train on; 0 uses the validation fold")
        check_distinct("seeds", self.seeds)
        check_distinct("variants", self.variants)
        return self
