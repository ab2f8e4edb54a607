"""What all parts of the configuration are made of: kinds of numbers and names, strict models."""

import json
import re
import unicodedata
from collections import Counter
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from hycon.params.messages import hint, shown


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
# a name becomes a folder, a rule's wildcard, a part of a shell command and a key of metrics.json
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
# two of them and a kind are the name of a figure, and a system's names have 255 bytes
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=80)]


def _is_text(text: str) -> str:
    """Refuse what a shell, a terminal, a table or TeX would stumble over."""
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError(f"found {shown(text)}, expected one line without control characters")
    return text


# what people read, and addresses; the lines of a long text are joined
Line = Annotated[str, AfterValidator(_is_text)]
Text = Annotated[str, AfterValidator(lambda text: _is_text(" ".join(text.split())))]


class Strict(BaseModel):
    """A part of the configuration: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def as_json(self) -> str:
        """Return the values as one line of JSON with sorted keys, as stages take them."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


def check_known(key: str, names: list[str], table: dict[str, Any]) -> None:
    """Raise ValueError unless every name is one of a table's keys."""
    for name in names:
        if name not in table:
            raise ValueError(f"{key}: unknown name '{name}'{hint(name, table)}")


def check_distinct(key: str, values: list[Any]) -> None:
    """Raise ValueError if a value is there twice."""
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{key}: {min(repeated)} is there twice; name each once")


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` laid over it: mappings key by key, anything else replaced."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
