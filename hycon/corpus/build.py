"""Write the utterances of a corpus, of any format, to the files that all later stages read.

A format is a module `from_NAME.py` in this folder, with a function `read` that yields utterances
and their rows.
"""

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hycon.atomic_io import write_json
from hycon.corpus.folds import training_rounds
from hycon.corpus.utterances import FOLDS, MODALITIES, Utterance, ragged_file, write_table
from hycon.errors import HyConError

# a boundary this far inside a word cuts it, seconds: forced alignment is no finer
CUT_DEPTH = 0.01
# in attention, each word looks at each: time and memory of training grow with the square
MANY_WORDS = 1000
# characters; a reader of tables takes no more than 131,072 in a field
LONGEST_TEXT = 100_000


class Report:
    """What happened on the way, for report.json."""

    def __init__(self) -> None:
        self.dropped: list[dict[str, str | int]] = []
        self.tokens = Counter()
        self.counts = {name: Counter() for name in MODALITIES}
        self.known_rows = Counter()  # by modality, those with a value that is known
        self.unlabelled: list[str] = []  # videos of the folds that have no labels
        self.repeated = 0  # segments with the times of another of their video
        self.instants = 0  # segments that end where they start
        self._bounds = self._cut = 0

    def drop(self, video: str, segment: int, reason: str) -> None:
        """Remember a segment that is left out, and why."""
        self.dropped.append({"video": video, "segment": segment, "reason": reason})

    def boundaries(self, spans: np.ndarray, limits: np.ndarray) -> None:
        """Count which of a video's segment boundaries cut a word.

        Args:
            spans: (W, 2) start and end of each word, seconds.
            limits: (S, 2) start and end of each segment, seconds.
        """
        edges = limits.reshape(-1, 1)
        inside = (spans[:, 0] + CUT_DEPTH < edges) & (edges < spans[:, 1] - CUT_DEPTH)
        self._bounds += len(edges)
        self._cut += int(inside.any(axis=1).sum())

    def known(self, name: str, rows: np.ndarray, covered: np.ndarray) -> np.ndarray:
        """Return an utterance's rows with NaN for all that is unknown, after counting it.

        Args:
            name: the modality.
            rows: (n, D) floating point.
            covered: (n,) bool; a row that is not has no frame.

        Returns:
            (n, D) float32.
        """
        counts = self.counts[name]
        counts["rows"] += len(rows)
        counts["rows without a frame"] += int((~covered).sum())
        counts["utterances without a frame"] += int(not covered.any())
        counts["NaN"] += int(np.isnan(rows[covered]).sum())
        counts["infinite"] += int(np.isinf(rows[covered]).sum())
        with np.errstate(over="ignore"):
            rows = rows.astype(np.float32)
        self.known_rows[name] += int((np.isfinite(rows).any(axis=1) & covered).sum())
        return np.where(np.isfinite(rows) & covered[:, None], rows, np.float32(np.nan))

    def content(self, utterances: list[Utterance]) -> dict:
        """Return the content of report.json."""
        folds = Counter(utterance.fold for utterance in utterances)
        videos = len({utterance.video for utterance in utterances})
        groups = {utterance.held_out for utterance in utterances} - {""}
        reasons = Counter(str(entry["reason"]) for entry in self.dropped)
        rare = {
            "videos of the folds without labels": self.unlabelled,
            "segments with the times of another": self.repeated,
            "segments of no length": self.instants,
            f"utterances of more than {MANY_WORDS} words": [
                utterance.id for utterance in utterances if utterance.words > MANY_WORDS
            ],
        }
        return {
            "utterances": {fold: folds[fold] for fold in FOLDS},
            **({"held-out groups": len(groups)} if groups else {}),
            "videos": videos,
            "words": sum(utterance.words for utterance in utterances),
            "left out of the words file": dict(sorted(self.tokens.items())),
            "utterances without words": [u.id for u in utterances if not u.words],
            "segment boundaries": self._bounds,
            "segment boundaries that cut a word": self._cut / max(1, self._bounds),
            "dropped, by reason": dict(reasons.most_common()),
            "dropped": self.dropped,
            **{name: found for name, found in rare.items() if found},
            "modalities": {
                name: dict(sorted(counts.items())) for name, counts in self.counts.items() if counts
            },
        }


def build(
    found: Iterable[tuple[Utterance, dict[str, np.ndarray]]],
    report: Report,
    folder: Path,
    where: Path,
) -> dict:
    """Write a corpus's utterances into a folder, in one pass, and return the report on them.

    Args:
        found: utterances with their rows (n, D) of each modality, n at least 1; what is left out is
            left to the report.
        report: what `found` reports to.
        folder: where the files described in `hycon.corpus.utterances` go, and report.json.
        where: the file that messages name.

    Raises:
        HyConError: no utterance is left, a fold is empty, or a video is in two folds.
    """
    utterances: list[Utterance] = []
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(ragged_file(folder / f"{name}.npy")) for name in MODALITIES
        }
        for utterance, rows in found:
            if max(len(utterance.text), len(utterance.id)) > LONGEST_TEXT:
                reason = f"its text or name is longer than {LONGEST_TEXT} characters"
                report.drop(utterance.video[:100], utterance.segment, reason)
                continue
            for name, file in files.items():
                # every corpus has the same output files; what it lacks is an array of width 0
                file.append(rows[name] if name in rows else np.zeros((1, 0), np.float32))
            utterances.append(utterance)
    _check_folds(utterances, where)
    write_table(folder / "utterances.csv", utterances)
    content = report.content(utterances)
    write_json(folder / "report.json", content)
    return content


def _check_folds(utterances: list[Utterance], where: Path) -> None:
    if not utterances:
        raise HyConError(f"{where}: no labelled utterance of these folds is left; see its labels")
    for fold in training_rounds(utterances).values():
        if missing := set(FOLDS) - set(fold.tolist()):
            raise HyConError(
                f"{where}: no utterance in the fold {', '.join(sorted(missing))}; the folds name "
                "videos that the labels do not have"
            )
    fold_of: dict[str, str] = {}
    for utterance in utterances:
        mine = utterance.held_out or utterance.fold
        fold = fold_of.setdefault(utterance.video, mine)
        if fold != mine:
            raise HyConError(
                f"{where}: video {utterance.video} is in the folds {fold} and {mine}; "
                "keep it in one"
            )
