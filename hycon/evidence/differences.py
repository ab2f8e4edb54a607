"""How rows of a table differ from its reference row."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hycon.corpus.utterances import Utterance
from hycon.evaluation.aggregation import read_output, read_scores
from hycon.evaluation.comparison import (
    COVERAGE,
    RESAMPLES,
    Paired,
    Resampled,
    bootstrap,
    paired,
    resampled_emotions,
    resampled_sentiment,
)
from hycon.evidence import forms
from hycon.evidence.forms import Cell, Sheet
from hycon.evidence.tables import columns_of, opening
from hycon.params import Corpus
from hycon.progress import progress

NOTE = (
    "Differences to the reference row with the same text encoder, test fold: mean over seeds, "
    f"[{COVERAGE:.0%} interval of {RESAMPLES} bootstrap resamples of the utterances], p of a "
    "paired two-sided t-test over seeds, not corrected for the number of tests (Wilcoxon's "
    "signed-rank test is in the CSV). Acc and F1 in percentage points."
)
# what is shown; the CSV has all
SHOWN = ("acc7", "acc2_nonneg", "acc2_pos", "f1_pos", "mae_all", "corr_all")


class Pair(NamedTuple):
    """A row and its reference: what they are called, and where the scores of each lie."""

    model: str
    encoder: str
    scores: Path
    reference: Path


class Difference(NamedTuple):
    """One metric of a pair."""

    model: str
    encoder: str
    metric: str
    tested: Paired
    interval: tuple[float, float]


def differences(pairs: list[Pair], corpus: Corpus, utterances: list[Utterance]) -> list[Difference]:
    """Compare the rows with their references.

    Args:
        pairs: in order.
        corpus: its entry in the catalogue.
        utterances: all of the corpus, in the order of the predictions.

    Raises:
        HyConError: scores or predictions cannot be read, or do not fit the utterances.
    """
    test = [row for row, utterance in enumerate(utterances) if utterance.fold == "test"]
    labels = [utterances[row].label for row in test]
    found = []
    for pair in progress(pairs, "compare", unit="rows"):
        row, reference = read_scores(pair.scores), read_scores(pair.reference)
        common = [seed for seed in row["seeds"] if seed in reference["seeds"]]
        sides = [
            (
                [
                    read_output(path.parent / f"seed-{seed}", len(utterances))[test]
                    for seed in common
                ],
                _metrics(scores, corpus, labels),
            )
            for path, scores in ((pair.scores, row), (pair.reference, reference))
        ]
        intervals = bootstrap(*sides, len(labels))
        for metric in columns_of(corpus):
            values = [
                {seed: scores["seeds"][seed]["test"][metric] for seed in common}
                for scores in (row, reference)
            ]
            found.append(
                Difference(pair.model, pair.encoder, metric, paired(*values), intervals[metric])
            )
    return found


def _metrics(scores: dict[str, Any], corpus: Corpus, labels: list[str]) -> Resampled:
    f1 = scores["metrics"]["f1"]
    if corpus.emotions is None:
        return resampled_sentiment(np.array([float(label) for label in labels]), f1)
    numbers = np.array([corpus.emotions.index(label) for label in labels])
    apart = scores["settings"]["train"]["emotion_decision"] == "one-against-rest"
    return resampled_emotions(numbers, corpus.emotions, apart, f1)


def write(
    found: list[Difference],
    title: str,
    reference: str,
    key: str,
    corpus: Corpus,
    path: Path,
) -> None:
    """Write the differences in every form; the CSV has all metrics.

    Args:
        found: of `differences`.
        title: of the table that the rows are from.
        reference: what the reference row is called.
        key: the corpus's name.
        corpus: its entry in the catalogue.
        path: without its ending.
    """
    counts = sorted({each.tested.n for each in found})
    caption = (
        f"{title}: differences. {opening(corpus)} Reference: {reference}. "
        f"n = {', '.join(map(str, counts))} seeds. {NOTE}"
    )
    columns = {
        metric: column
        for metric, column in columns_of(corpus).items()
        if corpus.emotions is not None or metric in SHOWN
    }
    rows: dict[tuple[str, str], list[Cell]] = {}
    for each in found:
        if each.metric in columns:
            row = rows.setdefault((each.encoder, each.model), [])
            row.append(_cell(each, columns[each.metric][1]))
    sheet = Sheet(
        headings=["Text encoder", "Model", *(heading for heading, _ in columns.values())],
        sides="ll" + "r" * len(columns),
        rows=[[Cell(encoder), Cell(model), *row] for (encoder, model), row in rows.items()],
        caption=caption,
        label=f"{key}-{path.stem}",
    )
    forms.write(sheet, _numbers(found, reference, key), path)


def _cell(each: Difference, factor: int) -> Cell:
    places = 1 if factor == 100 else 3
    mean, low, high = (
        f"{value * factor:+z.{places}f}" for value in (each.tested.difference, *each.interval)
    )
    p = each.tested.t_test
    tested = "" if p is None else " p < .001" if p < 0.001 else f" p {p:.3f}".replace("0.", ".")
    return Cell(f"{mean} [{low}, {high}]{tested}", value=each.tested.difference)


def _numbers(found: list[Difference], reference: str, key: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "corpus": key,
            "text_encoder": each.encoder,
            "model": each.model,
            "reference": reference,
            "metric": each.metric,
            "difference": each.tested.difference,
            "low": each.interval[0],
            "high": each.interval[1],
            "n": each.tested.n,
            "p_t_test": each.tested.t_test,
            "p_wilcoxon": each.tested.wilcoxon,
        }
        for each in found
    )
