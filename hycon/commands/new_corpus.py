"""Write the entry of a corpus for a folder of files: `hycon corpora new FOLDER`."""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hycon.atomic_io import atomic_file
from hycon.corpus import from_table
from hycon.corpus.build import Report, build
from hycon.corpus.from_table import Table, read_columns
from hycon.corpus.labels import SCORE_LIMIT
from hycon.errors import HyConError
from hycon.params import Corpus, load
from hycon.params.base import NAME
from hycon.params.catalogue import ARRAYS
from hycon.params.messages import explain

CATALOGUE = Path("corpora.yaml")
# how files and columns are often called; the first that is found is taken
PARTS = {
    "audio": ("audio", "acoustic", "speech", "covarep", "gemaps", "opensmile", "wav2vec"),
    "vision": ("vision", "visual", "video", "face", "facet", "openface"),
    "vectors": ("vectors", "glove", "words"),
}
COLUMNS = {
    "name": ("name", "id", "utterance", "utterance_id", "clip", "file", "segment"),
    "group": ("group", "video", "video_id", "dialogue", "dialogue_id", "dialog", "speaker"),
    "text": ("text", "transcript", "transcription", "sentence", "words"),
    "label": ("label", "score", "sentiment", "emotion"),
    "fold": ("fold", "split", "set", "mode", "partition"),
}
MOST_EMOTIONS = 20


def main(argv: Sequence[str]) -> None:
    options = argparse.ArgumentParser(prog="hycon corpora new", description=__doc__)
    options.add_argument("folder", type=Path, help="a table (.csv, .parquet), and feature files")
    options.add_argument("--corpus", help="its name; default: the folder's")
    for column in COLUMNS:
        options.add_argument(f"--{column}", help=f"column of the {column}; default: by its name")
    options.add_argument("--test", nargs="+", help="values of --fold that are tested")
    options.add_argument("--valid", nargs="+", help="values of --fold for validation")
    options.add_argument(
        "--leave-one-out", action="store_true", help="test each value of --fold once"
    )
    arguments = options.parse_args(argv)
    folder = arguments.folder
    if not folder.is_dir():
        raise HyConError(f"{folder}: no such folder")
    name = arguments.corpus or re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    if not re.fullmatch(NAME, name):
        raise HyConError(f"--corpus {name}: expected a-z, 0-9 and single hyphens")
    if name in load().catalogue:
        raise HyConError(f"{CATALOGUE}: has a corpus {name} already; choose another: --corpus NAME")
    entry = describe(folder, arguments)
    report = _check(folder, entry)
    _append(name, entry)
    corpus = Corpus.model_validate(entry)
    sizes = " / ".join(map(str, report["utterances"].values()))
    labels = f"emotions {', '.join(corpus.emotions)}" if corpus.emotions else "scores"
    print(f"{CATALOGUE}: added {name}: {', '.join(corpus.modalities)}; {labels}")
    print(f"{sizes} utterances in train, validation and test; {report['videos']} groups")
    for reason, count in report["dropped, by reason"].items():
        print(f"{count} utterances left out: {reason}")
    print(
        "Next: snakemake --cores 1 all --configfile config/own-corpus.yaml "
        f"--config 'corpora=[{name}]'"
    )


def describe(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the entry of a folder's corpus.

    Raises:
        HyConError: the folder has no table, or columns or labels are not recognised.
    """
    parts = _parts(folder)
    table = read_columns(folder / parts["table"])
    columns = {name: _column(name, getattr(arguments, name), table) for name in COLUMNS}
    for name in ("group", "label"):
        if columns[name] is None:
            raise HyConError(
                f"{folder / parts['table']}: which column is the {name}? Found "
                f"{', '.join(table)[:300]}; name one: --{name} COLUMN"
            )
    emotions = _emotions(table[columns["label"]], f"{folder / parts['table']}: {columns['label']}")
    rule = _folds(arguments, columns["fold"], table)
    kept = {name: column for name, column in columns.items() if column and name != "fold"}
    entry: dict[str, Any] = {
        "title": folder.resolve().name,
        "task": "classification" if emotions else "regression",
        "format": "table",
        "mirrors": [str(folder)],
        "columns": {**kept, **({"folds": rule} if rule else {})},
        "files": {part: {"path": name} for part, name in parts.items()},
    }
    if emotions:
        entry["emotions"] = sorted(set(emotions.values()))
        if any(value != name for value, name in emotions.items()):
            entry["columns"]["emotions"] = emotions
    return entry


def _parts(folder: Path) -> dict[str, str]:
    """Return the files of a folder by part.

    A Parquet file is the table unless its name is that of a modality.
    """
    found: dict[str, str] = {}
    unknown = []
    for path in sorted(folder.iterdir()):
        stem = path.stem.lower()
        part = next((part for part, names in PARTS.items() if any(n in stem for n in names)), None)
        if path.suffix in ARRAYS and part:
            pass
        elif path.suffix in (".csv", ".parquet"):
            part = "table"
        elif path.suffix in ARRAYS:
            unknown.append(path.name)
            continue
        else:
            continue
        if part in found:
            raise HyConError(f"{folder}: both {found[part]} and {path.name} could be the {part}")
        found[part] = path.name
    if unknown:
        names = ", ".join(PARTS)
        raise HyConError(f"{folder}: what is {unknown[0]}? Name it after its modality: {names}")
    if "table" not in found:
        raise HyConError(f"{folder}: has no table; expected a .csv or .parquet file of utterances")
    return {"table": found.pop("table"), **found}


def _column(name: str, given: str | None, table: Table) -> str | None:
    if given is not None:
        if given not in table:
            raise HyConError(f"--{name} {given}: no such column; found {', '.join(table)[:300]}")
        return given
    known = {column.lower(): column for column in reversed(table)}
    return next((known[each] for each in COLUMNS[name] if each in known), None)


def _emotions(labels: list[str], where: str) -> dict[str, str] | None:
    """Return the emotion of each value of the labels, or None if they are scores."""
    values = Counter(label for label in labels if label)
    try:
        scores = [float(value) for value in values]
    except ValueError:
        scores = []
    if scores:
        if min(scores) < -SCORE_LIMIT or max(scores) > SCORE_LIMIT:
            raise HyConError(
                f"{where} has scores from {min(scores):g} to {max(scores):g}, expected [-3, 3]; "
                "rescale them, or name another column: --label COLUMN"
            )
        return None
    if not 2 <= len(values) <= MOST_EMOTIONS:
        raise HyConError(
            f"{where} has {len(values)} values, expected scores or 2 to {MOST_EMOTIONS} emotions; "
            "name another column: --label COLUMN"
        )
    return {value: re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") for value in values}


def _folds(arguments: argparse.Namespace, column: str | None, table: Table) -> dict[str, Any]:
    """Return the rule of the folds; empty for groups that are drawn at random."""
    if not (arguments.test or arguments.leave_one_out):
        return {"column": column} if column else {}
    if column is None:
        raise HyConError("--fold: missing; name the column whose values are tested")
    if arguments.leave_one_out:
        return {"column": column, "leave_one_out": True}
    for value in [*arguments.test, *(arguments.valid or [])]:
        if value not in table[column]:
            raise HyConError(f"--test, --valid: column {column} has no value {value}")
    return {
        "column": column,
        "test": arguments.test,
        **({"valid": arguments.valid} if arguments.valid else {}),
    }


def _check(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Read the whole corpus as `align` will, and return its report."""
    try:
        corpus = Corpus.model_validate(entry)
    except ValidationError as error:
        raise HyConError(f"{folder}: {explain(Corpus, error.errors()[0])}") from None
    files = {part: folder / file.name for part, file in corpus.files.items()}
    report = Report()
    found = from_table.read(files, corpus, load().align, report)
    with tempfile.TemporaryDirectory() as temporary:
        return build(found, report, Path(temporary), files["table"])


def _append(name: str, entry: dict[str, Any]) -> None:
    """Add an entry at the end of corpora.yaml, whose only key is `catalogue`."""
    before = CATALOGUE.read_text(encoding="utf-8")
    text = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True)
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    with atomic_file(CATALOGUE) as temporary:
        temporary.write_text(f"{before.rstrip()}\n\n{lines}", encoding="utf-8")
    try:
        load()
    except HyConError:
        with atomic_file(CATALOGUE) as temporary:
            temporary.write_text(before, encoding="utf-8")
        raise
