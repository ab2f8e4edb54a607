"""How scores fall as input is missing or noisy: areas under the curves, as a table."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hycon.errors import HyConError
from hycon.evaluation.aggregation import summarise
from hycon.params import Corpus
from hycon.plan.tasks import RobustnessTable, ScoredRow
from hycon.reporting import table_formats
from hycon.reporting.captions import columns_of, opening
from hycon.reporting.table_formats import Cell, DisplayTable, seed_ranges
from hycon.reporting.tables import cell
from hycon.untrusted.safe_json import read_json

NOTE = (
    "Networks as trained, test fold with changed input. Area: under the curve of the score over "
    "the share of missing steps of all modalities (after LNLN), or over noise (normal, in standard "
    "deviations of each feature), divided by the width of the axis, so that it is a mean score; "
    "trapezoidal rule. Without a modality: all its steps are zeros (after MSA-Robustness). Missing "
    "steps are zeros: the mean of standardised features."
)
Curves = dict[tuple[str, float], dict[str, dict[str, float]]]


class Robustness(NamedTuple):
    """A table of robustness, ready to be written."""

    table: RobustnessTable
    key: str
    corpus: Corpus
    curves: dict[str, Curves]


def read_curves(path: Path, rows: list[ScoredRow], metrics: list[str]) -> dict[str, Curves]:
    """Return, by row and (kind, amount), the metrics of each seed.

    Raises:
        HyConError: the file cannot be read, or lacks a row or a metric.
    """
    try:
        found = read_json(path)["rows"]
        curves = {}
        for row in rows:
            curves[row.row] = {
                (str(each["kind"]), float(each["amount"])): {
                    seed: {metric: float(run[metric]) for metric in metrics}
                    for seed, run in each["seeds"].items()
                }
                for each in found[row.row]
            }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None
    return curves


def make(table: RobustnessTable, key: str, corpus: Corpus) -> Robustness:
    """Read the curves of a table's rows.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: they cannot be read.
    """
    curves = read_curves(table.measured, table.rows, list(columns_of(corpus)))
    return Robustness(table, key, corpus, curves)


def kinds_of(curves: Curves) -> list[str]:
    """Return the kinds of a row's curves, in order."""
    return list(dict.fromkeys(kind for kind, _ in curves))


def area(curves: Curves, kind: str, metric: str) -> dict[str, float]:
    """Return the mean height of a curve for each seed; its value if it has one point."""
    points = sorted((amount, runs) for (each, amount), runs in curves.items() if each == kind)
    x = np.array([amount for amount, _ in points])
    found = {}
    for seed in points[0][1]:
        y = np.array([runs[seed][metric] for _, runs in points])
        found[seed] = float(np.trapezoid(y, x) / (x[-1] - x[0])) if len(x) > 1 else float(y[0])
    return found


def write(found: Robustness, path: Path) -> None:
    """Write the areas in every format; the CSV has every point of every metric.

    Args:
        found: result of `make`.
        path: path without suffix.
    """
    table, key, corpus, curves = found
    columns = columns_of(corpus)
    kinds = list(dict.fromkeys(kind for each in curves.values() for kind in kinds_of(each)))
    first = next(iter(curves.values()))
    seeds = next(iter(first.values()))
    headings = {"missing": "area, missing", "noise": "area, noise"}
    shown = [(metric, kind) for metric in table.metrics for kind in ("whole", *kinds)]
    sheet = DisplayTable(
        headings=[
            "Text encoder", "Model",
            *(f"{columns[metric][0]} {headings.get(kind, kind)}" for metric, kind in shown),
        ],
        sides="ll" + "r" * len(shown),
        rows=[
            [
                Cell(row.encoder), Cell(row.model),
                *(_cell(curves[row.row], kind, metric, columns[metric][1])
                  for metric, kind in shown),
            ]
            for row in table.rows
        ],
        caption=(
            f"{table.title}: robustness. {opening(corpus)} Mean ± standard deviation (ddof 1) over "
            f"seeds {seed_ranges(map(int, seeds))} (n = {len(seeds)}). {NOTE}"
        ),
        label=f"{key}-{path.stem}",
    )  # fmt: skip
    table_formats.write(sheet, _numbers(found), path)


def _cell(curves: Curves, kind: str, metric: str, factor: int) -> Cell:
    if kind == "whole":
        runs = {seed: run[metric] for seed, run in curves["missing", 0.0].items()}
    elif kind not in kinds_of(curves):
        return Cell("")
    else:
        runs = area(curves, kind, metric)
    summary = summarise([{"": value} for value in runs.values()])[""]
    return Cell(cell(summary, factor), value=summary["mean"])


def _numbers(found: Robustness) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "corpus": found.key, "text_encoder": row.encoder, "model": row.model, "kind": kind,
            "amount": amount, "seed": seed, **run,
        }
        for row in found.table.rows
        for (kind, amount), runs in found.curves[row.row].items()
        for seed, run in runs.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)
