"""What a GPU gains over this machine's CPU, and that its runs are equal in every bit.

Run `make bench-gpu`, or `python -m benchmarks.gpu`: meant to take ten minutes; it needs a GPU and
the extra `minilm`. Training is deterministic, as everywhere. `--device cpu` measures the same on
the CPU, to try the script.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from benchmarks import finetune, seeds
from benchmarks.networks import arguments_of, corpus, settings, trainer
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say
from hycon.errors import HyConError
from hycon.logs import ending_well
from hycon.training.device import pick_device

VARIANTS = {"HyCon": "hycon", "HyCon-v2": "hycon-v2"}
BATCH = 32
# shape: title; steps of a measurement; measurements
SHAPES = {
    "small": ("small: one layer over text, 32 steps, MiniLM's 384", 20, 20),
    "paper": ("the paper's: 3 layers, 50 steps, BERT's 768", 5, 10),
}
PRECISIONS = ("float32", "bfloat16")
EPOCHS = 2  # of each of two runs that are compared
REPEATS = 5  # epochs of fine-tuning that are measured


def main() -> None:
    arguments = arguments_of("gpu", __doc__, device="cuda")
    with ending_well():
        if arguments.device.startswith("cuda") and not torch.cuda.is_available():
            raise HyConError("no GPU found: torch.cuda.is_available() is false; use --device cpu")
        device = pick_device(arguments.device)
    lines = [line for shape in SHAPES for line in steps(shape, device)]
    lines += [*fine_tuning(arguments.mirror, device), *seeds.measure(device)]
    notes = [
        f"Device: {finetune.device_name(device)}; threads: {arguments.threads}. HyCon's column is "
        "the device's. Deterministic algorithms; a step is the batch of 32, forward and backward "
        "pass, clipping, and the optimiser's step.",
        f"Two runs: weights that differ in any bit after {EPOCHS} epochs each, from the same seed, "
        "in one process.",
        "Fine-tuning: all weights of all-MiniLM-L6-v2 with HyCon-v2, as in `finetune`.",
        *seeds.NOTES,
    ]
    packages = ("torch", "transformers")
    print(write_tables(arguments.output / "gpu", lines, notes, "", packages))


def steps(shape: str, device: str) -> Iterator[Line]:
    """Yield what a step takes on the device and on the CPU, and whether two runs are equal."""
    title, count, repeats = SHAPES[shape]
    data = {place: corpus(shape, BATCH * count, place) for place in ("cpu", device)}
    for label, name in VARIANTS.items():
        say(f"gpu: {shape}, {label}")
        row = settings(shape, name)
        places = {"device": device, "cpu": "cpu"}
        works = {key: trainer(data[place], row)[1] for key, place in places.items()}
        took = {
            key: [1e3 * each / count for each in times]
            for key, times in in_turns(works, repeats).items()
        }
        yield Line(f"step, {label}", title, "ms", took["device"], took["cpu"], "CPU")
        yield equality(label, title, lambda row=row: trainer(data[device], row))


def fine_tuning(mirror: Path | None, device: str) -> Iterator[Line]:
    """Yield whether two runs of fine-tuning are equal, and what bfloat16 gains over float32."""
    data, language_model, texts, _ = finetune.read(mirror, device)
    made = {
        name: lambda name=name: trainer(data, finetune.settings(name), language_model)
        for name in PRECISIONS
    }
    for name in PRECISIONS:
        say(f"gpu: fine-tuning, {name}")
        yield equality(f"fine-tuning, {name}", finetune.size(data), made[name])
    took = in_turns({name: make()[1] for name, make in made.items()}, REPEATS)
    plain, half = ([len(texts) / each for each in took[name]] for name in PRECISIONS)
    what = "fine-tuning, bfloat16"
    yield Line(what, finetune.size(data), "utterances/s", half, plain, "float32")


def equality(
    label: str, size: str, make: Callable[[], tuple[nn.Module, Callable[[], object]]]
) -> Line:
    """Return how many weights differ in any bit between two runs; `make` returns a new trainer."""
    ends = []
    for _ in range(2):
        model, epoch = make()
        for _ in range(EPOCHS):
            epoch()
        ends.append(model.state_dict())
    first, second = ends
    differ = sum(_bits(first[name]).ne(_bits(second[name])).sum().item() for name in first)
    return Line(f"two runs, {label}", size, "", [differ], [], "", "0", differ == 0)


def _bits(x: torch.Tensor) -> torch.Tensor:
    """Return the bytes of a tensor, so that NaN equals NaN and 0 does not equal -0."""
    return x.contiguous().flatten().view(torch.uint8)


if __name__ == "__main__":
    main()
