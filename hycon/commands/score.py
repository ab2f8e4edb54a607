"""Compute every metric of predictions, under every convention of the field.

Predictions come from a CSV, Parquet, .npy, .npz, JSON or JSON lines file of any framework, from a
folder with one file for each seed, or from a row of this project (results/runs/CORPUS/ROW).
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hycon.atomic_io import atomic_file
from hycon.commands.predictions import Predictions, add_options, read
from hycon.errors import HyConError, printable
from hycon.evaluation.scores import Published, Scores, published, score
from hycon.reporting.table_formats import Cell, DisplayTable, latex, markdown

MOST_FITS = 6  # of a published number that are shown
KIND_OF_F1 = re.compile("_?(macro|binary|swapped)$")


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        prog="hycon score", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    options.add_argument("predictions", type=Path, nargs="+", metavar="FILE", help="or a folder")
    add_options(options)
    options.add_argument("--all", action="store_true", help="also what no paper means: mistakes")
    options.add_argument(
        "--published",
        metavar="METRIC=NUMBER,...",
        help="published numbers, such as acc2=85.2,mae=.713: which conventions fit them",
    )
    options.add_argument(
        "--corpus",
        metavar="NAME",
        help="check count, order and labels against the test fold in data/aligned/NAME",
    )
    options.add_argument("--format", choices=("table", "json", "csv", "latex"), default="table")
    options.add_argument("--output", type=Path, help="file to write; default: the terminal")
    arguments = options.parse_args(argv)
    texts = [_scored(path, arguments) for path in arguments.predictions]
    if arguments.format == "json":
        text = json.dumps(texts if len(texts) > 1 else texts[0], indent=1, allow_nan=False) + "\n"
    elif arguments.format == "csv":
        text = pd.concat(texts).to_csv(index=False, lineterminator="\n")
    else:
        text = "\n".join(texts)
    if arguments.output is None:
        print(text, end="")
        return
    with atomic_file(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _scored(path: Path, arguments: argparse.Namespace) -> Any:
    found = read(path, arguments)
    notes = list(found.said)
    if arguments.corpus:
        notes.append(_check_fold(found, arguments.corpus))
    given = found.runs, found.labels
    try:
        scores = score(*given, arguments.task, found.emotions)
        fits = published(
            *given, _numbers(arguments.published), arguments.task, found.emotions
        ) if arguments.published else []  # fmt: skip
    except ValueError as error:
        raise HyConError(f"{path}: {error}") from None
    notes += scores.notes
    if arguments.format == "json":
        return _document(found, scores, fits, notes, arguments.all)
    if arguments.format == "csv":
        return _frame(found, scores, arguments.all)
    sheet = _sheet(found, scores, arguments.all)
    if arguments.format == "latex":
        return latex(sheet)
    lines = [printable(f"{note}.") for note in notes]
    parts = [*lines, "", printable_lines(markdown(sheet)), *map(_fitting, fits)]
    return "\n".join(parts + _other_utterances(fits))


def printable_lines(text: str) -> str:
    """Return a text of several lines without control characters."""
    return "\n".join(map(printable, text.splitlines())) + "\n"


def _numbers(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(separator for _, separator, _ in pairs):
        raise HyConError(f"--published: found {text[:60]!r}, expected METRIC=NUMBER,...")
    return {name.strip().lower(): number.strip() for name, _, number in pairs}


def _check_fold(found: Predictions, corpus: str) -> str:
    """Return a note that count, order and labels are those of a corpus's test fold.

    Raises:
        HyConError: they are not.
    """
    from hycon.corpus.utterances import read_table

    path = Path("data/aligned") / Path(corpus).name / "utterances.csv"
    if not path.is_file():
        raise HyConError(
            f"{path}: not found; snakemake --cores 1 {path} --config 'corpora=[{corpus}]' aligns it"
        )
    labels = [each.label for each in read_table(path) if each.fold == "test"]
    if len(labels) != len(found.labels):
        raise HyConError(
            f"{found.where}: has {len(found.labels)} utterances, the test fold of {corpus} "
            f"{len(labels)}; expected all of it"
        )
    numeric = found.labels.dtype.kind == "f"
    expected = np.array(labels, dtype=np.float64) if numeric else np.array(labels)

    def differ(mine: np.ndarray, theirs: np.ndarray) -> int:
        same = np.isclose(mine, theirs, rtol=0, atol=1e-4) if numeric else mine == theirs
        return int(np.count_nonzero(~same))

    if not (wrong := differ(found.labels, expected)):
        return f"count ({len(labels)}), order and labels are those of the test fold of {corpus}"
    if not differ(np.sort(found.labels), np.sort(expected)):
        return (
            f"count ({len(labels)}) and labels are those of the test fold of {corpus}, in another "
            f"order ({wrong} places differ)"
        )
    raise HyConError(
        f"{found.where}: {wrong} of {len(labels)} labels are not those of the test fold of {corpus}"
    )


def _shown(scores: Scores, everything: bool) -> list:
    return [each for each in scores.scores if everything or not each.convention.mistake]


def _sheet(found: Predictions, scores: Scores, everything: bool) -> DisplayTable:
    many = len(scores.seeds) > 1
    rows = []
    for each in _shown(scores, everything):
        factor, places = (100, 1) if each.convention.percent else (1, 3)
        mean = f"{each.mean * factor:.{places}f}"
        if many:
            mean += f" ± {each.std * factor:.{places}f}"
        word = "mistake: " if each.convention.mistake else ""
        rows.append(
            [Cell(each.convention.name), Cell(mean), Cell(f"{word}{each.convention.definition}")]
        )
    seeds = (
        f"Mean ± standard deviation (ddof 1) over {len(scores.seeds)} seeds"
        if many
        else "One seed, so no spread"
    )
    caption = (
        f"{found.where}: {scores.utterances} utterances. {seeds}. Accuracies, F1 and recall in "
        "per cent."
    )
    return DisplayTable(["Metric", "Value", "Definition"], "lrl", rows, caption, "scores", 1)


def _frame(found: Predictions, scores: Scores, everything: bool) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "predictions": found.where, "metric": each.convention.name, "seed": seed,
            "value": value, "mean": each.mean, "std": each.std, "n": len(each.values),
            "utterances": scores.utterances, "mistake": each.convention.mistake,
            "definition": each.convention.definition,
        }
        for each in _shown(scores, everything)
        for seed, value in each.values.items()
    )  # fmt: skip


def _document(
    found: Predictions, scores: Scores, fits: list[Published], notes: list[str], everything: bool
) -> dict[str, Any]:
    return {
        "predictions": found.where,
        "task": scores.task,
        "utterances": scores.utterances,
        "seeds": list(scores.seeds),
        "notes": notes,
        "metrics": {
            each.convention.name: {
                "definition": each.convention.definition, "mistake": each.convention.mistake,
                "mean": each.mean, "std": each.std, "values": each.values,
            }
            for each in _shown(scores, everything)
        },
        "published": {
            each.metric: {
                "number": each.text, "possible count": each.possible,
                "fits": [
                    {"metric": fit.convention.name, "how": fit.how, "value": fit.value,
                     "mistake": fit.mistake}
                    for fit in each.fits
                ],
            }
            for each in fits
        },
    }  # fmt: skip


def _other_utterances(fits: list[Published]) -> list[str]:
    """Return a line if published accuracy and F1 fit no common decision between two classes."""
    decisions = {
        each.metric: {KIND_OF_F1.sub("", fit.convention.name.partition("_")[2])
                      for fit in each.fits if not fit.mistake}
        for each in fits
    }  # fmt: skip
    accuracy, f1 = decisions.get("acc2"), decisions.get("f1")
    if accuracy and f1 and not accuracy & f1:
        return [f"acc2 fits {', '.join(sorted(accuracy))}, f1 {', '.join(sorted(f1))}: they may be "
                "over different utterances\n"]  # fmt: skip
    return []


def _fitting(found: Published) -> str:
    """Return what fits a published number, as lines."""

    def shown(fit) -> str:
        number = f"{100 * fit.value:.2f}" if fit.convention.percent else f"{fit.value:.4f}"
        mistake = "mistake: " if fit.convention.mistake else ""
        return f"{fit.convention.name} = {number}, {fit.how} ({mistake}{fit.convention.definition})"

    head = f"published {found.metric} {found.text}"
    lines = [f"- {shown(fit)}" for fit in found.fits[:MOST_FITS]]
    if len(found.fits) > MOST_FITS:
        lines.append(f"- and {len(found.fits) - MOST_FITS} more")
    if not lines:
        lines = [f"- nothing fits; nearest: {shown(found.nearest)}"]
    if found.possible is False:
        lines.append("- no count of right utterances gives this number: it is no single run's")
    return printable_lines("\n".join([f"{head} fits", *lines]))
