"""Look for better parameters of one row on one corpus (rule `tune`)."""

import csv
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml

from hycon.corpus.utterances import read_table
from hycon.errors import HyConError
from hycon.files import atomic_file
from hycon.params import Corpus, Encoder, Settings, Tuning, merge
from hycon.provenance import code_digest
from hycon.stages import log, parser, run, start
from hycon.training.batches import load_data
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import train
from hycon.training.text import read_text
from hycon.training.tuning import cross_validation, finished, open_study, search


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--name", required=True, help="CORPUS/ROW, in messages")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--encoder", type=Encoder.model_validate_json, required=True)
    options.add_argument("--settings", type=Settings.model_validate_json, required=True)
    options.add_argument("--tuning", type=Tuning.model_validate_json, required=True)
    options.add_argument(
        "--places", type=json.loads, required=True, help="JSON: {key: where an overlay puts it}"
    )
    options.add_argument("--aligned", type=Path, required=True, help="folder")
    options.add_argument("--states", type=Path, help="folder of text states, if they are cached")
    options.add_argument("--tiny", type=Path, help="folder of the tiny model, if it is one")
    options.add_argument("--device", default="auto")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--study", type=Path, required=True, help="journal, to go on with")
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    set_threads(arguments.threads)
    make_deterministic()
    study = open_study(arguments.study, _digest(arguments))
    if found := len(finished(study)):
        log.info("%s: going on after trial %d", arguments.name, found)
    tuning = arguments.tuning
    score, rounds = _scorer(arguments)
    tell = functools.partial(_tell, arguments)
    search(study, arguments.settings, tuning, score, rounds, tell)
    try:
        best = study.best_trial
    except ValueError:
        raise HyConError(f"{arguments.name}: no trial came to an end; narrow the space") from None
    _write(arguments, study, best)
    log.info("%s.yaml, .csv: written", arguments.output)


def _digest(arguments) -> str:
    """Return a name for all that a trial's score depends on: others belong to another study."""
    parts = [
        code_digest("hycon.stages.tune"),
        arguments.corpus.as_input(),
        arguments.encoder.as_input(),
        arguments.settings.as_json(),
        arguments.tuning.model_copy(update={"trials": 1}).as_json(),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _scorer(arguments):
    """Return a function that trains settings in one round, and how many rounds there are."""
    device = pick_device(arguments.device)
    text = read_text(arguments.encoder, arguments.aligned, arguments.states, arguments.tiny)
    utterances = read_table(arguments.aligned / "utterances.csv")
    folds = cross_validation(utterances, arguments.tuning.folds)
    seeds = arguments.tuning.seeds

    @functools.lru_cache(maxsize=len(folds) * 3)  # by the class schemes that a space can hold
    def data(part: int, scheme: str):
        emotions = arguments.corpus.emotions
        return load_data(arguments.aligned, text, emotions, scheme, device, folds[part])

    def score(settings: Settings, number: int) -> float:
        seed, part = divmod(number, len(folds))
        corpus = data(part, settings.train.classes)
        return train(corpus, settings, seeds[seed], lambda _: None, text.language_model).score

    return score, len(folds) * len(seeds)


def _tell(arguments, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    trials, budget = finished(study), arguments.tuning.trials
    found = "given up" if trial.value is None else f"validation {trial.value:.4f}"
    best = min((t.value for t in trials if t.value is not None), default=float("inf"))
    text = f"{arguments.name}: trial {len(trials)} of {budget}, {found}, best {best:.4f}"
    log.info("%s", text)


def _write(arguments, study: optuna.Study, best: optuna.trial.FrozenTrial) -> None:
    """Write the best parameters as an overlay, and all trials as a table."""
    tuning, trials = arguments.tuning, finished(study)
    complete = [trial.value for trial in trials if trial.value is not None]
    how = (
        f"{tuning.folds}-fold cross-validation by video over training and validation folds"
        if tuning.folds
        else "the validation fold"
    )
    score = "MAE" if arguments.corpus.task == "regression" else "cross-entropy"
    seeds = ", ".join(map(str, tuning.seeds))
    header = [
        f"Parameters of {arguments.name}, found by the rule `tune`.",
        f"Budget: {len(trials)} trials ({len(trials) - len(complete)} given up early), each judged"
        f" on {how}, seeds {seeds}; the test fold took no part.",
        f"Validation {score}: {best.value:.4f} with these; {_first(trials)}"
        f"{np.median(complete):.4f} the median trial.",
        "Use: snakemake --cores 1 all --configfile OVERLAY THIS_FILE; all trials: the .csv beside.",
    ]
    overlay: dict[str, Any] = {}
    for key, value in best.user_attrs["values"].items():
        nested: Any = value
        for part in reversed([*arguments.places[key], *key.split(".")]):
            nested = {part: nested}
        overlay = merge(overlay, nested)
    with atomic_file(arguments.output.with_suffix(".yaml")) as temporary:
        comments = "".join(f"# {line}\n" for line in header)
        temporary.write_text(comments + yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")
    with (
        atomic_file(arguments.output.with_suffix(".csv")) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", f"validation_{score}", "rounds", *tuning.space])
        for number, trial in enumerate(trials, start=1):
            values = trial.user_attrs["values"]
            rounds = trial.intermediate_values
            row = [number, trial.state.name.lower(), rounds[max(rounds)], len(rounds)]
            writer.writerow([*row, *(json.dumps(values[key]) for key in tuning.space)])


def _first(trials: list[optuna.trial.FrozenTrial]) -> str:
    value = trials[0].value
    return "" if value is None else f"{value:.4f} with what was set before; "


if __name__ == "__main__":
    run(main)
