"""Aligned utterances on disk: ragged arrays that open without pickle, and a table.

A folder has, for N utterances, `utterances.csv` with one line per utterance, and three ragged
arrays, `audio`, `vision` and `vectors` (word vectors). A ragged array is two files: NAME.npy
(R, D) float32 with the rows of all utterances, and NAME.offsets.npy (N + 1,) int64, so that the
rows of utterance i are offsets[i] to offsets[i + 1]. Every utterance has at least one row. If
aligned to words, the three arrays have the same offsets. D is 0 if the corpus lacks the modality or
has no vectors. A value is NaN if no frame overlaps the word, or if a frame was NaN or infinite.
"""

import csv
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hycon.errors import HyConError

FOLDS = ("train", "valid", "test")
MODALITIES = ("audio", "vision", "vectors")


class RaggedArray(NamedTuple):
    """Rows of N utterances: values (R, D), and offsets (N + 1,) int64 of where each begins."""

    values: np.ndarray
    offsets: np.ndarray

    def of(self, utterances: np.ndarray) -> "RaggedArray":
        """Return the rows of the chosen utterances (n,), in their order."""
        lengths = np.diff(self.offsets)[utterances]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.repeat(self.offsets[utterances] - offsets[:-1], lengths) + np.arange(offsets[-1])
        return RaggedArray(self.values[rows], offsets)

    def padded(self, longest: int, front: bool = False) -> np.ndarray:
        """Return (N, longest, D): the first rows of each, zero-padded at the end or the start."""
        whole = np.zeros((len(self.offsets) - 1, longest, self.values.shape[1]), self.values.dtype)
        for number, (begin, end) in enumerate(pairwise(self.offsets)):
            rows = self.values[begin : min(end, begin + longest)]
            start = longest - len(rows) if front else 0
            whole[number, start : start + len(rows)] = rows
        return whole


def offsets_path(path: Path) -> Path:
    """Return the path of an array's offsets: NAME.offsets.npy for NAME.npy."""
    return path.with_suffix(".offsets.npy")


class _RaggedFile:
    """Append utterances to a float32 .npy file of a length that is known only at the end."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._offsets = [0]
        self._columns: int | None = None

    def append(self, rows: np.ndarray) -> None:
        """Append an utterance's rows (n, D); D is that of the first call."""
        if self._columns is None:
            self._columns = rows.shape[1]
            self._write_header()
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self._offsets.append(self._offsets[-1] + len(rows))

    def finish(self) -> np.ndarray:
        """Complete the file and return the offsets."""
        # numpy pads a header so that the length of the first axis can grow in place
        self._file.seek(0)
        self._write_header()
        return np.array(self._offsets, dtype=np.int64)

    def close(self) -> None:
        self._file.close()

    def _write_header(self) -> None:
        shape = (self._offsets[-1], self._columns or 0)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)


def float_array(shape: tuple[int, int]) -> np.ndarray:
    """Return a new float32 array in memory; see `FloatFile.start`."""
    return np.empty(shape, np.float32)


class FloatFile:
    """A float32 .npy file (R, D) to whose rows blocks are assigned, in any order.

    It is no memory-mapped array, because mapped pages count as memory of the process.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def start(self, shape: tuple[int, int]) -> "FloatFile":
        """Write the header of an array of a shape (R, D), and return the file."""
        self.shape = shape
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
        self._begin = self._file.tell()
        return self

    def __setitem__(self, rows: slice, values: np.ndarray) -> None:
        """Write values (n, D) to the rows of a slice of n."""
        self._file.seek(self._begin + 4 * self.shape[1] * int(rows.start))
        self._file.write(np.ascontiguousarray(values, dtype="<f4").data)

    def close(self) -> None:
        self._file.close()


@contextmanager
def ragged_file(path: Path) -> Iterator[_RaggedFile]:
    """Write a ragged array in one pass: `append` the rows of each utterance to its result."""
    file = _RaggedFile(path)
    try:
        yield file
        np.save(offsets_path(path), file.finish())
    finally:
        file.close()


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of utterances.csv: `label` is a score or an emotion's name.

    Times are in seconds, NaN if unknown. `words` is the number of words, or of vectors if the
    corpus has no text. `held_out` is the group with which the utterance is tested if each group is
    tested once; its fold is test then.
    """

    id: str
    video: str
    segment: int
    fold: str
    start: float
    end: float
    words: int
    label: str
    text: str
    held_out: str = ""


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
    utterances: list[Utterance] = []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                utterances.append(_utterance(row, path, number))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HyConError(f"{path}: cannot be read ({error}); align the corpus again") from None
    return utterances


def _utterance(row: dict[str, str], path: Path, number: int) -> Utterance:
    try:
        numbers = {"segment": int, "start": float, "end": float, "words": int}
        values = {name: numbers.get(name, str)(row[name]) for name in COLUMNS[:-1]}
        values["held_out"] = row.get("held_out") or ""
        if values["fold"] not in FOLDS:
            raise ValueError(f"fold '{values['fold']}'")
    except (KeyError, TypeError, ValueError) as error:
        raise HyConError(
            f"{path}:{number}: not an utterance ({error}); align the corpus again"
        ) from None
    # one copy of what many have in common
    for name in ("video", "fold", "held_out"):
        values[name] = sys.intern(values[name])
    return Utterance(**values)


def read_ragged(path: Path, utterances: int) -> RaggedArray:
    """Open a ragged array memory-mapped, and check that it is complete.

    Args:
        path: NAME.npy; its offsets are in NAME.offsets.npy.
        utterances: expected number of utterances, N.

    Raises:
        HyConError: the file is missing, truncated, not numeric, or of another length.
    """
    where = offsets_path(path)
    offsets = np.array(_open(where), dtype=np.int64)
    if offsets.shape != (utterances + 1,) or offsets[0] != 0 or np.any(np.diff(offsets) < 1):
        raise HyConError(
            f"{where}: found offsets {offsets.shape}, expected {utterances + 1} that ascend from "
            "0; make it again"
        )
    values = _open(path)
    if values.ndim != 2 or len(values) != offsets[-1]:
        raise HyConError(
            f"{path}: found {values.shape}, expected {offsets[-1]} rows as its offsets say; make "
            "it again"
        )
    return RaggedArray(values, offsets)


def _open(path: Path) -> np.ndarray:
    """Open a numeric .npy file memory-mapped; its size must match its header."""
    try:
        # not np.load, which takes archives and pickles too; a header of another version may claim
        # 4 GB for itself
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("a version of the format other than 1.0")
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # a header is a Python literal: it can fail in many ways
        raise HyConError(f"{path}: missing or damaged ({error}); make it again") from None
    if array.dtype.kind not in "fi":
        raise HyConError(f"{path}: found {array.dtype}, expected numbers; make it again")
    expected = getattr(array, "offset", 0) + array.nbytes
    if array.size and (found := path.stat().st_size) != expected:
        raise HyConError(f"{path}: found {found} bytes, expected {expected}; make it again")
    return array


def in_file(values: np.ndarray) -> bool:
    """Return whether rows can be read from a file: a whole array, as numpy memory-maps it."""
    mapped = isinstance(values, np.memmap) and isinstance(values.base, mmap)
    return mapped and values.flags.c_contiguous


def rows_of(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return rows of an array (R, ...), from `start` to before `stop`, at most R.

    Those of a memory-mapped array are read, because mapped pages count as memory of the process.
    """
    if not in_file(values):
        return values[start:stop]
    count = (stop - start) * math.prod(values.shape[1:])
    at = values.offset + start * values.strides[0]
    rows = np.fromfile(values.filename, values.dtype, count, offset=at)
    return rows.reshape(stop - start, *values.shape[1:])


def read_split(folder: Path, fold: str) -> tuple[list[Utterance], dict[str, RaggedArray]]:
    """Return a fold's utterances and, by modality, their rows, as arrays in memory.

    Args:
        folder: of the aligned utterances.
        fold: train, valid or test.

    Raises:
        HyConError: a file is missing or damaged.
    """
    utterances = read_table(folder / "utterances.csv")
    chosen = np.array([row for row, each in enumerate(utterances) if each.fold == fold], dtype=int)
    ragged = {
        name: read_ragged(folder / f"{name}.npy", len(utterances)).of(chosen) for name in MODALITIES
    }
    return [utterances[row] for row in chosen], ragged
