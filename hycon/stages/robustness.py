"""Score trained networks on incomplete and noisy input of the test fold (rule `robustness`).

Nothing is trained. The share of missing steps follows LNLN (Zhang, Wang, Yu: Towards robust
multimodal sentiment analysis with incomplete data, NeurIPS 2024), a missing modality and noise
follow MSA-Robustness (Hazarika et al.: Analyzing modality robustness in multimodal sentiment
analysis, NAACL 2022).
"""

import functools
import zlib
from collections.abc import Callable

import numpy as np
import torch

from hycon.atomic_io import write_json
from hycon.corpus.folds import training_rounds
from hycon.corpus.utterances import Utterance, read_table
from hycon.evaluation.metrics import label_metrics
from hycon.logs import log
from hycon.networks.packing import PaddedBatch, without_steps
from hycon.plan.tasks import RobustnessTask, RobustRow
from hycon.progress import progress
from hycon.stages import Machine
from hycon.training.batches import load_data
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import infer
from hycon.training.text import read_text
from hycon.training.trained import load_network

Batch = dict[str, PaddedBatch]
Condition = tuple[str, float]  # kind and amount


def main(task: RobustnessTask, machine: Machine) -> None:
    set_threads(machine.threads)
    make_deterministic()
    device = pick_device(machine.device)
    utterances = read_table(task.aligned / "utterances.csv")
    rows = {}
    for row in progress(task.rows, task.name, unit="rows"):
        rows[row.row] = _row(task, row, utterances, device)
    write_json(task.output, {"name": task.name, "rows": rows})
    log.info("%s: %d rows, %d seeds", task.name, len(rows), len(task.seeds))


def conditions(task: RobustnessTask, row: RobustRow) -> list[Condition]:
    """Return what a row is tested under: shares of missing steps, missing modalities, noise."""
    alone = [(f"without {name}", 1.0) for name in row.settings.reads(task.corpus)]
    return [
        *(("missing", share) for share in task.missing),
        *alone,
        *(("noise", amount) for amount in task.noise),
    ]


def _row(
    task: RobustnessTask, row: RobustRow, utterances: list[Utterance], device: str
) -> list[dict]:
    """Return the metrics of each seed under each condition."""
    modalities = row.settings.reads(task.corpus)
    rounds = training_rounds(utterances)
    text = None
    if "text" in modalities:
        text = read_text(row.encoder, task.aligned, row.states, None)
    labels, emotions = [utterance.label for utterance in utterances], task.corpus.emotions
    found: dict[Condition, dict[str, np.ndarray]] = {}
    for number, (held_out, fold) in enumerate(rounds.items(), start=1):
        data = load_data(
            task.aligned, text, emotions, row.settings.train.classes, device, fold, modalities
        )
        deviations = {name: each.values.std(dim=0) for name, each in data.features.items()}
        for seed in task.seeds:
            folder = row.runs / f"seed-{seed}"
            model = load_network(folder, data, row.settings, number=number if held_out else None)
            for condition in conditions(task, row):
                rows = data.folds["test"]
                output = infer(model, data, rows, _change(condition, seed, deviations))
                prediction = output.prediction.cpu().numpy()
                whole = found.setdefault(condition, {}).setdefault(
                    str(seed), np.zeros((len(labels), *prediction.shape[1:]), np.float32)
                )
                whole[rows.cpu().numpy()] = prediction
    tested = [i for i, each in enumerate(utterances) if each.held_out or each.fold == "test"]
    score = functools.partial(
        label_metrics,
        labels=[labels[i] for i in tested],
        emotions=emotions,
        emotion_decision=row.settings.train.emotion_decision,
        f1=task.metrics.f1,
    )
    return [
        {
            "kind": kind,
            "amount": amount,
            "seeds": {seed: score(prediction[tested]) for seed, prediction in runs.items()},
        }
        for (kind, amount), runs in found.items()
    ]


def _change(
    condition: Condition, seed: int, deviations: dict[str, torch.Tensor]
) -> Callable[[Batch], Batch]:
    """Return a function that removes steps of a batch, or adds noise to it.

    What is drawn depends on the seed and the condition, so that rows of a seed see the same.

    Args:
        condition: kind and amount.
        seed: of the run.
        deviations: standard deviation (D,) of each feature, by modality.
    """
    kind, amount = condition
    draw = torch.Generator().manual_seed(zlib.crc32(f"{seed} {kind} {amount}".encode()))
    if kind == "noise":
        return lambda batch: {
            name: _noisy(steps, amount * deviations[name], draw) for name, steps in batch.items()
        }
    missing = kind.removeprefix("without ")
    return lambda batch: {
        name: without_steps(steps, amount, draw) if missing in ("missing", name) else steps
        for name, steps in batch.items()
    }


def _noisy(steps: PaddedBatch, deviation: torch.Tensor, draw: torch.Generator) -> PaddedBatch:
    noise = torch.randn(steps.values.shape, generator=draw).to(steps.values)
    return PaddedBatch(steps.values + noise * deviation, steps.lengths)
