"""Validation errors of parameters as one line."""

import difflib
import json
from typing import Any

from pydantic import BaseModel

TAG = "network"  # the key that tells several models apart
LONGEST = 60  # characters of a value or key in a message


def explain(kind: type[BaseModel], problem: dict[str, Any]) -> str:
    """Return pydantic's error as one line: key, found value, expected value."""
    place, within = _follow(kind, [part for part in problem["loc"] if part != "[key]"])
    key = ".".join(" ".join(str(part)[:LONGEST].split()) for part in place)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{hint(str(place[-1]), within.model_fields)}"
    if problem["type"] == "union_tag_invalid":
        found, tags = problem["ctx"]["tag"], problem["ctx"]["expected_tags"].replace("'", "")
        return f"{key}.{TAG}: unknown {TAG} '{found}'{hint(found, tags.split(', '))}"
    if problem["type"] == "union_tag_not_found":
        return f"{key}.{TAG}: missing; it has no default"
    if problem["type"] == "missing":
        return f"{key}: missing; it has no default"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}".removeprefix(": ")
    expected = {
        "string_pattern_mismatch": f"a text of the form {problem.get('ctx', {}).get('pattern')}",
        "string_too_long": f"at most {problem.get('ctx', {}).get('max_length')} characters",
        "too_short": f"at least {problem.get('ctx', {}).get('min_length')}",
        "too_long": f"at most {problem.get('ctx', {}).get('max_length')}",
        "model_type": "keys and values",
        "dict_type": "keys and values",
        "model_attributes_type": "keys and values",
    }.get(problem["type"], problem["msg"].removeprefix("Input should be ").removeprefix("a valid "))
    return f"{key}: found {shown(problem['input'])}, expected {expected}"


def _follow(kind: type[BaseModel], loc: list[Any]) -> tuple[list[Any], type[BaseModel]]:
    """Return a place as it is written in YAML, and the model at that place.

    Nested models and mappings of models are followed. Where one of several models is allowed,
    pydantic adds the tag of the chosen one to the place, which is removed.
    """
    place: list[Any] = []
    tagged: dict[str, type[BaseModel]] = {}
    for part in loc:
        if part in tagged:
            kind, tagged = tagged[part], {}
            continue
        place.append(part)
        field = kind.model_fields.get(str(part))
        models = _models_in(field.annotation if field else None)
        if len(models) > 1:
            tagged = {tag: model for model in models for tag in _tags(model)}
        kind = models[0] if models else kind
    return place, kind


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    return getattr(model.model_fields[TAG].annotation, "__args__", ())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def shown(value: Any) -> str:
    text = _beginning(value)
    shown = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    kind = {str: "text", bool: "true/false", list: "a list", dict: "keys and values"}
    name = next((word for type_, word in kind.items() if isinstance(value, type_)), None)
    return f"{shown} ({name})" if name else "nothing" if value is None else shown


def _beginning(value: Any) -> str:
    """Return the first characters of any value as JSON."""
    encoder = json.JSONEncoder(ensure_ascii=False, default=str, skipkeys=True)
    text = ""
    try:
        for part in encoder.iterencode(value):  # stops early on large values
            text += part
            if len(text) > LONGEST:
                break
    except (
        ValueError,
        RecursionError,
    ):  # a huge number, a list that contains itself
        text += "..."
    return text


def hint(found: str, allowed: Any) -> str:
    close = difflib.get_close_matches(str(found)[:LONGEST], list(allowed), n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    return f"{meant} (allowed: {', '.join(allowed)})"
