"""What was measured as a table: Markdown for people, CSV for programs, and on which machine."""

import csv
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("What", "Size", "Unit", "HyCon", "Other", "Against", "Ratio", "Claim", "Holds")
LINE = ("what", "size", "unit", "by")
MEASURED = ("median", "least", "most", "repeats", "claim", "holds")


class Line(NamedTuple):
    """One line: every measurement of HyCon and of what it is set against, a claim, if it holds."""

    what: str
    size: str
    unit: str
    hycon: list[float]
    other: list[float]
    against: str = ""
    claim: str = ""
    holds: bool | None = None

    @property
    def ratio(self) -> float:
        """How many times as fast HyCon is, by the medians."""
        ours, others = statistics.median(self.hycon), statistics.median(self.other)
        return ours / others if self.unit.endswith("/s") else others / ours

    def cells(self) -> list[str]:
        """Return the line as COLUMNS name it: medians, with the range where there is one."""
        ratio = ""
        if self.other and self.unit:
            ratio = f"{self.ratio:.0f}x" if self.ratio >= 10 else f"{self.ratio:.3g}x"
        holds = {True: "yes", False: "**no**", None: ""}[self.holds]
        values = [_with_range(self.hycon), _with_range(self.other)]
        against = self.against if self.other else ""
        return [self.what, self.size, self.unit, *values, against, ratio, self.claim, holds]


def write_tables(
    stem: Path, lines: list[Line], notes: list[str], against: str, packages: tuple[str, ...]
) -> str:
    """Write STEM.md and STEM.csv, and return the former's content.

    Args:
        stem: where they go, without the ending.
        lines: what was measured.
        notes: sentences below the table.
        against: what HyCon is set against, in lines that do not say it.
        packages: whose versions matter.
    """
    lines = [line if line.against else line._replace(against=against) for line in lines]
    text = "\n".join(
        [
            machine(packages),
            "",
            *as_markdown(COLUMNS, [line.cells() for line in lines]),
            "",
            *(f"- {note}" for note in notes),
            "",
        ]
    )
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".md").write_text(text, encoding="utf-8")
    with stem.with_suffix(".csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow((*LINE, *MEASURED))
        for line in lines:
            for by, values in (("hycon", line.hycon), (line.against, line.other)):
                if values:
                    spread = (statistics.median(values), min(values), max(values), len(values))
                    claim = (line.claim, line.holds) if by == "hycon" else ("", None)
                    writer.writerow((line.what, line.size, line.unit, by, *spread, *claim))
    return text


def as_markdown(columns: Sequence[str], rows: list[list[str]]) -> list[str]:
    """Return a table's lines in Markdown."""
    return [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]


def machine(names: tuple[str, ...]) -> str:
    """Return one line on the machine and on the versions of packages."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}; "
        f"Python {platform.python_version()}, {packages}. Medians (ranges in brackets)."
    )


def _processor() -> str:
    found = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (found.read_text().splitlines() if found.exists() else ())
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()


def _with_range(values: list[float]) -> str:
    if not values:
        return ""
    middle = f"{statistics.median(values):.3g}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.3g}–{max(values):.3g})"
