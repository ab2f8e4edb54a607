"""What each row costs: a table of what is counted, and one of what was measured on a machine."""

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hycon.errors import HyConError
from hycon.params import Corpus
from hycon.plan.tasks import CostTable
from hycon.reporting import table_formats
from hycon.reporting.captions import opening
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.untrusted.safe_json import read_json

NOTES = {
    "counted": "Complexity. {opening} Parameters: trained ones. Multiply-adds: matrix products of "
    "an utterance's forward pass in a batch of 32, including computed padding. {cached}",
    "measured": "Complexity: times and memory. {opening} {count} training utterances. Measured in "
    "one run on one machine, rows interleaved: {processor}, {cores} cores, {threads} thread{s}"
    "{gpu}, torch {torch}; {rounds}. Rows with equal work are measured once. Memory: weights, "
    "gradients, optimiser, and activations of the largest batch. Contrastive share: share of a "
    "training step; 0 at inference. {cached}",
}
# the figures that do not depend on the machine
COUNTED = (
    "trainable parameters",
    "trainable parameters without text encoder",
    "text encoder in network",
    "multiply-adds per utterance",
)
CACHED = "Text states are cached, so the text encoder is not included."
FINETUNED = "Rows with a fine-tuned text encoder include it; the others use cached text states."


class Costs(NamedTuple):
    """A table of costs, ready to be written."""

    part: str
    record: dict[str, Any]
    key: str
    corpus: Corpus


def make(table: CostTable, key: str, corpus: Corpus) -> Costs:
    """Read the measurements of the stage `complexity`, with the rows' labels.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: the measurements cannot be read, or are of other rows.
    """
    path = table.measured
    try:
        record = read_json(path)
        record["rows"][0]["seconds per epoch"], record["machine"], record["repeats"]
        for row in record["rows"]:
            row["label"], row["encoder"] = table.labels[row["label"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and measure again") from None
    return Costs(table.part, record, key, corpus)


def write(costs: Costs, path: Path) -> None:
    """Write one part of each row's complexity in every format; the CSV has every number.

    Args:
        costs: of `make`.
        path: without its ending.
    """
    part, record, key, corpus = costs
    flat = pd.json_normalize(record["rows"], sep=" ")
    flat = flat.drop(columns=[name for name in flat if name.startswith("measured with")])
    if part == "counted":
        flat, cells = flat[["label", "encoder", *COUNTED]], _counted
    else:
        flat, cells = flat.drop(columns=list(COUNTED)), _measured
    rows = [
        {"Text encoder": Cell(row["encoder"]), "Model": Cell(row["label"]), **cells(row)}
        for row in record["rows"]
    ]
    headings = list(rows[0])
    sheet = DisplayTable(
        headings=headings,
        sides="ll" + "r" * (len(headings) - 2),
        rows=[list(row.values()) for row in rows],
        caption=_caption(part, record, corpus),
        label=f"{key}-{path.stem}",
    )
    table_formats.write(sheet, flat.assign(corpus=key), path)


def _caption(part: str, record: dict[str, Any], corpus: Corpus) -> str:
    machine = record["machine"]
    inside = any(row["text encoder in network"] for row in record["rows"])
    return NOTES[part].format(
        opening=opening(corpus),
        count=record["training utterances"],
        **{name: machine[name] for name in ("processor", "cores", "threads", "torch")},
        s="" if machine["threads"] == 1 else "s",
        gpu=f", {machine['gpu']}" if machine["gpu"] else "",
        rounds=_rounds(record["repeats"]),
        cached=FINETUNED if inside else CACHED,
    )


def _rounds(repeats: int) -> str:
    if repeats == 1:
        return "one round, without a spread"
    return f"medians of {repeats} rounds [interquartile range]"


def _counted(row: dict[str, Any]) -> dict[str, Cell]:
    parameters, operations = row["trainable parameters"], row["multiply-adds per utterance"]
    return {
        "Parameters": Cell(f"{parameters:,}", value=parameters),
        "Multiply-adds": Cell(f"{operations / 1e6:.2f} M", value=operations),
    }


def _measured(row: dict[str, Any]) -> dict[str, Cell]:
    share = row["contrastive share of training step"]
    memory = row["peak device memory bytes"] or row["training memory bytes"]
    train, infer = (row[f"{kind} utterances per second"] for kind in ("training", "inference"))
    return {
        "s / epoch": _spread(row["seconds per epoch"], ".3g"),
        "train / s": Cell(f"{train['median']:,.0f}", value=train["median"]),
        "infer / s": Cell(f"{infer['median']:,.0f}", value=infer["median"]),
        "Memory": Cell(f"{memory / 1e6:,.0f} MB", value=memory),
        "Contrastive share": Cell(
            f"{100 * share['median']:.1f}%" if share["n"] else "0",
            value=share["median"] if share["n"] else 0,
        ),
    }


def _spread(figure: dict[str, Any], form: str) -> Cell:
    median, (low, high) = figure["median"], figure["iqr"]
    if figure["n"] == 1:
        return Cell(f"{median:{form}}", value=median)
    return Cell(f"{median:{form}} [{low:{form}}, {high:{form}}]", value=median)
