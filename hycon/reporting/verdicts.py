"""Comparisons in words: with published numbers, and with reference rows."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hycon.errors import HyConError
from hycon.params import Corpus
from hycon.reporting.captions import columns_of
from hycon.reporting.table_formats import Cell, DisplayTable

LEVEL = 0.05
CONVENTION = (
    f"Distinguishable: p < {LEVEL} in a paired two-sided t-test over seeds, on the test fold, not "
    "corrected for the number of tests. The metrics of a row come from the same predictions, so "
    "its tests are not independent. Not distinguishable does not mean equal: with few seeds only "
    "large differences can be distinguished from chance. Better: higher, or lower for MAE."
)
VERDICTS = ("agrees", "better", "worse", "")


@dataclass(frozen=True)
class Comparison:
    """A reference row, and the rows that are distinguishable from it, in words."""

    title: str
    reference: str
    words: str
    apart: list[str]
    alike: list[str]


def read_table(path: Path) -> pd.DataFrame:
    """Read the CSV of a table.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        return pd.read_csv(path, keep_default_na=False, na_values={"p_t_test": [""]})
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def comparison(frame: pd.DataFrame, title: str, corpus: Corpus) -> Comparison:
    """Return the rows of a table of differences that are distinguishable from their reference.

    Args:
        frame: the CSV of `hycon.reporting.differences`.
        title: of the experiment.
        corpus: its entry in the catalogue.
    """
    columns, apart, alike = columns_of(corpus), [], []
    reference, tested = frame.reference[0], frame[frame.p_t_test.notna()]
    untested = len(frame) - len(tested)
    if tested.empty:
        words = f"Nothing could be tested against “{reference}”: that needs at least two seeds."
        return Comparison(title, reference, words, [], [])
    for (encoder, model), row in tested.groupby(["text_encoder", "model"], sort=False):
        low = row[row.p_t_test < LEVEL]
        found = "; ".join(_phrase(each, *columns[each.metric]) for each in low.itertuples())
        (apart if found else alike).append(f"{model}, {encoder}{': ' if found else ''}{found}")
    seeds = ", ".join(map(str, sorted(set(tested.n))))
    low = int((tested.p_t_test < LEVEL).sum())
    words = (
        f"{len(apart)} of {len(apart) + len(alike)} rows are distinguishable from “{reference}” on "
        f"some metric. {low} of {len(tested)} tests (n = {seeds} seeds) have p < {LEVEL}; if no "
        f"row differed, about {len(tested) * LEVEL:.0f} would by chance."
    )
    if untested:
        words += f" {untested} could not be tested (one seed, or equal numbers)."
    return Comparison(title, reference, words, apart, alike)


def _phrase(each: tuple, heading: str, factor: int) -> str:
    places = 1 if factor == 100 else 3
    better = (each.difference > 0) != each.metric.startswith("mae")
    p = "< .001" if each.p_t_test < 0.001 else f"{each.p_t_test:.3f}".removeprefix("0")
    return (
        f"{heading} {each.difference * factor:+.{places}f} "
        f"({'better' if better else 'worse'}, p\u00a0{p})"
    )


def verdicts(frame: pd.DataFrame, label: str) -> DisplayTable:
    """Return how often each published model is met, from the CSV of `hycon.reporting.published`."""
    rows = []
    for (model, encoder), found in frame.groupby(["model", "text_encoder"], sort=False):
        counts = [int((found.verdict == verdict).sum()) for verdict in VERDICTS]
        cells = [Cell(str(count), value=count) for count in counts]
        rows.append([Cell(model), Cell(encoder), *cells])
    return DisplayTable(
        ["Published model", "Text encoder", "agrees", "better", "worse", "not run"], "llrrrr", rows,
        "Metrics of each published row, by our verdict; the rule is below the table of published "
        "numbers.", label,
    )  # fmt: skip
