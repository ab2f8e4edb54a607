"""Every claim about speed in one table, from the tables that the benchmarks wrote.

Run `python -m benchmarks.claims`, or `make bench`, which ends with it. A test fails if the table is
out of date.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import COLUMNS, Line, as_markdown

RESULTS = Path("benchmarks/results")
NAME = "claims.md"


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.claims", description=__doc__.splitlines()[0]
    )
    options.add_argument("--output", type=Path, default=RESULTS, help="folder of the tables")
    folder = options.parse_args().output
    text = overview(folder)
    (folder / NAME).write_text(text, encoding="utf-8")
    print(text)


def overview(folder: Path) -> str:
    """Return the table of all claims, those that do not hold first."""
    found = [(path.stem, line) for path in sorted(folder.glob("*.csv"))
             for line in claimed(path)]  # fmt: skip
    found.sort(key=lambda each: each[1].holds)
    held = sum(line.holds for _, line in found)
    machines = {path.stem: _machine(path.with_suffix(".md")) for path in folder.glob("*.csv")}
    rows = [[name, *line.cells()] for name, line in found]
    names = [
        f"- {machine}: {', '.join(sorted(name for name, on in machines.items() if on == machine))}."
        for machine in sorted(set(machines.values()))
    ]
    return "\n".join(
        [
            f"{held} of {len(found)} claims hold. Medians (ranges in brackets); the notes below "
            "each benchmark's own table explain its numbers. Machines:",
            "",
            *names,
            "",
            *as_markdown(("Benchmark", *COLUMNS), rows),
            "",
        ]
    )


def claimed(path: Path) -> Iterator[Line]:
    """Yield the lines of a benchmark's CSV that claim something."""
    lines: list[Line] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            spread = [float(row[name]) for name in ("least", "median", "most")]
            values = spread if int(row["repeats"]) > 1 else spread[1:2]
            if row["by"] == "hycon":
                holds = row["holds"] == "True" if row["claim"] else None
                lines.append(Line(row["what"], row["size"], row["unit"], values, [], "",
                                  row["claim"], holds))  # fmt: skip
            else:
                lines[-1] = lines[-1]._replace(other=values, against=row["by"])
    return (line for line in lines if line.claim)


def _machine(table: Path) -> str:
    return table.read_text(encoding="utf-8").partition(";")[0]


if __name__ == "__main__":
    main()
