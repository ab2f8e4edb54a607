"""The CMU-Multimodal SDK, driven as its users do, and what it gives beside what HyCon gives."""

import contextlib
import io
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.table import Line
from hycon.corpus.utterances import RaggedArray, Utterance

EPSILON = 1e-5  # of the SDK's main branch; its PyPI release has 1e-3
TOLERANCE = 1e-5
REFERENCE = "vectors"  # what its own examples align to: the words without pauses
Arrays = dict[str, dict[str, dict[str, np.ndarray]]]  # sequence, video, intervals or features
Pooled = dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]  # sequence, video: means and covered


class Comparison(NamedTuple):
    """How many of the SDK's results were compared, what differs, what was left out, and why."""

    compared: Counter
    different: Counter
    excluded: Counter
    largest: float  # difference of two finite features

    def line(self, what: str) -> Line:
        """Return the comparison as a line of the table."""
        size = f"{self.compared['rows']:,} rows of {what}"
        equal = not any(self.different.values()) and self.largest <= TOLERANCE
        claim = f"at most {TOLERANCE:g}, the rest exact"
        return Line(
            "largest difference of a feature", size, "", [self.largest], [], "", claim, equal
        )

    def __str__(self) -> str:
        parts = (self.compared, self.different, self.excluded)
        same, different, excluded = (
            ", ".join(f"{count:,} {what}" for what, count in part.items() if count)
            for part in parts
        )
        return f"compared {same}; different {different or 'none'}; excluded {excluded or 'none'}"


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Hold back what mmsdk prints, and switch its bars off, which only saves it time."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from mmsdk.mmdatasdk.computational_sequence import integrity_check
        from mmsdk.mmdatasdk.dataset import dataset

        dataset.epsilon = EPSILON
        dataset.tqdm = integrity_check.tqdm = _Bar
        yield


class _Bar:
    """A tqdm that shows nothing."""

    def __init__(self, **_: Any) -> None: ...

    def set_description(self, _: str) -> None: ...

    def update(self, _: int) -> None: ...

    def close(self) -> None: ...


def average(intervals: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the mean of features (n, D), words as they are: what users of the SDK give it."""
    try:
        return np.average(features, axis=0)
    except TypeError:
        return features


def in_memory(arrays: Arrays) -> Any:
    """Return a dataset of the SDK that holds arrays: nothing is read from a file any more."""
    with silent():
        from mmsdk import mmdatasdk

        data = mmdatasdk.mmdataset.__new__(mmdatasdk.mmdataset)
        data.computational_sequences = {}
        for name, videos in arrays.items():
            sequence = mmdatasdk.computational_sequence(name)
            sequence.setData(dict(videos), name)
            sequence.setMetadata({"root name": name}, name)
            data.computational_sequences[name] = sequence
        return data


def align_frames(data: Any) -> Any:
    """Align what `in_memory` returned to its reference, and return it."""
    with silent():
        data.align(REFERENCE, collapse_functions=[average])
    return data


def align_files(files: dict[str, Path]) -> Any:
    """Align files to words and words to segments, as the SDK's examples do."""
    with silent():
        from mmsdk import mmdatasdk

        data = mmdatasdk.mmdataset({n: str(path) for n, path in files.items() if n != "labels"})
        data.align(REFERENCE, collapse_functions=[average])
        data.add_computational_sequences({"labels": str(files["labels"])}, None)
        data.align("labels")
    return data


def compare_words(data: Any, arrays: Arrays, pooled: Pooled) -> Comparison:
    """Compare the words that `align_frames` returned with what `pool_frames` did."""
    compared, different, excluded, largest = Counter(), Counter(), Counter(), 0.0
    for name, videos in pooled.items():
        theirs = data[name].data
        for video, (means, covered) in videos.items():
            for row, (mean, found) in enumerate(zip(means, covered, strict=True)):
                key = f"{video}[{row}]"
                compared["rows"] += 1
                if (key in theirs) != bool(found):
                    different["rows without a frame"] += 1
                elif found:
                    gap = _gap(theirs[key]["features"][0], mean)
                    different["features"] += gap > TOLERANCE
                    largest = max(largest, gap if np.isfinite(gap) else 0.0)
        spans = np.concatenate([each["intervals"] for each in arrays[REFERENCE].values()])
        compared["of words of no length"] += int((np.diff(spans) < EPSILON).sum())
    return Comparison(compared, different, excluded, largest)


def compare_utterances(
    data: Any,
    utterances: list[Utterance],
    ragged: dict[str, RaggedArray],
    words: dict[str, np.ndarray],
) -> Comparison:
    """Compare the segments that `align_files` returned with HyCon's utterances and rows.

    Left out: videos of which a sequence is missing and segments without words, which the SDK
    drops; and words cut by a boundary on whose side of it a modality has no frame, which the SDK
    drops from that modality alone, so that its rows no longer stand beside their words.

    Args:
        data: what `align_files` returned.
        utterances: N of the same files, aligned by HyCon.
        ragged: their rows by modality.
        words: (W, 2) start and end of the words of each video, seconds.
    """
    compared, different, excluded, largest = Counter(), Counter(), Counter(), 0.0
    kept = {key.partition("[")[0] for key in data["labels"].data}
    for number, utterance in enumerate(utterances):
        if utterance.video not in kept or not utterance.words:
            dropped = "without words" if utterance.video in kept else "of videos without a sequence"
            excluded[f"segments {dropped}"] += 1
            continue
        compared["segments"] += 1
        interval = data["labels"].data[utterance.id]["intervals"][0]
        said = data["words"].data[utterance.id]
        different["intervals"] += tuple(interval) != (utterance.start, utterance.end)
        if b" ".join(said["features"][:, 0]).decode() != utterance.text:
            different["texts"] += 1
            continue
        at_end = np.isin([utterance.start, utterance.end], words[utterance.video], invert=True)
        for name, (values, offsets) in ragged.items():
            rows = values[offsets[number] : offsets[number + 1]]
            expected = _by_word(data[name].data.get(utterance.id), said["intervals"], rows)
            cut = np.array([0, len(rows) - 1])[at_end]
            cut = np.unique(cut[np.isnan(expected[cut]).all(axis=1)])
            compared["rows"] += len(rows) - len(cut)
            excluded["rows of words cut by a boundary"] += len(cut)
            gap = _gap(np.delete(expected, cut, axis=0), np.delete(rows, cut, axis=0))
            different["features"] += gap > TOLERANCE
            largest = max(largest, gap if np.isfinite(gap) else 0.0)
    return Comparison(compared, different, excluded, largest)


def _by_word(
    theirs: dict[str, np.ndarray] | None, spans: np.ndarray, ours: np.ndarray
) -> np.ndarray:
    """Return the SDK's rows beside their words, with NaN for all that is unknown as in `ours`."""
    expected = np.full_like(ours, np.nan)
    if theirs is not None:
        word = np.searchsorted(spans[:, 0], theirs["intervals"].mean(axis=1)) - 1
        expected[word] = np.where(np.isfinite(theirs["features"]), theirs["features"], np.nan)
    return expected


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference of finite values; infinity if others differ at all."""
    finite = np.isfinite(one) & np.isfinite(other)
    if not np.array_equal(one[~finite], other[~finite], equal_nan=True):
        return np.inf
    return float(np.abs(one[finite].astype(np.float64) - other[finite]).max(initial=0.0))
