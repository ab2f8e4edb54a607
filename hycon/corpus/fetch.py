"""Fetching a corpus's files from folders and servers, checked and atomic."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import h5py

from hycon.errors import HyConError
from hycon.files import atomic_file, sha256_of

TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
PIECE = 1 << 20  # bytes
Say = Callable[[str], None]


def fetch(
    path: str, servers: Sequence[str], target: Path, sha256: str | None, say: Say = lambda _: None
) -> None:
    """Bring one file from the first place that has it intact, and rename it to `target`.

    Args:
        path: the file's path on a server, relative.
        servers: folders, file:// or http(s):// addresses, in the order in which to ask them.
        target: where the file is to lie.
        sha256: digest that it must have, or None where none is known.
        say: receives a line on what is being done.

    Raises:
        HyConError: no place had the file; names each one with its reason.
    """
    reasons = []
    for server in servers:
        address = f"{server.rstrip('/')}/{path}"
        try:
            with atomic_file(target) as temporary:
                say(f"{target}: from {address}")
                _bring(address, temporary)
                digest = _check(temporary, target.suffix, sha256)
            say(f"{target}: sha256 {digest}")
            return
        except (_Refused, OSError) as error:
            text = getattr(error, "strerror", None) or str(error)
            reasons.append(f"{address} ({text})")
    tried = "; ".join(reasons) or "no place was named"
    raise HyConError(
        f"{target}: could not be fetched: {tried}. Put the file there by hand, or name a folder or "
        f"an address that holds {path}: --config mirror=FOLDER"
    )


class _Refused(Exception):
    """Why one address did not do."""


def _bring(address: str, temporary: Path) -> None:
    scheme = urlsplit(address).scheme
    if scheme in ("http", "https"):
        _download(address, temporary)
        return
    if scheme not in ("", "file"):
        raise _Refused(f"{scheme}: is not an address that can be fetched")
    source = Path(unquote(urlsplit(address).path) if scheme == "file" else address)
    if not source.is_file():
        raise _Refused("no such file")
    shutil.copyfile(source, temporary)


def _download(address: str, temporary: Path) -> None:
    import requests

    try:
        with requests.get(address, stream=True, timeout=TIMEOUT) as response:
            if response.status_code != requests.codes.ok:
                raise _Refused(f"status {response.status_code}")
            expected = response.headers.get("content-length")
            size = int(expected) if expected and expected.isdigit() else None
            with temporary.open("wb") as file:
                for piece in _shown(response.iter_content(PIECE), address, size):
                    file.write(piece)
    except requests.RequestException as error:
        raise _Refused(type(error).__name__) from None
    encoded = response.headers.get("content-encoding")
    if size is not None and not encoded and temporary.stat().st_size != size:
        raise _Refused(f"{temporary.stat().st_size} of {size} bytes came")


def _shown(pieces: Iterator[bytes], address: str, size: int | None) -> Iterator[bytes]:
    """Yield the pieces under a bar with rate and time left (a line a minute without a terminal)."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else 60.0
    name = address.rsplit("/", 1)[-1]
    with tqdm(total=size, desc=name, unit="B", unit_scale=True, delay=2, mininterval=every) as bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece))


def _check(path: Path, suffix: str, sha256: str | None) -> str:
    """Return the file's digest; raise _Refused if it is not what it should be."""
    found = sha256_of(path)
    if sha256 and found != sha256:
        raise _Refused(f"sha256 is {found}, expected {sha256}")
    if suffix == ".json":
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise _Refused("is not JSON") from None
        return found
    try:
        with h5py.File(path, "r") as file:
            whole = any("data" in file[root] for root in file)
    except (OSError, KeyError, TypeError, RuntimeError):
        whole = False
    if not whole:
        raise _Refused("is not a computational sequence, or is cut short")
    return found
