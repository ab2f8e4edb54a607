"""Complexity of training and inference: parameters, multiply-adds, time, memory (section 8)."""

import dataclasses
import gc
import math
import time
import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hycon.encoders.language_model import LanguageModel
from hycon.losses import BaselineLoss, HybridContrastiveLoss
from hycon.networks.hycon import parameter_counts
from hycon.networks.own import AnyNetwork
from hycon.params import Settings
from hycon.training import loop
from hycon.training.batches import CorpusTensors
from hycon.training.objective import contrastive_loss
from hycon.training.optimiser import OptimizerStep

BATCH = 32  # batch size for which multiply-adds are counted, the same for all rows
SEED = 1
WARM_UP = 4  # steps before timing starts; the first one allocates the optimiser's state
STEPS = 32  # steps per round whose contrastive part is timed

MEANINGS = {
    "trainable parameters": "numbers that training changes, all of the network's",
    "trainable parameters without text encoder": "the same, less a fine-tuned language model's",
    "text encoder in network": "false where its states are cached: no figure here then counts it",
    "multiply-adds per utterance": f"matrix products of the forward pass of one batch of {BATCH}, "
    "padding included where a network computes it, element-wise operations not",
    "seconds per epoch": "of training, without validation",
    "training utterances per second": "of those epochs",
    "inference utterances per second": "forward passes over the training fold, by length",
    "training memory bytes": "weights, gradients, the optimiser's two moments, averaged weights, "
    "and activations that the largest batch keeps for the backward pass; counted, so without "
    "temporaries, the corpus, and the memory of Python and torch",
    "peak device memory bytes": "the GPU's allocated peak minus the allocation before, the "
    "corpus; null on a CPU, where a process has one peak for all rows",
    "contrastive share of training step": "its forward and backward pass, down to the "
    "representations, by the whole step on the same batch",
    "contrastive share of inference": "0: it takes no part",
}


class TimedRow(NamedTuple):
    """A row to measure: its corpus, its settings, and its text encoder if the text is tokens."""

    data: CorpusTensors
    settings: Settings
    language_model: LanguageModel | None = None


class _Training(NamedTuple):
    """A network at the start of its training, built as in `hycon.training.loop.train`."""

    model: AnyNetwork
    kept: AnyNetwork  # the network itself, or its moving average
    step: Callable[[Tensor], None]  # an optimiser step, or a function that counts calls
    contrastive: HybridContrastiveLoss | BaselineLoss | None


class _Samples(NamedTuple):
    """The measurements of a row so far: one value per round, but one share per step."""

    epochs: list[float]  # seconds
    inferences: list[float]  # seconds
    shares: list[float]
    peaks: list[int]  # bytes


def measure(
    rows: list[TimedRow],
    repeats: int,
    show: Callable[[list[tuple[int, int]]], Iterable[tuple[int, int]]] = iter,
) -> list[dict]:
    """Measure the complexity of each row, under the keys of `MEANINGS`.

    The rows are interleaved (A, B, C, A, B, C, ...), so that a slowdown of the machine affects all
    of them. The first round warms up, and counts the quantities that do not vary. Each measurement
    rebuilds its network from the same seed, so that every round does the same work and only one
    network is in memory.

    Args:
        rows: the rows to measure; all have the same training utterances.
        repeats: number of timed rounds, at least 1.
        show: receives the list of measurements, (round, row number), and yields them with a
            progress bar.

    Returns:
        One dictionary per row; a quantity that varies is {"median", "iqr": [25 %, 75 %], "n"}.
    """
    figures: list[dict] = [{} for _ in rows]
    samples = [_Samples([], [], [], []) for _ in rows]
    turns = [(turn, number) for turn in range(repeats + 1) for number in range(len(rows))]
    gc.freeze()  # so that the collections below do not search what is there already
    for turn, number in show(turns):
        gc.collect()  # a reference cycle of schedule and optimiser keeps the last network alive
        if turn == 0:
            figures[number] = _count(rows[number])
        else:
            _time(rows[number], samples[number])
    gc.unfreeze()
    return [
        {**counted, **_summaries(row, measured)}
        for row, counted, measured in zip(rows, figures, samples, strict=True)
    ]


def multiply_adds(model: nn.Module, *inputs) -> int:
    """Count the multiply-adds of one forward pass in evaluation mode.

    All matrix products count, including those of attention, of recurrent layers, and of padding
    that a network computes. Element-wise operations do not count: activations, norms, softmax,
    dropout, positions, and the products of fusions that multiply element by element.

    Args:
        model: the network; it is left in evaluation mode.
        inputs: arguments of its forward pass.
    """
    model.eval()
    counter = FlopCounterMode(display=False)
    # torch's counter does not know all fused attention and recurrent kernels on every device;
    # without fused kernels, it counts the matrix products that they consist of
    with (
        torch.no_grad(),
        # switching off oneDNN warns about a mode of Intel GPUs
        warnings.catch_warnings(action="ignore"),
        sdpa_kernel(SDPBackend.MATH),
        torch.backends.mkldnn.flags(enabled=False),
        torch.backends.cudnn.flags(enabled=False),
        counter,
    ):
        model(*inputs)
    return counter.get_total_flops() // 2


def saved_bytes(
    model: nn.Module,
    step: Callable[[Tensor], None],
    epoch: Callable[[Callable[[Tensor], None]], None],
) -> int:
    """Return the peak memory in bytes that a step keeps for its backward pass, without weights.

    Args:
        model: the network.
        step: the optimiser step.
        epoch: runs an epoch with the given replacement of `step`.
    """
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, int] = {}  # by address, because views share memory
    most = 0

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    def counted(loss: Tensor) -> None:
        nonlocal most
        most = max(most, sum(kept.values()))
        kept.clear()
        step(loss)

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        epoch(counted)
    return most


def summary(values: list[float]) -> dict:
    """Summarise values by their median, their quartiles and their number."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": median, "iqr": [low, high], "n": len(values)}


def _start(row: TimedRow) -> _Training:
    options = row.settings.train
    torch.manual_seed(SEED)
    model = loop.make_network(row.data, row.settings, row.language_model)
    per_epoch = math.ceil(len(row.data.folds["train"]) / options.batch_size)
    step = OptimizerStep(model, options, options.epochs * per_epoch)
    return _Training(model, step.kept, step, contrastive_loss(options))


def _epoch(row: TimedRow, training: _Training, utterances: Tensor | None = None) -> None:
    """Train on the training fold or the given part of it, always in the same order."""
    data = row.data
    if utterances is not None:
        data = dataclasses.replace(data, folds={"train": utterances})
    order = torch.Generator().manual_seed(SEED)
    model, _, step, contrastive = training
    loop.run_epoch(model, data, row.settings.train, order, contrastive, step)


def _count(row: TimedRow) -> dict:
    """Count the quantities that do not vary; the epoch that this takes is the row's warm-up."""
    data = row.data
    batch = data.shuffled(data.folds["train"], BATCH, torch.Generator().manual_seed(SEED))[0]
    training = _start(row)
    parameters = parameter_counts(training.model)
    products = multiply_adds(training.model, data.batch(batch))
    saved = saved_bytes(
        training.model,
        training.step,
        lambda counted: _epoch(row, training._replace(step=counted)),
    )
    loop.infer(training.model, data, data.folds["train"])
    return {
        "trainable parameters": parameters["all"],
        "trainable parameters without text encoder": parameters["all"]
        - parameters.get("language model", 0),
        "text encoder in network": row.language_model is not None,
        "multiply-adds per utterance": products / len(batch),
        "training memory bytes": saved + _state_bytes(training),
    }


def _state_bytes(training: _Training) -> int:
    """Return the bytes of weights, gradients, AdamW's two moments and averaged weights."""
    total = 0
    for parameter in training.model.parameters():
        total += parameter.nbytes * (4 if parameter.requires_grad else 1)
    if training.kept is not training.model:
        total += sum(parameter.nbytes for parameter in training.kept.parameters())
    return total


def _time(row: TimedRow, samples: _Samples) -> None:
    """Time one epoch of a row, inference, and the contrastive part's share of several steps."""
    device, rows = row.data.labels.device, row.data.folds["train"]
    before = _reset_peak(device)
    training = _start(row)
    _epoch(row, training, rows[: WARM_UP * row.settings.train.batch_size])
    samples.epochs.append(_seconds(device, lambda: _epoch(row, training)))
    if device.type == "cuda":
        samples.peaks.append(torch.cuda.max_memory_allocated(device) - before)
    samples.inferences.append(_seconds(device, lambda: loop.infer(training.model, row.data, rows)))
    if training.contrastive is not None:
        samples.shares.extend(_shares(row, training))


def _shares(row: TimedRow, training: _Training) -> list[float]:
    """Return the contrastive part's share of the time of each of several steps.

    The contrastive part is timed separately. It takes a few per cent of a step, so in the
    difference between steps with and without it, variations in the machine's speed would hide it.
    """
    data, device, shares = row.data, row.data.labels.device, []
    order = torch.Generator().manual_seed(SEED)
    for batch in data.shuffled(data.folds["train"], row.settings.train.batch_size, order)[:STEPS]:
        with torch.no_grad():
            found = training.model(data.batch(batch)).representations
        leaves = {name: value.requires_grad_() for name, value in found.items()}

        def alone(leaves=leaves, batch=batch) -> None:
            training.contrastive(leaves, data.classes[batch]).total.backward()

        part = _seconds(device, alone)
        shares.append(part / _seconds(device, lambda batch=batch: _epoch(row, training, batch)))
    return shares


def _reset_peak(device: torch.device) -> int:
    """Reset a GPU's peak memory; return the number of bytes currently allocated."""
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Return how many seconds a function takes, until the device has finished its work."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda _: None
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - began


def _summaries(row: TimedRow, samples: _Samples) -> dict:
    count = len(row.data.folds["train"])
    nothing = {"median": 0.0, "iqr": [0.0, 0.0], "n": 0}
    return {
        "seconds per epoch": summary(samples.epochs),
        "training utterances per second": summary([count / each for each in samples.epochs]),
        "inference utterances per second": summary([count / each for each in samples.inferences]),
        "peak device memory bytes": max(samples.peaks, default=None),
        "contrastive share of training step": summary(samples.shares)
        if samples.shares
        else nothing,
        "contrastive share of inference": 0.0,
    }
