"""Draw one figure as SVG, PDF and PNG, and write its caption (rule `figures`)."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np

from hycon.corpus.folds import training_rounds
from hycon.corpus.labels import sentiment_classes
from hycon.corpus.utterances import Utterance, read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_output, read_scores
from hycon.evaluation.inference import RESAMPLES
from hycon.logs import log
from hycon.params import Corpus, lower_is_better
from hycon.plan.tasks import (
    ComparisonFigure,
    CurveFigure,
    EffectFigure,
    FigureTask,
    ProtocolFigure,
    RobustnessFigure,
    TsneFigure,
    digests,
)
from hycon.reporting.captions import columns_of, metrics_note, opening, sample, sampled
from hycon.reporting.comparison_figures import (
    LEAST,
    REACH,
    Measure,
    Row,
    seed_differences,
    write_forest,
    write_seeds,
)
from hycon.reporting.differences import RULE, differences
from hycon.reporting.effects import NOTE as EFFECTS_NOTE
from hycon.reporting.effects import compare_points, write_effects
from hycon.reporting.figures import (
    NEIGHBOURS,
    Cloud,
    Panel,
    embed,
    perplexity,
    write_curve,
    write_lines,
    write_pair,
)
from hycon.reporting.protocols import NOTE as PROTOCOLS_NOTE
from hycon.reporting.protocols import draw, make
from hycon.reporting.robustness import NOTE, read_curves
from hycon.reporting.table_formats import number, seed_ranges
from hycon.stages import Machine
from hycon.untrusted.safe_json import read_json

# utterances in t-SNE figures: the time of t-SNE grows faster than their number, and the silhouette
# compares all pairs
MOST_POINTS = 5000
POLARITIES = np.array(["negative", "neutral", "positive"])


def main(task: FigureTask, _: Machine) -> None:
    DRAW[task.figure.kind](task, task.figure)
    log.info("%s.svg, .pdf, .png, .txt: written", task.output)


def _curve(task: FigureTask, figure: CurveFigure) -> None:
    check_parameters(digests(point.row for point in figure.points))
    columns = columns_of(task.corpus)
    for metric in figure.metrics:
        if metric not in columns:
            known = ", ".join(columns)
            raise HyConError(f"metric '{metric}' is none of {task.key}; choose from {known}")
    paths = [point.row.scores for point in figure.points]
    read = [read_scores(path) for path in paths]
    _check_seeds(paths, read)
    panels = []
    for metric in figure.metrics:
        values = [_values(*each, metric) for each in zip(paths, read, strict=True)]
        points = [(point.x, each) for point, each in zip(figure.points, values, strict=True)]
        panels.append(
            Panel(*columns[metric][:1], points, columns[metric][1], metric.startswith("mae"))
        )
    seeds = _curve_note(list(read[0]["seeds"]))
    note = metrics_note(task.corpus, read)
    caption = f"{task.title}. {opening(task.corpus)} {seeds} {note}"
    write_curve(panels, figure.x_label, caption, task.output, task.colours)


def _check_seeds(paths: list[Path], read: list[dict]) -> None:
    """Refuse means over different seeds: they would not be comparable under one caption."""
    for path, scores in zip(paths, read, strict=True):
        if set(scores["seeds"]) != set(read[0]["seeds"]):
            raise HyConError(
                f"{path}: found seeds {', '.join(scores['seeds'])}, expected those of {paths[0]}, "
                f"{', '.join(read[0]['seeds'])}; run all with the same seeds"
            )


def _values(path: Path, scores: dict, metric: str) -> list[float]:
    try:
        return [run["test"][metric] for run in scores["seeds"].values()]
    except (KeyError, TypeError):
        raise HyConError(f"{path}: a seed lacks test {metric}; evaluate the runs again") from None


def _curve_note(seeds: list[str]) -> str:
    if len(seeds) == 1:
        over = f"one seed ({seeds[0]}), so no spread"
    else:
        over = (
            f"line and band: mean ± standard deviation (ddof 1) over seeds "
            f"{seed_ranges(map(int, seeds))} (n = {len(seeds)}), small points: single seeds"
        )
    return (
        f"Test fold, {over}; epoch selected on validation only. Ring: best mean on the test fold, "
        "for information; nothing was selected by it."
    )


def _robustness(task: FigureTask, figure: RobustnessFigure) -> None:
    columns = columns_of(task.corpus)
    curves = read_curves(figure.measured, figure.rows, figure.metrics)
    labels = {"missing": "share of missing steps", "noise": "noise (std)"}
    panels, x_labels = [], []
    for kind, metric in itertools.product(labels, figure.metrics):
        lines = {
            row.model: [
                (amount, [run[metric] for run in runs.values()])
                for (each, amount), runs in curves[row.row].items()
                if each == kind
            ]
            for row in figure.rows
        }
        if all(lines.values()):
            panels.append((columns[metric][0], columns[metric][1], lines))
            x_labels.append(labels[kind])
    seeds = list(next(iter(next(iter(curves.values())).values())))
    caption = (
        f"{task.title}. {opening(task.corpus)} Test fold, mean over seeds "
        f"{seed_ranges(map(int, seeds))} (n = {len(seeds)}). {NOTE}"
    )
    write_lines(panels, x_labels, caption, task.output, task.colours)


def _protocols(task: FigureTask, figure: ProtocolFigure) -> None:
    found, columns = make(figure, task.key, task.corpus), columns_of(task.corpus)
    labels = {row.row: row.model for row in figure.rows}
    caption = f"{task.title}. {opening(task.corpus)} Test fold, {found.seeds}. {PROTOCOLS_NOTE}"
    draw(
        {labels[row]: each for row, each in found.audits.items()},
        {metric: columns[metric] for metric in figure.metrics}, caption, task.output, task.colours,
    )  # fmt: skip


def _comparison(task: FigureTask, figure: ComparisonFigure) -> None:
    pairs, metric = figure.pairs, figure.inference.primary_of(task.corpus.task)
    check_parameters(digests(row for pair in pairs for row in (pair.row, pair.reference)))
    heading, factor = columns_of(task.corpus)[metric]
    measure = Measure(heading, factor, lower_is_better(metric))
    found = differences(pairs, task.corpus, figure.inference)
    compared = [each for each in found if each.metric == metric]
    rows, read = [], {}
    for pair, each in zip(pairs, compared, strict=True):
        if pair.row.row not in figure.shown:
            continue
        sides = []
        for path in (pair.row.scores, pair.reference.scores):
            scores = read.setdefault(path, read_scores(path))
            sides.append(dict(zip(scores["seeds"], _values(path, scores, metric), strict=True)))
        mine, reference = sides
        single = seed_differences(mine, reference, each.found.paired)
        rows.append(Row(each.model, np.array([*mine.values()]), single, each.found, each.verdict))
    note = (_forest_note if figure.kind == "forest" else _seeds_note)(rows, measure)
    seeds = {int(seed) for scores in read.values() for seed in scores["seeds"]}
    counts = sorted({len(scores["seeds"]) for scores in read.values()})
    caption = (
        f"{task.title}. {opening(task.corpus)} Reference: {figure.reference}, with the same text "
        f"encoder. Test fold, {heading}, seeds {seed_ranges(seeds)} (n = "
        f"{', '.join(map(str, counts))}); epoch selected on validation only. {note} "
        f"{metrics_note(task.corpus, [*read.values()])}"
    )
    if figure.kind == "forest":
        write_forest(rows, figure.reference, measure, caption, task.output, task.colours)
    else:
        theirs = figure.reference, np.array([*reference.values()])
        write_seeds(rows, theirs, measure, caption, task.output, task.colours)


def _effects(task: FigureTask, figure: EffectFigure) -> None:
    metric = figure.inference.primary_of(task.corpus.task)
    heading, factor = columns_of(task.corpus)[metric]
    effects, seeds = compare_points(figure, metric)
    margin = figure.inference.margin(metric)
    caption = (
        f"{task.title}. {opening(task.corpus)} Test fold, {heading}, seeds {seed_ranges(seeds)}; "
        f"epoch selected on validation only. {EFFECTS_NOTE} Shaded: the margin, "
        f"±{number(margin, factor)}{' points' if factor == 100 else ''}."
    )
    measure = Measure(heading, factor, lower_is_better(metric))
    write_effects(
        effects, (figure.reference, figure.alone), measure, margin, caption, task.output,
        task.colours,
    )  # fmt: skip


def _forest_note(rows: list[Row], measure: Measure) -> str:
    parts = []
    if any(row.found.error is not None for row in rows):
        paired = all(row.found.paired for row in rows)
        parts += [
            f"Diamond: mean difference{', paired by seed' if paired else ''}; bars: its 90% (thick)"
            " and 95% (thin) interval, not corrected for the number of rows, of one t distribution "
            f"whose error has two parts: from seeds, and from utterances, by {RESAMPLES} bootstrap "
            "resamples of whole videos or dialogues. Triangles, on both sides of 0: the smallest "
            "true difference found with a probability of 80%."
        ]
    parts += [
        "Small points: differences of single seeds.",
        f"Shaded: the margin, ±{_margin(rows, measure)}.",
        f"Arrows: beyond the axis, which leaves out what is more than {REACH} times as far from 0 "
        f"as the middle row, or as {LEAST} margins; a mean there is written with its 95% interval.",
        "Right: the verdict; its p is corrected for the rows of the table of differences (Holm).",
        RULE,
    ]
    if not all(row.found.paired for row in rows):
        parts.append(
            "Rows without two seeds in common with the reference are not paired: a point is a run "
            "minus the mean of the reference."
        )
    if any(row.found.error is None for row in rows):
        parts.append("One run says nothing about other seeds, so it has no interval.")
    return " ".join(parts)


def _seeds_note(rows: list[Row], measure: Measure) -> str:
    note = (
        "Points: single seeds; diamond: their mean; line: their interquartile mean, which single "
        f"runs cannot move far. Arrows: runs beyond the axis, which leaves out what is more than "
        f"{REACH} times as far from the middle as the middle row, or as {LEAST} margins; their "
        "values are written."
    )
    if all(row.found.error is None for row in rows):
        return note
    return (
        f"{note} Right, for the number of seeds below: the probability that a true difference of "
        f"the margin ({_margin(rows, measure)}) is found, and that two equal rows are found "
        "equivalent within it, at p < 0.05 without correction, on this test fold. It follows from "
        "the errors of each row; dotted: 80%; dashed: the present n."
    )


def _margin(rows: list[Row], measure: Measure) -> str:
    unit = " score units" if measure.heading.startswith("MAE") else ""
    unit = " points" if measure.factor == 100 else unit
    return f"{number(rows[0].found.margin, measure.factor)}{unit}"


def _tsne(task: FigureTask, figure: TsneFigure) -> None:
    check_parameters(digests(run.row for run in figure.runs))
    utterances = read_table(figure.aligned / "utterances.csv")
    # networks of different rounds have different spaces, so only the first one is shown
    held_out, fold = next(iter(training_rounds(utterances).items()))
    tested = np.flatnonzero(fold == "test")
    rows = sample(tested, MOST_POINTS)
    classes = _classes([utterances[row] for row in rows], task.corpus)
    clouds, seeds = [], []
    for run in figure.runs:
        fused = read_output(run.folder, len(utterances), "fused")
        seeds.append(_seed(run.folder / "run.json"))
        clouds.append(Cloud(run.title, *_embedded(fused[rows], classes, figure.seed, run.folder)))
    trained = "; ".join(
        f"{cloud.title}: seed {seed}" for cloud, seed in zip(clouds, seeds, strict=True)
    )
    if held_out:
        trained += f"; the network that tests {held_out}"
    shown = sampled(len(rows), len(tested))
    notes = " ".join(_tsne_notes(task.corpus, figure.seed, classes, shown, trained))
    caption = f"{task.title}. {opening(task.corpus)} {notes}"
    write_pair(*clouds, caption, task.output, task.colours)


def _tsne_notes(
    corpus: Corpus, seed: int, classes: np.ndarray, shown: str, trained: str
) -> list[str]:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(Counter(classes).items()))
    signs = ["Negative: y < 0; neutral: y = 0; positive: y > 0."]
    return [
        f"Test fold, n = {shown} ({counts}); one run each ({trained}); epoch "
        "selected on validation only.",
        *(signs if corpus.emotions is None else []),
        "t-SNE of the fused representation, features standardised, PCA initialisation, perplexity "
        f"{perplexity(len(classes)):.3g}, seed {seed}, the same for both. Silhouette and "
        f"{NEIGHBOURS}-NN agreement (share of an utterance's {NEIGHBOURS} nearest neighbours that "
        "are of its class) are computed in the representation space, not in the picture.",
    ]


def _embedded(
    fused: np.ndarray, classes: np.ndarray, seed: int, folder: Path
) -> tuple[np.ndarray, np.ndarray, float, float]:
    try:
        points, silhouette, agreement = embed(fused, classes, seed)
    except HyConError as error:
        raise HyConError(f"{folder}, test fold: {error}") from None
    return points, classes, silhouette, agreement


def _classes(utterances: list[Utterance], corpus: Corpus) -> np.ndarray:
    """Return the names (n,) of the utterances' classes: emotions, or the signs of the scores."""
    labels = [utterance.label for utterance in utterances]
    if corpus.emotions is not None:
        return np.array(labels)
    try:
        scores = np.array([float(label) for label in labels])
    except ValueError as error:
        raise HyConError(f"test fold: a label is no score ({error}); align again") from None
    return POLARITIES[sentiment_classes(scores, "polarity")]


def _seed(path: Path) -> int:
    try:
        return read_json(path)["seed"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and train again") from None


DRAW = {
    "curve": _curve,
    "robustness": _robustness,
    "protocols": _protocols,
    "forest": _comparison,
    "seeds": _comparison,
    "effects": _effects,
    "tsne": _tsne,
}
