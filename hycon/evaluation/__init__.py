"""Metrics, scores and comparisons: `from hycon.evaluation import compare, published, score`."""

import importlib
from typing import Any

__all__ = ["compare", "published", "score"]


def __getattr__(name: str) -> Any:
    # on demand, so that stages that need a metric only do not depend on all of it
    if name in __all__:
        return getattr(importlib.import_module("hycon.evaluation.scores"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
