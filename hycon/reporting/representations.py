"""The table of representations: how similar those of one class are, and what the losses pull."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hycon.corpus.labels import sentiment_classes
from hycon.corpus.utterances import Utterance, read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_output, read_scores, summarise
from hycon.params import Corpus
from hycon.plan.tasks import RepresentationTable, ScoredRow, digests
from hycon.progress import progress
from hycon.reporting import table_formats
from hycon.reporting.captions import opening, sample, sampled
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.reporting.tables import seeds_note

MOST = 2000  # utterances that are compared with each other
# heading of each number
HEADINGS = {
    "one_same": "s+, one modality",
    "one_other": "s-, one modality",
    "two_same": "s+, two modalities",
    "two_other": "s-, two modalities",
    "own": "s, own modalities",
    "uniformity": "Uniformity",
    "gradient_ratio": "Gradient ratio",
    "gradient_cosine": "Gradient cosine",
}
NOTE = (
    "s: mean similarity (1 + cosine) / 2 of the representations of two utterances, s+ of one "
    "class, s- of two, within a modality or between two, mean over modalities; own: between the "
    "modalities of one utterance. Uniformity: log of the mean of exp(-2 distance^2) of two "
    "utterances' directions in a modality; 0 if all are equal, lower if they are spread. Gradient "
    "ratio: norm of the gradient of the contrastive losses, with their lambdas, divided by that of "
    "the task loss, over the weights that both reach; cosine: between the two; means over epochs "
    "(train.gradients)."
)


class Representations(NamedTuple):
    """The numbers of each row, ready to be written."""

    table: RepresentationTable
    key: str
    corpus: Corpus
    rows: list[tuple[ScoredRow, dict, list[str]]]  # row, summary, seeds
    classes: int
    utterances: str  # how many are compared


def make(table: RepresentationTable, key: str, corpus: Corpus) -> Representations:
    """Measure the representations of a table's rows on the test fold.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: a file cannot be read, or belongs to other parameters.
    """
    check_parameters(digests(table.rows))
    utterances = read_table(table.aligned / "utterances.csv")
    tested = [at for at, each in enumerate(utterances) if each.fold == "test"]
    chosen = sample(tested, MOST)  # the same for all rows
    classes = _classes([utterances[at] for at in chosen], corpus, table.scheme)
    read = []
    for row in progress(table.rows, "representations", unit="rows"):
        seeds = list(read_scores(row.scores)["seeds"])
        runs = []
        for seed in seeds:
            folder = row.scores.parent / f"seed-{int(seed)}"
            found = {
                name: read_output(folder, len(utterances), name)[chosen]
                for name in table.modalities[row.row]
            }
            runs.append(geometry(found, classes) | _gradients(folder / "history.csv"))
        read.append((row, summarise(runs), seeds))
    shown = sampled(len(chosen), len(tested))
    return Representations(table, key, corpus, read, len(set(classes)), shown)


def geometry(representations: Mapping[str, np.ndarray], classes: np.ndarray) -> dict[str, float]:
    """Return mean similarities of representations, and their uniformity (Wang and Isola, 2020).

    Args:
        representations: (n, d) by modality.
        classes: (n,).

    Returns:
        The numbers of `HEADINGS` except the gradients, means over modalities or pairs of them;
        those of two modalities only if there are two.
    """
    n = len(classes)
    rows = {}
    for name, x in representations.items():
        wide = x.astype(np.float64)
        rows[name] = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    other = classes[:, None] != classes
    same = ~other & ~np.eye(n, dtype=bool)
    found: dict[str, list[float]] = {}
    for first, x in rows.items():
        for second, y in rows.items():
            cosine = x @ y.T
            s = (1 + cosine) / 2
            kind = "one" if first == second else "two"
            found.setdefault(f"{kind}_same", []).append(s[same].mean())
            found.setdefault(f"{kind}_other", []).append(s[other].mean())
            if first == second:
                apart = np.exp(4 * (cosine[~np.eye(n, dtype=bool)] - 1))  # distance^2 = 2 - 2 cos
                found.setdefault("uniformity", []).append(np.log(apart.mean()))
            else:
                found.setdefault("own", []).append(np.diagonal(s).mean())
    return {name: float(np.mean(values)) for name, values in found.items()}


def _gradients(path: Path) -> dict[str, float]:
    """Return the means over epochs of what a history has on gradients."""
    names = ("gradient_ratio", "gradient_cosine")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {
            name: float(np.mean([float(row[name]) for row in rows]))
            for name in names
            if rows and name in rows[0]
        }
    except (OSError, ValueError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and train again") from None


def _classes(utterances: list[Utterance], corpus: Corpus, scheme: str) -> np.ndarray:
    labels = [each.label for each in utterances]
    if corpus.emotions is not None:
        return np.array(labels)
    return sentiment_classes(np.array([float(label) for label in labels]), scheme)


def write(found: Representations, path: Path) -> None:
    """Write the table in every format.

    Args:
        found: result of `make`.
        path: path without suffix.
    """
    shown = [name for name in HEADINGS if any(name in summary for _, summary, _ in found.rows)]
    body = [
        [
            Cell(row.encoder),
            Cell(row.model),
            *(_cell(summary.get(name)) for name in shown),
        ]
        for row, summary, _ in found.rows
    ]
    scheme = "emotions" if found.corpus.emotions else f"scheme {found.table.scheme}"
    caption = (
        f"{found.table.title}: representations. {opening(found.corpus)} Test fold, "
        f"{found.utterances}, {found.classes} classes ({scheme}), "
        f"{seeds_note(found.rows)}; epoch selected on validation only. {NOTE}"
    )
    headings = ["Text encoder", "Model", *(HEADINGS[name] for name in shown)]
    sheet = DisplayTable(headings, "ll" + "r" * len(shown), body, caption,
                         f"{found.key}-{path.stem}")  # fmt: skip
    numbers = pd.DataFrame(
        {
            "corpus": found.key, "text_encoder": row.encoder, "model": row.model, "n": len(seeds),
            **{f"{name}_{part}": summary.get(name, {}).get(part)
               for name in shown for part in ("mean", "std")},
        }
        for row, summary, seeds in found.rows
    )  # fmt: skip
    table_formats.write(sheet, numbers, path)


def _cell(summary: dict[str, float | None] | None) -> Cell:
    if summary is None:
        return Cell("")
    spread = "" if summary["std"] is None else f" ± {summary['std']:.3f}"
    return Cell(f"{summary['mean']:.3f}{spread}", value=summary["mean"])
