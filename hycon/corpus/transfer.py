"""Moving bytes from one place to a file: progress, room, and one-line reasons."""

import functools
import hashlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from hycon.errors import HyConError

SECONDS_BETWEEN_LINES = 60.0
PIECE = 1 << 20  # bytes


class Refused(Exception):
    """Why one place did not do."""


class Differs(Refused):
    """The place has another version of the file than was expected."""


def length(path: Path) -> int:
    """Return a file's size in bytes, 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def amount(count: float) -> str:
    """Return a size for people, such as 3.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def check_room(path: Path, needed: int) -> None:
    """Raise HyConError if the disk of a file has too little free space."""
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise HyConError(
            f"{path}: needs {amount(needed)}, {amount(free)} free at {path.parent.absolute()}; "
            "make room there"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into one line."""
    try:
        yield
    except OSError as error:
        raise HyConError(
            f"{path}: cannot be written ({error.strerror or error}); make room or give access"
        ) from None


def shown(pieces: Iterator[bytes], what: str, total: int | None, start: int = 0) -> Iterator[bytes]:
    """Yield the pieces, showing rate and time left after two seconds.

    Without a terminal it is a line a minute. `start` bytes were there already.
    """
    from tqdm import tqdm

    form = {"total": total, "initial": start, "unit": "B", "unit_scale": True}
    terminal = sys.stderr.isatty()
    done, began = start, time.monotonic()
    said = began
    with tqdm(desc=what, delay=2, disable=not terminal, **form) as bar:
        for piece in pieces:
            yield piece
            done += len(piece)
            bar.update(len(piece))
            now = time.monotonic()
            if not terminal and now - said >= SECONDS_BETWEEN_LINES:
                said = now
                line = tqdm.format_meter(done, elapsed=now - began, prefix=what, ncols=100, **form)
                print(line, file=sys.stderr, flush=True)


def digest_of(path: Path, name: str | None = None) -> str:
    """Return a file's SHA-256, showing rate and time left after two seconds.

    Args:
        path: the file.
        name: its label while copying, if not its name.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        pieces = iter(functools.partial(file.read, PIECE), b"")
        for piece in shown(pieces, f"sha256 of {name or path.name}", length(path)):
            digest.update(piece)
    return digest.hexdigest()


def local_path(address: str) -> Path:
    """Return the path that a place without a server names."""
    found = re.fullmatch(r"([\w+.-]+)://([^/]*)(.*)", address, re.DOTALL)
    if not found:
        return Path(address)
    scheme, host, path = found.groups()
    if scheme.lower() != "file" or host not in ("", "localhost"):
        raise Refused(f"{scheme}://{host} is not an address that can be fetched")
    return Path(unquote(path))


def copy(source: Path, into: Path, size: int | None = None) -> None:
    """Copy a file.

    Raises:
        Refused: the source cannot be used.
        HyConError: the disk is full.
    """
    try:
        there, found = source.is_file(), length(source)
    except OSError as error:
        raise Refused(error.strerror) from None
    if not there:
        raise Refused("no such file")
    if size not in (None, found):
        raise Differs(f"has {found} bytes, expected {size}")
    check_room(into, found)
    with writing(into), into.open("wb") as file:
        for piece in shown(pieces_of(source), source.name, found):
            file.write(piece)


def pieces_of(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes; raise Refused if it cannot be read."""
    try:
        with path.open("rb") as file:
            yield from iter(functools.partial(file.read, PIECE), b"")
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from None
