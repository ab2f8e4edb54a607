"""Published numbers beside ours, with a verdict by a stated rule."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hycon.evaluation.aggregation import read_scores, summarise
from hycon.evidence import forms
from hycon.evidence.forms import Cell, Sheet
from hycon.evidence.tables import SENTIMENT, cell, opening
from hycon.params import Corpus, Published

# how far apart two numbers may be and still agree, beside one standard deviation
POINTS, UNITS = 1.0, 0.02
NOTE = (
    "Published: as its source has it. Ours: test fold, mean ± standard deviation over seeds (ddof "
    f"1). They agree if they differ by at most that deviation, or {POINTS:g} point (Acc, F1) or "
    f"{UNITS:g} (MAE, Corr), whichever is more; else ours is better or worse. Only metrics of the "
    "same convention are held against each other. An empty cell: not published, or not run here."
)


class Line(NamedTuple):
    """One metric of a published row, and ours; `ours` is a summary over seeds, or None."""

    published: Published
    metric: str
    value: float
    ours: dict[str, Any] | None

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
        if abs(self.difference) <= max(spread, POINTS if self.factor == 100 else UNITS):
            return "agrees"
        higher_is_better = not self.metric.startswith("mae")
        return "better" if (self.difference > 0) == higher_is_better else "worse"


def lines(published: list[Published], scores: dict[str, Path]) -> list[Line]:
    """Return every published metric of one corpus, ours beside it where the row was run.

    Args:
        published: rows of the corpus.
        scores: path of the scores of our rows, by row.

    Raises:
        HyConError: scores cannot be read.
    """
    ours = {each.row: _ours(scores[each.row]) for each in published if each.row in scores}
    return [
        Line(each, metric, value, ours.get(each.row, {}).get(metric))
        for each in published
        for metric, value in each.metrics.items()
    ]


def _ours(path: Path) -> dict[str, dict[str, Any]]:
    """Return the summary of each of our metrics that has a published one's convention."""
    scores = read_scores(path)
    summary = summarise([run["test"] for run in scores["seeds"].values()])
    weighted = scores["metrics"]["f1"] == "weighted"  # as is every published F1
    return {name: each for name, each in summary.items() if weighted or name[:3] != "f1_"}


def write(found: list[Line], key: str, corpus: Corpus, path: Path) -> None:
    """Write the published numbers beside ours in every form.

    Args:
        found: of `lines`.
        key: the corpus's name.
        corpus: its entry in the catalogue.
        path: without its ending.
    """
    sources = list(dict.fromkeys(line.published.source for line in found))
    listed = "; ".join(f"[{number}] {source}" for number, source in enumerate(sources, start=1))
    caption = f"Published numbers beside ours. {opening(corpus)} {NOTE} Sources: {listed}."
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
    sheet = Sheet(
        headings=[*headings, "Source"],
        sides="lllrrrll",
        rows=[_row(line, sources) for line in found],
        caption=caption,
        label=f"{key}-{path.stem}",
        named=3,
    )
    forms.write(sheet, numbers, path)


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
