"""Measure what each row of one corpus costs, side by side on this machine (rule `complexity`)."""

import argparse
import functools
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from hycon.errors import HyConError
from hycon.files import write_json
from hycon.params import Corpus, Encoder, Settings
from hycon.progress import progress
from hycon.provenance import commit, environment
from hycon.stages import log, parser, run, start
from hycon.training.batches import load_data
from hycon.training.complexity import MEANINGS, Row, measure
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.text import read_text


class Asked(NamedTuple):
    """A row as --rows names it."""

    label: str
    encoder_label: str
    settings: Settings
    encoder: Encoder
    states: Path | None
    tiny: Path | None


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument(
        "--rows",
        type=read_rows,
        required=True,
        help="JSON: a list of [label, encoder's label, settings as JSON, encoder as JSON, "
        "folder of its states, folder of the tiny model]",
    )
    options.add_argument("--aligned", type=Path, required=True, help="folder")
    options.add_argument("--device", default="auto")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=5, help="timed rounds")
    options.add_argument("--output", type=Path, required=True, help="file")
    arguments = options.parse_args(argv)
    start(arguments)
    if arguments.repeats < 1:
        raise HyConError(f"--repeats: found {arguments.repeats}, expected at least 1")
    set_threads(arguments.threads)
    make_deterministic()
    device = pick_device(arguments.device)
    rows = _load(arguments, device)
    show = functools.partial(progress, what="complexity", unit="turns")
    figures = measure(rows, arguments.repeats, show)
    record = {
        "corpus": arguments.corpus.model_dump(mode="json"),
        "training utterances": len(rows[0].data.folds["train"]),
        "machine": machine(device),
        "device": device,
        "repeats": arguments.repeats,
        **commit(),
        "versions": environment(),
        "meanings": MEANINGS,
        "rows": [
            {
                "label": asked.label,
                "encoder": asked.encoder_label,
                "measured with": asked.settings.model_dump(mode="json"),
                **{key: found[key] for key in MEANINGS},
            }
            for asked, found in zip(arguments.rows, figures, strict=True)
        ],
    }
    write_json(arguments.output, record)
    log.info("%s: %d rows measured", arguments.output, len(rows))


def read_rows(text: str) -> list[Asked]:
    """Return the rows of --rows.

    Raises:
        argparse.ArgumentTypeError: it is not a list of rows, or a row is not as it should be.
    """
    try:
        rows = [_asked(*row) for row in json.loads(text)]
    except (TypeError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise argparse.ArgumentTypeError(f"not a list of rows: {problem}") from None
    if not rows:
        raise argparse.ArgumentTypeError("no row is named")
    return rows


def _asked(label, encoder_label, settings, encoder, states, tiny) -> Asked:
    return Asked(
        label,
        encoder_label,
        Settings.model_validate_json(settings),
        Encoder.model_validate_json(encoder),
        Path(states) if states else None,
        Path(tiny) if tiny else None,
    )


def _load(arguments, device: str) -> list[Row]:
    """Return the rows with their corpus, which is read once for each text and class scheme."""
    corpora: dict[tuple, tuple] = {}
    rows = []
    for asked in progress(arguments.rows, "reading", unit="rows"):
        scheme = asked.settings.train.classes
        key = (asked.encoder.as_json(), asked.states, asked.tiny, scheme)
        if key not in corpora:
            text = read_text(asked.encoder, arguments.aligned, asked.states, asked.tiny)
            data = load_data(arguments.aligned, text, arguments.corpus.emotions, scheme, device)
            corpora[key] = (data, text.language_model)
        data, language_model = corpora[key]
        if not len(data.folds["train"]):
            raise HyConError(f"{arguments.aligned}: no training utterances; align the corpus again")
        rows.append(Row(data, asked.settings, language_model))
    return rows


def machine(device: str) -> dict[str, str | int | None]:
    """Return what the times depend on: processor, cores, GPU if it is used, torch, threads."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name(device) if device.startswith("cuda") else None,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the processor's name; Python itself knows none on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    run(main)
