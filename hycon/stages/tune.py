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

from hycon.corpus.utterances import offsets_path, read_table
from hycon.encoders.text import locate
from hycon.errors import HyConError
from hycon.files import atomic_file, exclusive, naming, sha256_of
from hycon.params import Settings, Tuning, merge, with_values
from hycon.provenance import code_digest
from hycon.stages import log, run, start, training_parser
from hycon.training.batches import load_data
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import train
from hycon.training.text import read_text
from hycon.training.tuning import completed, cross_validation, finished, open_study, search


def main(argv: Sequence[str] | None = None) -> None:
    options = training_parser(__doc__)
    options.add_argument("--tuning", type=Tuning.model_validate_json, required=True)
    options.add_argument(
        "--places", type=json.loads, required=True, help="JSON: {key: where an overlay puts it}"
    )
    options.add_argument("--study", type=Path, required=True, help="journal, to go on with")
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    set_threads(arguments.threads)
    make_deterministic()
    waits = functools.partial(log.info, "%s: waits for another process", arguments.name)
    with naming(arguments.study), exclusive(arguments.study, waits):
        study = open_study(arguments.study, _digest(arguments))
        if found := len(finished(study)):
            log.info("%s: going on after trial %d", arguments.name, found)
        tuning = arguments.tuning
        score, rounds = _scorer(arguments)
        tell = functools.partial(_tell, arguments)
        search(study, arguments.settings, tuning, score, rounds, tell)
    if not completed(study):
        raise HyConError(f"{arguments.name}: no trial came to an end; narrow tuning.space")
    _write(arguments, study)
    log.info("%s.yaml, .csv: written", arguments.output)


def _digest(arguments) -> str:
    """Return a name for all that a trial's score depends on: others belong to another study."""
    parts = [
        code_digest("hycon.stages.tune"),
        arguments.corpus.as_input(),
        arguments.encoder.as_input(),
        arguments.settings.as_json(),
        arguments.tuning.model_copy(update={"trials": 1}).as_json(),
        *(sha256_of(path) for path in _inputs(arguments)),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _inputs(arguments) -> list[Path]:
    """Return the files that training reads."""
    arrays = [arguments.aligned / "audio.npy", arguments.aligned / "vision.npy"]
    if not arguments.encoder.finetune:
        arrays.append(arguments.states / "states.npy")
    files = [arguments.aligned / "utterances.csv"]
    files += [path for array in arrays for path in (array, offsets_path(array))]
    if not arguments.encoder.finetune:
        return files
    encoder = arguments.encoder
    place = Path(locate(encoder.model, arguments.tiny, encoder.sha256))
    return [*files, place / "model.safetensors"] if place.is_dir() else files


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
    number, budget = len(finished(study)), arguments.tuning.trials
    values = [other.value for other in completed(study)]
    found = f"validation {trial.value:.4f}" if trial in completed(study) else "given up"
    best = f", best {min(values):.4f}" if values else ""
    log.info("%s: trial %d of %d, %s%s", arguments.name, number, budget, found, best)


def _write(arguments, study: optuna.Study) -> None:
    """Write the best parameters as an overlay, and all trials as a table."""
    overlay: dict[str, Any] = {}
    for key, value in study.best_trial.user_attrs["values"].items():
        nested: Any = value
        for part in reversed(arguments.places[key]):
            nested = {part: nested}
        overlay = merge(overlay, nested)
    comments = "".join(f"# {line}\n" for line in _header(arguments, study))
    with atomic_file(arguments.output.with_suffix(".yaml")) as temporary:
        temporary.write_text(comments + yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")
    space = arguments.tuning.space
    with (
        atomic_file(arguments.output.with_suffix(".csv")) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "rounds", f"validation_{_score(arguments)}", *space])
        for number, trial in enumerate(finished(study), start=1):
            means = list(trial.intermediate_values.values())
            row = [number, trial.state.name.lower(), len(means), means[-1] if means else ""]
            values = trial.user_attrs["values"]
            writer.writerow([*row, *(json.dumps(values[key]) for key in space)])


def _score(arguments) -> str:
    return "MAE" if arguments.corpus.task == "regression" else "cross-entropy"


def _header(arguments, study: optuna.Study) -> list[str]:
    """Return what was searched, how it was judged, and what came of it."""
    tuning, trials = arguments.tuning, finished(study)
    values = [trial.value for trial in completed(study)]
    how = (
        f"{tuning.folds}-fold cross-validation by video over training and validation folds"
        if tuning.folds
        else "the validation fold"
    )
    seeds = f"seed{'s' * (len(tuning.seeds) > 1)} {', '.join(map(str, tuning.seeds))}"
    first = trials[0].user_attrs["values"]
    kept = with_values(arguments.settings, first) == arguments.settings and trials[0].value
    before = f"{kept:.4f} with what was set before; " if kept else ""
    return [
        f"Parameters of {arguments.name}, found by the rule `tune`.",
        f"Budget: {len(trials)} trials, {len(trials) - len(values)} of them given up early.",
        f"Judged by {how}, {seeds}; the test fold took no part.",
        f"Validation {_score(arguments)}: {study.best_value:.4f} with these; {before}"
        f"{np.median(values):.4f} the median of the trials that were not given up.",
        "Use: snakemake --cores 1 all --configfile OVERLAY THIS_FILE; all trials: the .csv beside.",
    ]


if __name__ == "__main__":
    run(main)
