"""What each row costs, as a table: CSV, Markdown, LaTeX."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from hycon.errors import HyConError
from hycon.evidence.tables import latex_table, latex_text, opening
from hycon.files import atomic_file
from hycon.params import Corpus

NOTE = (
    "Measured in one run on one machine, rows in turns: {processor}, {cores} cores, {threads} "
    "thread{s}{gpu}, torch {torch}; medians of {repeats} rounds [interquartile range]. Parameters: "
    "trained ones. Multiply-adds: matrix products of an utterance's forward pass in a batch of 32, "
    "padding included. Memory: weights, gradients, optimiser, and what the largest batch keeps for "
    "its backward pass. Contrastive share: of a training step; at inference it is 0. {cached}"
)
CACHED = "Text states are cached: no figure counts the text encoder."
FINETUNED = "Rows whose text encoder is fine-tuned count it; the others' text states are cached."


def read_costs(path: Path, labels: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Read what the stage `complexity` measured, its rows under the names that a reader knows.

    Args:
        path: the file.
        labels: model and text encoder by row.

    Raises:
        HyConError: it cannot be read, or holds other rows.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record["rows"][0]["seconds per epoch"], record["machine"], record["repeats"]
        for row in record["rows"]:
            row["label"], row["encoder"] = labels[row["label"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and measure again") from None
    return record


def write(record: dict[str, Any], key: str, corpus: Corpus, path: Path) -> None:
    """Write PATH.csv (every figure), PATH.md and PATH.tex.

    Args:
        record: of `read_costs`.
        key: the corpus's name.
        corpus: its entry in the catalogue.
        path: without its ending.
    """
    caption = _caption(record, corpus)
    flat = pd.json_normalize(record["rows"], sep=" ").drop(
        columns=[name for name in _flat_names(record) if name.startswith("settings")]
    )
    flat = flat.assign(corpus=key, caption=caption)
    with atomic_file(path.with_suffix(".csv")) as temporary:
        flat.to_csv(temporary, index=False, lineterminator="\n")
    frame = pd.DataFrame(_shown(row) for row in record["rows"])
    right = frame.shape[1] - 2
    text = frame.to_markdown(
        index=False, colalign=["left", "left", *["right"] * right], disable_numparse=True
    )
    with atomic_file(path.with_suffix(".md")) as temporary:
        temporary.write_text(f"{text}\n\n{caption}\n", encoding="utf-8")
    escaped = frame.map(latex_text).rename(columns=latex_text)
    latex = latex_table(escaped, "ll" + "r" * right, caption, f"{key}-{path.stem}")
    with atomic_file(path.with_suffix(".tex")) as temporary:
        temporary.write_text(latex, encoding="utf-8")


def _flat_names(record: dict[str, Any]) -> list[str]:
    return list(pd.json_normalize(record["rows"], sep=" ").columns)


def _caption(record: dict[str, Any], corpus: Corpus) -> str:
    machine = record["machine"]
    inside = any(row["text encoder in network"] for row in record["rows"])
    note = NOTE.format(
        **{name: machine[name] for name in ("processor", "cores", "threads", "torch")},
        s="" if machine["threads"] == 1 else "s",
        gpu=f", {machine['gpu']}" if machine["gpu"] else "",
        repeats=record["repeats"],
        cached=FINETUNED if inside else CACHED,
    )
    count = record["training utterances"]
    return f"Complexity. {opening(corpus)} {count} training utterances. {note}"


def _shown(row: dict[str, Any]) -> dict[str, str]:
    share = row["contrastive share of training step"]
    memory = row["peak device memory bytes"] or row["training memory bytes"]
    return {
        "Text encoder": row["encoder"],
        "Model": row["label"],
        "Parameters": f"{row['trainable parameters']:,}",
        "Multiply-adds": f"{row['multiply-adds per utterance'] / 1e6:.2f} M",
        "s / epoch": _spread(row["seconds per epoch"], ".3g"),
        "train / s": f"{row['training utterances per second']['median']:,.0f}",
        "infer / s": f"{row['inference utterances per second']['median']:,.0f}",
        "Memory": f"{memory / 1e6:,.0f} MB",
        "Contrastive share": f"{100 * share['median']:.1f}%" if share["n"] else "0",
    }


def _spread(figure: dict[str, Any], form: str) -> str:
    low, high = figure["iqr"]
    return f"{figure['median']:{form}} [{low:{form}}, {high:{form}}]"
