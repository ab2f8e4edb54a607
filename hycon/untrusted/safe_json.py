"""Read untrusted JSON: within a size limit, and finite numbers only."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

LARGEST_JSON = 2**24  # bytes; the project's own files are below a tenth of that
MOST_DIGITS = 30  # of an integer; more is no count, seed or size


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; NaN, infinity and numbers beyond a double are refused.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than LARGEST_JSON, not UTF-8, not such JSON, nested too deeply, or
            has a duplicate key.
    """
    with path.open("rb") as file:
        content = file.read(LARGEST_JSON + 1)
    if len(content) > LARGEST_JSON:
        raise ValueError(f"larger than the limit of {LARGEST_JSON} bytes")
    return parse_json(content.decode("utf-8"))


def parse_json(text: str) -> Any:
    """Return the content of JSON text; see `read_json`.

    Raises:
        ValueError: as of `read_json`.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_refuse,
            parse_float=_float,
            parse_int=_int,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(text: str) -> None:
    raise ValueError(f"found {text}, expected a finite number")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse(text[:MOST_DIGITS])
    return value


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"found an integer of {len(text)} digits, expected {MOST_DIGITS} at most")
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate keys, which a bad merge leaves behind."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"duplicate key {twice!r}")
    return found
