"""A search for better parameters."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from hycon.params.base import Count, Float, Name, Strict, check_distinct
from hycon.params.messages import explain, shown


class Range(Strict):
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
        check_distinct("seeds", self.seeds)
        return self
