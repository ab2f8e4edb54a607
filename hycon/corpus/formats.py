"""What a corpus's files look like from outside: looked at before they are used, never executed."""

import os
import re
from pathlib import Path

import h5py

from hycon.untrusted.hdf5 import is_own
from hycon.untrusted.safe_json import read_json

PAGE = "is an HTML page, not the file"
TAGS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<h1")
# pickle protocols 2 and later start with their number; older ones with a collection or a class
PICKLE = re.compile(rb"\x80[\x02-\x0f]|[(\]})]|c[\w.]+\n[\w.]+\n")
# how files of these formats begin
MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK", ".parquet": b"PAR1"}


def is_page(beginning: bytes) -> bool:
    """Return whether a file that begins so is an HTML page, as servers send in place of files."""
    text = beginning[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"<") and any(tag in text for tag in TAGS)


def mistaken(path: Path) -> str | None:
    """Return why a file is none of a corpus's whatever its format, None if it may be."""
    with path.open("rb") as file:
        beginning = file.read(1024)
    if not beginning:
        return "is empty"
    return PAGE if is_page(beginning) else None


def complaint(path: Path, suffix: str) -> str | None:
    """Return why a file is not of the format that a suffix names, None if it may be.

    A pickle is not opened: only its first and last bytes are looked at.
    """
    if suffix in (".csd", ".hdf5") and not _is_sequence(path):
        return "is not a computational sequence, or is cut short"
    if suffix == ".json" and not _is_json(path):
        return "is not JSON, or is cut short"
    if suffix == ".pkl" and not _is_pickle(path):
        return "is not a pickle, or is cut short"
    if suffix in MAGIC and not _begins(path, MAGIC[suffix]):
        return f"is not a file of the format {suffix}"
    return None


def _is_sequence(path: Path) -> bool:
    """Return whether a root group has `data`; links out of the file are not followed."""
    try:
        with h5py.File(path, "r") as file:
            names = (name for name in file if is_own(file, name))
            roots = (file[name] for name in names)
            return any(isinstance(root, h5py.Group) and is_own(root, "data") for root in roots)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return False


def _begins(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except ValueError:
        return False
    return True


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        beginning = file.read(1024)
        file.seek(-1, os.SEEK_END)
        return PICKLE.match(beginning) is not None and file.read() == b"."
