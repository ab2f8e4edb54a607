"""What the feature files of MMSA and MulT have in common: padded arrays by fold and modality."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hycon.corpus.build import Report
from hycon.corpus.utterances import FOLDS
from hycon.errors import HyConError
from hycon.params import AlignConfig
from hycon.progress import progress
from hycon.untrusted.pickles import load_pickle

# the modalities' names in the files
NAMES = {"text": "vectors", "audio": "audio", "vision": "vision"}
# optional entries, one per utterance
MAYBE = ("id", "text_bert", "audio_lengths", "vision_lengths")


class Steps(NamedTuple):
    """Which steps of a padded array are an utterance's: from `begin`, `length` (1 or more)."""

    begin: int
    length: int


def read_folds(path: Path, keys: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each fold's name and content, with one entry per utterance under every key.

    Args:
        path: the file.
        keys: required keys of each fold, in addition to text, audio and vision (N, T, D).

    Raises:
        HyConError: the file is not of this form; names fold and key.
    """
    content = load_pickle(path)
    for fold in FOLDS:
        part = content.get(fold) if isinstance(content, dict) else None
        if not isinstance(part, dict):
            raise HyConError(f"{path}: found no fold {fold}, expected {', '.join(FOLDS)}")
        for key in (*NAMES, *keys):
            if key not in part:
                found = ", ".join(str(name) for name in part if isinstance(name, str))
                raise HyConError(f"{path}: {fold} lacks {key}; found {found or 'nothing'}")
        arrays = [part[key] for key in NAMES]
        for key, array in zip(NAMES, arrays, strict=True):
            if not isinstance(array, np.ndarray) or array.ndim != 3 or array.dtype.kind not in "fi":
                shape = getattr(array, "shape", type(array).__name__)
                raise HyConError(f"{path}: {fold}/{key} is {shape}, expected numbers (N, T, D)")
            if 0 in array.shape[1:]:
                raise HyConError(
                    f"{path}: {fold}/{key} is {array.shape}: without steps or features"
                )
        for key in {*NAMES, *keys, *(set(MAYBE) & set(part))}:
            if _length(part[key]) != len(arrays[0]):
                raise HyConError(
                    f"{path}: {fold} has {len(arrays[0])} of text and {_length(part[key])} of "
                    f"{key}; expected as many"
                )
        yield fold, part


def _length(value: Any) -> int:
    """Return the number of entries of a list or an array; 0 of anything else."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim else 0
    return len(value) if isinstance(value, (list, tuple)) else 0


def numbers_of(part: dict[str, Any], key: str, where: str) -> np.ndarray:
    """Return an entry, an array or a list of numbers, as float64 (N, ...).

    Raises:
        HyConError: it is anything else.
    """
    value = part[key]
    flat = isinstance(value, (list, tuple)) and all(isinstance(one, (int, float)) for one in value)
    if flat or (isinstance(value, np.ndarray) and value.dtype.kind in "bfiu"):
        return np.asarray(value, dtype=np.float64)
    raise HyConError(f"{where}/{key} contains more than numbers; this is another kind of file")


def text_of(value: Any, where: str) -> str:
    """Return a text that may have been stored as bytes.

    Raises:
        HyConError: it is something else.
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, (str, int, float)):
        return str(value).encode("utf-8", errors="replace").decode()  # half of a character
    raise HyConError(f"{where} contains {type(value).__name__}, expected texts")


def spans_of(arrays: dict[str, np.ndarray], what: str) -> dict[str, list[Steps]]:
    """Return each utterance's steps without leading and trailing rows of zeros.

    Arrays of one T are aligned: a step is padding only if it is zero in all of them.

    Args:
        arrays: (N, T, D) by modality.
        what: label of the progress bar.
    """
    used = {
        name: array.any(axis=2) for name, array in progress(arrays.items(), what, unit="modalities")
    }
    if are_aligned(arrays):
        used = dict.fromkeys(used, np.logical_or.reduce(list(used.values())))
    return {name: [_span(row) for row in mask] for name, mask in used.items()}


def are_aligned(arrays: dict[str, np.ndarray]) -> bool:
    """Return whether all modalities have the same number of steps."""
    return len({array.shape[1] for array in arrays.values()}) == 1


def _span(used: np.ndarray) -> Steps:
    places = np.flatnonzero(used)
    if not len(places):
        return Steps(0, 1)
    return Steps(int(places[0]), int(places[-1] - places[0]) + 1)


def rows_of(
    arrays: dict[str, np.ndarray],
    number: int,
    steps: dict[str, Steps],
    settings: AlignConfig,
    report: Report,
) -> dict[str, np.ndarray]:
    """Return an utterance's rows (n, D) by modality; NaN where a row is zeros: nothing is known.

    Args:
        arrays: (N, T, D) by modality.
        number: which utterance.
        steps: its steps by modality.
        settings: how many frames are kept where they are not aligned to the text.
        report: receives the counts.
    """
    rows = {}
    for name, array in arrays.items():
        begin, length = steps[name]
        if name != "text" and not are_aligned(arrays):
            longest = getattr(settings.longest, name)
            report.counts[name]["utterances cut"] += int(length > longest)
            length = min(length, longest)
        chosen = array[number, begin : begin + length]
        rows[NAMES[name]] = report.known(NAMES[name], chosen, chosen.any(axis=1))
    return rows
