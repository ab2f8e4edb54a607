"""Aligned utterances on disk: ragged arrays that open without pickle, and a table beside them.

A folder holds, for N utterances with W words in all: `offsets.npy` (N + 1,) int64, so that the rows
of utterance i are offsets[i] to offsets[i + 1]; `audio.npy`, `vision.npy` and `vectors.npy` (W, D)
float32, the last with D = 0 where the corpus has no word vectors; `utterances.csv`, one line an
utterance. An utterance without words has one row, so that W is at least N. NaN stands where no
frame overlaps a word, or where a frame held NaN or an infinity.
"""

import csv
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from hycon.errors import HyConError

FOLDS = ("train", "valid", "test")


class RowWriter:
    """Append rows to a float32 .npy file of a length that is known only at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._rows = 0
        self._columns: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._columns is not None:
            # numpy pads a header so that the length of the first axis can grow in place
            self._file.seek(0)
            self._write_header()
        self._file.close()

    def append(self, rows: np.ndarray) -> None:
        """Append rows (n, D); D is that of the first call."""
        if self._columns is None:
            self._columns = rows.shape[1]
            self._write_header()
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self._rows += len(rows)

    def _write_header(self) -> None:
        shape = (self._rows, self._columns)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


@dataclass(frozen=True)
class Utterance:
    """One line of utterances.csv; times in seconds, `label` a score or an emotion's name."""

    id: str
    video: str
    segment: int
    fold: str
    start: float
    end: float
    words: int
    label: str
    text: str


COLUMNS = tuple(field.name for field in fields(Utterance))


def write_table(path: Path, utterances: list[Utterance]) -> None:
    """Write utterances.csv."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, name) for name in COLUMNS] for row in utterances)


def read_table(path: Path) -> list[Utterance]:
    """Read utterances.csv.

    Raises:
        HyConError: the file is missing, or a line is not an utterance.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HyConError(f"{path}: cannot be read ({error}); align the corpus again") from None
    utterances = []
    for number, row in enumerate(rows, start=2):
        try:
            numbers = {"segment": int, "start": float, "end": float, "words": int}
            values = {name: numbers.get(name, str)(row[name]) for name in COLUMNS}
            if values["fold"] not in FOLDS:
                raise ValueError(f"fold '{values['fold']}'")
        except (KeyError, TypeError, ValueError) as error:
            raise HyConError(
                f"{path}:{number}: not an utterance ({error}); align the corpus again"
            ) from None
        utterances.append(Utterance(**values))
    return utterances


def read_rows(path: Path, rows: int | None = None) -> np.ndarray:
    """Open a numeric .npy file memory-mapped, and check its number of rows.

    Raises:
        HyConError: missing, truncated, not numeric, or of another length.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise HyConError(f"{path}: missing or damaged ({error}); make it again") from None
    if array.dtype.kind not in "fi" or (rows is not None and len(array) != rows):
        raise HyConError(
            f"{path}: found {len(array)} rows of {array.dtype}, expected {rows} rows of numbers; "
            "make it again"
        )
    return array


def read_offsets(path: Path, utterances: int) -> np.ndarray:
    """Return offsets (N + 1,) int64 of a ragged array, checked to ascend from 0."""
    offsets = np.array(read_rows(path, utterances + 1), dtype=np.int64)
    if offsets.ndim != 1 or offsets[0] != 0 or np.any(np.diff(offsets) < 1):
        raise HyConError(f"{path}: offsets do not ascend from 0; make it again")
    return offsets
