"""Draw one figure as SVG, PDF and PNG, with its caption beside it (rule `figures`)."""

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from hycon.corpus.labels import sentiment_classes
from hycon.corpus.utterances import Utterance, read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_made_of, read_output, read_scores
from hycon.evidence.figures import (
    NEIGHBOURS,
    Cloud,
    Panel,
    embed,
    perplexity,
    write_curve,
    write_pair,
)
from hycon.evidence.tables import columns_of, metrics_note, opening
from hycon.params import Corpus, Figures
from hycon.reading import read_json
from hycon.stages import evidence_parser, log, run, start

POLARITIES = np.array(["negative", "neutral", "positive"])
NEEDED = {"curve": ("rows", "metrics", "x_label"), "tsne": ("aligned", "runs", "seed")}


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument("--kind", choices=tuple(NEEDED), required=True)
    options.add_argument("--title", required=True, help="what the figure shows")
    options.add_argument("--key", required=True, help="the corpus's name")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--colours", type=Figures.model_validate_json, required=True)
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    curve = options.add_argument_group("curve")
    curve.add_argument("--rows", type=json.loads, help="JSON: a list of [x, path of the scores]")
    curve.add_argument("--reference", type=json.loads, help="JSON: [label, path of the scores]")
    curve.add_argument("--metrics", type=json.loads, help='JSON: ["mae_all", "acc2_pos"]')
    curve.add_argument("--x-label", help="the parameter's name")
    tsne = options.add_argument_group("tsne")
    tsne.add_argument("--aligned", type=Path, help="folder")
    tsne.add_argument("--runs", type=json.loads, help="JSON: two of [title, folder of one run]")
    tsne.add_argument("--seed", type=int, help="of t-SNE")
    arguments = options.parse_args(argv)
    for name in NEEDED[arguments.kind]:
        if getattr(arguments, name) is None:
            options.error(f"--kind {arguments.kind} needs --{name.replace('_', '-')}")
    if arguments.kind == "tsne" and len(arguments.runs) != 2:
        options.error(f"--runs: found {len(arguments.runs)} runs, expected two")
    start(arguments)
    check_made_of(arguments.expected)
    (_curve if arguments.kind == "curve" else _tsne)(arguments)
    log.info("%s.svg, .pdf, .png, .txt: written", arguments.output)


def _curve(arguments: Namespace) -> None:
    columns = columns_of(arguments.corpus)
    for metric in arguments.metrics:
        if metric not in columns:
            known = ", ".join(columns)
            raise HyConError(f"metric '{metric}' is none of {arguments.key}; choose from {known}")
    paths = [Path(path) for _, path in arguments.rows]
    if arguments.reference:
        paths.append(Path(arguments.reference[1]))
    if not arguments.rows:
        raise HyConError(f"{arguments.output}: no rows to draw; name at least one")
    read = [read_scores(path) for path in paths]
    _check_seeds(paths, read)
    found = {
        metric: [_values(*each, metric) for each in zip(paths, read, strict=True)]
        for metric in arguments.metrics
    }
    panels = [
        _panel(arguments, metric, columns[metric], values) for metric, values in found.items()
    ]
    seeds = _curve_note(list(read[0]["seeds"]))
    note = metrics_note(arguments.corpus, read)
    caption = f"{arguments.title}. {opening(arguments.corpus)} {seeds} {note}"
    write_curve(panels, arguments.x_label, caption, arguments.output, arguments.colours)


def _panel(
    arguments: Namespace, metric: str, column: tuple[str, int], values: list[list[float]]
) -> Panel:
    """Return a metric's panel; the reference's values, if there is one, are the last."""
    label, factor = column
    reference = None
    if arguments.reference:
        *values, last = values
        reference = (arguments.reference[0], fmean(last))
    points = [(float(x), each) for (x, _), each in zip(arguments.rows, values, strict=True)]
    return Panel(label, points, factor, reference, metric.startswith("mae"))


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
        over = f"one seed ({seeds[0]}), so without a spread"
    else:
        over = (
            f"line and band: mean ± standard deviation (ddof 1) over seeds {', '.join(seeds)} "
            f"(n = {len(seeds)}), small points: single seeds"
        )
    return (
        f"Test fold, {over}; epoch selected on validation only. Ring: best mean on the test fold, "
        "marked for the reader, nothing was chosen by it."
    )


def _tsne(arguments: Namespace) -> None:
    utterances = read_table(arguments.aligned / "utterances.csv")
    rows = [row for row, utterance in enumerate(utterances) if utterance.fold == "test"]
    classes = _classes([utterances[row] for row in rows], arguments.corpus)
    clouds, seeds = [], []
    for title, folder in arguments.runs:
        fused = read_output(Path(folder), len(utterances), "fused")
        seeds.append(_seed(Path(folder) / "run.json"))
        clouds.append(Cloud(title, *_embedded(fused[rows], classes, arguments.seed, folder)))
    trained = "; ".join(
        f"{cloud.title}: seed {seed}" for cloud, seed in zip(clouds, seeds, strict=True)
    )
    notes = " ".join(_tsne_notes(arguments, classes, trained))
    caption = f"{arguments.title}. {opening(arguments.corpus)} {notes}"
    write_pair(*clouds, caption, arguments.output, arguments.colours)


def _tsne_notes(arguments: Namespace, classes: np.ndarray, trained: str) -> list[str]:
    counts = ", ".join(f"{name} {count}" for name, count in sorted(Counter(classes).items()))
    signs = ["Negative: y < 0; neutral: y = 0; positive: y > 0."]
    return [
        f"Test fold, n = {len(classes)} utterances ({counts}); one run each ({trained}); epoch "
        "selected on validation only.",
        *(signs if arguments.corpus.emotions is None else []),
        "t-SNE of the fused representation, features standardised, PCA initialisation, perplexity "
        f"{perplexity(len(classes)):.3g}, seed {arguments.seed}, the same for both. Silhouette and "
        f"{NEIGHBOURS}-NN agreement (share of an utterance's {NEIGHBOURS} nearest neighbours that "
        "are of its class) are computed in the representation space, not in the picture.",
    ]


def _embedded(
    fused: np.ndarray, classes: np.ndarray, seed: int, folder: str
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


if __name__ == "__main__":
    run(main)
