"""What is claimed of size: no stage's time or memory grows faster than the utterances.

Run `python -m benchmarks.scaling`: six minutes. Each stage of the pipeline, a process of its own,
on samples of 1,200 to 19,000 utterances; and the plan of 128 to 2,048 rows.
"""

import argparse
import functools
import json
import shlex
import sys
import tempfile
from pathlib import Path

from benchmarks.processes import Cost, cost
from benchmarks.table import Line, write_tables
from benchmarks.timing import exponent, say
from hycon.corpus.utterances import read_table
from hycon.params import Corpus, load
from hycon.params.base import Strict
from hycon.plan.job import Job
from hycon.plan.planner import Plan
from hycon.plan.tasks import (
    AlignTask,
    EncodeTask,
    EvaluateTask,
    FetchTask,
    GenerateTask,
    ScoredRow,
    ScoreTable,
    TableTask,
    TinyTask,
    TrainTask,
)

ROOT = Path(__file__).resolve().parents[1]
CORPUS, VARIANT, ENCODER, SEED = "sample", "hycon-v2", "bert", 1
SMALLEST = 4  # times the sample: 1x; 16x is then nearly as large as CMU-MOSEI
TIMES = (1, 4, 16)
REPEATS = 3  # measurements
ROWS, SEEDS = 128, 200  # planned at 1x: rows, and seeds of each
LINEAR = 1.1  # the exponent that still counts as linear


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0]
    )
    options.add_argument("--repeats", type=int, default=REPEATS)
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    options.add_argument("--plan", type=int, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.plan:
        plan(arguments.plan)
        return
    found: dict[str, list[list[Cost]]] = {}
    utterances = []
    with tempfile.TemporaryDirectory() as scratch:
        for times in TIMES:
            folder = Path(scratch) / f"{times}-times"
            folder.mkdir()
            planned = [sys.executable, "-m", "benchmarks.scaling", "--plan", str(ROWS * times)]
            stages = commands(SMALLEST * times, folder) | {"plan": lambda made=planned: made}
            for stage, command in stages.items():
                say(f"scaling: {times} times, {stage}")
                turns = range(arguments.repeats)
                costs = [cost(command(), folder, PYTHONPATH=str(ROOT)) for _ in turns]
                found.setdefault(stage, []).append(costs)
            utterances.append(len(read_table(folder / "aligned" / "utterances.csv")))
    planned = found.pop("plan")
    lines = [line for stage, costs in found.items() for line in of_stage(stage, utterances, costs)]
    lines += of_stage("plan", [ROWS * times for times in TIMES], planned, "rows")
    notes = [
        "Each stage in a process of its own, one thread; Python's start and its imports are in "
        "it. Train: one epoch of one seed, 1 layer, d = 50, text of the tiny BERT. Fetch: the "
        "largest file. Generate, which makes up the sample, holds all of it in memory.",
        f"Plan: all jobs of an experiment with that many rows of {SEEDS} seeds each, which the "
        "workflow computes whenever it is read.",
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
    aligned, states, runs = Path("aligned"), Path("states"), Path("runs")
    row = {
        "name": f"{CORPUS}/{VARIANT}",
        "corpus": corpus,
        "encoder": encoder,
        "settings": params.settings(CORPUS, VARIANT, ENCODER),
        "aligned": aligned,
    }
    tasks = {
        "generate": GenerateTask(
            task=corpus.task, generator=corpus.generator, output=Path("generated")
        ),
        "align": AlignTask(
            corpus=corpus, settings=params.align, raw=Path("generated"), output=aligned
        ),
        "tiny": TinyTask(kind="bert", aligned=aligned, output=Path("tiny")),
        "encode": EncodeTask(encoder=encoder, aligned=aligned, tiny=Path("tiny"), output=states),
        "train": TrainTask(
            **row, states=states, tiny=None, seeds=[SEED], output=runs, record=runs / "runs.json",
            inputs=[aligned / "utterances.csv", states / "states.npy"],
        ),
        "evaluate": EvaluateTask(
            **row, metrics=params.metrics, seeds=[SEED], runs=runs, output=Path("scores.json")
        ),
    }  # fmt: skip
    found = {name: functools.partial(stage, name, task) for name, task in tasks.items()}
    found["train"] = lambda: train(folder, tasks["train"])
    fetched = {"fetch": lambda: fetch(folder)}
    tabled = {"tables": lambda: tables(folder, corpus)}
    return {"generate": found.pop("generate")} | fetched | found | tabled


def plan(rows: int) -> None:
    """Plan an experiment with so many rows, half of them of HyCon-v2."""
    experiments = dict.fromkeys(load(ROOT).experiments)  # null leaves an experiment out
    values = [0.5 + n / rows for n in range(rows // 2 - 1)]
    sweep = {"label": "dropout", "keys": ["model.dropout"], "values": values}
    many = {
        "title": "Many rows", "encoders": [ENCODER], "variants": [VARIANT, "no-contrastive"],
        "reference": "no-contrastive", "costs": False, "sweeps": {"dropout": sweep},
    }  # fmt: skip
    overlay = {
        "corpora": [CORPUS], "seeds": list(range(1, SEEDS + 1)),
        "experiments": {**experiments, "many": many}, "complexity": None,
    }  # fmt: skip
    planned = Plan(load(ROOT, overlay), [])
    trained = [job for job in planned.jobs.values() if job.stage == "train"]
    assert len(trained) == rows, len(trained)


def stage(name: str, task: Strict) -> list[str]:
    """Return the command that runs a stage, as Snakemake does."""
    job = Job(stage=name, name=name, phase="runs", task=task, writes=(), code=()).document()
    command = f"exec {shlex.quote(sys.executable)} -m hycon.stages {name} --device cpu"
    return ["bash", "-c", f"{command} <<'END_OF_JOB'\n{job}\nEND_OF_JOB"]


def fetch(folder: Path) -> list[str]:
    """Return what fetches the largest file anew."""
    for old in (folder / "raw").glob("*"):
        old.unlink()
    name = max((folder / "generated").glob("*.csd"), key=lambda path: path.stat().st_size).name
    record = Path("raw") / f"{name}.sha256"
    return stage(
        "fetch",
        FetchTask(corpus=CORPUS, file=name, sources=[f"generated/{name}"], sha256=None, size=None,
                  manifest=None, output=record),
    )  # fmt: skip


def train(folder: Path, task: TrainTask) -> list[str]:
    """Return what trains the seed anew."""
    (folder / task.output / f"seed-{SEED}/run.json").unlink(missing_ok=True)
    return stage("train", task)


def tables(folder: Path, corpus: Corpus) -> list[str]:
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    row = ScoredRow(
        row=VARIANT, model="HyCon", encoder="BERT", scores=Path("scores.json"),
        parameters_digest=scores["parameters digest"],
    )  # fmt: skip
    table = ScoreTable(
        experiment="main", title="main", rows=[row], left_out="", note="",
        inference=load(ROOT).inference,
    )  # fmt: skip
    return stage(
        "tables", TableTask(key=CORPUS, corpus=corpus, table=table, output=Path("tables/main"))
    )


def of_stage(
    name: str, sizes: list[int], costs: list[list[Cost]], things: str = "utterances"
) -> list[Line]:
    """Return a stage's time and memory at each size, and how they grow."""
    lines = []
    for what, unit in (("cpu", "s of CPU"), ("peak", "MiB at most")):
        values = [[getattr(each, what) for each in of_size] for of_size in costs]
        lines += [
            Line(name, f"{count:,} {things}", unit, taken, [])
            for count, taken in zip(sizes, values, strict=True)
        ]
        power = exponent(sizes[1:], values[1:])
        line = Line(f"{name}, growth of {unit}", f"{TIMES[1]}x to {TIMES[2]}x", "", [power], [])
        claim = f"exponent at most {LINEAR} (linear)"
        lines.append(line._replace(claim=claim, holds=power <= LINEAR))
    return lines


if __name__ == "__main__":
    main()
