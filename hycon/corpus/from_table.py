"""Read a table of utterances, and an array of features for each modality (format: table)."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hycon.corpus.arrays import read_arrays, read_parquet
from hycon.corpus.build import Report
from hycon.corpus.folds import folds_by_rule
from hycon.corpus.labels import SCORE_LIMIT
from hycon.corpus.utterances import MODALITIES, Utterance
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus
from hycon.params.catalogue import Columns
from hycon.progress import progress

Table = dict[str, list[str]]


def read(
    files: dict[str, Path], corpus: Corpus, settings: AlignConfig, report: Report
) -> Iterator[tuple[Utterance, dict[str, np.ndarray]]]:
    """Yield every labelled utterance with its rows of every modality.

    Args:
        files: the `table`, and arrays by modality: `audio`, `vision`, `vectors`.
        corpus: its entry in the catalogue.
        settings: how many frames of audio and vision are kept.
        report: records what is missing, dropped and counted.

    Raises:
        HyConError: a file is invalid, or two do not fit each other.
    """
    where, columns = files["table"], corpus.columns
    table = read_columns(where)
    names, groups = identities(table, columns, where)
    labels = [_label(value, columns, corpus.emotions) for value in table[columns.label]]
    kept = [number for number, (label, _) in enumerate(labels) if label]
    for number, (label, reason) in enumerate(labels):
        if not label:
            report.drop(groups[number], number, reason)
    folds, held_out = _folds(table, columns, groups, kept, where)
    arrays = {name: read_arrays(files[name], names) for name in MODALITIES if name in files}
    widths: dict[str, int] = {}
    segments: dict[str, int] = {}
    texts = table[columns.text] if columns.text else [""] * len(names)
    for place, number in enumerate(progress(kept, "align", unit="utterances")):
        rows = {
            name: _rows(name, array(number), files[name], names[number], widths, settings, report)
            for name, array in arrays.items()
        }
        group = groups[number]
        segments[group] = segments.get(group, -1) + 1
        words = texts[number].split()
        yield (
            Utterance(
                id=names[number],
                video=group,
                segment=segments[group],
                fold=folds[place],
                start=np.nan,
                end=np.nan,
                words=len(words) or len(rows.get("vectors", ())),
                label=labels[number][0],
                text=" ".join(words),
                held_out=held_out[place],
            ),
            rows,
        )


def read_columns(path: Path) -> Table:
    """Return the columns of a CSV or Parquet file as texts; a missing value is "".

    Raises:
        HyConError: the file cannot be read, has no line, or a column twice.
    """
    if path.suffix == ".parquet":
        columns = read_parquet(path)
        table = {name: list(map(_text, column.tolist())) for name, column in columns.items()}
    else:
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                header, *lines = csv.reader(file, strict=True)
        except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
            raise HyConError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from None
        if len(set(header)) < len(header):
            raise HyConError(f"{path}: two columns have the same name; rename one")
        for number, line in enumerate(lines, start=2):
            if len(line) != len(header):
                raise HyConError(
                    f"{path}:{number}: found {len(line)} values, expected {len(header)} as in the "
                    "first line"
                )
        table = dict(zip(header, map(list, zip(*lines, strict=True)), strict=bool(lines)))
    if not table or not next(iter(table.values())):
        raise HyConError(f"{path}: has no utterance; expected a line for each")
    return table


def _text(value: object) -> str:
    missing = value is None or value != value  # NaN
    return "" if missing else str(value)


def identities(table: Table, columns: Columns, where: Path) -> tuple[list[str], list[str]]:
    """Return name and group (N,) of each utterance, after checking that all columns are there.

    Raises:
        HyConError: a column is missing, or a name is missing or repeated.
    """
    named = columns.model_dump(include={"group", "label", "name", "text"}, exclude_none=True)
    if columns.folds.column:
        named["folds.column"] = columns.folds.column
    for key, column in named.items():
        if column not in table:
            raise HyConError(
                f"{where}: has no column {column!r} (columns.{key}); found {', '.join(table)[:300]}"
            )
    groups = table[columns.group]
    if "" in groups:
        raise HyConError(f"{where}: line {groups.index('') + 2} has no {columns.group}; name it")
    if columns.text and not any(text.split() for text in table[columns.text]):
        raise HyConError(f"{where}: column {columns.text!r} has no text; set columns.text to null")
    if columns.name is None:
        return [f"{group}[{number}]" for number, group in enumerate(groups)], groups
    names = table[columns.name]
    seen: dict[str, int] = {}
    for line, name in enumerate(names, start=2):
        if not name or seen.setdefault(name, line) != line:
            what = f"{name[:60]!r} again, after line {seen[name]}" if name else "nothing"
            raise HyConError(
                f"{where}: line {line}: found {what} under {columns.name}; expected a name of "
                "its own"
            )
    return names, groups


def _label(value: str, columns: Columns, emotions: list[str] | None) -> tuple[str, str]:
    """Return an utterance's label, or "" and why it has none."""
    if emotions is not None:
        label = columns.emotions.get(value, value if not columns.emotions else "")
        if label in emotions:
            return label, ""
        return "", f"label {value[:60]!r} is none of the emotions" if value else "no label"
    try:
        score = float(value)
    except ValueError:
        return "", f"label {value[:60]!r} is not a number" if value else "no label"
    if not abs(score) <= SCORE_LIMIT:  # nor if it is NaN
        return "", f"score {value[:60]} is outside [-3, 3]"
    return repr(score), ""


def _folds(
    table: Table, columns: Columns, groups: list[str], kept: list[int], where: Path
) -> tuple[list[str], list[str]]:
    """Return the fold and the held-out group of each kept utterance."""
    rule = columns.folds
    values = [table[rule.column][number] for number in kept] if rule.column else None
    if rule.leave_one_out:
        if "" in values:
            line = kept[values.index("")] + 2
            raise HyConError(
                f"{where}: line {line} has no {rule.column}; every one is a test group"
            )
        return ["test"] * len(kept), values
    mine = [groups[number] for number in kept]
    if not mine:
        return [], []
    try:
        return folds_by_rule(rule, mine, values), [""] * len(kept)
    except ValueError as error:
        raise HyConError(f"{where}: {error}; see columns.folds in corpora.yaml") from None


def _rows(
    name: str,
    rows: np.ndarray,
    path: Path,
    utterance: str,
    widths: dict[str, int],
    settings: AlignConfig,
    report: Report,
) -> np.ndarray:
    """Return an utterance's rows (n, D), cut to the longest that is kept, after counting them."""
    width = widths.setdefault(name, rows.shape[1])
    if rows.shape[1] != width:
        raise HyConError(
            f"{path}: {utterance[:60]} has {rows.shape[1]} features, others have {width}"
        )
    if longest := getattr(settings.longest, name, None):
        report.counts[name]["utterances cut"] += int(len(rows) > longest)
        rows = rows[:longest]
    return report.known(name, np.asarray(rows, np.float64), np.ones(len(rows), bool))
