"""What is claimed of size: no stage's time or memory grows faster than the utterances.

Run `python -m benchmarks.scaling`: six minutes. Each stage of the pipeline, a process of its own,
on samples of 1,200 to 19,000 utterances.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import Cost, cost
from benchmarks.table import Line, write_tables
from benchmarks.timing import exponent, say
from hycon.corpus.utterances import read_table
from hycon.params import Params, load

ROOT = Path(__file__).resolve().parents[1]
CORPUS, VARIANT, ENCODER, SEED = "sample", "hycon-v2", "bert", 1
SMALLEST = 4  # times the sample: 1x; 16x is then nearly as large as CMU-MOSEI
TIMES = (1, 4, 16)
REPEATS = 3  # measurements
LINEAR = 1.1  # the exponent that still counts as linear


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0]
    )
    options.add_argument("--repeats", type=int, default=REPEATS)
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    arguments = options.parse_args()
    found: dict[str, list[list[Cost]]] = {}
    utterances = []
    with tempfile.TemporaryDirectory() as scratch:
        for times in TIMES:
            folder = Path(scratch) / f"{times}-times"
            folder.mkdir()
            stages = commands(SMALLEST * times, folder)
            for stage, command in stages.items():
                say(f"scaling: {times} times, {stage}")
                turns = range(arguments.repeats)
                costs = [cost(command(), folder, PYTHONPATH=str(ROOT)) for _ in turns]
                found.setdefault(stage, []).append(costs)
            utterances.append(len(read_table(folder / "aligned" / "utterances.csv")))
    lines = [line for stage, costs in found.items() for line in of_stage(stage, utterances, costs)]
    notes = [
        "Each stage in a process of its own, one thread; Python's start and its imports are in "
        "it. Train: one epoch of one seed, 1 layer, d = 50, text of the tiny BERT. Fetch: the "
        "largest file. Generate, which makes up the sample, holds all of it in memory.",
    ]
    print(write_tables(arguments.output / "scaling", lines, notes, "", ("torch", "numpy", "h5py")))


def commands(times: int, folder: Path) -> dict:
    """Return what makes the command of each stage, in their order, on a sample of a size."""
    videos = load(ROOT).catalogue[CORPUS].generator.videos * times
    params = load(
        ROOT,
        {
            "catalogue": {CORPUS: {"generator": {"videos": videos}}},
            "train": {"epochs": 1},
            "per_corpus": {CORPUS: {"train": {"epochs": 1}}},
            "complexity": None,
        },
    )
    corpus, encoder = params.catalogue[CORPUS], params.encoders[ENCODER]
    row = [
        f"--name={CORPUS}/{VARIANT}",
        f"--corpus={corpus.as_json()}",
        f"--encoder={encoder.as_json()}",
        f"--settings={params.settings(CORPUS, VARIANT, ENCODER).as_json()}",
        "--aligned=aligned",
    ]
    run = f"runs/seed-{SEED}"
    return {
        "generate": lambda: stage(
            "generate", f"--task={corpus.task}", f"--generator={corpus.generator.as_json()}",
            "--output=generated",
        ),
        "fetch": lambda: fetch(folder),
        "align": lambda: stage(
            "align", f"--corpus={corpus.as_json()}", f"--settings={params.align.as_json()}",
            "--raw=generated", "--output=aligned",
        ),
        "tiny": lambda: stage("tiny", "--kind=bert", "--aligned=aligned", "--output=tiny"),
        "encode": lambda: stage(
            "encode", f"--encoder={encoder.as_json()}", "--aligned=aligned", "--tiny=tiny",
            "--device=cpu", "--output=states",
        ),
        "train": lambda: train(folder, row, run),
        "evaluate": lambda: stage(
            "evaluate", *row, f"--metrics={params.metrics.as_json()}", f"--runs={run}",
            "--output=scores.json",
        ),
        "tables": lambda: tables(folder, params),
    }  # fmt: skip


def stage(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", f"hycon.stages.{name}", *options]


def fetch(folder: Path) -> list[str]:
    """Return what fetches the largest file anew."""
    for old in (folder / "raw").glob("*"):
        old.unlink()
    name = max((folder / "generated").glob("*.csd"), key=lambda path: path.stat().st_size).name
    places = {CORPUS: {name: [f"generated/{name}"]}}
    return stage(
        "fetch", f"--corpus={CORPUS}", f"--file={name}", "--sha256=", "--size=0", "--manifest=",
        f"--places={json.dumps(places)}", f"--output=raw/{name}.sha256",
    )  # fmt: skip


def train(folder: Path, row: list[str], run: str) -> list[str]:
    """Return what trains the seed anew."""
    record = folder / run / "run.json"
    record.unlink(missing_ok=True)
    return stage(
        "train", *row, "--seeds", str(SEED), "--inputs", "aligned/utterances.csv",
        "states/states.npy", "--states=states", "--device=cpu", "--output=runs",
    )  # fmt: skip


def tables(folder: Path, params: Params) -> list[str]:
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return stage(
        "tables", "--experiment=main", "--title=main", f"--key={CORPUS}",
        f"--corpus={params.catalogue[CORPUS].as_json()}",
        f"--rows={json.dumps([['HyCon', 'BERT', 'scores.json']])}",
        f"--expected={json.dumps({'scores.json': scores['parameters digest']})}",
        "--output=tables/main",
    )  # fmt: skip


def of_stage(name: str, utterances: list[int], costs: list[list[Cost]]) -> list[Line]:
    """Return a stage's time and memory at each size, and how they grow."""
    lines = []
    for what, unit in (("cpu", "s of CPU"), ("peak", "MiB at most")):
        values = [[getattr(each, what) for each in of_size] for of_size in costs]
        lines += [
            Line(name, f"{count:,} utterances", unit, taken, [])
            for count, taken in zip(utterances, values, strict=True)
        ]
        power = exponent(utterances[1:], values[1:])
        line = Line(f"{name}, growth of {unit}", f"{TIMES[1]}x to {TIMES[2]}x", "", [power], [])
        claim = f"exponent at most {LINEAR} (linear)"
        lines.append(line._replace(claim=claim, holds=power <= LINEAR))
    return lines


if __name__ == "__main__":
    main()
