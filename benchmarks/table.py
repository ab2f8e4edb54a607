"""What was measured as a table: Markdown for people, CSV for programs, and on which machine."""

import csv
import os
import platform
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("What", "Size", "Unit", "HyCon", "mmsdk", "Ratio", "Claim", "Holds")
LINE = ("what", "size", "unit", "by")
MEASURED = ("median", "least", "most", "repeats", "claim", "holds")
PACKAGES = ("numpy", "h5py", "cmu-multimodal-sdk")


class Line(NamedTuple):
    """One line: every measurement of HyCon and of mmsdk, what was claimed, and whether it holds."""

    what: str
    size: str
    unit: str
    hycon: list[float]
    mmsdk: list[float]
    claim: str = ""
    holds: bool | None = None

    @property
    def ratio(self) -> float:
        """How many times HyCon's median the median of mmsdk is."""
        return statistics.median(self.mmsdk) / statistics.median(self.hycon)

    def cells(self) -> list[str]:
        """Return the line as COLUMNS name it: medians, with the range where there is one."""
        ratio = f"{self.ratio:.0f}x" if self.mmsdk and self.unit else ""
        holds = {True: "yes", False: "**no**", None: ""}[self.holds]
        values = [_with_range(self.hycon), _with_range(self.mmsdk)]
        return [self.what, self.size, self.unit, *values, ratio, self.claim, holds]


def write_tables(stem: Path, lines: list[Line], notes: list[str]) -> str:
    """Write STEM.md and STEM.csv, and return the former's content."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(line.cells() for line in lines)]
    text = "\n".join(
        [
            machine(),
            "",
            *(f"| {' | '.join(row)} |" for row in rows),
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
            for by, values in (("hycon", line.hycon), ("mmsdk", line.mmsdk)):
                if values:
                    spread = (statistics.median(values), min(values), max(values), len(values))
                    claim = (line.claim, line.holds) if by == "hycon" else ("", None)
                    writer.writerow((line.what, line.size, line.unit, by, *spread, *claim))
    return text


def machine() -> str:
    """Return one line on the machine and on the versions that matter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
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
