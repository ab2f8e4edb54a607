"""Measure the complexity of each row of one corpus on this machine (rule `complexity`)."""

import functools
import os
import platform
from pathlib import Path

import torch

from hycon.atomic_io import write_json
from hycon.errors import HyConError
from hycon.logs import log
from hycon.plan.tasks import ComplexityTask, MeasuredRow
from hycon.progress import progress
from hycon.provenance import commit, environment, parameters_digest
from hycon.stages import Machine
from hycon.training.batches import load_data
from hycon.training.complexity import MEANINGS, TimedRow, measure
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.text import read_text


def main(task: ComplexityTask, machine: Machine) -> None:
    set_threads(machine.threads)
    make_deterministic()
    device = pick_device(machine.device)
    chosen: dict[str, MeasuredRow] = {}
    for row in task.rows:
        chosen.setdefault(_cost(row), row)
    rows = _load(task, list(chosen.values()), device, machine.features_in)
    show = functools.partial(progress, what="complexity", unit="turns")
    figures = dict(zip(chosen, measure(rows, task.repeats, show), strict=True))
    record = {
        "corpus": task.corpus.model_dump(mode="json"),
        "training utterances": len(rows[0].data.folds["train"]),
        "machine": describe(device),
        "device": device,
        "repeats": task.repeats,
        **commit(),
        "versions": environment(),
        "meanings": MEANINGS,
        "rows": [
            {
                "label": row.row,
                "encoder": row.encoder_name,
                "measured with": row.settings.model_dump(mode="json"),
                **{key: figures[_cost(row)][key] for key in MEANINGS},
            }
            for row in task.rows
        ],
    }
    write_json(task.output, record)
    log.info("%s: %d rows, %d of them measured", task.output, len(task.rows), len(rows))


def _cost(row: MeasuredRow) -> str:
    """Return what a row's figures depend on; rows in which it is the same are measured once."""
    return parameters_digest(row.model_dump(mode="json", exclude={"row", "encoder_name"}))


def _load(
    task: ComplexityTask, chosen: list[MeasuredRow], device: str, features_in: str
) -> list[TimedRow]:
    """Return rows with their corpus, which is read once per text encoder and class scheme."""
    corpora: dict[tuple, tuple] = {}
    rows = []
    for row in progress(chosen, "reading", unit="rows"):
        scheme = row.settings.train.classes
        modalities = row.settings.reads(task.corpus)
        key = (row.encoder.as_json(), row.states, row.tiny, scheme, *modalities)
        if key not in corpora:
            text = None
            if "text" in modalities:
                text = read_text(row.encoder, task.aligned, row.states, row.tiny)
            data = load_data(
                task.aligned, text, task.corpus.emotions, scheme, device, modalities=modalities,
                features_in=features_in,
            )  # fmt: skip
            corpora[key] = (data, text and text.language_model)
        data, language_model = corpora[key]
        if not len(data.folds["train"]):
            raise HyConError(f"{task.aligned}: no training utterances; align the corpus again")
        rows.append(TimedRow(data, row.settings, language_model))
    return rows


def describe(device: str) -> dict[str, str | int | None]:
    """Describe the machine, on which the times depend.

    Args:
        device: torch device of the measurements.

    Returns:
        Processor, number of cores, GPU (None on a CPU), torch version, number of threads.
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the name of the processor, which `platform` does not know on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
