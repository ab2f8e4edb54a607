"""What the pipeline costs as a whole: from scratch, with nothing to do, after small edits.

Run `python -m benchmarks.pipeline`: three minutes on a quiet machine of two cores, for the main
table of the sample with two text encoders; with --whole all that `make reproduce` makes, into a
table of its own: with --repeats 1 half an hour. Each run is Snakemake's, in a copy of the project,
and its processes are counted with it.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks.processes import Cost, cost
from benchmarks.table import Line, write_tables
from benchmarks.timing import say
from hycon.params import merge

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "params.yaml", "corpora.yaml", "corpora.manifest.json", "workflow",
         "profiles", "hycon", "paper", "docs/rulegraph.svg")  # fmt: skip
SMALL = {
    "corpora": ["sample"],
    "experiments": {
        "main": {"encoders": ["glove", "bert"]},
        **dict.fromkeys(("modalities", "peers", "ablation", "fusion", "alpha", "losses")),
    },
    "complexity": None,
}
# each on top of the ones before it
EDITS = {
    "edit of a lambda": {"train": {"lambdas": {"intra": 0.2}}},
    "edit of one variant's alpha": {"variants": {"hycon-v2": {"train": {"alpha": 0.7}}}},
    "edit of a figure's colour": {"figures": {"line": "#009E73"}},
}
REPEATS, NO_OPS, STARTS = 2, 5, 3
SPEED_UP = 1.7  # what counts as close to twice


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline", description=__doc__.splitlines()[0]
    )
    options.add_argument("--whole", action="store_true", help="all tables of both samples")
    options.add_argument("--repeats", type=int, default=REPEATS, help="times from scratch")
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        overlay = {} if arguments.whole else SMALL
        lines, notes = measure(Path(scratch), overlay, arguments.repeats)
    packages = ("snakemake", "torch", "pandas")
    stem = arguments.output / ("pipeline-whole" if arguments.whole else "pipeline")
    print(write_tables(stem, lines, notes, "--cores 1", packages))


def measure(scratch: Path, overlay: dict, repeats: int) -> tuple[list[Line], list[str]]:
    """Return what the runs cost, and notes on what they were."""
    taken: dict[int, list[Cost]] = {1: [], 2: []}
    for repeat in range(repeats):
        for cores, costs in taken.items():
            folder = laid_out(scratch / f"{repeat}-cores-{cores}")
            jobs = planned(folder, overlay)
            costs.append(run(folder, overlay, cores, "all"))
    size = f"{sum(jobs.values())} jobs"
    lines = described("from scratch, --cores 2", size, taken[2])
    first = lines[0]._replace(other=[each.seconds for each in taken[1]])
    lines[0] = first._replace(claim=f"{SPEED_UP}x or more", holds=first.ratio >= SPEED_UP)
    nothing = [run(folder, overlay, 2, "nothing to do") for _ in range(NO_OPS)]
    lines += described("nothing to do", size, nothing)
    for what, edit in EDITS.items():
        overlay = merge(overlay, edit)
        touched = planned(folder, overlay)
        lines += described(what, f"{sum(touched.values())} jobs", [run(folder, overlay, 2, what)])
    starting = start_up(jobs)
    engine = statistics.median(each.cpu for each in nothing)
    for what, seconds in (("Python's start and imports", starting), ("Snakemake", engine)):
        share = 100 * seconds / statistics.median(each.cpu for each in taken[2])
        lines.append(Line(f"share of the CPU time from scratch: {what}", size, "%", [share], []))
    return lines, [
        "Peak memory: of all processes at one moment, what several share counted once (Linux).",
        "Python's start and imports: what `--help` of each stage costs, times its jobs. Snakemake: "
        "what it costs with nothing to do; what it does between jobs is not in it.",
        "Edits, each on top of the one before it: "
        + "; ".join(
            f"{what}, {yaml.safe_dump(edit, default_flow_style=True).strip()}"
            for what, edit in EDITS.items()
        ),
    ]


def laid_out(folder: Path) -> Path:
    """Copy the project, without data and results, to a folder, and return it."""
    for name in PARTS:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def run(folder: Path, overlay: dict, cores: int, what: str) -> Cost:
    """Run `all` and return what it cost."""
    say(f"pipeline: {what}, --cores {cores}")
    return cost(snakemake(folder, overlay, f"--cores={cores}", "all"), folder)


def snakemake(folder: Path, overlay: dict, *options: str) -> list[str]:
    path = folder / "overlay.yaml"
    path.write_text(yaml.safe_dump({"device": "cpu", **overlay}, sort_keys=False))
    return [sys.executable, "-m", "snakemake", "--configfile", path.name, *options]


def planned(folder: Path, overlay: dict) -> dict[str, int]:
    """Return how many jobs of each rule `all` would run now."""
    command = snakemake(folder, overlay, "--dry-run", "--cores=1", "all")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    table = re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE)
    return {rule: int(count) for rule, count in table if rule not in ("all", "total")}


def start_up(jobs: dict[str, int]) -> float:
    """Return the CPU seconds that the jobs' processes spend before they do anything."""
    total = 0.0
    for rule, count in jobs.items():
        if (ROOT / "hycon" / "stages" / f"{rule}.py").exists():
            command = [sys.executable, "-c", f"import hycon.stages.__main__, hycon.stages.{rule}"]
            total += count * statistics.median(cost(command, ROOT).cpu for _ in range(STARTS))
    return total


def described(what: str, size: str, costs: list[Cost]) -> list[Line]:
    """Return time, CPU time and memory of a run as lines."""
    units = {"seconds": "s", "cpu": "s of CPU", "peak": "MiB at most"}
    return [
        Line(what, size, unit, [getattr(each, name) for each in costs], [])
        for name, unit in units.items()
    ]


if __name__ == "__main__":
    main()
