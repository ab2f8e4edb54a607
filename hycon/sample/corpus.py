"""A generated corpus, written by mmsdk as computational sequences.

It is processed by the same code as CMU-MOSI, and has the defects of the real files (`DIRT`).
"""

import contextlib
import io
import json
import uuid
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from hycon.atomic_io import atomic_folder
from hycon.errors import HyConError
from hycon.params import Planted
from hycon.sample.language import EMOTIONS, VECTOR_SIZE, embed
from hycon.sample.signals import AUDIO, VISION, synthesise
from hycon.sample.utterances import TASKS, Utterance, draw

MIN_VIDEOS = 8
MIN_UTTERANCES = 2
VALID_SHARE = 0.375  # of the videos that are not for training
RARE = 0.01  # share of the utterances that each kind of dirt befalls, at least one
# `silent`: nothing but a pause; `unseen`: no visual frame; `nan`, `inf`: in a few acoustic frames;
# `instant`: a word of no length; `cut`: the segment ends inside its last word
DIRT = ("silent", "unseen", "nan", "inf", "instant", "cut")
UNORDERED = 0.05  # share of videos whose labels are not in order of time; at least one
NAN_COLUMNS, INF_COLUMNS, BAD_FRAMES = [8, 9], [2], 5

ROOTS = {  # as in the real files, a root need not be named after its file
    "words": "Sample_ModifiedTimestampedWords",
    "vectors": "Sample_WordVectors",
    "audio": "Sample_COVAREP",
    "vision": "Sample_FACET",
    "labels": "Opinion Segment Labels",
}
PLANTED = Planted()
Sequences = dict[str, dict[str, dict[str, np.ndarray]]]


def generate(
    folder: Path,
    *,
    task: Literal["sentiment", "emotion"],
    videos: int,
    utterances_per_video: int,
    seed: int,
    planted: Planted = PLANTED,
) -> None:
    """Write a sample corpus: words, vectors, audio, vision and labels (.csd) and folds.json.

    The same arguments give the same bytes, with the same versions of numpy and h5py. The
    files appear when all of them are written, and replace an older sample corpus.

    Args:
        folder: where to write.
        task: scores in [-3, 3] in steps of 0.2, or one-hot emotions in the order of `EMOTIONS`.
        videos: number of videos, at least 8.
        utterances_per_video: average number, at least 2.
        seed: of all random numbers, at least 0.
        planted: what is true of the corpus.

    Raises:
        HyConError: an argument is out of range, `folder` has other files, or no training fold has
            every class.
    """
    _check(folder, task, videos, utterances_per_video, seed)
    rng = np.random.default_rng(seed)
    # "sample_00" is a prefix of other ids: mmsdk's unify goes by prefix, this project must not
    ids = ["sample_00"] + [f"sample_{number:03d}" for number in range(1, videos)]
    spread = utterances_per_video // 3
    counts = utterances_per_video + rng.integers(-spread, spread + 1, size=videos)
    utterances = draw(task, counts.sum(), planted, rng)
    dirt = _draw_dirt(len(utterances), rng)
    unordered = rng.permutation(ids)[: max(1, round(UNORDERED * videos))]
    vectors = embed(task, rng)

    sequences: Sequences = {name: {} for name in ROOTS}
    groups = np.split(np.arange(len(utterances)), np.cumsum(counts)[:-1])
    classes = {
        video: {_class(utterances[i].label) for i in group}
        for video, group in zip(ids, groups, strict=True)
    }
    folds = _draw_folds(classes, planted.training, rng)
    for video, group in zip(ids, groups, strict=True):
        parts = _film([utterances[i] for i in group], [dirt[i] for i in group], vectors, rng)
        if video in unordered:
            parts["labels"] = {name: np.roll(rows, 1, 0) for name, rows in parts["labels"].items()}
        for name, part in parts.items():
            sequences[name][video] = part
    size = f"{task}/{videos}/{utterances_per_video}/{seed}"
    identity = f"{size}/{planted.model_dump_json()}"
    with atomic_folder(folder) as partial:
        for name, sequence in sequences.items():
            _write(partial / f"{name}.csd", sequence, _metadata(name, task, identity))
        (partial / "folds.json").write_text(json.dumps(folds, indent=1) + "\n", encoding="utf-8")


def _check(folder: Path, task: str, videos: int, utterances_per_video: int, seed: int) -> None:
    if task not in TASKS:
        raise HyConError(f"task: expected one of {', '.join(TASKS)}, found {task!r}")
    for name, value, least in (
        ("videos", videos, MIN_VIDEOS),
        ("utterances_per_video", utterances_per_video, MIN_UTTERANCES),
        ("seed", seed, 0),
    ):
        if value < least:
            raise HyConError(f"{name}: expected {least} or more, found {value}")
    expected = {*(f"{name}.csd" for name in ROOTS), "folds.json"}
    if folder.exists() and not folder.is_dir():
        raise HyConError(f"{folder}: is a file, expected a folder; give another one")
    strangers = [path.name for path in folder.glob("[!.]*") if path.name not in expected]
    if strangers:
        raise HyConError(
            f"{folder}: contains {sorted(strangers)[0]}, which is not part of a sample corpus; "
            "give another folder"
        )


def _draw_dirt(count: int, rng: np.random.Generator) -> list[str]:
    """Return the dirt that befalls each utterance, "" for most."""
    each = max(1, round(RARE * count))
    befallen = [kind for kind in DIRT for _ in range(1 if kind == "silent" else each)]
    return list(rng.permutation(befallen + [""] * (count - len(befallen))))


def _class(label: np.ndarray) -> str:
    if len(label) == len(EMOTIONS):
        return EMOTIONS[label.argmax()]
    return ("negative", "zero", "positive")[int(np.sign(label[0])) + 1]


def _draw_folds(
    classes: dict[str, set[str]], training: float, rng: np.random.Generator
) -> dict[str, list[str]]:
    """Return the videos of each fold, with every class in the train fold."""
    rest = len(classes) - max(1, round(training * len(classes)))
    tested = rest - max(1, round(VALID_SHARE * rest))
    every = set().union(*classes.values())
    for _ in range(1000):
        order = [str(video) for video in rng.permutation(list(classes))]
        valid, test, train = np.split(order, [rest - tested, rest])
        if every == set().union(*(classes[video] for video in train)):
            folds = {"train": train, "valid": valid, "test": test}
            return {fold: sorted(part.tolist()) for fold, part in folds.items()}
    raise HyConError("found no train fold with every class; ask for more utterances per video")


def _film(
    utterances: list[Utterance],
    dirt: list[str],
    vectors: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, dict[str, np.ndarray]]:
    """Return the intervals and features of one video by sequence, with its dirt."""
    tokens, intervals, spans = _speak([u.words for u in utterances], dirt, rng)
    spoken = [row for row, token in enumerate(tokens) if token != "sp"]
    audio = synthesise(AUDIO, spans, np.array([u.audio for u in utterances]), rng)
    vision = synthesise(VISION, spans, np.array([u.vision for u in utterances]), rng)
    segments = spans.copy()
    for number, (kind, (start, stop)) in enumerate(zip(dirt, spans, strict=True)):
        if kind in ("nan", "inf"):
            _spoil(*audio, (start + stop) / 2, kind)
        elif kind == "unseen":
            times, features = vision
            kept = (times[:, 1] <= start) | (times[:, 0] >= stop)
            vision = times[kept], features[kept]
        elif kind == "cut":
            last = np.searchsorted(intervals[:, 1], stop)
            segments[number, 1] = intervals[last].mean()
    parts = {
        "words": (intervals, np.array(tokens, dtype="S32")[:, None]),
        "vectors": (intervals[spoken], np.array([vectors[tokens[row]] for row in spoken])),
        "audio": audio,
        "vision": vision,
        "labels": (segments, np.array([u.label for u in utterances])),
    }
    return {
        name: {"features": features, "intervals": times}
        for name, (times, features) in parts.items()
    }


def _spoil(times: np.ndarray, features: np.ndarray, moment: float, kind: str) -> None:
    first = np.searchsorted(times[:, 0], moment)
    columns, value = (NAN_COLUMNS, np.nan) if kind == "nan" else (INF_COLUMNS, -np.inf)
    features[first : first + BAD_FRAMES, columns] = value


def _speak(
    sentences: list[list[str]], dirt: list[str], rng: np.random.Generator
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the tokens, their intervals (n, 2) and the utterances' spans (U, 2) in seconds."""
    pace = rng.uniform(0.85, 1.15)
    tokens: list[str] = []
    lengths: list[float] = []
    bounds = []
    for words, kind in zip(sentences, dirt, strict=True):
        if tokens:
            tokens.append("sp")
            lengths.append(rng.uniform(0.25, 0.75))
        first = len(tokens)
        if kind == "silent":
            tokens.append("sp")
            lengths.append(1.5)
        else:
            instant = rng.integers(1, len(words) - 1) if kind == "instant" else None
            for place, word in enumerate(words):
                if place and rng.random() < 0.1:
                    tokens.append("sp")
                    lengths.append(rng.uniform(0.08, 0.35))
                tokens.append(word)
                length = pace * (0.08 + 0.045 * len(word)) * rng.uniform(0.8, 1.25)
                lengths.append(0.0 if place == instant else length)
        bounds.append((first, len(tokens)))
    edges = rng.uniform(1, 3) + np.concatenate([[0.0], np.cumsum(lengths)])
    edges = edges.round(4)  # seconds
    return tokens, np.column_stack([edges[:-1], edges[1:]]), edges[np.array(bounds)]


def _metadata(name: str, task: str, identity: str) -> dict[str, str]:
    """Return complete metadata: JSON strings, or bare strings for the words as in older files."""
    dimensions = {
        "words": ["word"],
        "vectors": [f"dimension {number}" for number in range(VECTOR_SIZE)],
        "audio": [f"COVAREP {number}" for number in range(len(AUDIO.scale))],
        "vision": [f"FACET {number}" for number in range(len(VISION.scale))],
        "labels": ["sentiment score"] if task == "sentiment" else list(EMOTIONS),
    }
    values = {
        "root name": ROOTS[name],
        "computational sequence description": f"{name} of a generated corpus",
        "computational sequence version": "1.0",
        "alignment compatible": True,
        "dataset name": f"HyCon sample corpus ({task})",
        "dataset version": "1.0",
        "creator": "hycon.sample.corpus",
        "contact": "none",
        "featureset bib citation": "",
        "dataset bib citation": "",
        "dimension names": dimensions[name],
        # mmsdk's own deploy() draws one at random
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"hycon/sample/{identity}/{name}")),
        "md5": None,
    }
    encode = str if name == "words" else json.dumps
    return {key: encode(value) for key, value in values.items()}


def _write(path: Path, sequence: dict, metadata: dict[str, str]) -> None:
    """Write one computational sequence with mmsdk, which prints, draws bars and warns: silently."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        from mmsdk.mmdatasdk.computational_sequence.file_ops import writeCSD

        root = ROOTS[path.stem]
        writeCSD(sequence, metadata, root, str(path))
