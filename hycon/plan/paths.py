"""Paths of all files, relative to the project's folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

DATA, RESULTS = Path("data"), Path("results")
MANIFEST = Path("corpora.manifest.json")  # sources and digests of fetched files; in git
RESAMPLED = "resampled.safetensors"  # next to each scores.json
GRAPH = Path("docs/rulegraph.svg")
# ends the name of the table of times and memory: it differs from machine to machine, and the others
# do not
MEASURED = "-measured"


def aligned(corpus: str) -> Path:
    """Return the folder of a corpus's aligned utterances."""
    return DATA / "aligned" / corpus


def states(corpus: str, encoder: str) -> Path:
    """Return the folder of a corpus's cached text states."""
    return DATA / "features" / corpus / encoder


def tiny_folder(corpus: str, kind: str | None) -> Path | None:
    """Return the folder of a corpus's tiny model, or None without a kind."""
    return DATA / "models" / corpus / f"tiny-{kind}" if kind else None


def runs(corpus: str, row: str) -> Path:
    """Return the folder of a row's runs and scores."""
    return RESULTS / "runs" / corpus / row


def ragged(path: Path) -> list[str]:
    """Return the two files of a ragged array."""
    return [str(path), str(path.with_suffix(".offsets.npy"))]


def with_formats(path: Path, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files of a table or figure, one per format."""
    return tuple(f"{path}.{each}" for each in formats)


def unique(values: Iterable[Any]) -> tuple:
    """Return the values without duplicates, in order."""
    return tuple(dict.fromkeys(values))
