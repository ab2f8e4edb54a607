"""Computational sequences to utterances: one video at a time, whatever the corpus's size."""

import dataclasses
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hycon.corpus.align import frames_within, pool_frames
from hycon.corpus.build import Report
from hycon.corpus.folds import fold_of_video, read_folds, standard_folds
from hycon.corpus.labels import read_label
from hycon.corpus.sequences import Sequence, open_sequence, words_of
from hycon.corpus.utterances import MODALITIES, Utterance
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus
from hycon.progress import progress

PAUSE = "sp"


def read(
    files: dict[str, Path], corpus: Corpus, settings: AlignConfig, report: Report
) -> Iterator[tuple[Utterance, dict[str, np.ndarray]]]:
    """Yield every labelled segment with its words, and its rows of every modality.

    Args:
        files: computational sequences by `labels` and those of `words`, `vectors`, `audio` and
            `vision` that the corpus has; and `folds` if it has no standard ones.
        corpus: its entry in the catalogue.
        settings: how frames reach words; in mode `words` a row (1, D) is a word's mean, in mode
            `unaligned` audio and vision keep their own frames.
        report: records what is missing, dropped and counted.

    Raises:
        HyConError: a file is invalid.
    """
    fold_of = _folds(files, corpus)
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(open_sequence(path))
            for name, path in files.items()
            if name != "folds"
        }
        widths = {name: _width(opened[name]) for name in MODALITIES if name in opened}
        report.unlabelled = sorted(set(fold_of) - set(opened["labels"].videos))
        for video in progress(opened["labels"].videos, "align", unit="videos"):
            segments = _segments(opened["labels"], video, fold_of, corpus.emotions, report)
            if segments and "words" in opened and video not in opened["words"]:
                for segment in segments:
                    report.drop(video, segment.segment, "the video has no words")
            elif segments:
                yield from _align(video, segments, opened, widths, settings, report)


def _folds(files: dict[str, Path], corpus: Corpus) -> dict[str, str]:
    """Return the fold of each video."""
    if corpus.standard_folds:
        return fold_of_video(standard_folds(corpus.standard_folds), corpus.standard_folds)
    return fold_of_video(read_folds(files["folds"]), str(files["folds"]))


def _width(sequence: Sequence) -> int:
    """Return the number of features of a sequence, from its first video that has any rows."""
    for video in sequence.videos:
        _, features = sequence.read(video)
        if len(features) and features.shape[1]:
            return features.shape[1]
        if len(features):
            raise HyConError(
                f"{sequence.path}: video {video} has {len(features)} rows without features; fetch "
                "the file again"
            )
    raise HyConError(f"{sequence.path}: no video has rows; fetch the file again")


def _segments(
    labels: Sequence,
    video: str,
    fold_of: dict[str, str],
    emotions: list[str] | None,
    report: Report,
) -> list[Utterance]:
    """Return a video's labelled segments in the file's order, without words yet."""
    intervals, features = labels.read(video)
    report.repeated += len(intervals) - len(np.unique(intervals, axis=0))
    # kept, without words: CMU-MOSI's label file has one, and all count it
    report.instants += int((intervals[:, 0] == intervals[:, 1]).sum())
    kept = []
    for segment, ((start, end), row) in enumerate(zip(intervals, features, strict=True)):
        try:
            if video not in fold_of:
                raise ValueError("the video is in no fold")
            if not np.isfinite((start, end)).all():
                raise ValueError("its start or end is not a finite number")
            if end < start:
                raise ValueError("it ends before it starts")
            label = read_label(row, emotions)
        except ValueError as reason:
            report.drop(video, segment, str(reason))
            continue
        kept.append(
            Utterance(
                id=f"{video}[{segment}]",
                video=video,
                segment=segment,
                fold=fold_of[video],
                start=float(start),
                end=float(end),
                words=0,
                label=label,
                text="",
            )
        )
    return kept


def _align(
    video: str,
    segments: list[Utterance],
    opened: dict[str, Sequence],
    widths: dict[str, int],
    settings: AlignConfig,
    report: Report,
) -> Iterator[tuple[Utterance, dict[str, np.ndarray]]]:
    """Yield a video's segments with their words and rows."""
    spans, words = np.zeros((0, 2)), np.zeros(0, str)
    if "words" in opened:
        spans, words = _words(opened["words"], video, settings.epsilon, report.tokens)
    limits = np.array([(segment.start, segment.end) for segment in segments])
    report.boundaries(spans, limits)
    said = frames_within(spans, limits, settings.epsilon)
    # a segment without words, as all of a corpus without text, has one row: of its own frames
    silent = [number for number, chosen in enumerate(said) if not len(chosen)]
    references = np.concatenate([spans, limits[silent]])
    rows = list(said)
    for place, number in enumerate(silent, start=len(spans)):
        rows[number] = np.array([place])
    found = {}
    for name, width in widths.items():
        intervals, frames = _frames(opened[name], video, width, report.counts[name])
        if settings.mode == "unaligned" and name != "vectors":
            found[name] = _own(intervals, frames, limits, name, settings, report)
        else:
            means, covered = pool_frames(intervals, frames, references, settings.epsilon)
            found[name] = [(means[chosen], covered[chosen]) for chosen in rows]
    for number, segment in enumerate(segments):
        text = {"words": len(said[number]), "text": " ".join(words[said[number]])}
        yield (
            dataclasses.replace(segment, **text),
            {name: report.known(name, *each[number]) for name, each in found.items()},
        )


def _words(
    sequence: Sequence, video: str, epsilon: float, counts: Counter
) -> tuple[np.ndarray, np.ndarray]:
    """Return spans (W, 2) and texts (W,) of a video's words, by start, without pauses."""
    spans, features = sequence.read(video)
    try:
        words = words_of(features)
    except ValueError as error:
        raise HyConError(
            f"{sequence.path}: video {video} has {error}; this is not the file of the words"
        ) from None
    with np.errstate(invalid="ignore"):
        lengths = np.where(np.isfinite(spans).all(axis=1), spans[:, 1] - spans[:, 0], np.nan)
    pauses, instants = words == PAUSE, np.abs(lengths) <= epsilon
    counts["pauses"] += int(pauses.sum())
    counts["words of no length"] += int((instants & ~pauses).sum())
    strange = {
        "words that end before they start": lengths < -epsilon,
        "words without a time": np.isnan(lengths),
        "words without a letter": words == "",
    }
    _count({name: (found & ~pauses).sum() for name, found in strange.items()}, counts)
    spoken = ~pauses & (lengths > epsilon) & (words != "")
    spans, words = spans[spoken], words[spoken]
    order = np.argsort(spans[:, 0], kind="stable")
    return spans[order], words[order]


def _frames(
    sequence: Sequence, video: str, width: int, counts: Counter
) -> tuple[np.ndarray, np.ndarray]:
    """Return a video's intervals (F, 2) and frames (F, D); none where the video is missing."""
    if video not in sequence:
        counts["videos missing"] += 1
        return np.zeros((0, 2)), np.zeros((0, width), np.float32)
    intervals, frames = sequence.read(video)
    if not len(frames):
        counts["videos without a frame"] += 1
        return np.zeros((0, 2)), np.zeros((0, width), np.float32)
    if frames.shape[1] != width or not np.issubdtype(frames.dtype, np.number):
        raise HyConError(
            f"{sequence.path}: video {video} has {frames.shape[1]} features of {frames.dtype}, "
            f"other videos {width} numbers; fetch the file again"
        )
    counts["frames"] += len(frames)
    strange = {
        "frames that end before they start": intervals[:, 1] < intervals[:, 0],
        "frames without a time": ~np.isfinite(intervals).all(axis=1),
    }
    _count({name: found.sum() for name, found in strange.items()}, counts)
    return intervals, frames


def _count(strange: dict[str, int], counts: Counter) -> None:
    """Count rare events, which the report mentions only if they happen."""
    counts.update({name: int(number) for name, number in strange.items() if number})


def _own(
    intervals: np.ndarray,
    frames: np.ndarray,
    limits: np.ndarray,
    name: str,
    settings: AlignConfig,
    report: Report,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return each segment's frames (n, D) in order of time; one row of NaN if there are none."""
    longest = getattr(settings.longest, name)
    found = []
    for chosen in frames_within(intervals, limits, settings.epsilon):
        report.counts[name]["utterances cut"] += int(len(chosen) > longest)
        rows = frames[chosen[:longest]] if len(chosen) else np.zeros((1, frames.shape[1]))
        found.append((rows, np.full(len(rows), len(chosen) > 0)))
    return found
