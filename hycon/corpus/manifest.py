"""The manifest: digest, size and source of each fetched file; a small file kept in git."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hycon.atomic_io import exclusive, write_json
from hycon.errors import HyConError
from hycon.untrusted.safe_json import read_json


@dataclass(frozen=True)
class Known:
    """A fetched file: its digest, its size in bytes, and its source."""

    sha256: str
    size: int | None
    source: str


def recorded(manifest: Path, corpus: str, name: str) -> Known | None:
    """Return the manifest's entry of a file, or None.

    Raises:
        HyConError: the manifest is there and is not one.
    """
    return _read(manifest).get(corpus, {}).get(name)


def record(manifest: Path, corpus: str, name: str, known: Known) -> None:
    """Record a file, replacing another entry. Safe to call from several processes.

    Raises:
        HyConError: the manifest is there and is not one.
    """
    if recorded(manifest, corpus, name) == known:
        return
    with exclusive(manifest):
        entries = _read(manifest)
        entries.setdefault(corpus, {})[name] = known
        write_json(
            manifest,
            {
                corpus: {name: asdict(known) for name, known in sorted(files.items())}
                for corpus, files in sorted(entries.items())
            },
        )


def _read(manifest: Path) -> dict[str, dict[str, Known]]:
    try:
        content = read_json(manifest)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _malformed(manifest, f"not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise _malformed(manifest, "found no corpora")
    for corpus, files in content.items():
        if not isinstance(files, dict):
            raise _malformed(manifest, f"{corpus}: found no files")
    return {
        corpus: {
            name: _known(manifest, f"{corpus}: {name}", entry) for name, entry in files.items()
        }
        for corpus, files in content.items()
    }


def _known(manifest: Path, where: str, entry: Any) -> Known:
    if not isinstance(entry, dict) or set(entry) != {"sha256", "size", "source"}:
        raise _malformed(manifest, f"{where}: expected sha256, size and source")
    sha256, size, source = entry["sha256"], entry["size"], entry["source"]
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise _malformed(manifest, f"{where}: sha256 is {sha256!r}, expected 64 digits of 0-9a-f")
    if size is not None and (type(size) is not int or size < 0):
        raise _malformed(manifest, f"{where}: size is {size!r}, expected bytes or null")
    if not isinstance(source, str):
        raise _malformed(manifest, f"{where}: source is {source!r}, expected an address")
    return Known(sha256, size, source)


def _malformed(manifest: Path, problem: str) -> HyConError:
    return HyConError(f"{manifest}: {problem}; put it right, or restore it from git")
