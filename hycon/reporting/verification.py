"""Whether a run met the committed numbers: exactly, within rounding, within their spread, or not.

The numbers are those in the CSV of each table and in the metrics.json of each corpus. Files that no
job has made in this folder are left out: they are still those of the commit.
"""

import csv
import math
import re
import subprocess
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hycon.atomic_io import sha256_of
from hycon.errors import HyConError
from hycon.evaluation.aggregation import summarise
from hycon.plan.paths import MEASURED, RESULTS
from hycon.plan.records import digests
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.untrusted.safe_json import read_json

STATUSES = ("exact", "within rounding", "within the spread", "not met", "not judged")
EXACT, ROUNDING, SPREAD, NOT_MET, NOT_JUDGED = STATUSES
RELATIVE, ABSOLUTE = 1e-6, 1e-9  # the largest difference that is rounding
RULES = (
    f"Rounding: a relative difference of {RELATIVE:g} at most. Spread: a mean within one committed "
    "standard deviation over seeds, a difference within its committed interval. Not judged: "
    "deviations, interval bounds and p values that differ by more than rounding."
)
FILE = re.compile(rf"{RESULTS}/([^/]+)/(?:metrics\.json|tables/[^/]+(?<!{MEASURED})\.csv)")

Row = Mapping[str, Any]
Rows = dict[tuple[str, ...], Row]


@dataclass(frozen=True)
class Number:
    """A committed number, and what the run found instead."""

    file: str
    row: str
    column: str
    committed: float
    found: float | None  # None if it is missing, or no number
    status: str
    distance: float  # in spreads; without one, relative to the committed number

    @property
    def corpus(self) -> str:
        return corpus_of(self.file)


@dataclass(frozen=True)
class Verification:
    """What a run has met of a commit's numbers."""

    commit: str
    numbers: list[Number]
    not_made: list[str]  # committed files of which no job has made this version here
    not_committed: list[str]  # made here

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many numbers have each status, by file."""
        found: dict[str, dict[str, int]] = {}
        for number in self.numbers:
            found.setdefault(number.file, dict.fromkeys(STATUSES, 0))[number.status] += 1
        return found

    def not_met(self) -> list[Number]:
        """Return the numbers that were not met, the farthest first."""
        unmet = (number for number in self.numbers if number.status == NOT_MET)
        return sorted(unmet, key=lambda number: -number.distance)


def corpus_of(file: str) -> str:
    """Return the corpus of a file in results."""
    return Path(file).parts[1]


def verify(against: str = "HEAD", corpora: Collection[str] = ()) -> Verification:
    """Compare the results of this folder with those of a commit.

    Args:
        against: the commit.
        corpora: to compare; by default all that were run here.

    Raises:
        HyConError: there is no such commit, nothing to compare, or a file that cannot be read.
    """
    commit = _commit(against)
    listed = _git("ls-tree", "-r", "-z", "--name-only", commit, "--", f"{RESULTS}/").decode()
    committed = [path for path in listed.split("\0") if FILE.fullmatch(path)]
    if unknown := set(corpora) - set(map(corpus_of, committed)):
        known = ", ".join(dict.fromkeys(map(corpus_of, committed))) or "none"
        raise HyConError(f"--corpus {min(unknown)}: no committed numbers; {against} has {known}")
    recorded = {
        path: digest
        for path, digest in digests("tables", "aggregate").items()
        if FILE.fullmatch(path) and (not corpora or corpus_of(path) in corpora)
    }
    changed = {
        path
        for path, digest in recorded.items()
        if Path(path).is_file() and sha256_of(Path(path)) != digest
    }
    made = recorded.keys() - changed
    compared = [path for path in committed if path in made]
    if not compared:
        raise HyConError(
            f"{RESULTS}: no committed file was made by a job here; run snakemake --cores 1 all"
        )
    numbers = []
    with tempfile.TemporaryDirectory() as folder:
        for path in compared:
            before = Path(folder, Path(path).name)
            before.write_bytes(_git("show", f"{commit}:./{path}"))
            numbers += compare(path, before, Path(path), against)
    return Verification(
        commit=commit[:12],
        numbers=numbers,
        not_made=[
            path
            for path in committed
            if path not in made and (not corpora or corpus_of(path) in corpora)
        ],
        not_committed=sorted(path for path in made - set(committed) if Path(path).is_file()),
    )


def compare(file: str, committed: Path, found: Path, against: str = "HEAD") -> list[Number]:
    """Compare every number of a committed file with the one found.

    Args:
        file: its name in messages.
        committed: the file with the committed numbers.
        found: the file with those of the run; all are missing if it does not exist.
        against: name of the commit in messages.

    Raises:
        HyConError: a file cannot be read.
    """
    named, before = _read(committed, f"{file} of {against}", "compare with another commit")
    after: Rows = {}
    if found.is_file():
        _, after = _read(found, file, "delete it and run again", named)
    numbers = []
    for key, row in before.items():
        spreads, others = _spreads(row), after.get(key, {})
        for column, value in row.items():
            if (number := _number(value)) is not None:
                other = _number(others.get(column))
                judged = _judge(number, other, spreads, column, value)
                numbers.append(Number(file, ", ".join(key), column, number, other, *judged))
    return numbers


def _judge(
    committed: float, found: float | None, spreads: Mapping[str, Any], column: str, text: Any
) -> tuple[str, float]:
    """Return a number's status and its distance from the committed one."""
    if found is None:
        return NOT_MET, math.inf
    if found == committed:
        return EXACT, 0.0
    low, high = spreads.get(column) or (committed, committed)
    width = (high - low) / 2 or abs(committed) or 1.0
    distance = abs(found - committed) / width
    if math.isclose(found, committed, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
        return ROUNDING, distance
    if low <= found <= high:
        return SPREAD, distance
    # beside a number with a spread stand others that follow from the same runs; but a count, such
    # as the number of seeds, does not
    count = re.fullmatch(r"-?\d+", str(text)) is not None
    derived = bool(spreads) and column not in spreads and not count
    return (NOT_JUDGED if derived else NOT_MET), distance


def _spreads(row: Row) -> dict[str, tuple[float, float] | None]:
    """Return the range of each number that has a spread beside it; None if the spread is empty.

    The number before a `low` and a `high` is the one whose interval they are.
    """
    found: dict[str, tuple[float, float] | None] = {}
    names = list(row)
    for position, name in enumerate(names):
        if name.endswith("mean") and (beside := f"{name[:-4]}std") in row:
            mean, deviation = _number(row[name]), _number(row[beside])
            known = mean is not None and deviation is not None
            found[name] = (mean - deviation, mean + deviation) if known else None
        elif name.endswith("low") and (beside := f"{name[:-3]}high") in row and position:
            low, high = _number(row[name]), _number(row[beside])
            known = low is not None and high is not None
            found[names[position - 1]] = (low, high) if known else None
    return found


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _read(
    path: Path, name: str, advice: str, named: list[str] | None = None
) -> tuple[list[str], Rows]:
    """Return the columns that name a row, and the other columns of each row."""
    try:
        if path.suffix == ".json":
            return [], dict(_leaves(read_json(path)))
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        if not lines:
            raise ValueError("no row")
        if any(None in line or None in line.values() for line in lines):
            raise ValueError("a row has more or fewer cells than the header")
        named = _named(lines) if named is None else named
        return named, _rows(lines, named)
    except (OSError, ValueError, csv.Error) as error:
        raise HyConError(f"{name}: cannot be read ({error}); {advice}") from None


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Row]]:
    """Yield the innermost objects of a JSON file with the keys that lead there."""
    if not isinstance(content, dict):
        raise ValueError(f"found {type(content).__name__}, expected an object")
    if any(isinstance(value, dict) for value in content.values()):
        for key, value in content.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, content


def _named(lines: list[dict[str, str]]) -> list[str]:
    """Return the columns that name a row: those before the seed, or before the first number."""
    columns = list(lines[0])
    if "seed" in columns:
        return columns[: columns.index("seed")]
    numeric = (
        position
        for position, column in enumerate(columns)
        if {_number(line[column]) is None for line in lines if line[column]} == {False}
    )
    return columns[: next(numeric, len(columns))]


def _rows(lines: list[dict[str, str]], named: list[str]) -> Rows:
    """Return the rows of a table by name; of one with a row per seed, the means over seeds."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line in lines:
        key = tuple(line.pop(name, "") for name in named)
        groups.setdefault(key, []).append(line)
    rows: Rows = {}
    for key, members in groups.items():
        if "seed" in members[0]:
            runs = [
                {
                    name: number
                    for name, value in each.items()
                    if (number := _number(value)) is not None
                }
                for each in members
            ]
            summary = summarise([{**run, "seed": 0.0} for run in runs])
            rows |= {(*key, name): each for name, each in summary.items() if name != "seed"}
        else:
            rows |= {(*key, *([str(n)] if n else [])): each for n, each in enumerate(members)}
    return rows


def table(found: Verification, label: str = "verification") -> DisplayTable:
    """Return how many committed numbers of each file were met, for the page."""
    rows = [
        [Cell(corpus_of(file)), Cell(Path(file).name)]
        + [Cell(f"{counts[each]:,}", value=counts[each]) for each in STATUSES]
        for file, counts in found.counts().items()
    ]
    headings = ["Corpus", "File", *(each.capitalize() for each in STATUSES)]
    caption = f"Committed numbers (commit {found.commit}) that this run met. {RULES}"
    return DisplayTable(headings, "ll" + "r" * len(STATUSES), rows, caption, label)


def _commit(name: str) -> str:
    """Return the full name of a commit."""
    _git("rev-parse", "--git-dir")
    try:
        return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except HyConError:
        raise HyConError(f"--against {name}: no such commit; git log lists them") from None


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise HyConError("git: not found, and it has the committed numbers; install it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["failed"]
        raise HyConError(
            f"git: {said[0]}; the committed numbers are in a clone of the project"
        ) from None
