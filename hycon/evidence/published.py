"""Published numbers beside ours, with a verdict by a stated rule: CSV, Markdown, LaTeX."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hycon.evaluation.aggregation import over_seeds
from hycon.evidence.tables import SENTIMENT, cell, latex_table, latex_text, opening
from hycon.files import atomic_file
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
    ours = {each.row: over_seeds(scores[each.row]) for each in published if each.row in scores}
    return [
        Line(each, metric, value, ours.get(each.row, {}).get(metric))
        for each in published
        for metric, value in each.metrics.items()
    ]


def write(found: list[Line], key: str, corpus: Corpus, path: Path) -> None:
    """Write PATH.csv (full precision), PATH.md and PATH.tex.

    Args:
        found: of `lines`.
        key: the corpus's name.
        corpus: its entry in the catalogue.
        path: without its ending.
    """
    sources = list(dict.fromkeys(line.published.source for line in found))
    listed = "; ".join(f"[{number}] {source}" for number, source in enumerate(sources, start=1))
    caption = f"Published numbers beside ours. {opening(corpus)} {NOTE} Sources: {listed}."
    frame = pd.DataFrame(
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
            "caption": caption,
        }
        for line in found
    )  # fmt: skip
    with atomic_file(path.with_suffix(".csv")) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    shown = pd.DataFrame(_shown(line, sources) for line in found)
    alignment = ["left", "left", "left", "right", "right", "right", "left", "left"]
    text = shown.to_markdown(index=False, colalign=alignment, disable_numparse=True)
    with atomic_file(path.with_suffix(".md")) as temporary:
        temporary.write_text(f"{text}\n\n{caption}\n", encoding="utf-8")
    latex = latex_table(shown.map(latex_text), "lllrrrll", caption, f"{key}-{path.stem}")
    with atomic_file(path.with_suffix(".tex")) as temporary:
        temporary.write_text(latex, encoding="utf-8")


def _shown(line: Line, sources: list[str]) -> dict[str, str]:
    places = 1 if line.factor == 100 else 3
    ours = line.ours and f"{cell(line.ours, line.factor)} (n = {line.ours['n']})"
    return {
        "Model": line.published.model,
        "Text encoder": line.published.encoder,
        "Metric": SENTIMENT[line.metric][0],
        "Published": f"{line.value:.{places}f}",
        "Ours": ours or "",
        "Difference": "" if line.difference is None else f"{line.difference:+.{places}f}",
        "Verdict": line.verdict,
        "Source": f"[{sources.index(line.published.source) + 1}]",
    }
