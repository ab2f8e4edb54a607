"""Headings and conventions of metrics, and what captions begin with."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hycon.params import Corpus

# heading and factor of each metric
SENTIMENT = {
    "acc7": ("Acc7", 100),
    "acc5": ("Acc5", 100),
    "acc2_nonneg": ("Acc2 nonneg", 100),
    "f1_nonneg": ("F1 nonneg", 100),
    "acc2_pos": ("Acc2 pos", 100),
    "f1_pos": ("F1 pos", 100),
    "mae_all": ("MAE all", 1),
    "corr_all": ("Corr all", 1),
    "mae_nonzero": ("MAE nonzero", 1),
    "corr_nonzero": ("Corr nonzero", 1),
}
SENTIMENT_NOTE = (
    "nonneg: y >= 0 against y < 0, all utterances; pos: y > 0 against y < 0, without neutral "
    "utterances; F1 {f1}; MAE and Corr over all or over non-neutral (nonzero) utterances; Acc and "
    "F1 in per cent."
)
EMOTION_NOTE = "Each emotion: {decision}; all: one choice among all emotions; F1 {f1}; in per cent."
DECISIONS = {
    "one-against-rest": "one decision for it, trained against the rest",
    "joint": "whether it is chosen among all, trained as one choice",
}


def opening(corpus: Corpus) -> str:
    """Return the opening of every caption: the corpus, whether it is generated, and its note."""
    parts = [f"Corpus: {corpus.title}."]
    if corpus.generator:
        parts.append("SAMPLE NUMBERS, not results.")
    if corpus.note:
        parts.append(corpus.note)
    if corpus.leaves_one_out:
        parts.append(
            "Each group is tested once, by a network that has not seen it: the test fold is all "
            "utterances."
        )
    return " ".join(parts)


def sample(rows: Sequence[int], most: int) -> np.ndarray:
    """Return row numbers (n,), or `most` of them in their order, always the same ones."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def sampled(shown: int, rows: int) -> str:
    """Return how many utterances are shown, and of how many if they are a `sample`."""
    if shown == rows:
        return f"{shown} utterances"
    return f"{shown:,} of {rows:,} utterances drawn at random, seed 0"


def columns_of(corpus: Corpus) -> dict[str, tuple[str, int]]:
    """Return heading and factor of each metric of a corpus, in the order of its tables."""
    return SENTIMENT if corpus.emotions is None else _emotion_columns(corpus.emotions)


def _emotion_columns(emotions: list[str]) -> dict[str, tuple[str, int]]:
    columns = {}
    for emotion in emotions:
        columns[f"acc_{emotion}"] = (f"Acc {emotion}", 100)
        columns[f"f1_{emotion}"] = (f"F1 {emotion}", 100)
    return {**columns, "acc": ("Acc all", 100), "f1": ("F1 all", 100)}


def metrics_note(corpus: Corpus, rows: list[dict[str, Any]]) -> str:
    """Return the conventions of a corpus's metrics, from the scores of a table's rows.

    If rows decide on emotions differently, the note lists the decision of each row.
    """
    averages = sorted({scores["metrics"]["f1"] for scores in rows})
    f1 = " or ".join(averages)
    if corpus.emotions is None:
        return SENTIMENT_NOTE.format(f1=f1)
    decisions = [scores["settings"]["train"]["emotion_decision"] for scores in rows]
    if len(set(decisions)) == 1:
        return EMOTION_NOTE.format(decision=DECISIONS[decisions[0]], f1=f1)
    each = "; ".join(f"row {row}, {DECISIONS[name]}" for row, name in enumerate(decisions, 1))
    return EMOTION_NOTE.format(decision=f"({each})", f1=f1)
