"""Tables of means and standard deviations over seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_runs, read_scores, summarise
from hycon.evaluation.inference import Runs, compare, holm, interquartile_mean, verdict
from hycon.params import Corpus, InferenceConfig, lower_is_better
from hycon.plan.tasks import ScoredRow, ScoreTable, digests
from hycon.reporting import controls, table_formats
from hycon.reporting.captions import columns_of, metrics_note, opening
from hycon.reporting.table_formats import Cell, DisplayTable, number, seed_ranges

BOLD_NOTE = (
    "Bold: the best of its column, if its verdict against every other row is “better” (p < 0.05 "
    "over seeds and utterances, corrected for the number of rows by Holm's method)."
)
RUNAWAY_NOTE = (
    "Runs far from the others move a mean. Interquartile means, which leave out a quarter of the "
    "runs at each end: {rows}."
)
PARAMETERS_NOTE = "Parameters: trained ones, including those of a fine-tuned text encoder."


@dataclass(frozen=True)
class Table:
    """A table: a summary by metric for each row, and its caption."""

    name: str
    corpus: str
    caption: str
    columns: dict[str, tuple[str, int]]  # metric: (heading, factor)
    rows: list[tuple[ScoredRow, dict[str, Any], list[str]]]  # row, summary, seeds
    parameters: list[int]  # trained ones of each row's network
    best: set[tuple[int, str]]  # (row, metric) of those that are bold
    runs: list[Runs]  # of each row


def make(table: ScoreTable, key: str, corpus: Corpus) -> Table:
    """Read the scores of a table's rows.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: scores cannot be read, or were made with other parameters.
    """
    check_parameters(digests([*table.rows, *table.controls]))
    read, parameters, all_scores, all_runs = [], [], [], []
    columns = columns_of(corpus)
    shown = [row.model_copy(update={"model": f"Control: {row.model}"}) for row in table.controls]
    for row in [*table.rows, *(shown if table.show_controls else [])]:
        scores = read_scores(row.scores)
        seeds = scores["seeds"]
        all_scores.append(scores)
        try:
            tests = {
                seed: {name: run["test"][name] for name in columns} for seed, run in seeds.items()
            }
            parameters.append(int(next(iter(seeds.values()))["parameters"]["all"]))
        except (KeyError, TypeError, ValueError) as error:
            raise HyConError(f"{row.scores}: lacks {error}; evaluate the runs again") from None
        read.append((row, summarise(list(tests.values())), list(seeds)))
        all_runs.append(read_runs(row.scores, columns))
    found = {metric: _best(all_runs, metric, table.inference) for metric in columns}
    best = {(row, metric) for metric, row in found.items() if row is not None}
    warning = controls.warning([*table.rows, *table.controls], corpus, table.inference)
    caption = " ".join(
        [
            *([warning] if warning else []),
            f"{table.title}. {opening(corpus)}",
            *([f"Left out: {table.left_out}."] if table.left_out else []),
            *([table.note] if table.note else []),
            *([controls.NOTE] if table.show_controls and table.controls else []),
            *([controls.ONE_NOTE] if any(map(controls.has_one_modality, all_scores)) else []),
            f"Test fold, {seeds_note(read)}; epoch selected on validation only.",
            PARAMETERS_NOTE,
            metrics_note(corpus, all_scores),
            *([BOLD_NOTE] if best else []),
            *_runaways(read, all_runs, corpus, table.inference),
        ]
    )
    return Table(table.experiment, key, caption, columns, read, parameters, best, all_runs)


def _best(rows: list[Runs], metric: str, inference: InferenceConfig) -> int | None:
    """Return the row with the best mean over seeds if it is better than every other row."""
    lower = lower_is_better(metric)
    means = [row.values[metric].mean() * (-1 if lower else 1) for row in rows]
    best, margin = int(np.argmax(means)), inference.margin(metric)
    others = [row for number, row in enumerate(rows) if number != best]
    found = [compare(rows[best], row, metric, margin) for row in others]
    corrected = holm([each.p for each in found]), holm([each.p_equivalent for each in found])
    words = {verdict(each, lower, *p) for each, *p in zip(found, *corrected, strict=True)}
    return best if words == {"better"} else None


def _runaways(
    rows: list[tuple[ScoredRow, dict, list[str]]],
    runs: list[Runs],
    corpus: Corpus,
    inference: InferenceConfig,
) -> list[str]:
    """Return a note on rows whose mean is far from their interquartile mean."""
    metric = inference.primary_of(corpus.task)
    heading, factor = columns_of(corpus)[metric]
    found = []
    for (row, summary, _), each in zip(rows, runs, strict=True):
        middle, std = interquartile_mean(each.values[metric]), summary[metric]["std"] or 0.0
        if abs(middle - summary[metric]["mean"]) > max(std / 4, inference.margin(metric)):
            found.append(f"{row.model}, {row.encoder}, {heading} {number(middle, factor)}")
    return [RUNAWAY_NOTE.format(rows="; ".join(found))] if found else []


def seeds_note(rows: list[tuple[ScoredRow, dict, list[str]]]) -> str:
    """Return the seeds of the numbers, and how they are summarised."""
    models: dict[tuple[str, ...], list[str]] = {}
    for row, _, seeds in rows:
        models.setdefault(tuple(seeds), []).append(row.model)
    seeds, *fewer = sorted(models, key=len, reverse=True)
    if len(seeds) == 1:
        return f"one seed ({seeds[0]}), so no spread"
    given = [f"over {_counted(seeds)}"]
    given += [f"{_counted(each)} of {', '.join(dict.fromkeys(models[each]))}" for each in fewer]
    return f"mean ± standard deviation (ddof 1) {'; '.join(given)}"


def _counted(seeds: tuple[str, ...]) -> str:
    return f"seeds {seed_ranges(map(int, seeds))} (n = {len(seeds)})"


def cell(
    summary: dict[str, float | int | None], factor: int, spread: str = "{mean} ± {std}"
) -> str:
    """Return mean and std as a reader sees them: per cent to 1 place, others to 3."""
    places = 1 if factor == 100 else 3
    mean = f"{summary['mean'] * factor:.{places}f}"
    if summary["std"] is None:
        return mean
    return spread.format(mean=mean, std=f"{summary['std'] * factor:.{places}f}")


def write(table: Table, path: Path) -> None:
    """Write a table in every form (see `hycon.reporting.table_formats`).

    Args:
        table: of `make`.
        path: without its ending.
    """
    table_formats.write(_sheet(table), _numbers(table), path)


def _numbers(table: Table) -> pd.DataFrame:
    """Return every number at full precision: fractions, and MAE in units of the score."""
    return pd.DataFrame(
        {
            "corpus": table.corpus,
            "experiment": table.name,
            "text_encoder": row.encoder,
            "model": row.model,
            "n": len(seeds),
            "seeds": " ".join(seeds),
            "parameters": parameters,
            **{
                f"{metric}_{part}": summary[metric][part]
                for metric in table.columns
                for part in ("mean", "std")
            },
            **{
                f"{metric}_interquartile": interquartile_mean(runs.values[metric])
                for metric in table.columns
            },
        }
        for (row, summary, seeds), parameters, runs in zip(
            table.rows, table.parameters, table.runs, strict=True
        )
    )


def _sheet(table: Table) -> DisplayTable:
    rows = [
        [
            Cell(row.encoder),
            Cell(row.model),
            Cell(f"{parameters:,}", value=parameters),
            *(
                _cell(summary[metric], factor, (number, metric) in table.best)
                for metric, (_, factor) in table.columns.items()
            ),
        ]
        for number, ((row, summary, _), parameters) in enumerate(
            zip(table.rows, table.parameters, strict=True)
        )
    ]
    headings = [heading for heading, _ in table.columns.values()]
    return DisplayTable(
        headings=["Text encoder", "Model", "Parameters", *headings],
        sides="llr" + "r" * len(headings),
        rows=rows,
        caption=table.caption,
        label=f"{table.corpus}-{table.name}",
    )


def _cell(summary: dict[str, float | int | None], factor: int, bold: bool) -> Cell:
    latex = cell(summary, factor, r"${mean}_{{\pm {std}}}$")
    return Cell(cell(summary, factor), bold, summary["mean"], latex)
