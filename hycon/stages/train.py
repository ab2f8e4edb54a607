"""Train those seeds of a row that are not trained yet (rule `train`)."""

import csv
import functools
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from hycon.atomic_io import atomic_folder, exclusive, sha256_of, write_json
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
WRITTEN = ("history.csv", "model.safetensors", "representations.safetensors")


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
    # left by a process that was killed just before it deleted its checkpoint
    Checkpoint(checkpoint_of(folder), provenance).delete()
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
        written = {name: sha256_of(folder / name) for name in WRITTEN}
        return found == {"seed": seed, **provenance} and record["files"] == written
    except (OSError, ValueError, KeyError, TypeError):
        return False


def checkpoint_of(folder: Path) -> Path:
    """Return the path of a run's checkpoint, which exists while the run is unfinished."""
    return folder.with_name(f"{folder.name}.checkpoint") / "state.safetensors"


def _train(
    task: TrainTask, machine: Machine, provenance: dict[str, Any], folders: dict[int, Path]
) -> None:
    """Train the seeds one after the other; write the folder of each as soon as it is trained."""
    set_threads(machine.threads)
    make_deterministic()
    device = pick_device(machine.device)
    text = read_text(task.encoder, task.aligned, task.states, task.tiny)
    scheme = task.settings.train.classes
    data = load_data(task.aligned, text, task.corpus.emotions, scheme, device)
    where = {"device": device, "threads": machine.threads, "versions": environment()}
    for seed, folder in folders.items():
        waits = functools.partial(
            log.info, "%s seed %d: waits for another process", task.name, seed
        )
        with exclusive(folder, waits):
            if is_run_of(folder, seed, provenance):
                log.info("%s seed %d: trained by another process", task.name, seed)
            else:
                _train_seed(task, data, text.language_model, seed, folder, provenance, where)


def _train_seed(
    task: TrainTask,
    data: CorpusTensors,
    language_model: nn.Module | None,
    seed: int,
    folder: Path,
    provenance: dict[str, Any],
    where: dict[str, Any],
) -> None:
    """Train one seed, resuming from its checkpoint if there is one, and write its folder."""
    name = f"{task.name} seed {seed}"
    checkpoint = Checkpoint(checkpoint_of(folder), {"seed": seed, **provenance, **where})
    data = data.with_shuffled(task.settings.train.shuffled, seed)
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
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, trained.history[0])
        writer.writeheader()
        writer.writerows(trained.history)
    digests = {name: sha256_of(folder / name) for name in WRITTEN}
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
