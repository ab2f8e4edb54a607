"""Train the seeds of one row that are not trained yet (rule `train`)."""

import csv
import functools
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from hycon.errors import HyConError
from hycon.files import atomic_folder, exclusive, sha256_of, write_json
from hycon.model import parameter_counts
from hycon.params import Corpus
from hycon.provenance import code_digest, commit, environment
from hycon.reading import read_json
from hycon.stages import log, run, start, training_parser
from hycon.training.batches import Data, load_data
from hycon.training.checkpoint import Checkpoint, ending_on_request
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import Trained, infer, train
from hycon.training.text import read_text

SECONDS_BETWEEN_LINES = 10.0
WRITTEN = ("history.csv", "model.safetensors", "representations.safetensors")


def main(argv: Sequence[str] | None = None) -> None:
    options = training_parser(__doc__)
    options.add_argument("--seeds", type=int, nargs="+", required=True)
    options.add_argument(
        "--inputs", type=Path, nargs="+", required=True, help="the files that are read"
    )
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    origin = {
        "corpus": arguments.corpus.model_dump(mode="json"),
        "encoder": arguments.encoder.model_dump(mode="json"),
        "settings": arguments.settings.model_dump(mode="json"),
        "code": code_digest("hycon.stages.train"),
        "inputs": {str(path): sha256_of(path) for path in arguments.inputs},
    }
    waits = functools.partial(log.info, "%s: waits for another process", arguments.name)
    with exclusive(arguments.output, waits):
        _complete(arguments, origin)


def _complete(arguments: Namespace, origin: dict[str, Any]) -> None:
    """Train the seeds that do not stand, and record all."""
    folders = {seed: arguments.output / f"seed-{seed}" for seed in arguments.seeds}
    missing = [seed for seed, folder in folders.items() if not is_run_of(folder, seed, origin)]
    if kept := len(folders) - len(missing):
        log.info("%s: %d of %d seeds stand already", arguments.name, kept, len(folders))
    now = environment()
    for seed in sorted(folders.keys() - set(missing)):
        # of a process killed right at its end
        Checkpoint(checkpoint_of(folders[seed]), origin).delete()
        if (versions := read_json(folders[seed] / "run.json").get("versions", {})) != now:
            log.warning(
                "%s seed %d: stands, but was trained with other versions (%s); to train it again, "
                "delete %s",
                arguments.name,
                seed,
                _difference(versions, now),
                folders[seed],
            )
    if missing:
        with ending_on_request():
            _train(arguments, origin, {seed: folders[seed] for seed in missing})
    # the digest of each seed's record, which has those of its files
    records = {str(seed): sha256_of(folder / "run.json") for seed, folder in folders.items()}
    write_json(arguments.output / "runs.json", {"name": arguments.name, "seeds": records})


def _difference(found: dict[str, str], now: dict[str, str]) -> str:
    names = sorted(name for name in found.keys() | now.keys() if found.get(name) != now.get(name))
    return ", ".join(f"{name} {found.get(name)}, now {now.get(name)}" for name in names)


def is_run_of(folder: Path, seed: int, origin: dict[str, Any]) -> bool:
    """Return whether a folder holds a whole run of a seed that came of the same things.

    Then training again would give the same bytes: so a row that was broken off goes on with the
    seeds that it lacks, and a seed more trains that seed.
    """
    try:
        record = read_json(folder / "run.json")
        found = {key: record[key] for key in ("seed", *origin)}
        written = {name: sha256_of(folder / name) for name in WRITTEN}
        return found == {"seed": seed, **origin} and record["files"] == written
    except (OSError, ValueError, KeyError, TypeError):
        return False


def checkpoint_of(folder: Path) -> Path:
    """Return where the checkpoint of a run is kept while it is under way."""
    return folder.with_name(f"{folder.name}.checkpoint") / "state.safetensors"


def _train(arguments: Namespace, origin: dict[str, Any], folders: dict[int, Path]) -> None:
    """Train the seeds one after the other; each leaves its folder as soon as it is trained."""
    set_threads(arguments.threads)
    make_deterministic()
    device = pick_device(arguments.device)
    text = read_text(arguments.encoder, arguments.aligned, arguments.states, arguments.tiny)
    data = load_data(
        arguments.aligned,
        text,
        arguments.corpus.emotions,
        arguments.settings.train.classes,
        device,
    )
    for seed, folder in folders.items():
        name = f"{arguments.name} seed {seed}"
        place = {"device": device, "threads": arguments.threads, "versions": environment()}
        checkpoint = Checkpoint(checkpoint_of(folder), {"seed": seed, **origin, **place})
        try:
            trained = train(
                data, arguments.settings, seed, _Teller(name), text.language_model, checkpoint
            )
        except FloatingPointError as error:
            raise HyConError(f"{name}: {error}; lower train.learning_rate") from None
        criterion = _criterion(arguments.corpus)
        record = {
            "seed": seed,
            **origin,
            "selection": {
                "criterion": f"lowest validation {criterion}",
                "epoch": trained.epoch,
                "epochs": len(trained.history),
                "value": trained.score,
            },
            "parameters": parameter_counts(trained.model),
            **place,
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


def _write(folder: Path, trained: Trained, data: Data, record: dict) -> None:
    """Write weights, history, and what the network says of every utterance of the corpus."""
    rows = data.labels.new_tensor(range(len(data.labels))).long()
    output = infer(trained.model, data, rows)
    tensors = {name: value.float().cpu().contiguous() for name, value in output._asdict().items()}
    save_file(tensors, folder / "representations.safetensors")
    weights = {name: value.cpu().contiguous() for name, value in trained.model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, trained.history[0])
        writer.writeheader()
        writer.writerows(trained.history)
    digests = {name: sha256_of(folder / name) for name in WRITTEN}
    write_json(folder / "run.json", {**record, "files": digests})


class _Teller:
    """Say how training goes: one line on a terminal, rewritten; in a log a line now and then."""

    def __init__(self, name: str) -> None:
        self.name, self.said = name, time.monotonic()

    def __call__(self, row: dict[str, float]) -> None:
        text = f"{self.name}: epoch {row['epoch']}, validation {row['validation']:.3f}"
        if sys.stderr.isatty():
            print(f"\r\033[K{text}\r", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.said > SECONDS_BETWEEN_LINES:
            self.said = time.monotonic()
            log.info("%s", text)


if __name__ == "__main__":
    run(main)
