"""From a corpus's files to aligned utterances: one video at a time, in one pass."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hycon.corpus.align import pool_frames
from hycon.corpus.labels import read_label
from hycon.corpus.sequences import Sequence, open_sequence, words_of
from hycon.corpus.utterances import RowWriter, Utterance, write_table
from hycon.errors import HyConError
from hycon.files import write_json
from hycon.progress import progress

PAUSE = "sp"
MODALITIES = ("audio", "vision", "vectors")
# a boundary this far inside a word cuts it, seconds: forced alignment is no finer
CUT_DEPTH = 0.01


def build(
    files: dict[str, Path],
    fold_of: dict[str, str],
    emotions: list[str] | None,
    epsilon: float,
    folder: Path,
) -> dict:
    """Write a corpus's aligned utterances into a folder and return the report on them.

    Args:
        files: computational sequences by `words`, `audio`, `vision`, `labels` and, if there are
            word vectors, `vectors`.
        fold_of: fold of each video.
        emotions: names of the emotions, or None where the labels are scores.
        epsilon: shortest overlap that counts, seconds.
        folder: where the files described in `hycon.corpus.utterances` go.

    Raises:
        HyConError: a file is not what it should be, or no utterance is left.
    """
    report = _Report()
    utterances: list[Utterance] = []
    with ExitStack() as stack:
        opened = {name: stack.enter_context(open_sequence(path)) for name, path in files.items()}
        writers = {
            name: stack.enter_context(RowWriter(folder / f"{name}.npy"))
            for name in MODALITIES
            if name in opened
        }
        widths = {name: _width(opened[name]) for name in writers}
        for video in progress(opened["labels"].videos, "align", unit="videos"):
            segments = _segments(opened["labels"], video, fold_of, emotions, report)
            if not segments:
                continue
            if video not in opened["words"]:
                for segment in segments:
                    report.drop(video, segment.segment, "the video has no words")
                continue
            for segment, rows in _align(video, segments, opened, widths, epsilon, report):
                for name, writer in writers.items():
                    writer.append(rows[name])
                utterances.append(segment)
    if not utterances:
        raise HyConError(f"{files['labels']}: no labelled segment of these folds has words")
    _require_all_folds(utterances, files["labels"])
    offsets = np.cumsum([0] + [max(1, utterance.words) for utterance in utterances])
    np.save(folder / "offsets.npy", offsets.astype(np.int64))
    if "vectors" not in writers:  # a rule's outputs are the same for every corpus
        np.save(folder / "vectors.npy", np.zeros((offsets[-1], 0), dtype=np.float32))
    write_table(folder / "utterances.csv", utterances)
    content = report.content(utterances, list(writers))
    write_json(folder / "report.json", content)
    return content


def _width(sequence: Sequence) -> int:
    """Return the number of features of a sequence, from its first video."""
    if not sequence.videos:
        raise HyConError(f"{sequence.path}: holds no video; fetch it again")
    return sequence.read(sequence.videos[0])[1].shape[1]


def _segments(labels, video, fold_of, emotions, report) -> list[Utterance]:
    """Return a video's labelled segments in the file's order, without words yet."""
    intervals, features = labels.read(video)
    kept = []
    for segment, ((start, end), row) in enumerate(zip(intervals, features, strict=True)):
        try:
            if video not in fold_of:
                raise ValueError("the video is in no fold")
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


def _align(video, segments, opened, widths, epsilon, report):
    """Yield each segment with its words, and its rows (max(1, words), D) of every modality."""
    spans, words = _words(opened["words"], video, epsilon, report.tokens)
    limits = np.array([(segment.start, segment.end) for segment in segments])
    meets = (
        np.minimum(spans[:, 1], limits[:, 1, None]) - np.maximum(spans[:, 0], limits[:, 0, None])
        > epsilon
    )  # (segments, words)
    report.boundaries(spans, limits)
    # a segment without words has one row, of the frames of the segment itself
    references = np.concatenate([spans, limits])
    pooled = {
        name: _pool(opened[name], video, references, widths[name], epsilon, report.counts[name])
        for name in widths
    }
    for number, segment in enumerate(segments):
        chosen = np.flatnonzero(meets[number])
        rows = chosen if len(chosen) else np.array([len(spans) + number])
        features = {}
        for name, (means, covered) in pooled.items():
            features[name] = _finite(means[rows], covered[rows], report.counts[name])
            report.counts[name]["rows"] += len(rows)
            report.counts[name]["rows without a frame"] += int((~covered[rows]).sum())
            report.counts[name]["utterances without a frame"] += int(not covered[rows].any())
        yield (
            Utterance(
                **{
                    **vars(segment),
                    "words": len(chosen),
                    "text": " ".join(words[chosen]),
                }
            ),
            features,
        )


def _words(
    sequence: Sequence, video: str, epsilon: float, counts: Counter
) -> tuple[np.ndarray, np.ndarray]:
    """Return spans (W, 2) and texts (W,) of a video's words, by start, without pauses."""
    spans, features = sequence.read(video)
    words = words_of(features)
    pauses, instants = words == PAUSE, spans[:, 1] - spans[:, 0] <= epsilon
    counts["pauses"] += int(pauses.sum())
    counts["words of no length"] += int((instants & ~pauses).sum())
    spoken = ~pauses & ~instants & (words != "")
    spans, words = spans[spoken], words[spoken]
    order = np.argsort(spans[:, 0], kind="stable")
    return spans[order], words[order]


def _pool(sequence, video, references, width, epsilon, counts) -> tuple[np.ndarray, np.ndarray]:
    """Return means (R, D) float32 over each reference, and covered (R,)."""
    if video not in sequence:
        counts["videos missing"] += 1
        return np.zeros((len(references), width), np.float32), np.zeros(len(references), bool)
    intervals, frames = sequence.read(video)
    if frames.shape[1] != width or not np.issubdtype(frames.dtype, np.number):
        raise HyConError(
            f"{sequence.path}: video {video} has {frames.shape[1]} features of {frames.dtype}, "
            f"other videos {width} numbers; fetch the file again"
        )
    counts["frames"] += len(frames)
    means, covered = pool_frames(intervals, frames, references, epsilon)
    return means.astype(np.float32), covered


def _finite(rows: np.ndarray, covered: np.ndarray, counts: Counter) -> np.ndarray:
    """Return rows with NaN for all that is unknown, after counting NaN and infinities."""
    counts["NaN"] += int(np.isnan(rows).sum())
    counts["infinite"] += int(np.isinf(rows).sum())
    return np.where(np.isfinite(rows) & covered[:, None], rows, np.float32(np.nan))


def _require_all_folds(utterances: list[Utterance], where: Path) -> None:
    missing = {"train", "valid", "test"} - {utterance.fold for utterance in utterances}
    if missing:
        raise HyConError(
            f"{where}: no utterance in the fold {', '.join(sorted(missing))}; the folds name "
            "videos that the labels do not have"
        )


class _Report:
    """What happened on the way, for report.json."""

    def __init__(self) -> None:
        self.dropped: list[dict[str, str | int]] = []
        self.tokens = Counter()
        self.counts = {name: Counter() for name in MODALITIES}
        self._bounds = self._cut = 0

    def drop(self, video: str, segment: int, reason: str) -> None:
        self.dropped.append({"video": video, "segment": segment, "reason": reason})

    def boundaries(self, spans: np.ndarray, limits: np.ndarray) -> None:
        """Count the segment boundaries that cut a word."""
        edges = limits.reshape(-1, 1)
        inside = (spans[:, 0] + CUT_DEPTH < edges) & (edges < spans[:, 1] - CUT_DEPTH)
        self._bounds += len(edges)
        self._cut += int(inside.any(axis=1).sum())

    def content(self, utterances: list[Utterance], modalities: list[str]) -> dict:
        folds = Counter(utterance.fold for utterance in utterances)
        return {
            "utterances": {fold: folds[fold] for fold in ("train", "valid", "test")},
            "words": sum(utterance.words for utterance in utterances),
            "left out of the words file": dict(sorted(self.tokens.items())),
            "utterances without words": [u.id for u in utterances if not u.words],
            "segment boundaries that cut a word": self._cut / max(1, self._bounds),
            "dropped": self.dropped,
            "modalities": {name: dict(sorted(self.counts[name].items())) for name in modalities},
        }
