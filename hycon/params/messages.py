"""Complaints about parameters, put into one line for a person."""

import difflib
import json
from typing import Any

from pydantic import BaseModel


def explain(kind: type[BaseModel], problem: dict[str, Any]) -> str:
    """Put pydantic's first complaint into one line for a person."""
    place = [part for part in problem["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in place)
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key{hint(str(place[-1]), _fields_at(kind, place[:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: missing; it has no default"
    if problem["type"] == "value_error":
        return f"{key}: {problem['ctx']['error']}".removeprefix(": ")
    expected = {
        "string_pattern_mismatch": f"a text of the form {problem.get('ctx', {}).get('pattern')}",
        "too_short": f"at least {problem.get('ctx', {}).get('min_length')}",
        "model_type": "keys and values",
        "dict_type": "keys and values",
    }.get(problem["type"], problem["msg"].removeprefix("Input should be ").removeprefix("a valid "))
    return f"{key}: found {shown(problem['input'])}, expected {expected}"


def _fields_at(kind: type[BaseModel], place: list[Any]) -> list[str]:
    """Return the keys allowed at a place, following nested models and mappings of models."""
    for part in place:
        field = kind.model_fields.get(str(part))
        models = _models_in(field.annotation if field else None)
        kind = models[0] if models else kind
    return list(kind.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    shown = text if len(text) <= 60 else text[:57] + "..."
    kind = {str: "text", bool: "true/false", list: "a list", dict: "keys and values"}
    name = next((word for type_, word in kind.items() if isinstance(value, type_)), None)
    return f"{shown} ({name})" if name else "nothing" if value is None else shown


def hint(found: str, allowed: Any) -> str:
    close = difflib.get_close_matches(str(found), list(allowed), n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    return f"{meant} (allowed: {', '.join(allowed)})"
