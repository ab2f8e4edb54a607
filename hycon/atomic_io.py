"""Writing files so that nothing half-written is ever found under its final name."""

import errno
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary file in the folder of `path`; rename it to `path` if the block succeeds.

    Its name is always the same, so that the next process overwrites what a killed one left. Only
    one process may write a path at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        _clear(temporary)
        temporary.touch()
        with naming(path):
            yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `path`; move its files into `path` if the block succeeds.

    As with `atomic_file`, only one process may write a path at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        _clear(temporary)
        temporary.mkdir()
        with naming(path):
            yield temporary
        path.mkdir(exist_ok=True)
        for file in sorted(temporary.iterdir()):
            file.replace(path / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def beside(path: Path) -> Path:
    """Return where a file or folder is written before it gets its name."""
    return path.with_name(f".{path.name}.part")


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have a failure to write be the system's, and name the path."""
    try:
        yield
    except SafetensorError as error:
        raise OSError(errno.EIO, str(error), str(path)) from error
    except OSError as error:
        if error.errno is None:  # numpy's own, of a full disk
            raise OSError(errno.EIO, str(error), str(path)) from error
        if error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def exclusive(path: Path, busy: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Let one process at a time run the block for a path; leaves no file behind.

    Args:
        path: the file to write. The lock is in the same folder, so that machines that share the
            folder share the lock.
        busy: called once if another process has the lock.
    """
    from filelock import FileLock, Timeout

    file = path.with_name(f".{path.name}.lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        busy()
        lock.acquire()
    try:
        yield
    finally:
        # who waits with this file open finds that it has lost its name, and asks for a new one
        file.unlink(missing_ok=True)
        lock.release()


def write_json(path: Path, content: Any) -> None:
    """Write JSON at full precision, readable, keys in the order given."""
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
