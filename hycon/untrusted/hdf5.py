"""Read untrusted HDF5 files: only data inside the file, within size limits.

Plain HDF5 would follow links and datasets into other files, load filters as plugins, and decompress
without limit.
"""

import zlib

import h5py
import numpy as np

# bytes of one dataset, unpacked; audio of a video of nine hours (COVAREP, float32) has as many
LARGEST = 2**30
# 27 hours at 100 frames a second
MOST_ROWS = 10_000_000
# all that is read of a file is at most so many times its size, or LARGEST
EXPANSION = 1000
INFLATION = 1032  # of gzip at its best
COMPRESSORS = {h5py.h5z.FILTER_DEFLATE: "gzip", h5py.h5z.FILTER_LZF: "lzf"}
FILTERS = {
    **COMPRESSORS,
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
}


class Refused(Exception):
    """Why something of a file is not read."""


def is_own(group: h5py.Group, name: str) -> bool:
    """Return whether a name in a group is of the file's own, and no link to somewhere else."""
    try:
        return isinstance(group.get(name, getlink=True), h5py.HardLink)
    except (TypeError, KeyError):  # a link of another's kind
        return False


def names_of(group: h5py.Group) -> list[str]:
    """Return the names in a group, sorted.

    Raises:
        Refused: one of them is a link, or not text.
    """
    names = list(group)
    for name in names:
        if not isinstance(name, str):
            raise Refused(f"contains the name {name!r}, expected UTF-8")
        if not is_own(group, name):
            raise Refused(f"{name} is a link, expected data in the file itself")
    return sorted(names)


def own(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return the object under a name in a group, or None.

    Raises:
        Refused: it is a link, or cannot be opened.
    """
    if not group.id.links.exists(name.encode("utf-8", "surrogateescape")):
        return None
    if not is_own(group, name):
        raise Refused(f"{name} is a link, expected data in the file itself")
    try:
        return group[name]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise Refused(f"{name} is damaged ({error})") from None


def check(dataset: h5py.Dataset) -> int:
    """Return how many bytes a dataset takes once it is read.

    Raises:
        Refused: it is not to be read.
    """
    if dataset.is_virtual or dataset.external:
        raise Refused("is in another file, expected data in the file itself")
    try:
        kind, shape = dataset.dtype, dataset.shape
    except TypeError as error:
        raise Refused(f"is of a strange type ({error}), expected numbers or texts") from None
    if kind.kind not in "biufS":
        raise Refused(f"is of type {kind}, expected numbers or texts of a fixed length")
    if shape is None:
        raise Refused("has no shape, expected rows")
    if shape and shape[0] > MOST_ROWS:
        raise Refused(f"claims {shape[0]} rows, the limit is {MOST_ROWS}")
    if dataset.nbytes > LARGEST:
        raise Refused(f"claims {dataset.nbytes} bytes, the limit is {LARGEST}")
    if dataset.chunks:
        _check_chunks(dataset)
    elif dataset.nbytes > (size := dataset.file.id.get_filesize()):
        raise Refused(f"claims {dataset.nbytes} bytes, and the whole file has {size}")
    return dataset.nbytes


def _check_chunks(dataset: h5py.Dataset) -> None:
    if len(dataset.chunks) != dataset.ndim:  # HDF5 would read on and on
        raise Refused(f"is damaged: pieces {dataset.chunks} of an array {dataset.shape}")
    pipeline = dataset.id.get_create_plist()
    filters = [pipeline.get_filter(number)[0] for number in range(pipeline.get_nfilters())]
    packed = [number for number in filters if number in COMPRESSORS]
    if strange := [number for number in filters if number not in FILTERS]:
        known = ", ".join(FILTERS.values())
        raise Refused(f"is packed with filter {strange[0]}, expected {known}; no plugin is loaded")
    if len(set(filters)) < len(filters) or len(packed) > 1:
        raise Refused("is packed more than once")
    chunk = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
    if chunk > LARGEST:
        raise Refused(f"has pieces of {chunk} bytes, the limit is {LARGEST}")
    available = dataset.file.id.get_filesize()
    large: list[tuple[int, ...]] = []

    def look(info: h5py.h5d.StoreInfo) -> None:
        if info.size > available:
            raise Refused("is damaged: a piece of it is larger than the file")
        # HDF5 decompresses a whole chunk, whatever its declared length
        if packed == [h5py.h5z.FILTER_DEFLATE] and info.size * INFLATION > LARGEST:
            large.append(info.chunk_offset)

    dataset.id.chunk_iter(look)
    for offset in large:
        _, data = dataset.id.read_direct_chunk(offset)
        if not _unpacks_to(data, chunk):
            raise Refused(f"has a piece that does not unpack to its {chunk} bytes")


def _unpacks_to(data: bytes, size: int) -> bool:
    """Return whether data are of zlib and no longer than a size once unpacked; unpacks no more."""
    engine = zlib.decompressobj()
    try:
        left = size + 1
        while not engine.eof and left > 0:
            piece = engine.decompress(data, min(left, 1 << 22))
            data, left = engine.unconsumed_tail, left - len(piece)
            if not piece and not data:
                break
    except zlib.error:
        return False
    return engine.eof and left > 0
