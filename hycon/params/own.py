"""Custom networks: where their code is, and its digest. Nothing here runs that code."""

import hashlib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from hycon.atomic_io import sha256_of
from hycon.params.base import check_known

GROUP = "hycon.networks"  # of entry points


class Located(NamedTuple):
    """The code of a custom network."""

    source: str  # FILE.py:CLASS in the project's folder, or MODULE:CLASS of an entry point
    sha256: str


def locate(networks: dict[str, str], name: str, root: Path) -> Located:
    """Return the code of a network by its name, in `networks` or among the entry points.

    Args:
        networks: FILE.py:CLASS by name.
        name: of the network.
        root: the project's folder.

    Raises:
        ValueError: there is none, or its code is missing; one line that starts with the key.
    """
    if name in networks:
        source = networks[name]
        return Located(source, sha256_of(_file(name, source, root)))
    installed = {each.name: each.value for each in entry_points(group=GROUP)}
    check_known("networks", [name], {**networks, **installed})
    return Located(installed[name], _digest_of_package(name, installed[name]))


def _file(name: str, source: str, root: Path) -> Path:
    file = source.rpartition(":")[0]
    path = root / file
    if Path(file).is_absolute() or not path.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"networks.{name}: found {file}, expected a file in the project's folder")
    if not path.is_file():
        raise ValueError(f"networks.{name}: {file} not found; make it, or correct the path")
    return path


def _digest_of_package(name: str, source: str) -> str:
    """Return the digest of all modules of an installed package, without importing it."""
    package = source.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ValueError(f"networks: {name} is {source}, but {package} cannot be found; install it")
    folders = [Path(each) for each in spec.submodule_search_locations or ()]
    files = [(path.relative_to(each).as_posix(), path)
             for each in folders for path in each.rglob("*.py")]  # fmt: skip
    digest = hashlib.sha256()
    for place, path in sorted(files or [("", Path(str(spec.origin)))]):
        digest.update(f"{place}\0{sha256_of(path)}\0".encode())
    return digest.hexdigest()
