"""How rows of a table differ from its reference row."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hycon.corpus.utterances import Utterance, read_table
from hycon.evaluation.aggregation import check_parameters, read_output, read_scores
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
from hycon.params import Corpus
from hycon.plan.tasks import DifferenceTable, RowPair, digests
from hycon.progress import progress
from hycon.reporting import table_formats
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.reporting.tables import columns_of, opening

NOTE = (
    "Differences to the reference row with the same text encoder, test fold: mean over seeds, "
    f"[{COVERAGE:.0%} interval of {RESAMPLES} bootstrap resamples of the utterances], p of a "
    "paired two-sided t-test over seeds, not corrected for the number of tests (Wilcoxon's "
    "signed-rank test is in the CSV). Acc and F1 in percentage points."
)
# metrics that are shown; the CSV has all
SHOWN = ("acc7", "acc2_nonneg", "acc2_pos", "f1_pos", "mae_all", "corr_all")


class Difference(NamedTuple):
    """One metric of a row, against that of its reference."""

    model: str
    encoder: str
    metric: str
    tested: Paired
    interval: tuple[float, float]


class Comparison(NamedTuple):
    """A table of differences, ready to be written."""

    table: DifferenceTable
    key: str
    corpus: Corpus
    differences: list[Difference]


def make(table: DifferenceTable, key: str, corpus: Corpus) -> Comparison:
    """Compare the rows of a table with their references.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: scores or predictions cannot be read, were made with other parameters, or do not
            fit the utterances.
    """
    check_parameters(digests(row for pair in table.pairs for row in (pair.row, pair.reference)))
    utterances = read_table(table.aligned / "utterances.csv")
    return Comparison(table, key, corpus, differences(table.pairs, corpus, utterances))


def differences(
    pairs: list[RowPair], corpus: Corpus, utterances: list[Utterance]
) -> list[Difference]:
    """Compare each row with its reference, metric by metric.

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
        paths = pair.row.scores, pair.reference.scores
        row, reference = map(read_scores, paths)
        common = [seed for seed in row["seeds"] if seed in reference["seeds"]]
        sides = [
            (
                [
                    read_output(path.parent / f"seed-{seed}", len(utterances))[test]
                    for seed in common
                ],
                _metrics(scores, corpus, labels),
            )
            for path, scores in zip(paths, (row, reference), strict=True)
        ]
        intervals = bootstrap(*sides, len(labels))
        for metric in columns_of(corpus):
            values = [
                {seed: scores["seeds"][seed]["test"][metric] for seed in common}
                for scores in (row, reference)
            ]
            found.append(
                Difference(
                    pair.row.model, pair.row.encoder, metric, paired(*values), intervals[metric]
                )
            )
    return found


def _metrics(scores: dict[str, Any], corpus: Corpus, labels: list[str]) -> Resampled:
    f1 = scores["metrics"]["f1"]
    if corpus.emotions is None:
        return resampled_sentiment(np.array([float(label) for label in labels]), f1)
    numbers = np.array([corpus.emotions.index(label) for label in labels])
    apart = scores["settings"]["train"]["emotion_decision"] == "one-against-rest"
    return resampled_emotions(numbers, corpus.emotions, apart, f1)


def write(comparison: Comparison, path: Path) -> None:
    """Write the differences in every format; the CSV has all metrics.

    Args:
        comparison: result of `make`.
        path: path without suffix.
    """
    table, key, corpus, found = comparison
    counts = sorted({each.tested.n for each in found})
    caption = (
        f"{table.title}: differences. {opening(corpus)} Reference: {table.reference}. "
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
    sheet = DisplayTable(
        headings=["Text encoder", "Model", *(heading for heading, _ in columns.values())],
        sides="ll" + "r" * len(columns),
        rows=[[Cell(encoder), Cell(model), *row] for (encoder, model), row in rows.items()],
        caption=caption,
        label=f"{key}-{path.stem}",
    )
    table_formats.write(sheet, _numbers(found, table.reference, key), path)


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
