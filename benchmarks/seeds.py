"""What the seeds of a row would cost if they were trained at once, by torch.func.vmap.

Run `python -m benchmarks.seeds`: a minute. 30 networks with stacked weights, each with its own
batches and dropout, take turns with the training loop, which trains one seed after the other. For
this the network is the small one without layers over text: every seed's batch has other lengths,
and vmap needs equal ones.
"""

import functools

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.networks import arguments_of, corpus, settings, trainer
from benchmarks.table import Line, write_tables
from benchmarks.timing import in_turns, say
from hycon.losses import inter_modal, intra_modal, semi_contrastive
from hycon.networks.hycon import Dropout
from hycon.networks.packing import PaddedBatch
from hycon.params import Settings
from hycon.training import loop
from hycon.training.batches import CorpusTensors

VARIANTS = {"no contrastive learning": "no-contrastive", "HyCon": "hycon"}
SEEDS, UTTERANCES, REPEATS = 30, 1280, 10
PASSES = 5  # of one seed in a turn
LEAST = 3  # times as fast as one after the other, to be worth a second training loop


def main() -> None:
    arguments = arguments_of("seeds", __doc__)
    lines = measure("cpu")
    notes = [*NOTES, f"Threads: {arguments.threads}."]
    print(write_tables(arguments.output / "seeds", lines, notes, AGAINST, ("torch",)))


AGAINST = "one after the other"
NOTES = [
    f"{SEEDS} seeds: an epoch of {UTTERANCES:,} utterances in batches of 32, the small network "
    "without layers over text, d = 50. At once: torch.func.vmap over stacked weights, with dropout "
    "and clipping for each seed, and one AdamW step for all. One after the other: "
    f"{SEEDS} times the epoch of one seed in the training loop.",
    "The fused contrastive pass has no rule for vmap: at once, the losses are the plain ones. "
    "HyCon-v2 is not measured, because the selection of its pairs runs in numpy.",
]


def measure(device: str) -> list[Line]:
    """Return what an epoch of all seeds takes at once, and one after the other."""
    data = corpus("small", UTTERANCES, device).with_pooled_text("mean")
    lines = []
    for label, name in VARIANTS.items():
        say(f"seeds: {label}")
        row = without_text_layers(settings("small", name))
        works = {"one": trainer(data, row)[1], "all": SeedsAtOnce(data, row, SEEDS).epoch}
        took = in_turns(works, REPEATS, {"one": PASSES})
        others = [SEEDS * each for each in took["one"]]
        line = Line(f"{SEEDS} seeds, {label}", f"an epoch on {device}", "s", took["all"], others)
        claim = f"{LEAST}x or more"
        lines.append(line._replace(against=AGAINST, claim=claim, holds=line.ratio >= LEAST))
    return lines


def without_text_layers(row: Settings) -> Settings:
    """Return settings of a network that maps one vector of each modality to d."""
    return row.model_copy(update={"model": row.model.model_copy(update={"text_layers": 0})})


class SeedsAtOnce:
    """Networks of one row with seeds from 1, whose weights are stacked: (N, ...) each.

    Args:
        data: a corpus with one step in every modality.
        row: settings without text layers, averaging, or a selection of pairs.
        seeds: number of seeds, N.
    """

    def __init__(self, data: CorpusTensors, row: Settings, seeds: int) -> None:
        self.data, self.options = data, row.train
        models = []
        for seed in range(1, seeds + 1):
            torch.manual_seed(seed)
            models.append(loop.make_network(data, row, None))
        self.model: nn.Module = models[0].train()
        for module in self.model.modules():
            if isinstance(module, Dropout) and data.labels.device.type == "cpu":
                # its pass compares in place, for which vmap has no rule: it loops over the seeds
                module.forward = functools.partial(_dropout, module.p)
        self.weights, _ = stack_module_state(models)
        self.optimiser = torch.optim.AdamW(
            self.weights.values(),
            row.train.learning_rate,
            weight_decay=row.train.weight_decay,
            fused=True,
        )
        self.orders = [torch.Generator().manual_seed(seed) for seed in range(1, seeds + 1)]
        self.gradients = vmap(grad_and_value(self._loss), randomness="different")

    def epoch(self) -> list[float]:
        """Train all seeds for an epoch; return the mean loss of each."""
        rows, size = self.data.folds["train"], self.options.batch_size
        orders = [self.data.shuffled(rows, size, order) for order in self.orders]
        total = 0.0
        for batches in zip(*orders, strict=True):
            batch = torch.stack(batches)  # (N, K)
            values = {name: each.values[batch] for name, each in self.data.features.items()}
            labels, classes = self.data.labels[batch], self.data.classes[batch]
            gradients, losses = self.gradients(self.weights, values, labels, classes)
            self._step(gradients)
            total = total + losses.detach() * batch.shape[1]
        return (total / len(rows)).tolist()

    def _loss(
        self, weights: dict[str, Tensor], values: dict[str, Tensor], labels: Tensor, classes: Tensor
    ) -> Tensor:
        """Return the loss of one seed; values (K, D) by modality."""
        ones = torch.ones(len(labels), dtype=torch.int64, device=labels.device)
        batch = {name: PaddedBatch(each[:, None], ones) for name, each in values.items()}
        output = functional_call(self.model, weights, (batch,))
        options, x = self.options, output.representations
        loss = loop.task_loss(output.prediction, labels, options.emotion_decision)
        if not any(weight for _, weight in options.lambdas):
            return loss
        parts = {
            "intra": intra_modal(x, classes, None, options.refinement, options.similarity),
            "inter": inter_modal(
                x, classes, options.alpha, None, options.refinement, options.similarity
            ),
            "semi": semi_contrastive(x, options.alpha, options.similarity),
        }
        return loss + sum(weight * parts[name] for name, weight in options.lambdas)

    def _step(self, gradients: dict[str, Tensor]) -> None:
        """Clip the gradients (N, ...) of each seed by its own norm, and take a step."""
        norms = torch.stack([each.flatten(1).norm(dim=1) for each in gradients.values()])  # (P, N)
        scale = (self.options.clip_norm / (norms.norm(dim=0) + 1e-6)).clamp(max=1)
        for name, weight in self.weights.items():
            each = gradients[name]
            weight.grad = each * scale.view(-1, *[1] * (each.dim() - 1))
        self.optimiser.step()


def _dropout(p: float, x: Tensor) -> Tensor:
    return x * ((torch.rand_like(x) >= p) * (1 / (1 - p)))


if __name__ == "__main__":
    main()
