"""Word vectors of a package, for corpora that have words and no vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
from pyarrow import parquet

from hycon.atomic_io import sha256_of
from hycon.corpus.utterances import float_array
from hycon.encoders.packages import files_of
from hycon.errors import HyConError

PACKAGE = "package:"
TEXTS = 1 << 12  # texts that are looked up at once


def encode_words(
    texts: list[str],
    model: str,
    sha256: str | None,
    states_of: Callable[[tuple[int, int]], Any] = float_array,
) -> tuple[Any, np.ndarray, float]:
    """Return the vector of each word of each text; NaN for unknown words.

    A word is looked up in lower case, then without its punctuation.

    Args:
        texts: N texts; words are separated by spaces. A text without words has one row of NaN.
        model: package:NAME; the package has one .npy (V, D) and one .parquet with the V words.
        sha256: expected digest of the .npy.
        states_of: as of `hycon.encoders.text.encode`.

    Returns:
        Vectors (W, D) float32, offsets (N + 1,) int64, and the share of unknown words.

    Raises:
        HyConError: the package is not installed, or has no such files.
    """
    vectors, vocabulary = _load(model, sha256)
    counts = [len(text.lower().split()) for text in texts]
    silent = counts.count(0)
    offsets = np.concatenate([[0], np.cumsum([max(1, count) for count in counts])]).astype(np.int64)
    states = states_of((int(offsets[-1]), vectors.shape[1]))
    unknown, absent = len(vocabulary), 0
    for at in range(0, len(texts), TEXTS):
        rows = [
            vocabulary.get(word, vocabulary.get(word.strip(".,;:!?\"'()[]-"), unknown))
            for text in texts[at : at + TEXTS]
            for word in text.lower().split() or [""]
        ]
        found = np.array(rows, np.int64)
        known = found < unknown
        part = np.full((len(found), vectors.shape[1]), np.nan, np.float32)
        part[known] = vectors[found[known]]
        states[offsets[at] : offsets[at] + len(part)] = part
        absent += int((~known).sum())
    return states, offsets, (absent - silent) / max(1, sum(counts))


def _load(model: str, sha256: str | None) -> tuple[np.ndarray, dict[str, int]]:
    name = model.removeprefix(PACKAGE)
    if name == model:
        raise HyConError(f"encoder {model}: word vectors come from a package: package:NAME")
    files = files_of(name)
    arrays = [path for path in files if path.suffix == ".npy"]
    lists = [path for path in files if path.suffix == ".parquet"]
    if len(arrays) != 1 or len(lists) != 1:
        raise HyConError(f"encoder {model}: expected one .npy and one .parquet in the package")
    if sha256 and (found := sha256_of(arrays[0])) != sha256:
        raise HyConError(f"{arrays[0]}: sha256 is {found}, expected {sha256}; install it again")
    try:
        vectors = np.lib.format.open_memmap(arrays[0], mode="r")
        words = parquet.read_table(lists[0]).column(0).to_pylist()
    except Exception as error:  # a damaged file can cause any exception
        raise HyConError(f"encoder {model}: cannot be read ({error}); install it again") from None
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or len(vectors) != len(words):
        raise HyConError(
            f"encoder {model}: vectors {vectors.shape} {vectors.dtype} for {len(words)} words; "
            "install it again"
        )
    return vectors, {word: row for row, word in enumerate(words)}
