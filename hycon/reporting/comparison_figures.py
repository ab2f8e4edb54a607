"""Figures of an experiment's rows against their reference: differences, single seeds, chances."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from hycon.evaluation.inference import (
    LEVEL,
    POWER,
    Comparison,
    chances,
    interquartile_mean,
    seeds_to_decide,
    smallest_detectable,
)
from hycon.params import FigureConfig
from hycon.reporting.figures import PAGE, STYLE, save, unit
from hycon.reporting.table_formats import effect, number

# what is farther than so many times the row in the middle is beyond the axis, so that it does not
# squash the others
REACH = 3
LEAST = 2  # margins that count as the row in the middle at least
LETTERS = 30  # of a label's line
MOST_SEEDS = 100  # the chances are drawn to at least as many


class Row(NamedTuple):
    """A row and its comparison with the reference, not yet multiplied by the metric's factor."""

    label: str
    values: np.ndarray  # (n,) of its seeds
    differences: np.ndarray  # (m,) of single seeds, see `seed_differences`
    found: Comparison
    verdict: str


class Measure(NamedTuple):
    """The metric that is drawn."""

    heading: str
    factor: int  # 100 for values in per cent
    lower: bool  # whether lower is better


def seed_differences(
    row: Mapping[str, float], reference: Mapping[str, float], paired: bool
) -> np.ndarray:
    """Return the differences (m,) of single seeds, whose mean is the compared difference.

    Args:
        row, reference: a metric by seed.
        paired: whether runs of the same seed were compared; if not, each run of the row has the
            mean of the reference's runs subtracted.
    """
    if paired:
        return np.array([value - reference[seed] for seed, value in row.items()
                         if seed in reference])  # fmt: skip
    return np.array(list(row.values())) - np.mean(list(reference.values()))


def limits(rows: Sequence[Sequence[float]], centre: float, margin: float) -> tuple[float, float]:
    """Return the ends of an axis: the outermost points that are not far from all others.

    Args:
        rows: what is drawn of each row.
        centre: of the axis.
        margin: largest difference that counts as none.
    """
    extents = [max(abs(point - centre) for point in row) for row in rows]
    far = REACH * max(statistics.median_low(extents), LEAST * margin)
    shown = [point for row in rows for point in row if abs(point - centre) <= far]
    return min(shown), max(shown)


def write_forest(
    rows: Sequence[Row],
    reference: str,
    measure: Measure,
    caption: str,
    path: Path,
    colours: FigureConfig,
) -> None:
    """Write a forest plot: a line for each row with its difference from the reference.

    Args:
        rows: from top to bottom.
        reference: its label.
        measure: the metric.
        caption: goes to PATH.txt.
        path: without its ending; PATH.svg, .pdf, .png and .txt are written.
        colours: of the bars.
    """
    with matplotlib.style.context(["default", STYLE]):
        labels = _wrapped([row.label for row in rows])
        figure = Figure(figsize=(PAGE, 0.9 + _height(labels)), layout="constrained")
        axes = figure.subplots()
        _draw_forest(axes, rows, measure, colours)
        _name_rows(axes, labels)
        named = f"{measure.heading}, difference from {reference}{_unit(measure)}"
        axes.set_xlabel(_directed(named, measure.lower))
        figure.legend(loc="outside upper center", ncols=6)
        save(figure, caption, path)


def _draw_forest(axes: Axes, rows: Sequence[Row], measure: Measure, colours: FigureConfig) -> None:
    factor, margin = measure.factor, rows[0].found.margin
    drawn = [
        [found.difference, *(found.interval() or ()), *row.differences, -detectable, detectable]
        for row in rows
        for found in [row.found]
        for detectable in [smallest_detectable(found) or 0.0]
    ]
    low, high = limits(drawn, 0.0, margin)
    low, high = factor * min(low, -1.25 * margin), factor * max(high, 1.25 * margin)
    axes.axvspan(-factor * margin, factor * margin, color="0.9", linewidth=0, label="margin")
    axes.axvline(0, color="black", linewidth=0.6)
    for y, row in enumerate(rows):
        _draw_difference(axes, y, row, low, high, factor, colours.line)
        lane = y + 0.27 * (row.found.error is not None) + 0.12 * _jitter(len(row.differences))
        _seeds(axes, factor * row.differences, lane, low, high)
        axes.text(1.01, y, row.verdict, va="center", transform=axes.get_yaxis_transform())
    _frame(axes, low, high, len(rows))


def _draw_difference(
    axes: Axes, y: int, row: Row, low: float, high: float, factor: int, colour: str
) -> None:
    """Draw intervals, mean and smallest detectable difference, as far as the axis goes."""
    found, mean = row.found, factor * row.found.difference
    wide, narrow = (
        [factor * end for end in found.interval(coverage) or ()]
        for coverage in (1 - LEVEL, 1 - 2 * LEVEL)
    )
    _bar(axes, wide, y, low, high, color="black", linewidth=1, label="95% interval")
    _bar(axes, narrow, y, low, high, color=colour, linewidth=4, label="90% interval")
    if wide:
        if low <= mean <= high:
            white = {"markerfacecolor": "white", "markersize": 4.5}
            _marks(axes, [mean], [y], "D", "mean difference", **white)
        both = [sign * factor * smallest_detectable(found) for sign in (-1, 1)]
        shown = [end for end in both if low <= end <= high]
        hollow = {"fillstyle": "none", "markersize": 3.5}
        _marks(axes, shown, [y - 0.27] * len(shown), "v", "detectable", **hollow)
    for edge, marker, side, beyond, gone in (
        (low, "<", "left", any(end < low for end in wide), mean < low),
        (high, ">", "right", any(end > high for end in wide), mean > high),
    ):
        if beyond or gone:
            axes.plot([edge], [y], marker, color="black", markersize=4.5)
        if gone:
            _note(axes, edge, y, side, effect(found, factor))


def write_seeds(
    rows: Sequence[Row],
    reference: tuple[str, np.ndarray],
    measure: Measure,
    caption: str,
    path: Path,
    colours: FigureConfig,
) -> None:
    """Write the values of single seeds, and the chances of a finding with more or fewer seeds.

    Without a row of several runs there are no chances to draw.

    Args:
        rows: from top to bottom, below the reference.
        reference: its label, and the values (n,) of its seeds.
        measure: the metric.
        caption: goes to PATH.txt.
        path: without its ending; PATH.svg, .pdf, .png and .txt are written.
        colours: of lines.
    """
    name, values = reference
    labels = _wrapped([f"{name} (reference)", *(row.label for row in rows)])
    compared = [row.found for row in rows if row.found.error is not None]
    with matplotlib.style.context(["default", STYLE]):
        height = max(3.1, 0.9 + _height(labels))
        figure = Figure(figsize=(PAGE, height), layout="constrained")
        panels = [["values", "power"], ["values", "equivalence"]] if compared else [["values"]]
        ratios = {"width_ratios": [1.7, 1]} if compared else {}
        axes = figure.subplot_mosaic(panels, **ratios)
        _draw_values(axes["values"], [values, *(row.values for row in rows)],
                     rows[0].found.margin, measure)  # fmt: skip
        _name_rows(axes["values"], labels)
        named = f"{measure.heading}{unit(measure.heading, measure.factor)}"
        axes["values"].set_xlabel(_directed(named, measure.lower))
        if compared:
            _draw_chances(axes["power"], axes["equivalence"], compared, colours)
        figure.legend(loc="outside upper center", ncols=5)
        save(figure, caption, path)


def _draw_values(axes: Axes, rows: Sequence[np.ndarray], margin: float, measure: Measure) -> None:
    factor = measure.factor
    centre = statistics.median_low([float(np.median(values)) for values in rows])
    low, high = (factor * end for end in limits(rows, centre, margin))
    for y, values in enumerate(rows):
        shown = factor * values
        _seeds(axes, shown, y + 0.5 * _jitter(len(values)), low, high)
        if len(values) > 1:
            for mark, marker, label, look in (
                (shown.mean(), "D", "mean", {"markerfacecolor": "white", "markersize": 4.5}),
                (interquartile_mean(shown), "|", "interquartile mean",
                 {"markersize": 13, "markeredgewidth": 1.4}),
            ):  # fmt: skip
                if low <= mark <= high:
                    _marks(axes, [mark], [y], marker, label, **look)
        for edge, side, gone in (
            (low, "left", shown[shown < low]), (high, "right", shown[shown > high]),
        ):  # fmt: skip
            if len(gone):
                ends = [number(end / factor, factor) for end in (gone.min(), gone.max())]
                many = f"{len(gone)} runs, {' to '.join(dict.fromkeys(ends))}"
                _note(axes, edge, y, side, f"1 run, {ends[0]}" if len(gone) == 1 else many)
    _frame(axes, low, high, len(rows))


def _draw_chances(
    above: Axes, below: Axes, compared: Sequence[Comparison], colours: FigureConfig
) -> None:
    counts = sorted({found.n for found in compared})
    decided = [seeds_to_decide(found) for found in compared]
    middle = [seeds for seeds in [statistics.median_low(decided)] if np.isfinite(seeds)]
    seeds = np.geomspace(2, max(MOST_SEEDS, 2 * counts[-1], *middle), 40)
    both = 100 * np.array([[chances(found, n) for n in seeds] for found in compared])
    for kind, (axes, name) in enumerate(((above, "found different"), (below, "found equivalent"))):
        if len(compared) > 1:
            for curve in both[:, :, kind]:
                axes.plot(seeds, curve, color="0.6", linewidth=0.6, label=_once(axes, "one row"))
        axes.plot(seeds, np.median(both[:, :, kind], axis=0), color=colours.line, linewidth=1.6,
                  label="middle of the rows" if len(compared) > 1 else None)  # fmt: skip
        axes.axhline(100 * POWER, color="black", linewidth=0.6, linestyle=":")
        for n in counts:
            axes.axvline(n, color="black", linewidth=0.8, linestyle="--")
            # that of two seeds would be on the top number of the y axis
            axes.text(n, 1.01, f"n = {n}", ha="center" if n > 2 else "left",
                      transform=axes.get_xaxis_transform())  # fmt: skip
        axes.set(xscale="log", ylim=(0, 103), ylabel=f"{name} (%)")
        few = seeds[-1] <= 1000
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlim(2, seeds[-1])
        axes.spines[["top", "right"]].set_visible(False)
    # the legend is of the whole figure
    for line in below.get_lines():
        line.set_label(None)
    below.set_xlabel("seeds")


def _bar(axes: Axes, ends: Sequence[float], y: int, low: float, high: float, label: str, **look):
    if ends and ends[0] < high and ends[1] > low:
        axes.plot(np.clip(ends, low, high), [y, y], label=_once(axes, label),
                  solid_capstyle="butt", **look)  # fmt: skip


def _seeds(axes: Axes, values: np.ndarray, heights: np.ndarray, low: float, high: float) -> None:
    """Draw a dot for each seed, and an arrow at the edge for one beyond it."""
    within = (low <= values) & (values <= high)
    _marks(axes, values[within], heights[within], "o", "one seed", color="0.25", markersize=2.2,
           alpha=0.7, markeredgewidth=0)  # fmt: skip
    for marker, edge, gone in (("<", low, values < low), (">", high, values > high)):
        axes.plot([edge] * gone.sum(), heights[gone], marker, color="0.35", markersize=2.5)


def _marks(
    axes: Axes, x: Sequence[float], y: Sequence[float], marker: str, label: str, **look
) -> None:
    black = {"color": "black", "markeredgewidth": 0.8, "linestyle": "none"}
    if len(x):
        axes.plot(x, y, marker=marker, label=_once(axes, label), **black | look)


def _once(axes: Axes, label: str) -> str | None:
    """Return a label for the legend, or None if it has it."""
    return None if label in axes.get_legend_handles_labels()[1] else label


def _note(axes: Axes, edge: float, y: float, side: str, text: str) -> None:
    """Write a number that is beyond the edge of the axis next to it."""
    away = 6 if side == "left" else -6
    back = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 0.5}
    axes.annotate(text, (edge, y), (away, 0), textcoords="offset points", ha=side, va="center",
                  bbox=back)  # fmt: skip


def _jitter(count: int) -> np.ndarray:
    """Return offsets (count,) between -0.5 and 0.5, the same every time and evenly spread."""
    golden = (5**0.5 - 1) / 2
    return (0.5 + golden * np.arange(count)) % 1 - 0.5


def _wrapped(labels: Sequence[str]) -> list[str]:
    return [textwrap.fill(label, LETTERS) for label in labels]


def _height(labels: Sequence[str]) -> float:
    """Return the height of the rows in inches; each is as high as the highest label."""
    return len(labels) * (0.22 + 0.12 * max(label.count("\n") for label in labels))


def _name_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)


def _frame(axes: Axes, low: float, high: float, rows: int) -> None:
    edge = 0.02 * (high - low) or 1.0
    axes.set(xlim=(low - edge, high + edge), ylim=(rows - 0.4, -0.6))
    for between in np.arange(0.5, rows - 1):
        axes.axhline(between, color="0.85", linewidth=0.5, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=7)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _unit(measure: Measure) -> str:
    """Return the unit of a difference in brackets."""
    return unit(measure.heading, measure.factor).replace("%", "points")


def _directed(label: str, lower: bool) -> str:
    """Return the label of an axis, and which way is better."""
    return textwrap.fill(f"\u2190 better: {label}" if lower else f"{label}: better \u2192", 90)
