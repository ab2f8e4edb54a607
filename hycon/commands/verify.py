"""Compare the numbers of the last run with the committed ones.

Exit code 0: all are met, exactly, within rounding or within their spread; 1: some are not; 2: they
cannot be compared.
"""

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hycon.atomic_io import write_json
from hycon.errors import printable
from hycon.reporting.verification import (
    NOT_JUDGED,
    RULES,
    STATUSES,
    Number,
    Verification,
    corpus_of,
    verify,
)

NOT_MET = 1  # exit code
SHOWN = 10  # numbers that were not met


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="hycon verify", description=__doc__)
    options.add_argument("--against", default="HEAD", metavar="COMMIT", help="default: HEAD")
    options.add_argument("--corpus", nargs="+", default=(), help="default: all that were run here")
    options.add_argument("--json", type=Path, metavar="FILE", help="write every difference to FILE")
    arguments = options.parse_args(argv)
    found = verify(arguments.against, arguments.corpus)
    unmet = found.not_met()
    print(f"Committed numbers (commit {found.commit}) and this run's:")
    print(*map(printable, _summary(found)), sep="\n")
    if unmet:
        print("Not met, the farthest first:")
        print(*map(printable, _worst(unmet)), sep="\n")
    print(RULES)
    if arguments.json:
        write_json(arguments.json, _record(found))
    if unmet:
        sys.exit(NOT_MET)


def _summary(found: Verification) -> list[str]:
    """Return a line for each corpus, and one each for what was not compared."""
    files = found.counts()
    run = dict.fromkeys(map(corpus_of, files))
    lines = []
    for corpus in run:
        counts = Counter()
        for file, each in files.items():
            counts.update(each if corpus_of(file) == corpus else {})
        judged = ", ".join(f"{counts[each]:,} {each}" for each in STATUSES if each != NOT_JUDGED)
        lines.append(f"  {corpus}: {judged} ({counts[NOT_JUDGED]:,} not judged)")
    others = dict.fromkeys(map(corpus_of, found.not_made))
    if other := [corpus for corpus in others if corpus not in run]:
        lines.append(f"  not run here: {', '.join(other)}")
    kept = [path for path in found.not_made if corpus_of(path) in run]
    for words, paths in (
        ("not made by a job here", kept),
        ("made here and not committed", found.not_committed),
    ):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            lines.append(f"  {words}: {paths[0]}{more}")
    return lines


def _worst(unmet: list[Number]) -> list[str]:
    """Return the numbers that are farthest from the committed ones; missing ones as a count.

    A row is in several tables and in metrics.json, and is listed once.
    """
    missing = Counter(number.file for number in unmet if number.found is None)
    lines = [f"  {file}: {count:,} numbers missing" for file, count in missing.items()]
    distinct: dict[str, str] = {}
    for each in unmet:
        if each.found is not None:
            values = f"committed {each.committed:.6g}, found {each.found:.6g}"
            distinct.setdefault(values, f"  {each.file}: {each.row}: {each.column}: {values}")
    lines += distinct.values()
    more = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"  and {more:,} more"] if more > 0 else [])


def _record(found: Verification) -> dict:
    """Return the counts by file, and every number that is not exactly the committed one."""
    differing = [dataclasses.asdict(each) for each in found.numbers if each.distance]
    for each in differing:
        if each["found"] is None:
            each["distance"] = None  # infinity is no JSON
    return {
        "commit": found.commit,
        "rules": RULES,
        "files": found.counts(),
        "not made": found.not_made,
        "not committed": found.not_committed,
        "differing": differing,
    }
