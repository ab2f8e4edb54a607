"""Train one seed of one variant (rule `train`)."""

import csv
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from safetensors.torch import save_file

from hycon.errors import HyConError
from hycon.files import atomic_folder, write_json
from hycon.model import parameter_counts
from hycon.params import Corpus
from hycon.provenance import commit, environment
from hycon.stages import log, run, start, training_parser
from hycon.training.batches import Data, load_data
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import Trained, infer, train
from hycon.training.text import read_text

SECONDS_BETWEEN_LINES = 10.0


def main(argv: Sequence[str] | None = None) -> None:
    options = training_parser(__doc__)
    options.add_argument("--seed", type=int, required=True)
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    started = datetime.now(UTC)
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
    name = f"{arguments.name} seed {arguments.seed}"
    try:
        trained = train(
            data, arguments.settings, arguments.seed, _Teller(name), text.language_model
        )
    except FloatingPointError as error:
        raise HyConError(f"{name}: {error}; lower train.learning_rate") from None
    record = {
        "seed": arguments.seed,
        "settings": arguments.settings.model_dump(),
        "encoder": arguments.encoder.model_dump(),
        "selection": {
            "criterion": "lowest validation " + _criterion(arguments.corpus),
            "epoch": trained.epoch,
            "epochs": len(trained.history),
            "value": trained.score,
        },
        "parameters": parameter_counts(trained.model),
        "device": device,
        "threads": arguments.threads,
        **commit(),
        "versions": environment(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 3),
    }
    with atomic_folder(arguments.output) as folder:
        _write(folder, trained, data, record)
    log.info(
        "%s: epoch %d of %d, validation %s %.3f",
        name,
        trained.epoch,
        len(trained.history),
        _criterion(arguments.corpus),
        trained.score,
    )


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
    write_json(folder / "run.json", record)


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
