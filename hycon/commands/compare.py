"""Test whether systems differ, from their predictions: verdicts over seeds and utterances.

The first system is the reference. Files are those of `hycon score`; runs of seeds with the same
name are paired.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hycon.atomic_io import atomic_file
from hycon.commands.predictions import Predictions, add_options, in_order_of, named_paths, read
from hycon.commands.score import printable_lines
from hycon.errors import HyConError, printable
from hycon.evaluation.inference import smallest_detectable
from hycon.evaluation.scores import Comparisons, compare
from hycon.reporting.table_formats import (
    Cell,
    DisplayTable,
    columns,
    effect,
    latex,
    markdown,
    number,
    p_value,
    seed_count,
)

RULE = (
    "Better or worse: p < .05. Equivalent: p equiv. < .05, so any difference is within the margin. "
    "Negligible: both. Undecided: neither."
)


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        prog="hycon compare", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    options.add_argument(
        "systems", nargs="+", metavar="[NAME=]FILE", help="two or more, each a file or a folder"
    )
    add_options(options)
    options.add_argument("--metric", help="default: mae_all, or acc of emotions")
    options.add_argument("--margin", type=float, help="largest difference that counts as none")
    options.add_argument("--reference", metavar="NAME", help="default: the first")
    options.add_argument("--format", choices=("table", "json", "latex"), default="table")
    options.add_argument("--output", type=Path, help="file to write; default: the terminal")
    options.add_argument(
        "--figure", type=Path, metavar="PATH", help="forest plot: PATH.svg, .pdf, .png and .txt"
    )
    arguments = options.parse_args(argv)
    if arguments.margin is not None and not 0 < arguments.margin < math.inf:
        raise HyConError(f"--margin: found {arguments.margin:g}, expected a number above 0")
    systems = _systems(arguments)
    first = next(iter(systems.values()))
    try:
        found = compare(
            {name: each.runs for name, each in systems.items()}, first.labels, first.groups,
            arguments.metric, arguments.margin, arguments.reference, arguments.task,
            first.emotions,
        )  # fmt: skip
    except ValueError as error:
        raise HyConError(str(error)) from None
    if arguments.figure:
        _draw(found, arguments.figure)
    said = [note for each in systems.values() for note in each.said]
    if first.groups is None:
        said.append(
            "groups: none, so utterances are drawn singly; give --group or names with videos"
        )
    text = _text(found, said, arguments.format)
    if arguments.output is None:
        print(text, end="")
        return
    with atomic_file(arguments.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _systems(arguments: argparse.Namespace) -> dict[str, Predictions]:
    found: dict[str, Predictions] = {}
    for name, path in named_paths(arguments.systems, "systems").items():
        each = read(path, arguments)
        found[name] = in_order_of(next(iter(found.values())), each) if found else each
    if len(found) < 2:
        raise HyConError(f"found {len(found)} system, expected two or more")
    return found


def _text(found: Comparisons, said: list[str], form: str) -> str:
    factor = 1 if found.metric.startswith(("mae", "corr")) else 100
    if form == "json":
        return json.dumps(_document(found, said), indent=1, allow_nan=False) + "\n"
    rows = [
        [
            Cell(row.system), Cell(row.verdict), Cell(effect(row.found, factor)),
            Cell(p_value(row.p)), Cell(p_value(row.p_equivalent)), Cell(str(row.found.n)),
            Cell(number(detectable, factor) if detectable is not None else ""),
            Cell(seed_count(row.seeds_to_decide)),
        ]
        for row in found.rows
        for detectable in [smallest_detectable(row.found)]
    ]  # fmt: skip
    unit = " points" if factor == 100 else ""
    reference = found.rows[0].reference
    caption = (
        f"{found.metric}: difference from {reference}, mean over seeds [95% interval over seeds "
        f"and groups of utterances]. Margin: {number(found.margin, factor)}{unit}. {RULE} "
        "Detectable: with a probability of 80%. To decide: seeds."
    )
    headings = [
        "System", "Verdict", "Difference", "p", "p equiv.", "Seeds", "Detectable", "To decide",
    ]  # fmt: skip
    sheet = DisplayTable(headings, "llrrrrrr", rows, caption, "comparison", 1)
    if form == "latex":
        return latex(sheet)
    lines = [printable(f"{note}.") for note in said]
    sentences = [printable(row.sentence) for row in found.rows]
    return "\n".join([*lines, "", printable_lines(markdown(sheet)), *sentences, ""])


def _document(found: Comparisons, said: list[str]) -> dict[str, Any]:
    def finite(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    return {
        "metric": found.metric,
        "margin": found.margin,
        "notes": said,
        "systems": {
            row.system: {
                "reference": row.reference, "verdict": row.verdict, **columns(row.found),
                "paired": row.found.paired, "p": row.p, "p_equivalent": row.p_equivalent,
                "seed_error": row.found.seed_error, "utterance_error": row.found.utterance_error,
                "groups": row.found.groups, "detectable": smallest_detectable(row.found),
                "seeds_to_decide": finite(row.seeds_to_decide), "sentence": row.sentence,
            }
            for row in found.rows
        },
    }  # fmt: skip


def _draw(found: Comparisons, path: Path) -> None:
    # Matplotlib takes a second to import
    from hycon.reporting.comparison_figures import Measure, Row, seed_differences, write_forest
    from hycon.reporting.figures import COLOURS

    factor = 1 if found.metric.startswith(("mae", "corr")) else 100
    rows = []
    for each in found.rows:
        sides = [
            dict(zip(runs.seeds, runs.values[found.metric].tolist(), strict=True))
            for runs in (found.runs[each.system], found.runs[each.reference])
        ]
        rows.append(
            Row(
                each.system, np.array(list(sides[0].values())),
                seed_differences(*sides, each.found.paired), each.found, each.verdict,
            )
        )  # fmt: skip
    caption = " ".join(each.sentence for each in found.rows)
    measure = Measure(found.metric, factor, found.lower)
    write_forest(rows, found.rows[0].reference, measure, caption, path, COLOURS)
