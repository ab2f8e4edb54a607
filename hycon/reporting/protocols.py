"""What the rows of an experiment report under other protocols: a table and a figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hycon.corpus.utterances import read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_scores
from hycon.evaluation.audit import PROTOCOLS, TUNED, Audit, Epochs, audit, tuned
from hycon.evaluation.inference import scoring
from hycon.params import Corpus, FigureConfig
from hycon.plan.tasks import ProtocolTable, ScoredRow, digests
from hycon.reporting import table_formats
from hycon.reporting.captions import columns_of, opening
from hycon.reporting.figures import COLUMN, PAGE, STYLE, legend_columns, save, unit
from hycon.reporting.table_formats import Cell, DisplayTable, number
from hycon.reporting.tables import cell, seeds_note

NOTE = (
    "The same runs under six protocols; only the first two leave the test fold alone. Of one seed, "
    "or of each metric's best, there is no spread. Gain: of the primary metric over the first "
    "protocol. Best of the rows: as if they were settings of one model. Runs ended by patience on "
    "the validation fold, so the last epoch is not far from the best."
)
SHOWN = ("acc7", "acc2_nonneg", "acc2_pos", "f1_pos", "mae_all", "corr_all")


class Protocols(NamedTuple):
    """A table of protocols, ready to be written."""

    table: ProtocolTable
    key: str
    corpus: Corpus
    audits: dict[str, Audit]  # by row
    best: Audit | None  # of rows as if they were settings of one model
    seeds: str  # which, and how they are summarised


def make(table: ProtocolTable, key: str, corpus: Corpus) -> Protocols:
    """Score the epochs of a table's rows.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: a file cannot be read, or belongs to other parameters.
    """
    check_parameters(digests(table.rows))
    utterances = read_table(table.aligned / "utterances.csv")
    labels = {
        fold: [each.label for each in utterances if each.fold == fold] for fold in ("valid", "test")
    }
    metrics = scoring(labels["test"], corpus.emotions)
    valid = [
        float(label) if corpus.emotions is None else corpus.emotions.index(label)
        for label in labels["valid"]
    ]
    primary, audits, read = table.inference.primary_of(corpus.task), {}, []
    for row in table.rows:
        seeds = list(read_scores(row.scores)["seeds"])
        read.append((row, {}, seeds))
        runs = {seed: read_epochs(row, seed) for seed in seeds}
        try:
            audits[row.row] = audit(runs, valid, metrics, primary)
        except ValueError as error:
            raise HyConError(f"{row.scores.parent}: {error}; train again") from None
    best = tuned(audits, primary) if len(audits) > 1 else None
    return Protocols(table, key, corpus, audits, best, seeds_note(read))


def read_epochs(row: ScoredRow, seed: str) -> Epochs:
    """Read the predictions of a run after each epoch.

    Raises:
        HyConError: there are none, or the file cannot be read.
    """
    path = row.scores.parent / f"seed-{int(seed)}" / "epochs.safetensors"
    try:
        content = load_file(path)
        return Epochs(content["valid"].astype(np.float64), content["test"].astype(np.float64))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise HyConError(
            f"{path}: cannot be read ({error}); set train.every_epoch, and train again"
        ) from None


def write(found: Protocols, path: Path) -> None:
    """Write the table in every format; the CSV has every metric.

    Args:
        found: result of `make`.
        path: path without suffix.
    """
    corpus, columns = found.corpus, columns_of(found.corpus)
    primary = found.table.inference.primary_of(corpus.task)
    shown = [name for name in columns if corpus.emotions is not None or name in SHOWN]
    labels = {row.row: (row.encoder, row.model) for row in found.table.rows}
    caption = f"{found.table.title}: protocols. {opening(corpus)} Test fold, {found.seeds}. {NOTE}"
    sheet = display(
        {labels[row]: each for row, each in found.audits.items()}, found.best,
        {name: columns[name] for name in shown}, primary, caption, f"{found.key}-{path.stem}",
        ("Text encoder", "Model"),
    )  # fmt: skip
    table_formats.write(sheet, numbers(found.audits, found.best), path)


def display(
    audits: Mapping[tuple[str, ...], Audit],
    best: Audit | None,
    columns: Mapping[str, tuple[str, int]],
    primary: str,
    caption: str,
    label: str,
    names: Sequence[str],
) -> DisplayTable:
    """Return the table for readers.

    Args:
        audits: by the texts of the first columns.
        best: of `tuned`, or None.
        columns: heading and factor of each metric that is shown.
        primary: metric of the column of gains.
        caption, label: of the table.
        names: headings of the first columns.
    """
    rows = []
    parts = [(texts, each, PROTOCOLS) for texts, each in audits.items()]
    if best is not None:
        last = ("",) * (len(names) - 1)
        parts.append(((*last, "any of the above"), best, TUNED))
    for texts, each, protocols in parts:
        base = each.mean(protocols[0].name, primary)
        for protocol in protocols:
            values = [
                Cell(
                    cell(
                        {"mean": each.mean(protocol.name, name),
                         "std": each.std(protocol.name, name)}, factor,
                    ),
                    value=each.mean(protocol.name, name),
                )
                for name, (_, factor) in columns.items()
            ]  # fmt: skip
            gain = abs(each.mean(protocol.name, primary) - base)
            worse = (each.mean(protocol.name, primary) > base) == primary.startswith("mae")
            shown = number(-gain if worse else gain, columns[primary][1], sign=True)
            rows.append(
                [*map(Cell, texts), Cell(protocol.words), *values,
                 Cell("" if protocol is protocols[0] else shown, value=-gain if worse else gain)]
            )  # fmt: skip
    headings = [*names, "Protocol", *(heading for heading, _ in columns.values()), "Gain"]
    sides = "l" * (len(names) + 1) + "r" * (len(columns) + 1)
    return DisplayTable(headings, sides, rows, caption, label, len(names) + 1)


def numbers(audits: Mapping[str, Audit], best: Audit | None) -> pd.DataFrame:
    """Return every number at full precision."""
    parts = [(name, each, PROTOCOLS) for name, each in audits.items()]
    if best is not None:
        parts.append(("", best, TUNED))
    return pd.DataFrame(
        {
            "row": name, "protocol": protocol.name, "honest": protocol.honest, "metric": metric,
            "mean": each.mean(protocol.name, metric), "std": each.std(protocol.name, metric),
            "n": len(values),
        }
        for name, each, protocols in parts
        for protocol in protocols
        for metric, values in each.runs[protocol.name].items()
    )  # fmt: skip


def draw(
    audits: Mapping[str, Audit],
    columns: Mapping[str, tuple[str, int]],
    caption: str,
    path: Path,
    colours: FigureConfig,
) -> None:
    """Draw what each system reports under each protocol, one panel for each metric.

    Args:
        audits: by label.
        columns: heading and factor of each metric.
        caption: goes to PATH.txt.
        path: without its ending; PATH.svg, .pdf, .png and .txt are written.
        colours: of the systems.
    """
    with matplotlib.style.context(["default", STYLE]):
        names = list(audits)
        width = PAGE if len(columns) > 1 else COLUMN
        height = (
            0.7 + 0.32 * len(PROTOCOLS) + 0.17 * np.ceil(len(names) / legend_columns(names, width))
        )
        figure = Figure(figsize=(width, height), layout="constrained")
        panels = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
        for axes, (metric, (heading, factor)) in zip(panels, columns.items(), strict=True):
            for place, (name, each) in enumerate(audits.items()):
                offset = 0.12 * (place - (len(names) - 1) / 2)
                axes.errorbar(
                    [factor * each.mean(protocol.name, metric) for protocol in PROTOCOLS],
                    np.arange(len(PROTOCOLS)) + offset,
                    xerr=[factor * (each.std(protocol.name, metric) or 0.0)
                          for protocol in PROTOCOLS],
                    color=colours.classes[place % len(colours.classes)],
                    marker="os^Dv<>"[place % 7], markersize=4, linewidth=0, elinewidth=0.8,
                    label=name,
                )  # fmt: skip
            axes.axhline(1.5, color="0.6", linewidth=0.6, linestyle=":")
            axes.set_xlabel(heading + unit(heading, factor))
            axes.grid(axis="x", color="0.9", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_yticks(
            range(len(PROTOCOLS)), [protocol.words.replace(",", ",\n") for protocol in PROTOCOLS]
        )
        panels[0].invert_yaxis()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=legend_columns(names, width)
        )
        save(figure, caption, path)
