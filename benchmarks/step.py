"""What is claimed of contrastive learning: a training step costs hardly more than without it.

Run `python -m benchmarks.step`: two minutes. Steps with and without it take turns on the same
batches, in the network of the paper and in a small one, whose step is a few milliseconds.
"""

import statistics

from benchmarks.networks import arguments_of, corpus, settings, trainer
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say

VARIANTS = {"HyCon": "hycon", "HyCon-v2": "hycon-v2"}
WITHOUT = "no-contrastive"
MOST = 1.05  # times the step without
# shape: title; steps of a measurement; measurements
SHAPES = {
    "paper": ("the paper's: 3 layers, 50 steps, BERT's 768", 2, 15),
    "small": ("small: one layer over text, 32 steps, MiniLM's 384", 10, 60),
}


def main() -> None:
    arguments = arguments_of("step", __doc__)
    lines = [line for shape in SHAPES for line in of_shape(shape)]
    notes = [
        f"Threads: {arguments.threads}. Batches of 32 utterances with cached text states; a step "
        "is the batch, forward and backward pass, clipping, and the optimiser's step. Other: the "
        "step of the same network without contrastive learning. Overhead: the median over pairs "
        "of measurements, taken one after the other on the same batches.",
        "In a step of a few milliseconds the contrastive part is a larger share: it is about a "
        "hundred small operations, dominated by the overhead of each.",
        "Inference: the network does not contain the contrastive part, so it has the same "
        "parameters and the same forward pass with and without it.",
    ]
    print(write_tables(arguments.output / "step", lines, notes, "without", ("torch",)))


def of_shape(shape: str) -> list[Line]:
    """Return what a step takes with and without contrastive learning, and what that is more."""
    title, steps, repeats = SHAPES[shape]
    say(f"step: {shape}")
    data = corpus(shape, 32 * steps)
    works = {
        name: trainer(data, settings(shape, name))[1] for name in (WITHOUT, *VARIANTS.values())
    }
    took = {
        name: [each / steps for each in times] for name, times in in_turns(works, repeats).items()
    }
    lines = []
    for label, name in VARIANTS.items():
        lines.append(Line(f"step, {label}", title, "s", took[name], took[WITHOUT]))
        more = [
            100 * (with_it / without - 1)
            for with_it, without in zip(took[name], took[WITHOUT], strict=True)
        ]
        holds = statistics.median(more) <= 100 * (MOST - 1)
        lines.append(Line(f"overhead, {label}", title, "%", more, [], "", "5% or less", holds))
    return lines


if __name__ == "__main__":
    main()
