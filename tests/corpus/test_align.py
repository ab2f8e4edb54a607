"""pool_frames against the SDK's own alignment and against a loop over the SDK's formula."""

import contextlib
import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hycon.corpus.align import pool_frames

EPSILON = 1e-5


def sdk_align(frame_intervals, frames, word_intervals):
    """Return what mmsdk.align gives: {word row: mean}; its epsilon set to its main branch's."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mmsdk import mmdatasdk
            from mmsdk.mmdatasdk.dataset import dataset as sdk
        sdk.epsilon = EPSILON
        data = mmdatasdk.mmdataset.__new__(mmdatasdk.mmdataset)
        data.computational_sequences = {}
        for name, intervals, features in (
            ("words", word_intervals, np.zeros((len(word_intervals), 1))),
            ("frames", frame_intervals, frames),
        ):
            sequence = mmdatasdk.computational_sequence(name)
            sequence.setData({"v": {"intervals": intervals, "features": features}}, name)
            sequence.setMetadata({"root name": name}, name)
            data.computational_sequences[name] = sequence
        data.align("words", collapse_functions=[lambda _, features: np.mean(features, axis=0)])
        aligned = data["frames"].data
    return {int(key[2:-1]): value["features"][0] for key, value in aligned.items()}


def loop(frame_intervals, frames, word_intervals):
    """Return the SDK's formula written out, word by word and frame by frame."""
    means = {}
    for row, (begin, end) in enumerate(word_intervals):
        if abs(end - begin) < EPSILON:
            continue
        rows = [
            frame
            for (start, stop), frame in zip(frame_intervals, frames, strict=True)
            if end - start > -EPSILON
            and stop - begin > -EPSILON
            and abs(min(stop, end) - max(start, begin)) > EPSILON
        ]
        if rows:
            means[row] = np.mean(rows, axis=0)
    return means


def check(expected, frame_intervals, frames, word_intervals):
    means, covered = pool_frames(frame_intervals, frames, word_intervals, EPSILON)
    assert means.shape == (len(word_intervals), np.asarray(frames).shape[1])
    assert set(np.flatnonzero(covered)) == set(expected)
    assert not means[~covered].any()
    for row, mean in expected.items():
        np.testing.assert_allclose(means[row], mean, rtol=1e-6, atol=1e-9)


def make(rng, kind, frames=60, words=25):
    """Return intervals of frames and words of one kind of disorder."""
    starts = np.cumsum(rng.uniform(0.005, 0.02, frames))
    intervals = np.stack([starts, starts + rng.uniform(0.005, 0.012, frames)], axis=1)
    bounds = np.sort(rng.uniform(-0.1, starts[-1] + 0.1, words + 1))
    words_ = np.stack([bounds[:-1], bounds[1:]], axis=1)
    if kind == "touching":
        edges = np.arange(frames + 1) * 0.01
        intervals = np.stack([edges[:-1], edges[1:]], axis=1)
        words_ = np.stack([edges[:-5:3], edges[5::3]], axis=1)
    if kind == "gaps":
        keep = rng.random(frames) < 0.5
        intervals[:, 1] = intervals[:, 0] + 0.004
        intervals = intervals[keep]
    if kind == "overlapping":
        intervals[:, 1] += rng.uniform(0, 0.1, frames)
        words_[:, 1] += 0.05
    if kind == "nested":
        intervals[::7, 1] += 0.3
        words_[::5, 1] += 0.3
    if kind == "unsorted":
        intervals = intervals[rng.permutation(len(intervals))]
        words_ = words_[rng.permutation(len(words_))]
    if kind == "zero-length":
        intervals[::4, 1] = intervals[::4, 0]
        words_[::6, 1] = words_[::6, 0]
    if kind == "reversed":
        intervals[::3] = intervals[::3, ::-1]
    return intervals, words_


KINDS = (
    "regular", "touching", "gaps", "overlapping", "nested", "unsorted", "zero-length", "reversed",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_pooling_equals_the_sdk_on_generated_sequences(kind, seed):
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    intervals, words = make(rng, kind)
    frames = rng.normal(size=(len(intervals), 4))
    check(sdk_align(intervals, frames, words), intervals, frames, words)


interval = st.tuples(
    st.integers(0, 30).map(lambda n: n / 10), st.integers(-3, 12).map(lambda n: n / 10)
).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=300, deadline=None)
@given(st.lists(interval, min_size=1, max_size=12), st.lists(interval, min_size=1, max_size=6))
def test_pooling_equals_a_plain_loop_on_any_intervals(frame_intervals, word_intervals):
    frames = np.arange(len(frame_intervals) * 2, dtype=float).reshape(-1, 2) + 1
    expected = loop(frame_intervals, frames, word_intervals)
    check(expected, np.array(frame_intervals), frames, np.array(word_intervals))


def test_an_overlap_must_be_longer_than_epsilon():
    frames = np.array([[1.0], [2.0], [4.0]])
    intervals = np.array([[0.0, 1.0 + 0.9e-5], [1.0, 2.0], [2.0 - 1.1e-5, 3.0]])
    means, covered = pool_frames(intervals, frames, np.array([[1.0, 2.0]]))
    assert covered.all()
    assert means[0, 0] == 3.0  # the first is 0.9e-5 inside, too little; the last 1.1e-5


def test_a_frame_counts_fully_however_little_it_overlaps():
    means, _ = pool_frames([[0, 1], [1, 2]], np.array([[0.0], [10.0]]), [[0.9, 1.9]])
    assert means[0, 0] == 5.0


def test_nan_and_infinity_stay_in_the_words_they_belong_to():
    frames = np.array([[1.0], [np.nan], [3.0], [-np.inf], [5.0]], dtype=np.float32)
    intervals = np.stack([np.arange(5), np.arange(1, 6)], axis=1)
    means, _ = pool_frames(intervals, frames, [[0, 1], [1, 2], [2, 3], [3, 5], [4, 5]])
    np.testing.assert_array_equal(means[:, 0], [1.0, np.nan, 3.0, -np.inf, 5.0])


def test_the_dtype_of_the_frames_is_kept_and_sums_do_not_lose_small_values():
    frames = np.full((100_000, 1), 0.1, dtype=np.float32)
    edges = np.arange(100_001) * 0.01
    intervals = np.stack([edges[:-1], edges[1:]], axis=1)
    means, _ = pool_frames(intervals, frames, [[0.0, edges[-1]]])
    assert means.dtype == np.float32
    assert means[0, 0] == np.float32(0.1)


@pytest.mark.parametrize("frames", [np.zeros((0, 3)), np.ones((2, 3))])
@pytest.mark.parametrize("words", [np.zeros((0, 2)), np.array([[5.0, 6.0]])])
def test_empty_input_and_words_without_frames_give_zero_rows(frames, words):
    intervals = np.arange(len(frames) * 2, dtype=float).reshape(-1, 2) / 10
    means, covered = pool_frames(intervals, frames, words)
    assert means.shape == (len(words), 3)
    assert not means.any()
    assert not covered.any()


def test_intervals_of_another_length_than_the_frames_are_refused():
    with pytest.raises(ValueError, match=r"frame_intervals must be \(2, 2\), found \(3, 2\)"):
        pool_frames(np.zeros((3, 2)), np.zeros((2, 1)), np.zeros((1, 2)))
