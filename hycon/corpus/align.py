"""Alignment: frames to words, and words to labelled segments.

The semantics are those of the CMU-Multimodal SDK's `align(reference, [mean])`: a frame belongs to a
reference interval when the two overlap by more than epsilon seconds, and then counts fully in an
unweighted mean. Without the SDK's loop over words, and by word index: every modality has exactly
the rows of its segment's words, whatever is missing.
"""

import numpy as np

PAIRS_AT_ONCE = 4_000_000  # bound on the comparisons held in memory for irregular intervals


def pool_frames(
    frame_intervals: np.ndarray,
    frames: np.ndarray,
    word_intervals: np.ndarray,
    epsilon: float = 1e-5,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the frames that overlap each word.

    NaN and infinities in a frame pass through to the means of the words that it overlaps, and to
    no others. Reversed intervals (end before start) follow the SDK's formula to the letter: such a
    frame counts for the words that contain both of its ends.

    Args:
        frame_intervals: (F, 2) start and end of each frame, seconds, in any order.
        frames: (F, D) features, floating point.
        word_intervals: (W, 2) start and end of each word, seconds, in any order.
        epsilon: an overlap counts if it is longer than this, seconds.

    Returns:
        Means (W, D) in the dtype of `frames`, zero where no frame overlaps, and covered (W,) bool.

    Raises:
        ValueError: the shapes do not fit.
    """
    intervals = np.asarray(frame_intervals, dtype=np.float64)
    words = np.asarray(word_intervals, dtype=np.float64)
    frames = np.asarray(frames)
    if not np.issubdtype(frames.dtype, np.floating):
        frames = frames.astype(np.float64)
    if frames.ndim != 2:
        raise ValueError(f"frames must be (F, D), found {frames.shape}")
    intervals = _checked(intervals, len(frames), "frame_intervals")
    words = _checked(words, None, "word_intervals")

    means = np.zeros((len(words), frames.shape[1]), dtype=frames.dtype)
    covered = np.zeros(len(words), dtype=bool)
    usable = np.flatnonzero(np.abs(words[:, 1] - words[:, 0]) > epsilon)
    if not len(usable) or not len(frames):
        return means, covered
    if not _is_regular(intervals):
        order = np.argsort(intervals[:, 0], kind="stable")
        intervals, frames = intervals[order], frames[order]
    forward = np.all(words[usable, 1] > words[usable, 0])
    if not forward or not _is_regular(intervals):
        _pool_any(intervals, frames, words, usable, epsilon, means, covered)
        return means, covered
    # frames no longer than epsilon overlap nothing by more than epsilon
    long = intervals[:, 1] - intervals[:, 0] > epsilon
    if not long.all():
        intervals, frames = intervals[long], frames[long]
    if len(frames):
        _pool_runs(intervals, frames, words, usable, epsilon, means, covered)
    return means, covered


def frames_within(
    frame_intervals: np.ndarray, segments: np.ndarray, epsilon: float
) -> list[np.ndarray]:
    """Return which frames (or words) overlap each segment, in order of their start.

    Args:
        frame_intervals: (F, 2) start and end, seconds, in any order.
        segments: (S, 2) start and end, seconds.
        epsilon: an overlap counts if it is longer than this, seconds.

    Returns:
        For each segment the row numbers of its frames, int64.
    """
    order = np.argsort(frame_intervals[:, 0], kind="stable")
    starts, ends = frame_intervals[order].T
    return [
        order[np.minimum(ends, end) - np.maximum(starts, start) > epsilon]
        for start, end in segments
    ]


def overlapping_runs(
    intervals: np.ndarray, references: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each reference, the run [first, last) of intervals that overlap it.

    Args:
        intervals: (F, 2) with starts and ends both ascending, each longer than epsilon, seconds.
        references: (W, 2) in any order, each longer than epsilon, seconds.
        epsilon: an overlap counts if it is longer than this, seconds.

    Returns:
        first (W,) and last (W,), int64; last <= first where nothing overlaps.
    """
    starts, ends = intervals[:, 0], intervals[:, 1]
    begin, end = references[:, 0], references[:, 1]
    first = np.searchsorted(ends, begin + epsilon, side="right")
    last = np.searchsorted(starts, end - epsilon, side="left")
    # begin + epsilon is rounded; ask the neighbours with the difference that defines the overlap
    before = np.maximum(first - 1, 0)
    first = np.where((first > 0) & (ends[before] - begin > epsilon), before, first)
    here = np.minimum(first, len(ends) - 1)
    first += (first < len(ends)) & ~(ends[here] - begin > epsilon)
    here = np.minimum(last, len(starts) - 1)
    last = np.where((last < len(starts)) & (end - starts[here] > epsilon), last + 1, last)
    before = np.maximum(last - 1, 0)
    last -= (last > 0) & ~(end - starts[before] > epsilon)
    return first, last


def _checked(intervals: np.ndarray, rows: int | None, name: str) -> np.ndarray:
    if intervals.size == 0 and rows in (None, 0):
        return intervals.reshape(0, 2)
    if intervals.ndim != 2 or intervals.shape[1] != 2 or rows not in (None, len(intervals)):
        expected = "(n, 2)" if rows is None else f"({rows}, 2)"
        raise ValueError(f"{name} must be {expected}, found {intervals.shape}")
    return intervals


def _is_regular(intervals: np.ndarray) -> bool:
    """Return whether starts and ends both ascend and none is reversed or NaN."""
    forward = np.all(intervals[:, 1] >= intervals[:, 0])
    return bool(forward and np.all(intervals[1:] >= intervals[:-1]))


def _pool_runs(intervals, frames, words, usable, epsilon, means, covered) -> None:
    """Fill `means` and `covered` if the frames of each word are consecutive."""
    first, last = overlapping_runs(intervals, words[usable], epsilon)
    some = last > first
    rows, first, last = usable[some], first[some], last[some]
    if not len(rows):
        return
    # word by word: np.add.reduceat over everything is slower, because it also sums the frames
    # between words, and its input does not fit the processor's cache
    sums = np.empty((len(rows), frames.shape[1]))
    with np.errstate(invalid="ignore", over="ignore"):
        for row, (begin, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
            np.add.reduce(frames[begin:end], axis=0, dtype=np.float64, out=sums[row])
        means[rows] = sums / (last - first)[:, None]
    covered[rows] = True


def _pool_any(intervals, frames, words, usable, epsilon, means, covered) -> None:
    """Fill means and covered by comparing every word with every frame, some words at a time."""
    starts, ends = intervals[:, 0], intervals[:, 1]
    step = max(1, PAIRS_AT_ONCE // len(frames))
    for chunk in (usable[at : at + step] for at in range(0, len(usable), step)):
        begin, end = words[chunk, 0, None], words[chunk, 1, None]
        meets = (end - starts > -epsilon) & (ends - begin > -epsilon)
        meets &= np.abs(np.minimum(ends, end) - np.maximum(starts, begin)) > epsilon
        row, frame = np.nonzero(meets)
        if not len(row):
            continue
        hit, at, count = np.unique(row, return_index=True, return_counts=True)
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.add.reduceat(frames[frame], at, axis=0, dtype=np.float64)
            means[chunk[hit]] = sums / count[:, None]
        covered[chunk[hit]] = True
