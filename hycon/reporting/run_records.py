"""Records of a row's runs: duration, machine and parameters."""

import csv
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_scores
from hycon.reporting.inline_svg import Curve
from hycon.reporting.table_formats import Cell, DisplayTable

KEYS = ("selection", "device", "threads", "commit", "clean", "versions", "started", "seconds")


@dataclass(frozen=True)
class RowRecord:
    """A row, and the records of its runs by seed."""

    name: str
    model: str
    encoder: str
    settings: dict[str, Any]
    text: str  # the text encoder's model, or its kind
    records: dict[int, dict[str, Any]]
    curves: list[Curve]

    @property
    def label(self) -> str:
        return f"{self.model}, {self.encoder}"

    @property
    def names(self) -> list[Cell]:
        return [Cell(self.encoder), Cell(self.model)]

    @property
    def seconds(self) -> list[float]:
        return [record["seconds"] for record in self.records.values()]


def read_row(folder: Path, model: str, encoder: str) -> RowRecord:
    """Read a row's scores.json and the history of each of its runs.

    Args:
        folder: of the row.
        model, encoder: its labels.

    Raises:
        HyConError: a file cannot be read or lacks something.
    """
    path = folder / "scores.json"
    scores = read_scores(path)
    try:
        records = {
            int(seed): {key: run[key] for key in KEYS} for seed, run in scores["seeds"].items()
        }
        curves = [
            Curve(seed, points, epoch)
            for seed, record in records.items()
            for points, epoch in zip(
                read_histories(folder / f"seed-{seed}/history.csv"),
                _epochs(record["selection"]["epoch"]),
                strict=True,
            )
        ]
        encoding, settings = scores["encoder"], scores["settings"]
        text = encoding["model"] or encoding["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise HyConError(f"{path}: lacks {error}; evaluate the runs again") from None
    return RowRecord(folder.name, model, encoder, settings, text, records, curves)


def _epochs(found: int | list[int]) -> list[int]:
    return found if isinstance(found, list) else [found]


def read_histories(path: Path) -> list[list[tuple[int, float]]]:
    """Read the validation score of each epoch of a run's networks.

    Returns:
        The points of one network, or of one for each held-out group.

    Raises:
        HyConError: it cannot be read.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                point = int(row["epoch"]), float(row["validation"])
                points.setdefault(row.get("held_out", ""), []).append(point)
        if not points:
            raise ValueError("no epoch")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and train again") from None
    return list(points.values())


def duration(seconds: float) -> str:
    """Return a duration for readers."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def times(rows: list[RowRecord], label: str) -> DisplayTable:
    """Return how long the runs of each row took."""
    cells = [
        [
            *row.names,
            Cell(str(len(row.records)), value=len(row.records)),
            _number(statistics.median(row.seconds)),
            _number(sum(row.seconds)),
            _number(statistics.median(len(curve.points) for curve in row.curves)),
        ]
        for row in rows
    ]
    return DisplayTable(
        ["Text encoder", "Model", "Runs", "Median s", "Total s", "Median epochs"], "llrrrr", cells,
        "Seconds of training and writing; other work may have shared the machine.", label,
    )  # fmt: skip


def _number(value: float) -> Cell:
    return Cell(f"{value:.4g}", value=value)


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return settings, whatever their keys, as dotted key and text."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value)
            found[f"{prefix}{key}"] = "none" if value is None else text
    return found


def base(row: RowRecord, label: str) -> DisplayTable:
    """Return every parameter of a row."""
    cells = [[Cell(key), Cell(value)] for key, value in flat(row.settings).items()]
    return DisplayTable(
        ["Parameter", "Value"], "ll", cells, f"Parameters of {row.label}.", label, 1
    )


def changes(rows: list[RowRecord], label: str) -> DisplayTable:
    """Return the settings in which each row differs from the first, and its text encoder."""
    first = flat(rows[0].settings)
    cells = [
        [*row.names, Cell(row.text), Cell(_changed(first, flat(row.settings)))] for row in rows
    ]
    return DisplayTable(
        ["Text encoder", "Model", "Encoder's model", "Otherwise than the first row"], "llll", cells,
        f"Parameters that differ from those of {rows[0].label}.", label,
    )  # fmt: skip


def _changed(first: dict[str, str], row: dict[str, str]) -> str:
    apart = [f"{key} {value}" for key, value in row.items() if first.get(key) != value]
    gone = [f"no {key}" for key in first if not any(_of_one(key, other) for other in row)]
    return "; ".join([*apart, *gone])


def _of_one(key: str, other: str) -> bool:
    """Return whether two dotted keys are the same, or one is inside the other."""
    return f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}.")


def environments(rows: list[RowRecord]) -> DisplayTable:
    """Return under which versions and on which device the runs were made, a column for each."""
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for row in rows:
        for record in row.records.values():
            found = {
                "commit": commit(record),
                "device": str(record["device"]),
                "threads": str(record["threads"]),
                **{name: str(version) for name, version in record["versions"].items()},
            }
            key = tuple(found.items())
            counts[key] = counts.get(key, 0) + 1
    columns = [dict(key) for key in counts]
    names = list(dict.fromkeys(name for column in columns for name in column))
    cells = [[Cell(name), *(Cell(column.get(name, "")) for column in columns)] for name in names]
    headings = [f"{count} run{'' if count == 1 else 's'}" for count in counts.values()]
    caption = (
        "Versions, device and commit of the runs, one column for those that have all in common."
    )
    return DisplayTable(
        ["What", *headings], "l" * (1 + len(columns)), cells, caption, "environment", 1
    )


def commit(record: dict[str, Any]) -> str:
    """Return a run's commit and whether the working tree was clean."""
    if not record["commit"]:
        return "none (outside git)"
    return record["commit"] + ("" if record["clean"] else ", with changes not committed")
