"""Figures: a score against a parameter, and two representations by t-SNE."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from hycon.atomic_io import atomic_file
from hycon.errors import HyConError
from hycon.evaluation.aggregation import summarise
from hycon.params import FigureConfig

NEIGHBOURS = 10
FEWEST = NEIGHBOURS + 2  # each utterance needs ten neighbours, and one that is not a neighbour
COLUMN, PAGE = 3.5, 7.16  # inches: one and two columns of an IEEE journal
# more points than this are rasterised in the SVG
SINGLE_POINTS = 2000
# 8 markers and 7 colours do not share a factor, so that no two of 56 classes look the same
MARKERS = ("o", "^", "X", "s", "v", "P", "D", "<")
# those of params.yaml, for commands outside a project
COLOURS = FigureConfig(
    line="#0072B2",
    classes=["#D55E00", "#56B4E9", "#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7"],
)
STYLE = {
    "axes.linewidth": 0.6,
    "axes.titlesize": 8,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the layout is everywhere one
    "font.size": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # letters stay letters: whole TrueType, which journals ask for
    "svg.fonttype": "path",  # letters are drawn, so that a reader's fonts change nothing
    "svg.hashsalt": "hycon",
    "text.parse_math": False,  # a title is a text, whatever dollars it has
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@dataclass(frozen=True)
class Panel:
    """One score against a parameter: at each x the scores of all seeds, not yet multiplied.

    `factor` is 100 for values in per cent.
    """

    label: str
    points: list[tuple[float, list[float]]]
    factor: int
    lowest_is_best: bool = False


@dataclass(frozen=True)
class Cloud:
    """A representation drawn in the plane: points (N, 2), classes (N,) by name, and two numbers."""

    title: str
    points: np.ndarray
    classes: np.ndarray
    silhouette: float
    agreement: float


def band(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the data of a panel, in the order of x.

    Returns:
        x, means, lower and upper limit of the band, each (points,) float64: mean ± one standard
        deviation (ddof 1), times the factor; the limits are NaN where there is one seed.

    Raises:
        HyConError: no point, or one without a seed.
    """
    if not panel.points or not all(values for _, values in panel.points):
        raise HyConError(f"{panel.label}: a point without a score, or no point; nothing to draw")
    points = sorted(panel.points, key=lambda point: point[0])
    found = [summarise([{"": value} for value in values])[""] for _, values in points]
    means = panel.factor * np.array([each["mean"] for each in found], dtype=np.float64)
    spreads = panel.factor * np.array([each["std"] for each in found], dtype=np.float64)
    return (
        np.array([x for x, _ in points], dtype=np.float64),
        means,
        means - spreads,
        means + spreads,
    )


def write_curve(
    panels: Sequence[Panel], x_label: str, caption: str, path: Path, colours: FigureConfig
) -> None:
    """Write a row of panels: means over seeds, a band of one standard deviation, and each seed.

    The best mean has a ring. With one seed there is no band. The x axis is logarithmic where x is
    positive throughout and spans a factor of 100 or more.

    Args:
        panels: from left to right.
        x_label: the parameter's name.
        caption: goes to PATH.txt.
        path: without its ending; PATH.svg, .pdf, .png and .txt are written.
        colours: of the curve.

    Raises:
        HyConError: no panel, or a panel without a point.
    """
    if not panels:
        raise HyConError(f"{path}: no metric to draw; name at least one")
    with matplotlib.style.context(["default", STYLE]):
        width = COLUMN if len(panels) <= 2 else PAGE
        figure = Figure(figsize=(width, 2.5), layout="constrained")
        rows = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(rows, panels, strict=True):
            _draw_curve(axes, panel, colours)
            axes.set_xlabel(x_label)
        entries = {}
        for axes in rows:
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
                entries.setdefault(label, handle)
        figure.legend(
            entries.values(), entries, loc="outside upper center", ncols=2 if width == COLUMN else 5
        )
        save(figure, caption, path)


def _draw_curve(axes: Axes, panel: Panel, colours: FigureConfig) -> None:
    x, means, low, high = band(panel)
    best = (np.argmin if panel.lowest_is_best else np.argmax)(means)
    axes.plot(x, means, "o-", color=colours.line, markersize=3.5, linewidth=1.2, label="mean")
    if not np.isnan(low).all():
        band_of = {"color": colours.line, "alpha": 0.18, "linewidth": 0}
        axes.fill_between(x, low, high, label="± 1 std", **band_of)
        runs = [(at, panel.factor * value) for at, values in panel.points for value in values]
        small = {"color": colours.line, "markersize": 2, "alpha": 0.5}
        axes.plot(*zip(*runs, strict=True), ".", label="seed", **small)
    ring = {"color": "black", "markersize": 7.5, "fillstyle": "none", "linestyle": "none"}
    axes.plot(x[best], means[best], "o", label="best mean", **ring)
    axes.set_ylabel(panel.label + unit(panel.label, panel.factor))
    axes.margins(x=0.08, y=0.12)
    axes.grid(axis="y", color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if x[0] > 0 and x[-1] >= 100 * x[0]:
        axes.set_xscale("log")
    axes.set_xticks(x, minor=True)  # a small tick at every point that was tried
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")


def write_lines(
    panels: Sequence[tuple[str, int, dict[str, list[tuple[float, list[float]]]]]],
    x_labels: Sequence[str],
    caption: str,
    path: Path,
    colours: FigureConfig,
) -> None:
    """Write a row of panels with several lines: the mean over seeds, and a marker at each x.

    Args:
        panels: label, factor and the points of each line, by its name: x, and the scores of all
            seeds.
        x_labels: one for each panel.
        caption: written to PATH.txt.
        path: path without suffix; PATH.svg, .pdf, .png and .txt are written.
        colours: colours of classes, which are those of the lines.
    """
    names = list(dict.fromkeys(name for _, _, lines in panels for name in lines))
    with matplotlib.style.context(["default", STYLE]):
        width = COLUMN if len(panels) <= 2 else PAGE
        columns = legend_columns(names, width)
        height = 2.5 + 0.17 * math.ceil(len(names) / columns)
        figure = Figure(figsize=(width, height), layout="constrained")
        rows = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (label, factor, lines), x_label in zip(rows, panels, x_labels, strict=True):
            for name, points in lines.items():
                x, means, _, _ = band(Panel(label, points, factor))
                look = _look(names.index(name), colours)
                axes.plot(x, means, color=look["color"], marker=look["marker"], markersize=3.5,
                          linewidth=1.2, label=name)  # fmt: skip
            axes.set(xlabel=x_label, ylabel=label + unit(label, factor))
            axes.grid(axis="y", color="0.9", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        handles, labels = rows[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
        save(figure, caption, path)


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return how many columns of labels fit a figure of a width in inches, at most five."""
    # points at 8 pt: a letter, and the line with its gaps
    needed = 4.5 * max(map(len, labels)) + 36
    return max(1, min(5, int(72 * width // needed)))


def unit(label: str, factor: int) -> str:
    """Return the unit of a metric in brackets, by its heading and factor; "" if it has none."""
    if factor == 100:
        return " (%)"
    return " (score units)" if label.startswith("MAE") else ""  # a correlation has none


def perplexity(utterances: int) -> float:
    """Return t-SNE's perplexity: 30, or less for few utterances."""
    return min(30.0, (utterances - 1) / 3)


def embed(
    representations: np.ndarray, classes: np.ndarray, seed: int
) -> tuple[np.ndarray, float, float]:
    """Embed representations in the plane with t-SNE, and measure the separation of classes.

    Both measures use the standardised representations, which are also the input of t-SNE, and not
    the plane, whose distances mean little. The same input and seed give the same points on one
    machine; another linear algebra library may place them elsewhere.

    Args:
        representations: (N, d) float, d at least 2.
        classes: (N,) names or numbers of classes.
        seed: of t-SNE.

    Returns:
        points (N, 2) float32; the mean silhouette in [-1, 1], Euclidean; the share in [0, 1] of the
        10 nearest neighbours, Euclidean, that are of the same class, mean over utterances.

    Raises:
        HyConError: fewer than 12 utterances, one class only, or representations that are not
            finite, all the same or of one feature.
    """
    classes = np.asarray(classes)
    if len(classes) < FEWEST:
        raise HyConError(f"t-SNE needs at least {FEWEST} utterances, found {len(classes)}")
    if len(names := np.unique(classes)) < 2:
        raise HyConError(f"t-SNE needs at least two classes, found only '{names[0]}'")
    if representations.shape[1] < 2 or not np.isfinite(representations).all():
        raise HyConError("representations must be finite and of two features or more; train again")
    if (representations == representations[0]).all():
        raise HyConError("every utterance has the same representation; train again")
    features = StandardScaler().fit_transform(np.asarray(representations, dtype=np.float64))
    points = TSNE(
        perplexity=perplexity(len(features)), init="pca", learning_rate="auto", random_state=seed
    ).fit_transform(features)
    # without an argument, an utterance is not its own neighbour
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(features).kneighbors(return_distance=False)
    agreement = (classes[near] == classes[:, None]).mean()
    return points, float(silhouette_score(features, classes)), float(agreement)


def write_pair(left: Cloud, right: Cloud, caption: str, path: Path, colours: FigureConfig) -> None:
    """Write two representations next to each other, with colour and marker by class.

    Each panel is a square around the centre of its points, 5% wider than their larger extent.

    Args:
        left, right: clouds; a class has the same look in both.
        caption: written to PATH.txt.
        path: path without suffix; PATH.svg, .pdf, .png and .txt are written.
        colours: colours of classes, in the order of their names.
    """
    names = sorted({*left.classes.tolist(), *right.classes.tolist()})
    with matplotlib.style.context(["default", STYLE]):
        figure = Figure(figsize=(COLUMN, 2.6), layout="constrained")
        for axes, cloud in zip(figure.subplots(1, 2), (left, right), strict=True):
            _draw_cloud(axes, cloud, names, colours)
        # legend markers of one size, also for a class that is missing on one side
        handles = [
            axes.scatter([], [], s=16, label=name, **_look(number, colours))
            for number, name in enumerate(names)
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, handletextpad=0.2)
        save(figure, caption, path)


def _look(number: int, colours: FigureConfig) -> dict[str, str | float]:
    """Return how the points of a class look."""
    return {
        "color": colours.classes[number % len(colours.classes)],
        "marker": MARKERS[number % len(MARKERS)],
        "linewidths": 0,
    }


def _draw_cloud(axes: Axes, cloud: Cloud, names: Sequence[str], colours: FigureConfig) -> None:
    size = np.clip(2400 / len(cloud.points), 3, 14)
    for number, name in enumerate(names):
        x, y = cloud.points[cloud.classes == name].T
        many = len(cloud.points) > SINGLE_POINTS
        axes.scatter(x, y, s=size, alpha=0.75, rasterized=many, **_look(number, colours))
    low, high = cloud.points.min(axis=0), cloud.points.max(axis=0)
    half = 1.05 * (high - low).max() / 2
    middle = (low + high) / 2
    axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half))
    axes.set(aspect="equal", xticks=[], yticks=[], title=textwrap.fill(cloud.title, 26))
    axes.set_xlabel(
        f"silhouette {cloud.silhouette:z.2f},\n{NEIGHBOURS}-NN agreement {cloud.agreement:.0%}"
    )


def save(figure: Figure, caption: str, path: Path) -> None:
    """Write PATH.svg, PATH.pdf and PATH.png, of the same bytes from run to run, and PATH.txt."""
    # not with_suffix, because a name may contain a point, as in `alpha-0.8`
    formats = {
        "svg": {"dpi": 300, "metadata": {"Date": None}},
        "pdf": {"dpi": 300, "metadata": {"CreationDate": None}},
        "png": {"dpi": 150},
    }
    for suffix, options in formats.items():
        with atomic_file(path.with_name(f"{path.name}.{suffix}")) as temporary:
            figure.savefig(temporary, format=suffix, **options)
    with atomic_file(path.with_name(f"{path.name}.txt")) as temporary:
        temporary.write_text(f"{caption}\n", encoding="utf-8")
