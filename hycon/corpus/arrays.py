"""Read the features of a modality from an .npy, .npz or .parquet file of a table's corpus."""

import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from hycon.corpus.utterances import rows_of
from hycon.errors import HyConError

Rows = Callable[[int], np.ndarray]
# an archive that expands to more than this, and this many times its size, is refused
MOST_BYTES, MOST_TIMES = 1 << 32, 200


def read_arrays(path: Path, names: Sequence[str]) -> Rows:
    """Return a function that gives an utterance's rows (n, D), n at least 1, by its number.

    - .npy: (N, D), one vector per utterance, or (N, T, D), sequences that end in rows of NaN or
      zeros.
    - .npz: an array (D,) or (n, D) for each utterance, under its name; or `values` (R, D) and
      `offsets` (N + 1,), where the rows of utterance i are offsets[i] to offsets[i + 1].
    - .parquet: a column `name` and columns of numbers; the rows of an utterance in order.

    Args:
        path: the file.
        names: (N,) names of the utterances, in the order of the table.

    Raises:
        HyConError: the file is not of this form, or does not fit the table.
    """
    kind = {".npy": _npy, ".npz": _npz, ".parquet": _parquet}[path.suffix]
    rows = _readable(path, lambda: kind(path, names))
    return lambda number: _readable(path, lambda: rows(number))


def _readable(path: Path, read: Callable[[], Any]) -> Any:
    """Call a function that reads a file; what numpy and zipfile raise becomes one line."""
    try:
        return read()
    except (
        OSError,
        ValueError,
        EOFError,
        KeyError,
        NotImplementedError,
        BadZipFile,
        zlib.error,
    ) as error:
        first = " ".join(str(error).split())[:200]
        raise HyConError(f"{path}: cannot be read ({first}); write the file again") from None


def _check_numbers(array: np.ndarray, path: Path, what: str) -> None:
    if array.dtype.kind not in "fiu" or array.ndim < 1 or not array.shape[-1]:
        found = f"{array.dtype} {array.shape}"
        raise HyConError(f"{path}: {what} is {found}, expected numbers with at least one feature")


def _check_count(found: int, names: Sequence[str], path: Path) -> None:
    if found != len(names):
        raise HyConError(
            f"{path}: has {found} utterances, the table {len(names)}; expected one for each line, "
            "in the same order"
        )


def _npy(path: Path, names: Sequence[str]) -> Rows:
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):  # others may claim 4 GB for their header
            raise ValueError("a version of the format other than 1.0")
    array = np.lib.format.open_memmap(path, mode="r")  # refuses objects, which are pickles
    _check_numbers(array, path, "the array")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise HyConError(f"{path}: found {array.shape}, expected (N, D) or (N, T, D)")
    _check_count(len(array), names, path)
    return lambda number: _unpadded(np.atleast_2d(rows_of(array, number, number + 1)[0]))


def _unpadded(rows: np.ndarray) -> np.ndarray:
    """Return rows (T, D) without those at the end that are all NaN or zeros; at least one."""
    if len(rows) == 1:
        return rows
    known = np.flatnonzero((np.nan_to_num(rows, nan=0.0) != 0).any(axis=1))
    return rows[: known[-1] + 1 if len(known) else 1]


def _npz(path: Path, names: Sequence[str]) -> Rows:
    with ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > max(MOST_BYTES, MOST_TIMES * path.stat().st_size):
        raise HyConError(f"{path}: expands to {size} bytes, too many for its size; use .npy")
    archive = np.load(path, allow_pickle=False)
    if set(archive.files) == {"values", "offsets"}:
        return _ragged(archive["values"], archive["offsets"], names, path)
    if missing := [name for name in names if name not in archive.files]:
        raise HyConError(
            f"{path}: lacks {len(missing)} of {len(names)} utterances, such as {missing[0][:60]}; "
            "expected an array for each, or `values` and `offsets`"
        )

    def rows(number: int) -> np.ndarray:
        array = archive[names[number]]
        _check_numbers(array, path, names[number][:60])
        if array.ndim > 2 or not len(array):
            raise HyConError(
                f"{path}: {names[number][:60]} is {array.shape}, expected (D,), (n, D)"
            )
        return np.atleast_2d(array)

    return rows


def _ragged(values: np.ndarray, offsets: np.ndarray, names: Sequence[str], path: Path) -> Rows:
    _check_numbers(values, path, "values")
    if values.ndim != 2 or offsets.ndim != 1 or offsets.dtype.kind not in "iu":
        raise HyConError(
            f"{path}: found values {values.shape} and offsets {offsets.shape} {offsets.dtype}, "
            "expected (R, D) numbers and (N + 1,) integers"
        )
    _check_count(len(offsets) - 1, names, path)
    if offsets[0] != 0 or offsets[-1] != len(values) or (np.diff(offsets.astype(int)) < 1).any():
        raise HyConError(f"{path}: expected offsets that ascend from 0 to {len(values)}")
    return lambda number: values[offsets[number] : offsets[number + 1]]


def _parquet(path: Path, names: Sequence[str]) -> Rows:
    table = read_parquet(path)
    if "name" not in table:
        raise HyConError(f"{path}: has no column `name`; expected it, and columns of numbers")
    found = np.array(list(map(str, table.pop("name").tolist())))
    if not table:
        raise HyConError(f"{path}: has no column but `name`; expected columns of numbers")
    for name, column in table.items():
        _check_numbers(column[:, None], path, f"column {name[:60]}")
    values = np.stack(list(table.values()), axis=1)
    order = np.argsort(found, kind="stable")
    unique, begin = np.unique(found[order], return_index=True)
    places = dict(zip(unique.tolist(), np.split(order, begin[1:]), strict=True))
    if missing := [name for name in names if name not in places]:
        raise HyConError(
            f"{path}: lacks {len(missing)} of {len(names)} utterances, such as {missing[0][:60]}"
        )
    return lambda number: values[places[names[number]]]


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a Parquet file; a missing value is NaN among numbers, else None.

    Raises:
        HyConError: it cannot be read.
    """
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        columns = zip(table.column_names, table.columns, strict=True)
        return {name: column.to_numpy() for name, column in columns}
    except Exception as error:  # a damaged file can cause any exception
        first = (str(error).splitlines() or [""])[0][:200]
        raise HyConError(f"{path}: cannot be read ({first}); write the file again") from None
