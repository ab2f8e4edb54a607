"""Published numbers that ours are held against (paper/expected.yaml)."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from hycon.errors import HyConError
from hycon.params.base import Float, Line, Name, Strict
from hycon.params.inference import SentimentMetric
from hycon.params.loading import read_yaml
from hycon.params.messages import explain

PATH = Path("paper/expected.yaml")


class Published(Strict):
    """One published row: metrics under our names, Acc and F1 in per cent."""

    corpus: Name
    model: Line
    encoder: Line
    row: Name | None
    source: Line
    metrics: Annotated[dict[SentimentMetric, Float], Field(min_length=1)]


class _File(Strict):
    published: list[Published]


def load_published(root: Path = Path()) -> list[Published]:
    """Return the published rows in the order of the file; none if there is no such file.

    Raises:
        HyConError: the file is invalid.
    """
    path = root / PATH
    if not path.exists():
        return []
    try:
        return _File.model_validate(read_yaml(path)).published
    except ValidationError as error:
        problem = explain(_File, error.errors()[0])
    raise HyConError(f"{PATH}: {problem}")
