"""List the corpora, with the state and size of their files."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from hycon.commands import new_corpus
from hycon.corpus.croissant import metadata
from hycon.corpus.manifest import recorded
from hycon.corpus.transfer import amount, digest_of
from hycon.errors import HyConError
from hycon.logs import log
from hycon.params import Corpus, load
from hycon.params.catalogue import SourceFile

RAW = Path("data/raw")
MANIFEST = Path("corpora.manifest.json")
# states of files, in the order in which they are listed
ORDER = ("differs", "missing", "not checked", "verified", "generated here")


class Found(NamedTuple):
    """The state of one file of a corpus on this machine."""

    part: str
    path: Path
    state: str
    size: int | None  # bytes; the expected size of a missing file
    note: str


def main(argv: Sequence[str] | None = None) -> None:
    given = list(argv or [])
    if given[:1] == ["new"]:
        new_corpus.main(given[1:])
        return
    options = argparse.ArgumentParser(
        prog="hycon corpora",
        description=__doc__,
        epilog="hycon corpora new FOLDER adds a corpus of your own: see hycon corpora new --help",
    )
    options.add_argument("corpus", nargs="?", help="show the details of this corpus")
    options.add_argument(
        "--croissant", action="store_true", help="print its metadata in the Croissant format"
    )
    arguments = options.parse_args(given)
    params = load()
    if arguments.corpus is None and arguments.croissant:
        raise HyConError("--croissant: name a corpus")
    if arguments.corpus is None:
        _list(params.catalogue)
        return
    if arguments.corpus not in params.catalogue:
        known = ", ".join(params.catalogue)
        raise HyConError(f"{arguments.corpus}: no such corpus; corpora.yaml has {known}")
    corpus = params.catalogue[arguments.corpus]
    if arguments.croissant:
        _print_croissant(arguments.corpus, corpus)
    else:
        _describe(arguments.corpus, corpus, params.mirror)


def _list(catalogue: dict[str, Corpus]) -> None:
    rows = []
    for name, corpus in catalogue.items():
        found = look(name, corpus)
        states = [file.state for file in found]
        here = [file for file in found if file.state != "missing"]
        rows.append(
            [
                name,
                "scores" if corpus.emotions is None else f"{len(corpus.emotions)} emotions",
                corpus.format,
                f"{len(here)} of {len(found)}",
                amount(sum(file.size or 0 for file in here)) if here else "",
                ", ".join(_count(state, states) for state in ORDER if state in states),
            ]
        )
    headings = ["corpus", "labels", "format", "files", "size", "state"]
    print(tabulate(rows, headings, colalign=("left", "left", "left", "left", "right", "left")))
    print("\nhycon corpora NAME shows where its files come from and where they go.")


def _count(state: str, states: list[str]) -> str:
    return state if states.count(state) == len(states) else f"{states.count(state)} {state}"


def look(name: str, corpus: Corpus) -> list[Found]:
    """Return the state of each file of a corpus; computes digests of whole files."""
    return [_look(name, corpus, part, file) for part, file in corpus.files.items()]


def _look(name: str, corpus: Corpus, part: str, file: SourceFile) -> Found:
    path = RAW / name / file.name
    known = recorded(MANIFEST, name, file.name)
    if not path.is_file():
        return Found(part, path, "missing", file.size or (known and known.size), "")
    size = path.stat().st_size
    if corpus.generator:
        return Found(part, path, "generated here", size, "")
    digest = digest_of(path)
    expected = file.sha256 or (known and known.sha256)
    if expected is None:
        return Found(part, path, "not checked", size, f"sha256 {digest}; no digest is known")
    if digest != expected:
        return Found(part, path, "differs", size, f"sha256 {digest}, expected {expected}")
    return Found(part, path, "verified", size, f"sha256 {digest}")


def _describe(name: str, corpus: Corpus, mirror: str | None) -> None:
    labels = "scores" if corpus.emotions is None else ", ".join(corpus.emotions)
    facts = {
        name: corpus.title,
        "labels": labels,
        "modalities": ", ".join(corpus.modalities),
        "folds": corpus.standard_folds or _folds(corpus),
        "note": " ".join(corpus.note.split()),
        "licence": corpus.licence,
        "citation": corpus.citation,
        "homepage": corpus.homepage,
    }
    width = max(len(key) for key in facts)
    print("\n".join(f"{key:<{width}}  {value}" for key, value in facts.items() if value))
    for found in look(name, corpus):
        size = f", {amount(found.size)}" if found.size else ""
        print(f"\n{found.part}: {found.state}{size}\n  {found.path}")
        if found.note:
            print(f"  {found.note}")
        if found.state == "missing" and not corpus.generator:
            for address in corpus.files[found.part].addresses(mirror, corpus.mirrors):
                print(f"  from {address}")
    if not corpus.generator:
        print(
            f"\nsnakemake --cores 1 raw --config 'corpora=[{name}]' fetches missing files and "
            "checks the others."
        )


def _folds(corpus: Corpus) -> str:
    """Return how a corpus without standard folds is divided."""
    rule = corpus.columns and corpus.columns.folds
    if rule is None:
        return "in the files"
    if rule.column is None:
        return f"{rule.test_share:.0%} of the groups drawn for the test"
    if rule.leave_one_out:
        return f"each value of {rule.column} is tested once"
    return f"by column {rule.column}" + (f", test {', '.join(rule.test)}" if rule.test else "")


def _print_croissant(name: str, corpus: Corpus) -> None:
    known = {file.name: recorded(MANIFEST, name, file.name) for file in corpus.files.values()}
    found = metadata(name, corpus, {file: each.sha256 for file, each in known.items() if each})
    missing = {file.name for file in corpus.files.values()} - {
        file["name"] for file in found["distribution"]
    }
    if missing:
        log.warning("left out, because no digest is known: %s", ", ".join(sorted(missing)))
    print(json.dumps(found, indent=1))
