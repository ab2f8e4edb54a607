"""Data for `dvc plots`: curves over a parameter, training curves and confusion.

Each has a column `panel`; the templates in workflow/plots draw one picture per panel.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hycon.corpus.utterances import read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import over_seeds, read_output
from hycon.evaluation.metrics import rounded
from hycon.plan.tasks import CurvePoint, PlottedRuns
from hycon.reporting.run_records import read_histories

PLACES = 4


def curves(points: list[CurvePoint]) -> pd.DataFrame:
    """Return the mean over seeds of a test metric at each value of a parameter."""
    found = []
    for point in points:
        summary = over_seeds(point.row.scores).get(point.metric)
        if summary is None:
            raise HyConError(
                f"{point.row.scores}: lacks test {point.metric}; evaluate the runs again"
            )
        found.append(
            {"panel": _harmless(point.panel), "x": point.x, "mean": _short(summary["mean"])}
        )
    return pd.DataFrame(found, columns=["panel", "x", "mean"])


def training(rows: list[PlottedRuns]) -> pd.DataFrame:
    """Return each row's mean validation score by epoch over seeds, while all seeds train."""
    found = []
    for row in rows:
        histories = [
            dict(points)
            for folder in _folders(row)
            for points in read_histories(folder / "history.csv")
        ]
        for epoch in range(1, min(map(len, histories)) + 1):
            mean = math.fsum(history[epoch] for history in histories) / len(histories)
            found.append(
                {"panel": _harmless(row.panel), "epoch": epoch, "validation": _short(mean)}
            )
    return pd.DataFrame(found, columns=["panel", "epoch", "validation"])


def confusion(rows: list[PlottedRuns]) -> pd.DataFrame:
    """Return the confusion counts of the test fold, summed over seeds.

    Scores are rounded to seven classes; of emotions the one of the largest score is taken.
    """
    found = []
    for row in rows:
        utterances = read_table(row.aligned / "utterances.csv")
        test = [number for number, each in enumerate(utterances) if each.fold == "test"]
        labels = [utterances[number].label for number in test]
        counts: Counter[tuple[Any, Any]] = Counter()
        for folder in _folders(row):
            predictions = read_output(folder, len(utterances))[test]
            counts.update(_decisions(labels, predictions, row.corpus.emotions))
        found += [
            {
                "panel": _harmless(row.panel),
                "actual": actual,
                "predicted": predicted,
                "count": count,
            }
            for (actual, predicted), count in sorted(counts.items())
        ]
    return pd.DataFrame(found, columns=["panel", "actual", "predicted", "count"])


def _folders(row: PlottedRuns) -> list[Path]:
    return [row.runs / f"seed-{seed}" for seed in row.seeds]


def _decisions(
    labels: list[str], predictions: np.ndarray, emotions: list[str] | None
) -> list[tuple[Any, Any]]:
    if emotions is not None:
        chosen = [emotions[number] for number in predictions.argmax(axis=1)]
        return list(zip(labels, chosen, strict=True))
    actual, chosen = (
        rounded(np.asarray(scores, dtype=np.float64), 3).astype(int).tolist()
        for scores in (labels, predictions)
    )
    return list(zip(actual, chosen, strict=True))


def _harmless(label: str) -> str:
    """Return a label that cannot end the script of DVC's page, which does not escape it."""
    return label.replace("<", "‹")


def _short(value: float) -> float:
    return round(value, PLACES)
