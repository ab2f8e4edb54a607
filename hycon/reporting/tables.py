"""Tables of means and standard deviations over seeds."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_scores, summarise
from hycon.evaluation.comparison import distinguishable
from hycon.params import Corpus
from hycon.plan.tasks import ScoredRow, ScoreTable, digests
from hycon.reporting import controls, table_formats
from hycon.reporting.table_formats import Cell, DisplayTable, seed_ranges

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
BOLD_NOTE = (
    "Bold: the best of its column, if it differs from every other row (paired two-sided t-test "
    "over seeds, p < 0.05, not corrected for the number of tests)."
)
PARAMETERS_NOTE = "Parameters: trained ones, including those of a fine-tuned text encoder."
EMOTION_NOTE = "Each emotion: {decision}; all: one choice among all emotions; F1 {f1}; in per cent."
DECISIONS = {
    "one-against-rest": "one decision for it, trained against the rest",
    "joint": "whether it is chosen among all, trained as one choice",
}


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
    read, parameters, all_scores, by_seed = [], [], [], []
    columns = columns_of(corpus)
    hidden = [] if table.show_controls else [read_scores(row.scores) for row in table.controls]
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
        by_seed.append(tests)
    best = {
        (row, metric)
        for metric in columns
        if (
            row := _best(
                [{seed: test[metric] for seed, test in each.items()} for each in by_seed],
                lower=metric.startswith("mae"),
            )
        )
        is not None
    }
    warning = controls.warning([*all_scores, *hidden], corpus)
    caption = " ".join(
        [
            *([warning] if warning else []),
            f"{table.title}. {opening(corpus)}",
            *([f"Left out: {table.left_out}."] if table.left_out else []),
            *([table.note] if table.note else []),
            *([controls.NOTE] if table.show_controls and table.controls else []),
            *([controls.ONE_NOTE] if any(map(controls.has_one_modality, all_scores)) else []),
            f"Test fold, {_seeds(read)}; epoch selected on validation only.",
            PARAMETERS_NOTE,
            metrics_note(corpus, all_scores),
            *([BOLD_NOTE] if best else []),
        ]
    )
    return Table(table.experiment, key, caption, columns, read, parameters, best)


def _best(rows: list[dict[str, float]], lower: bool) -> int | None:
    """Return the row with the best mean over seeds if it differs from every other row."""
    means = [math.fsum(row.values()) / len(row) * (-1 if lower else 1) for row in rows]
    best = means.index(max(means))
    others = [row for number, row in enumerate(rows) if number != best]
    return best if distinguishable(rows[best], others) else None


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


def _seeds(rows: list[tuple[ScoredRow, dict, list[str]]]) -> str:
    """Return the seeds of the numbers, and how they are summarised."""
    seeds = rows[0][2]
    if len(seeds) == 1:
        return f"one seed ({seeds[0]}), so no spread"
    return (
        f"mean ± standard deviation (ddof 1) over seeds {seed_ranges(map(int, seeds))} "
        f"(n = {len(seeds)})"
    )


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
        }
        for (row, summary, seeds), parameters in zip(table.rows, table.parameters, strict=True)
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
