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
from hycon.logs import log
from hycon.params import Corpus
from hycon.plan.tasks import CurveFigure, FigureTask, RobustnessFigure, TsneFigure, digests
from hycon.reporting.captions import columns_of, metrics_note, opening
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
from hycon.reporting.robustness import NOTE, read_curves
from hycon.reporting.table_formats import seed_ranges
from hycon.stages import Machine
from hycon.untrusted.safe_json import read_json

POLARITIES = np.array(["negative", "neutral", "positive"])


def main(task: FigureTask, _: Machine) -> None:
    if task.figure.kind == "robustness":
        _robustness(task, task.figure)
        log.info("%s.svg, .pdf, .png, .txt: written", task.output)
        return
    shown = task.figure.points if task.figure.kind == "curve" else task.figure.runs
    check_parameters(digests(each.row for each in shown))
    if task.figure.kind == "curve":
        _curve(task, task.figure)
    else:
        _tsne(task, task.figure)
    log.info("%s.svg, .pdf, .png, .txt: written", task.output)


def _curve(task: FigureTask, figure: CurveFigure) -> None:
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


def _tsne(task: FigureTask, figure: TsneFigure) -> None:
    utterances = read_table(figure.aligned / "utterances.csv")
    # networks of different rounds have different spaces, so only the first one is shown
    held_out, fold = next(iter(training_rounds(utterances).items()))
    rows = np.flatnonzero(fold == "test").tolist()
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
    notes = " ".join(_tsne_notes(task.corpus, figure.seed, classes, trained))
    caption = f"{task.title}. {opening(task.corpus)} {notes}"
    write_pair(*clouds, caption, task.output, task.colours)


def _tsne_notes(corpus: Corpus, seed: int, classes: np.ndarray, trained: str) -> list[str]:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(Counter(classes).items()))
    signs = ["Negative: y < 0; neutral: y = 0; positive: y > 0."]
    return [
        f"Test fold, n = {len(classes)} utterances ({counts}); one run each ({trained}); epoch "
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
