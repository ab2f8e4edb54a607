"""Published numbers and ours, with a verdict by a stated rule."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_scores, summarise
from hycon.params import Corpus, InferenceConfig, Published, lower_is_better
from hycon.plan.tasks import PublishedTable, digests
from hycon.reporting import table_formats
from hycon.reporting.captions import SENTIMENT, opening
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.reporting.tables import cell

NOTE = (
    "Published: as in its source. Ours: test fold, mean ± standard deviation over seeds (ddof 1). "
    "They agree if they differ by at most that deviation or the margin ({margins}), whichever is "
    "larger; otherwise ours is better or worse. Only metrics of the same convention are compared. "
    "An empty cell: not published, or not run here."
)

VERDICTS = ("agrees", "better", "worse", "")


class Line(NamedTuple):
    """One metric of a published row, and ours; `ours` is a summary over seeds, or None."""

    published: Published
    metric: str
    value: float
    ours: dict[str, Any] | None
    margin: float

    @property
    def factor(self) -> int:
        return SENTIMENT[self.metric][1]

    @property
    def difference(self) -> float | None:
        """Ours minus the published number, in its unit."""
        return None if self.ours is None else self.ours["mean"] * self.factor - self.value

    @property
    def verdict(self) -> str:
        if self.difference is None:
            return ""
        spread = (self.ours["std"] or 0.0) * self.factor
        if abs(self.difference) <= max(spread, self.margin * self.factor):
            return "agrees"
        return "better" if (self.difference < 0) == lower_is_better(self.metric) else "worse"


class Comparison(NamedTuple):
    """A table of published numbers and ours."""

    key: str
    corpus: Corpus
    lines: list[Line]
    inference: InferenceConfig


def make(table: PublishedTable, key: str, corpus: Corpus) -> Comparison:
    """Compare every published metric of one corpus with ours, if the row was run.

    Args:
        table: published rows, and ours.
        key: name of the corpus.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: scores cannot be read, or were made with other parameters.
    """
    check_parameters(digests(table.rows))
    ours = {row.row: _ours(row.scores) for row in table.rows}
    margin = table.inference.margin
    lines = [
        Line(each, metric, value, ours.get(each.row, {}).get(metric), margin(metric))
        for each in table.published
        for metric, value in each.metrics.items()
    ]
    return Comparison(key, corpus, lines, table.inference)


def _ours(path: Path) -> dict[str, dict[str, Any]]:
    """Return the summary of each of our metrics that has a published one's convention."""
    scores = read_scores(path)
    summary = summarise([run["test"] for run in scores["seeds"].values()])
    weighted = scores["metrics"]["f1"] == "weighted"  # as is every published F1
    return {name: each for name, each in summary.items() if weighted or name[:3] != "f1_"}


def write(comparison: Comparison, path: Path) -> None:
    """Write published numbers and ours in every format.

    Args:
        comparison: result of `make`.
        path: path without suffix.
    """
    key, corpus, found, inference = comparison
    sources = list(dict.fromkeys(line.published.source for line in found))
    listed = "; ".join(f"[{number}] {source}" for number, source in enumerate(sources, start=1))
    margins = inference.margins
    note = NOTE.format(
        margins=f"{100 * margins.acc:g} point Acc, {100 * margins.f1:g} F1, {margins.mae:g} MAE, "
        f"{margins.corr:g} Corr"
    )
    caption = f"Published numbers and ours. {opening(corpus)} {note} Sources: {listed}."
    numbers = pd.DataFrame(
        {
            "corpus": key,
            "model": line.published.model,
            "text_encoder": line.published.encoder,
            "metric": line.metric,
            "published": line.value,
            "mean": None if line.ours is None else line.ours["mean"] * line.factor,
            "std": None if not line.ours or line.ours["std"] is None
            else line.ours["std"] * line.factor,
            "n": None if line.ours is None else line.ours["n"],
            "difference": line.difference,
            "verdict": line.verdict,
            "source": line.published.source,
        }
        for line in found
    )  # fmt: skip
    headings = ("Model", "Text encoder", "Metric", "Published", "Ours", "Difference", "Verdict")
    sheet = DisplayTable(
        headings=[*headings, "Source"],
        sides="lllrrrll",
        rows=[_row(line, sources) for line in found],
        caption=caption,
        label=f"{key}-{path.stem}",
        named=3,
    )
    table_formats.write(sheet, numbers, path)


def _row(line: Line, sources: list[str]) -> list[Cell]:
    places = 1 if line.factor == 100 else 3
    ours, difference = Cell(""), Cell("")
    if line.ours:
        mean = line.ours["mean"] * line.factor
        ours = Cell(f"{cell(line.ours, line.factor)} (n = {line.ours['n']})", value=mean)
        difference = Cell(f"{line.difference:+.{places}f}", value=line.difference)
    return [
        Cell(line.published.model),
        Cell(line.published.encoder),
        Cell(SENTIMENT[line.metric][0]),
        Cell(f"{line.value:.{places}f}", value=line.value),
        ours,
        difference,
        Cell(line.verdict),
        Cell(f"[{sources.index(line.published.source) + 1}]"),
    ]


def read_table(path: Path) -> pd.DataFrame:
    """Read the CSV of a table.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        return pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def counts(frame: pd.DataFrame, label: str) -> DisplayTable:
    """Return how often each published model is met, from the table's CSV."""
    rows = []
    for (model, encoder), found in frame.groupby(["model", "text_encoder"], sort=False):
        numbers = [int((found.verdict == verdict).sum()) for verdict in VERDICTS]
        cells = [Cell(str(count), value=count) for count in numbers]
        rows.append([Cell(model), Cell(encoder), *cells])
    return DisplayTable(
        ["Published model", "Text encoder", "agrees", "better", "worse", "not run"], "llrrrr", rows,
        "Metrics of each published row, by our verdict; the rule is below the table of published "
        "numbers.", label,
    )  # fmt: skip
