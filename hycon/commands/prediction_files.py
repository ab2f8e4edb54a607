"""Read the files of `hycon score`, `compare` and `audit`, which come from strangers: no pickles."""

import stat
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from hycon.errors import HyConError

LARGEST = 2**30  # bytes of a file
SUFFIXES = (".csv", ".parquet", ".npy", ".npz", ".jsonl", ".ndjson", ".json")
PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".dill")
Columns = dict[str, np.ndarray]


def check(path: Path) -> None:
    """Refuse what is no regular file of a known format: pickles, and files that are too large.

    Raises:
        HyConError: it is refused.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise HyConError(f"{path}: is no regular file")
    with path.open("rb") as file:
        head = file.read(2)
    # protocol 2 and later, or a zip archive that torch wrote
    if path.suffix.lower() in PICKLES or head[:1] == b"\x80":
        raise HyConError(
            f"{path}: is a pickle, which may run any code when it is read; save the arrays with "
            "numpy.savez, or as CSV"
        )
    if path.suffix.lower() not in SUFFIXES:
        raise HyConError(f"{path}: format unknown; expected one of {', '.join(SUFFIXES)}")
    if not status.st_size:
        raise HyConError(f"{path}: is empty; expected a prediction for each utterance")
    if status.st_size > LARGEST:
        raise HyConError(
            f"{path}: has {status.st_size:,} bytes, more than the limit of {LARGEST:,}; the "
            "predictions of a test fold take a few megabytes"
        )


def read_array(path: Path) -> np.ndarray:
    """Return the array (N,) or (N, C) of an .npy file.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if np.lib.format.read_magic(file) != (1, 0):  # others may claim 4 GB for their header
                raise ValueError("a version of the format other than 1.0")
        array = np.lib.format.open_memmap(path, mode="r")  # refuses objects, which are pickles
    except (OSError, ValueError, EOFError) as error:
        raise HyConError(f"{path}: cannot be read ({_first(error)})") from None
    if array.ndim not in (1, 2) or not len(array):
        raise HyConError(f"{path}: is {array.shape}, expected (N,) or (N, C)")
    return np.asarray(array)


def read_columns_of(path: Path, suffix: str) -> Columns:
    """Return the columns of a table, or the arrays of an archive, by name.

    Raises:
        HyConError: it cannot be read.
    """
    from hycon.corpus.arrays import read_parquet
    from hycon.corpus.from_table import read_columns

    if suffix == ".csv":
        return {name: np.array(each) for name, each in read_columns(path).items()}
    if suffix == ".parquet":
        return read_parquet(path)
    if suffix == ".npz":
        return read_archive(path)
    return _json(path, lines=suffix != ".json")


def read_archive(path: Path) -> Columns:
    """Return the arrays of an .npz file.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        with ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"expands to {size:,} bytes, more than the limit of {LARGEST:,}")
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, NotImplementedError, BadZipFile,
            zlib.error) as error:  # fmt: skip
        raise HyConError(f"{path}: cannot be read ({_first(error)})") from None
    return {name: np.atleast_1d(each) for name, each in found.items()}


def _json(path: Path, lines: bool) -> Columns:
    """Return the columns of objects, one for each utterance, or of an object of lists (MMSA)."""
    from hycon.untrusted.safe_json import parse_json

    try:
        text = path.read_text(encoding="utf-8-sig")
        content = (
            [parse_json(line) for line in text.splitlines() if line.strip()]
            if lines
            else parse_json(text)
        )
        if isinstance(content, list):
            if not all(isinstance(each, dict) and set(each) == set(content[0]) for each in content):
                raise ValueError("expected an object for each utterance, all with the same keys")
            content = {key: [each[key] for each in content] for key in (content or [{}])[0]}
        if not isinstance(content, dict):
            raise ValueError("expected objects")
        # other parts, such as MMSA's features, are not for us
        columns = {key: np.array(each) for key, each in content.items()
                   if isinstance(each, list) and each}  # fmt: skip
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read as JSON ({_first(error)})") from None
    return columns


def _first(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
