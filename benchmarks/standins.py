"""Stand-ins for the files that the server offers of CMU-MOSI and CMU-MOSEI, at any scale.

Computational sequences with the originals' paths, roots, widths, rates and dtypes, and their
flaws: -inf and NaN in COVAREP, stretches and whole videos without FACET, words of no length,
segments out of order, boundaries inside words. What is in them is drawn at random.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from hycon.corpus.folds import standard_folds
from hycon.corpus.utterances import FOLDS
from hycon.progress import progress


class Track(NamedTuple):
    """One sequence: its file (folder and name), root, features and rate (Hz; 0: not of frames)."""

    file: str
    root: str
    width: int
    rate: float = 0.0
    features: str = "<f4"
    intervals: str = "<f8"
    older: bool = False  # bare strings as metadata, and no chunks


class Shape(NamedTuple):
    """A corpus: its sequences, its segments by fold, and how much is said in a segment."""

    tracks: dict[str, Track]
    segments: tuple[int, ...]  # train, valid, test
    seconds: float  # mean length of a segment
    between: float  # mean length of what is not labelled between two, in segments
    step: float  # between two scores


WORDS = "CMU_MOSI_ModifiedTimestampedWords"  # not what the file is called
COVAREP = Track("acoustic/COVAREP", "COVAREP", 74, 100, intervals="<f4")
GLOVE = Track("language/TimestampedWordVectors", "glove_vectors", 300)
SHAPES = {
    "mosi": Shape(
        {
            "words": Track("language/TimestampedWords", WORDS, 1, features="S12", older=True),
            "vectors": GLOVE,
            "audio": COVAREP,
            "vision": Track("visual/Visual_Facet_41", "FACET_4.1", 47, 30, intervals="<f4"),
            "labels": Track("labels/Opinion_Labels", "Opinion Segment Labels", 1, intervals="<f4"),
        },
        segments=(1284, 229, 686),
        seconds=4.2,
        between=0.5,
        step=0.2,
    ),
    "mosei": Shape(
        {
            "words": Track("language/TimestampedWords", "words", 1, features="S32"),
            "vectors": GLOVE,
            "audio": COVAREP,
            "vision": Track("visual/VisualFacet42", "FACET 4.2", 35, 30, intervals="<f4"),
            # sentiment, happy, sad, anger, surprise, disgust, fear
            "labels": Track("labels/Labels", "All Labels", 7),
        },
        segments=(16326, 1871, 4659),
        seconds=7.3,
        between=0.4,
        step=1 / 3,
    ),
}

PAUSE = "sp"
PAUSES = 0.2  # of the tokens, less those that follow another: 0.16 as in CMU-MOSI's words
WORD = 0.28  # mean length of a token, seconds, the same
CUT = 0.024  # share of the segments' ends that cut a word
OPINIONS = "good great lovely funny bad awful boring stupid"  # the first half speaks for it
SLOTS = [  # a sentence takes one word of each in turn
    slot.split()
    for slot in (
        *("i we they you", "think know say mean", "this the that his", "film movie story plot"),
        *("is was seems feels", "very really so just", OPINIONS, "and but because so"),
    )
]
OPINION = 6  # which slot
VOCABULARY = np.array([PAUSE, *(word for slot in SLOTS for word in slot)])
CUES = 8  # every eighth feature of a frame carries some of the label


class Speech(NamedTuple):
    """One video: tokens (n,) as rows of VOCABULARY with their times (n, 2), segments and labels."""

    tokens: np.ndarray
    times: np.ndarray
    segments: np.ndarray  # (S, 2) seconds
    labels: np.ndarray  # (S, C), the score first


class Counts(NamedTuple):
    """What was written: segments by fold, and rows by sequence (of `words`, pauses too)."""

    segments: dict[str, int]
    rows: dict[str, int]


def files_of(corpus: str, root: Path) -> dict[str, Path]:
    """Return the path of each sequence under `root`."""
    paths = {}
    for name, track in SHAPES[corpus].tracks.items():
        folder, file = track.file.split("/")
        paths[name] = root / f"CMU-{corpus.upper()}" / folder / f"CMU_{corpus.upper()}_{file}.csd"
    return paths


def write(
    corpus: str,
    root: Path,
    videos: int,
    segments: int,
    seed: int = 0,
    seconds: float | None = None,
    modalities: Collection[str] = ("words", "vectors", "audio", "vision", "labels"),
) -> Counts:
    """Write a corpus's stand-ins, one video at a time.

    The same arguments give the same arrays; a video's rows of one sequence do not depend on which
    other sequences are written. Videos bear names of the standard folds.

    Args:
        corpus: mosi or mosei.
        root: what the server's paths are put under.
        videos: how many, 3 or more; at most as many as the corpus has.
        segments: how many in all; at least as many as videos.
        seed: of every draw.
        seconds: mean length of a segment; by default the corpus's.
        modalities: which sequences to write.

    Raises:
        ValueError: too many or too few videos or segments.
    """
    shape = SHAPES[corpus]
    paths = files_of(corpus, root)
    counts = Counts({}, Counter())
    with ExitStack() as stack:
        groups = {}
        for name in modalities:
            paths[name].parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(h5py.File(paths[name], "w"))
            groups[name] = _start(file, shape.tracks[name], corpus)
        cast = list(_cast(corpus, videos, segments, np.random.default_rng([seed])))
        for number, (fold, video, count) in enumerate(progress(cast, "stand-ins", unit="videos")):
            speech = _speak(count, number, seconds or shape.seconds, shape, [seed, number])
            counts.segments[fold] = counts.segments.get(fold, 0) + count
            for name, group in groups.items():
                rows = _rows(name, shape.tracks[name], speech, number, [seed, number])
                if rows:
                    _put(group.create_group(video), shape.tracks[name], *rows)
                    counts.rows[name] += len(rows[0])
    return Counts(counts.segments, dict(counts.rows))


def _cast(
    corpus: str, videos: int, segments: int, rng: np.random.Generator
) -> Iterator[tuple[str, str, int]]:
    """Yield fold, name and number of segments of each video."""
    names = standard_folds(f"cmu_{corpus}")
    sizes = _shares(videos, [len(names[fold]) for fold in FOLDS])
    if (
        videos < len(FOLDS)
        or segments < videos
        or any(size > len(names[fold]) for fold, size in zip(FOLDS, sizes, strict=True))
    ):
        raise ValueError(f"{corpus}: cannot make {segments} segments of {videos} videos")
    extra = _shares(segments, SHAPES[corpus].segments)
    for fold, size, labelled in zip(FOLDS, sizes, extra, strict=True):
        weights = rng.lognormal(sigma=0.8, size=size)
        counts = 1 + rng.multinomial(max(labelled - size, 0), weights / weights.sum())
        for video, count in zip(names[fold], counts, strict=False):
            yield fold, video, int(count)


def _shares(total: int, weights: Collection[int]) -> list[int]:
    """Split a total in proportion to the weights, at least one each; the first takes the rest."""
    parts = [max(1, round(total * weight / sum(weights))) for weight in weights]
    return [total - sum(parts[1:]), *parts[1:]]


def _speak(count: int, number: int, seconds: float, shape: Shape, seed: list[int]) -> Speech:
    """Return what is said in a video: something unlabelled, then segments with such between."""
    rng = np.random.default_rng(seed)
    pieces = shape.between * seconds * rng.exponential(size=2 * count + 1)
    pieces[1::2] = seconds * rng.lognormal(-0.18, 0.6, size=count)  # of mean 1
    sizes = np.maximum(4, np.round(pieces / WORD).astype(int))
    starts = np.concatenate([[0], np.cumsum(sizes)])
    piece = np.repeat(np.arange(len(pieces)), sizes)
    weights = rng.gamma(4, size=starts[-1])
    lengths = weights * (pieces / np.add.reduceat(weights, starts[:-1]))[piece]
    edges = np.round(0.5 + np.concatenate([[0.0], np.cumsum(lengths)]), 4)
    if number % 5 == 0:
        instant = starts[1] + 2  # in the first segment
        edges[instant] = edges[instant - 1]
    scores = rng.normal(0.2, 1.3, size=count).clip(-3, 3)
    scores = np.round(scores / shape.step) * shape.step
    felt = np.zeros(len(pieces))
    felt[1::2] = scores
    segments = edges[np.stack([starts[1:-1:2], starts[2::2]], axis=1)]
    cut = rng.random(count) < CUT
    segments[cut, 1] -= lengths[starts[2::2] - 1][cut] / 2
    labels = np.zeros((count, shape.tracks["labels"].width))
    labels[:, 1:] = rng.integers(0, 4, size=labels[:, 1:].shape) / 3
    labels[:, 0] = scores
    tokens = _say(piece, starts, felt, rng)
    if number % 10 == 3:
        segments, labels = np.roll(segments, 1, axis=0), np.roll(labels, 1, axis=0)
    return Speech(tokens, np.stack([edges[:-1], edges[1:]], axis=1), segments, labels)


def _say(
    piece: np.ndarray, starts: np.ndarray, felt: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return tokens (n,) as rows of VOCABULARY: sentences and pauses, opinions as felt."""
    spoken = rng.random(len(piece)) >= PAUSES
    spoken[1:] |= ~spoken[:-1]
    spoken[starts[:-1]] = True
    place = np.cumsum(spoken) - 1
    place -= place[starts[:-1]][piece]
    slot = place % len(SLOTS)
    sizes = np.array([len(words) for words in SLOTS])
    word = (rng.random(len(piece)) * sizes[slot]).astype(int)
    against = rng.random(len(piece)) > 1 / (1 + np.exp(-1.5 * felt[piece]))
    half = sizes[OPINION] // 2
    word = np.where(slot == OPINION, word % half + half * against, word)
    first = 1 + np.cumsum(sizes) - sizes
    return np.where(spoken, first[slot] + word, 0)


def _rows(
    name: str, track: Track, speech: Speech, number: int, seed: list[int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return intervals (n, 2) and features (n, D) of a video; None where it is missing."""
    if name == "words":
        return speech.times, VOCABULARY[speech.tokens, None]
    if name == "vectors":
        spoken = speech.tokens > 0
        table = np.random.default_rng(track.width).normal(
            scale=0.4, size=(len(VOCABULARY), track.width)
        )
        return speech.times[spoken], table[speech.tokens[spoken]]
    if name == "labels":
        return speech.segments, speech.labels
    intervals, features = _frames(track, speech, np.random.default_rng([*seed, track.width]))
    if name == "audio":
        spoilt = slice(len(features) // 2, len(features) // 2 + 5)
        if number % 3 == 0:
            features[spoilt, 2] = -np.inf
        elif number % 3 == 1:
            features[spoilt, 8:10] = np.nan
        return intervals, features
    if number % 50 == 7:
        return None
    lost = slice(len(features) // 3, len(features) // 3 + len(features) // 20)  # no face was found
    return np.delete(intervals, lost, axis=0), np.delete(features, lost, axis=0)


def _frames(
    track: Track, speech: Speech, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return frames from 0 to the last word: noise, with an offset in each segment."""
    count = int(speech.times[-1, 1] * track.rate)
    edges = np.arange(count + 1) / track.rate
    features = rng.standard_normal((count, track.width), dtype=np.float32)
    cues = np.zeros(track.width)
    cues[::CUES] = 0.12
    for (start, end), score in zip(speech.segments, speech.labels[:, 0], strict=True):
        offset = score * cues + rng.normal(scale=0.5, size=track.width)
        features[int(start * track.rate) : int(end * track.rate)] += offset.astype(np.float32)
    return np.stack([edges[:-1], edges[1:]], axis=1), features


def _start(file: h5py.File, track: Track, corpus: str) -> h5py.Group:
    """Create the root with its metadata, and return the group that holds the videos."""
    root = file.create_group(track.root)
    metadata = {
        "root name": track.root,
        "computational sequence description": "a stand-in, drawn at random",
        "computational sequence version": 1.0,
        "alignment compatible": True,
        "dataset name": f"stand-in for CMU-{corpus.upper()}",
        "dataset version": 1.0,
        "creator": "benchmarks.standins",
        "contact": "none",
        "featureset bib citation": "",
        "dataset bib citation": "",
    }
    for key, value in metadata.items():
        text = str(value) if track.older else json.dumps(value)
        root.create_dataset(f"metadata/{key}", data=[text], dtype=h5py.string_dtype())
    return root.create_group("data")


def _put(group: h5py.Group, track: Track, intervals: np.ndarray, features: np.ndarray) -> None:
    chunks = None if track.older else True
    group.create_dataset("features", data=features.astype(track.features), chunks=chunks)
    group.create_dataset("intervals", data=intervals.astype(track.intervals), chunks=chunks)
