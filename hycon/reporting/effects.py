"""The figure of effects: differences from the reference under several conditions."""

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hycon.evaluation.aggregation import check_parameters, read_runs
from hycon.evaluation.inference import RESAMPLES, Comparison, Runs, compare
from hycon.params import FigureConfig
from hycon.plan.tasks import EffectFigure, digests
from hycon.reporting.comparison_figures import Measure
from hycon.reporting.figures import MARKERS, PAGE, STYLE, legend_columns, save, unit

NOTE = (
    "Points: mean difference from the reference under the same condition, paired by seed; bars: "
    "95% interval, not corrected for the number of conditions, of one t distribution whose error "
    f"has two parts: from seeds, and from utterances, by {RESAMPLES} bootstrap resamples of whole "
    "videos or dialogues. The table of differences has the same with corrected p."
)
GAIN_NOTE = (
    "Last panel: the same differences against those of the reference from one modality alone."
)
COLUMNS = 3  # panels next to each other
LETTERS = 10  # of a line below a point
LOGARITHMIC = 8  # ratio of the ends of an axis from which on it is logarithmic


class Effect(NamedTuple):
    """A difference from the reference under one condition, not yet multiplied by the factor."""

    panel: str
    x: float | str
    variant: str
    found: Comparison
    gain: Comparison | None  # of the reference over one modality


def compare_points(figure: EffectFigure, metric: str) -> tuple[list[Effect], set[int]]:
    """Compare every row with its reference, and every reference with one modality.

    Returns:
        The effects in the order of the figure's points, and the seeds of the runs.

    Raises:
        HyConError: scores cannot be read, or were made with other parameters.
    """
    margin = figure.inference.margin(metric)
    rows = {
        row.row: row
        for point in figure.points
        for row in (point.row, point.reference, point.alone)
        if row is not None
    }
    check_parameters(digests(rows.values()))
    runs: dict[str, Runs] = {name: read_runs(row.scores, [metric]) for name, row in rows.items()}
    effects = []
    for point in figure.points:
        reference = runs[point.reference.row]
        gain = point.alone and compare(reference, runs[point.alone.row], metric, margin)
        found = compare(runs[point.row.row], reference, metric, margin)
        effects.append(Effect(point.panel, point.x, point.variant, found, gain))
    return effects, {int(seed) for each in runs.values() for seed in each.seeds}


def write_effects(
    effects: Sequence[Effect],
    labels: tuple[str, str | None],
    measure: Measure,
    margin: float,
    caption: str,
    path: Path,
    colours: FigureConfig,
) -> None:
    """Write a panel for each kind of condition, and one of effects against gains.

    Args:
        effects: of `compare_points`.
        labels: of the reference, and of the row with one modality or None.
        measure: the metric.
        margin: largest difference that counts as none.
        caption: goes to PATH.txt.
        path: without its ending; PATH.svg, .pdf, .png and .txt are written.
        colours: of the variants.
    """
    panels = list(dict.fromkeys(each.panel for each in effects))
    variants = list(dict.fromkeys(each.variant for each in effects))
    looks = {
        name: {"color": colours.classes[at % len(colours.classes)],
               "marker": MARKERS[at % len(MARKERS)]}
        for at, name in enumerate(variants)
    }  # fmt: skip
    reference, alone = labels
    count = len(panels) + (alone is not None)
    lines = -(-count // COLUMNS)
    named = unit(measure.heading, measure.factor).replace("%", "points")
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(PAGE, 0.4 + 2.0 * lines), layout="constrained")
        grid = figure.subplots(lines, min(count, COLUMNS), squeeze=False, sharey=True)
        places = list(grid.flat)
        for axes in places[count:]:
            axes.set_axis_off()
        for axes, panel in zip(places, panels, strict=False):
            chosen = [each for each in effects if each.panel == panel]
            _draw_panel(axes, chosen, looks, measure, margin)
            axes.set_xlabel(panel)
        if alone is not None:
            _draw_gains(places[len(panels)], effects, looks, measure, margin)
            places[len(panels)].set_xlabel(
                f"{reference}\nminus {alone[:1].lower()}{alone[1:]}{named}"
            )
        better = "lower is better" if measure.lower else "higher is better"
        for axes in grid[:, 0]:
            axes.set_ylabel(f"difference in {measure.heading}{named},\n{better}")
        handles, names = places[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names, PAGE))
        note = f"{caption} {GAIN_NOTE}" if alone is not None else caption
        save(figure, note, path)


def _draw_panel(
    axes: Axes, effects: Sequence[Effect], looks: dict[str, dict], measure: Measure, margin: float
) -> None:
    xs = list(dict.fromkeys(each.x for each in effects))
    numeric = all(isinstance(x, float) for x in xs)
    logarithmic = numeric and min(xs) > 0 and max(xs) >= LOGARITHMIC * min(xs)
    place = {x: x if numeric else float(at) for at, x in enumerate(xs)}
    span = max(place.values()) - min(place.values()) or 1.0
    _margin(axes, measure.factor * margin)
    for at, (variant, look) in enumerate(looks.items()):
        chosen = [each for each in effects if each.variant == variant]
        aside = at - (len(looks) - 1) / 2
        x = [place[each.x] for each in chosen]
        moved = [v * 1.06**aside if logarithmic else v + 0.02 * span * aside for v in x]
        y = measure.factor * np.array([each.found.difference for each in chosen])
        axes.errorbar(
            moved, y, yerr=measure.factor * _half_widths([each.found for each in chosen]),
            linewidth=0.8 if numeric else 0, elinewidth=0.8, markersize=3.5, label=variant, **look,
        )  # fmt: skip
    if logarithmic:
        axes.set_xscale("log")
    if numeric:
        axes.set_xticks(xs, [f"{x:g}" for x in xs])
        axes.minorticks_off()
    else:
        axes.set_xticks(range(len(xs)), [textwrap.fill(x, LETTERS) for x in xs])
        axes.margins(x=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_gains(
    axes: Axes, effects: Sequence[Effect], looks: dict[str, dict], measure: Measure, margin: float
) -> None:
    _margin(axes, measure.factor * margin)
    axes.axvline(0, color="black", linewidth=0.6)
    seen = set()
    for each, (variant, look) in itertools.product(effects, looks.items()):
        # a row that no value changes is drawn once
        key = variant, each.found.difference, each.gain and each.gain.difference
        if each.variant != variant or each.gain is None or key in seen:
            continue
        seen.add(key)
        errors = [measure.factor * _half_widths([side]) for side in (each.gain, each.found)]
        axes.errorbar(
            [measure.factor * each.gain.difference], [measure.factor * each.found.difference],
            xerr=errors[0], yerr=errors[1], linewidth=0, elinewidth=0.5, markersize=3, **look,
        )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


def _half_widths(found: Sequence[Comparison]) -> np.ndarray:
    """Return half the widths (n,) of the 95% intervals; NaN of a single seed."""
    ends = [each.interval() or (np.nan, np.nan) for each in found]
    return np.array([(high - low) / 2 for low, high in ends])


def _margin(axes: Axes, width: float) -> None:
    axes.axhspan(-width, width, color="0.9", linewidth=0)
    axes.axhline(0, color="black", linewidth=0.6)
