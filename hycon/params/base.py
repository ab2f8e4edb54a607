"""Building blocks of the configuration: types of numbers and names, and the strict base model."""

import json
import re
import unicodedata
from collections import Counter
from typing import Annotated, Any, Literal

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
    """Read `5e-4`, which is text in YAML 1.1, as a number."""
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def _float(**bounds: float) -> Any:
    return Annotated[float, Field(allow_inf_nan=False, **bounds), BeforeValidator(_number)]


Float = _float()
NonNegative = _float(ge=0)
Positive = _float(gt=0)
Fraction = _float(ge=0, le=1)
PositiveFraction = _float(gt=0, le=1)
Probability = _float(ge=0, lt=1)
Count = Annotated[int, Field(ge=1)]
# a name becomes a folder, a wildcard, part of a shell command and a key of metrics.json
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
# a figure's file name holds two names and a kind, and file names have at most 255 bytes
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=80)]


def _is_text(text: str) -> str:
    """Refuse control characters, which break shells, terminals, tables and TeX."""
    if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError(f"found {shown(text)}, expected one line without control characters")
    return text


MODALITIES = ("text", "audio", "vision")
Modality = Literal["text", "audio", "vision"]


def _in_order(modalities: list[str]) -> list[str]:
    check_distinct("modalities", modalities)
    return sorted(modalities, key=MODALITIES.index)


Modalities = Annotated[list[Modality], AfterValidator(_in_order)]

# Text joins the lines of a long text
Line = Annotated[str, AfterValidator(_is_text)]
Text = Annotated[str, AfterValidator(lambda text: _is_text(" ".join(text.split())))]


class Strict(BaseModel):
    """A part of the configuration: refuses unknown keys and values of another type."""

    # the docstring below a key is its description in the JSON schema
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )

    def as_json(self) -> str:
        """Return the values as one line of JSON with sorted keys."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


def check_known(key: str, names: list[str], table: dict[str, Any]) -> None:
    """Raise ValueError unless every name is one of a table's keys."""
    for name in names:
        if name not in table:
            raise ValueError(f"{key}: unknown name '{name}'{hint(name, table)}")


def check_distinct(key: str, values: list[Any]) -> None:
    """Raise ValueError if a value is repeated."""
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{key}: {min(repeated)} is repeated; name each once")


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return a value at a key such as train.lambdas.intra, as nested mappings."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` overridden by `changes`: mappings key by key, other values as a whole."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(merged.get(key), dict) and isinstance(value, dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged
