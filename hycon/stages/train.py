"""Train those seeds of a row that are not trained yet (rule `train`)."""

import csv
import functools
import shutil
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn

from hycon.atomic_io import atomic_folder, exclusive, sha256_of, write_json
from hycon.corpus.folds import training_rounds
from hycon.corpus.utterances import read_table
from hycon.errors import HyConError
from hycon.logs import log
from hycon.networks.hycon import parameter_counts
from hycon.params import Corpus
from hycon.plan.tasks import TrainTask
from hycon.provenance import code_digest, commit, environment
from hycon.stages import Machine
from hycon.training.batches import CorpusTensors, load_data
from hycon.training.checkpoint import Checkpoint, ending_on_request
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import TrainingResult, infer, train
from hycon.training.text import read_text
from hycon.untrusted.safe_json import read_json

SECONDS_BETWEEN_LINES = 10.0
WRITTEN = (
    "history.csv",
    "model.safetensors",
    "representations.safetensors",
    "scales.safetensors",  # mean and deviation of the standardised features
)
EPOCHS = "epochs.safetensors"  # predictions of two folds after each epoch


def main(task: TrainTask, machine: Machine) -> None:
    provenance = {
        "corpus": task.corpus.model_dump(mode="json"),
        "encoder": task.encoder.model_dump(mode="json"),
        "settings": task.settings.model_dump(mode="json"),
        "code": code_digest("hycon.stages.train"),
        "inputs": {str(path): sha256_of(path) for path in task.inputs},
    }
    folders = {seed: task.output / f"seed-{seed}" for seed in task.seeds}
    missing = [seed for seed, folder in folders.items() if not is_run_of(folder, seed, provenance)]
    if kept := len(folders) - len(missing):
        log.info("%s: %d of %d seeds are trained already", task.name, kept, len(folders))
    for seed in sorted(folders.keys() - set(missing)):
        _keep(task, seed, folders[seed], provenance)
    if missing:
        with ending_on_request():
            _train(task, machine, provenance, {seed: folders[seed] for seed in missing})
    # each seed's record contains the digests of its files, so its own digest covers them
    records = {str(seed): sha256_of(folder / "run.json") for seed, folder in folders.items()}
    write_json(task.record, {"name": task.name, "seeds": records})


def _keep(task: TrainTask, seed: int, folder: Path, provenance: dict[str, Any]) -> None:
    """Keep a trained run; warn if it was trained with other package versions."""
    # left by a process that was killed just before it deleted them
    Checkpoint(checkpoint_of(folder), provenance).delete()
    shutil.rmtree(rounds_of(folder), ignore_errors=True)
    versions, now = read_json(folder / "run.json").get("versions", {}), environment()
    if versions != now:
        log.warning(
            "%s seed %d: kept, but trained with other versions (%s); to train it again, delete %s",
            task.name,
            seed,
            _difference(versions, now),
            folder,
        )


def _difference(found: dict[str, str], now: dict[str, str]) -> str:
    names = sorted(name for name in found.keys() | now.keys() if found.get(name) != now.get(name))
    return ", ".join(f"{name} {found.get(name)}, now {now.get(name)}" for name in names)


def is_run_of(folder: Path, seed: int, provenance: dict[str, Any]) -> bool:
    """Return whether a folder contains a complete run of a seed with the same provenance.

    Training again would give the same bytes. So an interrupted job trains only the missing seeds,
    and adding a seed trains only that seed.

    Args:
        folder: folder of the run.
        seed: the seed.
        provenance: parameters, code digest and input digests of the run.
    """
    try:
        record = read_json(folder / "run.json")
        found = {key: record[key] for key in ("seed", *provenance)}
        written = {name: sha256_of(folder / name) for name in _written(provenance["settings"])}
        return found == {"seed": seed, **provenance} and record["files"] == written
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _written(settings: dict[str, Any]) -> tuple[str, ...]:
    """Return the files of a run with these settings, besides its record."""
    return (*WRITTEN, *([EPOCHS] if settings["train"]["every_epoch"] else []))


def checkpoint_of(folder: Path) -> Path:
    """Return the path of a run's checkpoint, which exists while the run is unfinished."""
    return folder.with_name(f"{folder.name}.checkpoint") / "state.safetensors"


def rounds_of(folder: Path) -> Path:
    """Return the folder of a run's finished rounds, which exists while the run is unfinished."""
    return folder.with_name(f"{folder.name}.rounds")


def _train(
    task: TrainTask, machine: Machine, provenance: dict[str, Any], folders: dict[int, Path]
) -> None:
    """Train the seeds one after the other; write the folder of each as soon as it is trained."""
    set_threads(machine.threads)
    make_deterministic()
    device = pick_device(machine.device)
    rounds = training_rounds(read_table(task.aligned / "utterances.csv"))
    text = None
    if "text" in task.modalities:
        text = read_text(task.encoder, task.aligned, task.states, task.tiny)
    model = text and text.language_model
    scheme, emotions = task.settings.train.classes, task.corpus.emotions
    if task.settings.train.every_epoch and set(rounds) != {""}:
        raise HyConError(
            f"{task.name}: train.every_epoch is set, but each group is held out once; set it to "
            "false, or take a corpus with fixed folds"
        )

    @functools.lru_cache(maxsize=1)
    def data(held_out: str) -> CorpusTensors:
        folds = rounds[held_out]
        return load_data(
            task.aligned, text, emotions, scheme, device, folds, task.modalities,
            machine.features_in,
        )  # fmt: skip

    where = {"device": device, "threads": machine.threads, "versions": environment()}
    for seed, folder in folders.items():
        waits = functools.partial(
            log.info, "%s seed %d: waits for another process", task.name, seed
        )
        with exclusive(folder, waits):
            if is_run_of(folder, seed, provenance):
                log.info("%s seed %d: trained by another process", task.name, seed)
            elif set(rounds) == {""}:
                _train_seed(task, data(""), model, seed, folder, provenance, where)
            else:
                _train_rounds(task, rounds, data, model, seed, folder, provenance, where)


def _train_rounds(
    task: TrainTask,
    rounds: dict[str, np.ndarray],
    data: Callable[[str], CorpusTensors],
    language_model: nn.Module | None,
    seed: int,
    folder: Path,
    provenance: dict[str, Any],
    where: dict[str, Any],
) -> None:
    """Train one network for each held-out group, and join them in the seed's folder.

    A finished network waits in a folder beside it, so that an interrupted job resumes.
    """
    parts = rounds_of(folder)
    folders = {}
    for number, held_out in enumerate(rounds, start=1):
        folders[held_out] = parts / str(number)
        known = {**provenance, "held out": held_out}
        if not is_run_of(folders[held_out], seed, known):
            _train_seed(task, data(held_out), language_model, seed, folders[held_out], known, where)
    with atomic_folder(folder) as temporary:
        join_rounds(temporary, folders, rounds, provenance)
    shutil.rmtree(parts)


def join_rounds(
    folder: Path,
    parts: dict[str, Path],
    rounds: dict[str, np.ndarray],
    provenance: dict[str, Any],
) -> None:
    """Write the run of a seed from those of its rounds.

    `prediction` and the representations of an utterance are those of the network that tests it;
    `validation` is the prediction of the network that has it for validation. Weights are named
    NUMBER.NAME, with the numbers of the rounds from 1.

    Args:
        folder: of the run.
        parts: folder of each round, by held-out group.
        rounds: fold (N,) of each utterance in each round.
        provenance: of the run.
    """
    joined: dict[str, np.ndarray] = {}
    weights, histories, records = {}, [], []
    for number, (held_out, part) in enumerate(parts.items(), start=1):
        output = load_file(part / "representations.safetensors")
        output["validation"] = output["prediction"]
        for name, values in output.items():
            rows = rounds[held_out] == ("valid" if name == "validation" else "test")
            joined.setdefault(name, np.zeros_like(values))[rows] = values[rows]
        for name in ("model", "scales"):
            content = load_file(part / f"{name}.safetensors")
            weights.setdefault(name, {}).update({f"{number}.{k}": v for k, v in content.items()})
        with (part / "history.csv").open(newline="", encoding="utf-8") as file:
            histories += [{"held_out": held_out, **row} for row in csv.DictReader(file)]
        records.append(read_json(part / "run.json"))
    save_numpy(joined, folder / "representations.safetensors")
    for name, content in weights.items():
        save_numpy(content, folder / f"{name}.safetensors")
    _write_history(folder, histories)
    selections = [record["selection"] for record in records]
    _write_record(
        folder,
        {
            **records[0],
            "selection": {
                "criterion": selections[0]["criterion"],
                "held out": list(parts),
                **{key: [each[key] for each in selections] for key in ("epoch", "epochs", "value")},
            },
            **provenance,
            "ended": records[-1]["ended"],
            "seconds": round(sum(record["seconds"] for record in records), 3),
            "resumed": sum(record["resumed"] for record in records),
        },
    )


def _train_seed(
    task: TrainTask,
    data: CorpusTensors,
    language_model: nn.Module | None,
    seed: int,
    folder: Path,
    provenance: dict[str, Any],
    where: dict[str, Any],
) -> None:
    """Train one network, resuming from its checkpoint if there is one, and write its folder."""
    name = f"{task.name} seed {seed}"
    if held_out := provenance.get("held out"):
        name += f" without {held_out}"
    checkpoint = Checkpoint(checkpoint_of(folder), {"seed": seed, **provenance, **where})
    data = data.prepared(task.settings, seed)
    try:
        trained = train(
            data, task.settings, seed, _ProgressLogger(name), language_model, checkpoint
        )
    except FloatingPointError as error:
        raise HyConError(f"{name}: {error}; lower train.learning_rate") from None
    criterion = _criterion(task.corpus)
    record = {
        "seed": seed,
        **provenance,
        "selection": {
            "criterion": f"lowest validation {criterion}",
            "epoch": trained.epoch,
            "epochs": len(trained.history),
            "value": trained.score,
        },
        "parameters": parameter_counts(trained.model),
        "longest": data.longest,
        **where,
        **commit(),
        "started": checkpoint.started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(checkpoint.seconds, 3),
        "resumed": checkpoint.resumed,
    }
    with atomic_folder(folder) as temporary:
        _write(temporary, trained, data, record)
    checkpoint.delete()
    epochs = f"epoch {trained.epoch} of {len(trained.history)}"
    log.info("%s: %s, validation %s %.3f", name, epochs, criterion, trained.score)


def _criterion(corpus: Corpus) -> str:
    return "MAE" if corpus.task == "regression" else "cross-entropy"


def _write(folder: Path, trained: TrainingResult, data: CorpusTensors, record: dict) -> None:
    """Write weights, history, record, and predictions and representations of all utterances."""
    rows = data.labels.new_tensor(range(len(data.labels))).long()
    output = infer(trained.model, data, rows)
    tensors = {name: value.float().cpu().contiguous() for name, value in output.tensors().items()}
    save_file(tensors, folder / "representations.safetensors")
    weights = {name: value.cpu().contiguous() for name, value in trained.model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    scales = {
        f"{name}.{part}": values
        for name, both in data.scales.items()
        for part, values in zip(("mean", "deviation"), both, strict=True)
    }
    save_numpy(scales, folder / "scales.safetensors")
    _write_history(folder, trained.history)
    if trained.epochs:
        epochs = {fold: each.cpu().contiguous() for fold, each in trained.epochs.items()}
        save_file(epochs, folder / EPOCHS)
    _write_record(folder, record)


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history[0])
        writer.writeheader()
        writer.writerows(history)


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    digests = {name: sha256_of(folder / name) for name in _written(record["settings"])}
    write_json(folder / "run.json", {**record, "files": digests})


class _ProgressLogger:
    """Report progress: on a terminal, one line that is overwritten; in a log, a line at times."""

    def __init__(self, name: str) -> None:
        self.name, self.said = name, time.monotonic()

    def __call__(self, row: dict[str, float]) -> None:
        text = f"{self.name}: epoch {row['epoch']}, validation {row['validation']:.3f}"
        if sys.stderr.isatty():
            print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.said > SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            log.info("%s", text)
