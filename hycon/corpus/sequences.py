"""Computational sequences (.csd), read one video at a time.

A computational sequence is an HDF5 file with one root group: `data` has, for each video,
`intervals` (n, 2) in seconds and `features` (n, D); `metadata` has texts. The files are read with
h5py instead of mmsdk, whose reader checks less and prints to the terminal. `hycon.untrusted.hdf5`
limits what is read of a file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from hycon.errors import HyConError
from hycon.untrusted import hdf5

METADATA = 2**20  # bytes


class Sequence:
    """An open computational sequence: a mapping from video to (intervals, features)."""

    def __init__(self, path: Path, data: h5py.Group, videos: list[str]) -> None:
        self.path = path
        self.videos = videos
        self._data = data
        self._known = frozenset(videos)
        self._left = max(hdf5.LARGEST, hdf5.EXPANSION * path.stat().st_size)

    def __contains__(self, video: str) -> bool:
        return video in self._known

    def read(self, video: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a video's intervals (n, 2) float64 in seconds and features (n, D) as stored.

        Raises:
            HyConError: the video's group is not that of a computational sequence.
        """
        where = f"{self.path}: video {video}"
        try:
            with _damaged(where):
                group = hdf5.own(self._data, video)
                parts = [hdf5.own(group, name) for name in _PARTS if isinstance(group, h5py.Group)]
        except hdf5.Refused as reason:
            raise HyConError(f"{where}: {reason}; use the file that its authors publish") from None
        if not parts or not all(isinstance(part, h5py.Dataset) for part in parts):
            raise HyConError(f"{where} lacks intervals or features; fetch the file again")
        intervals, features = (
            self._values(part, f"{where}: {name}") for name, part in zip(_PARTS, parts, strict=True)
        )
        if intervals.dtype.kind not in "fiu":
            raise HyConError(
                f"{where}: intervals of {intervals.dtype}, expected seconds; fetch the file again"
            )
        if intervals.ndim != 2 or intervals.shape[1] != 2 or features.ndim != 2:
            raise HyConError(
                f"{where}: intervals {intervals.shape} and features {features.shape}, "
                "expected (n, 2) and (n, D); fetch the file again"
            )
        if len(intervals) != len(features):
            raise HyConError(
                f"{where}: {len(intervals)} intervals but {len(features)} rows of features; "
                "fetch the file again"
            )
        # float32 times miscount past about 256 s once an epsilon of 1e-5 is added to them
        return intervals.astype(np.float64), features

    def _values(self, dataset: h5py.Dataset, where: str) -> np.ndarray:
        try:
            with _damaged(where):
                self._left -= hdf5.check(dataset)
                if self._left < 0:
                    raise hdf5.Refused(
                        f"all that was read of the file is more than {hdf5.EXPANSION} times its "
                        "size, which is the limit"
                    )
                return np.asarray(dataset[()])  # a single value comes without a shape
        except hdf5.Refused as reason:
            raise HyConError(f"{where} {reason}; use the file that its authors publish") from None


_PARTS = ("intervals", "features")


@contextmanager
def _damaged(where: str) -> Iterator[None]:
    """Say of whatever HDF5 stumbles over which part of a file it is in."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as error:
        said = " ".join(str(error).split())[:200]
        raise HyConError(f"{where}: damaged ({said}); fetch the file again") from None


@contextmanager
def open_sequence(path: Path) -> Iterator[Sequence]:
    """Open a computational sequence for reading.

    Raises:
        HyConError: the file is missing, not HDF5, or has no root group with `data`.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise HyConError(f"{path}: no such file; fetch it, or put it there") from None
    except OSError:
        raise HyConError(
            f"{path}: not a readable HDF5 file (empty, truncated or something else); delete it and "
            "fetch it again"
        ) from None
    with file:
        try:
            with _damaged(str(path)):
                _limit_metadata(file)
                roots = hdf5.names_of(file)
                root = hdf5.own(file, roots[0]) if len(roots) == 1 else None
                data = hdf5.own(root, "data") if isinstance(root, h5py.Group) else None
                videos = hdf5.names_of(data) if isinstance(data, h5py.Group) else []
        except hdf5.Refused as reason:
            raise HyConError(f"{path}: {reason}; use the file that its authors publish") from None
        if not isinstance(data, h5py.Group):
            raise HyConError(
                f"{path}: found roots {roots or 'none'}, expected one root group with "
                "`data`; this is not a computational sequence"
            )
        yield Sequence(path, data, videos)


def _limit_metadata(file: h5py.File) -> None:
    """Limit HDF5's metadata cache, which would grow with the number of videos."""
    config = file.id.get_mdc_config()
    config.set_initial_size = True
    config.initial_size = config.max_size = METADATA
    config.min_size = METADATA // 4
    file.id.set_mdc_config(config)


def words_of(features: np.ndarray) -> np.ndarray:
    """Return the words of a words sequence's features (n, 1) as an array of str (n,).

    Raises:
        ValueError: they are not texts.
    """
    flat = features[:, 0] if features.shape[1] else np.full(len(features), None)
    if not all(isinstance(word, (bytes, str)) for word in flat):
        raise ValueError(f"features {features.shape} of {features.dtype}, expected texts")
    decoded = (
        word.decode("utf-8", errors="replace") if isinstance(word, bytes) else str(word)
        for word in flat
    )
    return np.array([word.strip() for word in decoded], dtype=object)
