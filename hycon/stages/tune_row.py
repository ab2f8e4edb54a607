"""Search for better hyperparameters of one row on one corpus (rule `tune_row`)."""

import csv
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import yaml

from hycon.atomic_io import atomic_file, exclusive, naming, sha256_of
from hycon.corpus.utterances import read_table
from hycon.encoders.text import locate
from hycon.errors import HyConError
from hycon.logs import log
from hycon.params import Settings, merge, override
from hycon.plan.tasks import TuneTask
from hycon.provenance import code_digest
from hycon.stages import Machine
from hycon.training.batches import load_data
from hycon.training.device import make_deterministic, pick_device, set_threads
from hycon.training.loop import train
from hycon.training.text import read_text
from hycon.training.tuning import completed, cross_validation, finished, open_study, search


def main(task: TuneTask, machine: Machine) -> None:
    set_threads(machine.threads)
    make_deterministic()
    waits = functools.partial(log.info, "%s: waits for another process", task.name)
    with naming(task.study), exclusive(task.study, waits):
        study = open_study(task.study, _digest(task))
        if found := len(finished(study)):
            log.info("%s: resumed after trial %d", task.name, found)
        score, rounds = _scorer(task, machine)
        on_trial_end = functools.partial(_log_trial, task)
        search(study, task.settings, task.tuning, score, rounds, on_trial_end)
    if not completed(study):
        raise HyConError(f"{task.name}: no trial was completed; narrow tuning.space")
    _write(task, study)
    log.info("%s.yaml, .csv: written", task.output)


def _digest(task: TuneTask) -> str:
    """Return a digest of all that a trial's score depends on; it names the study."""
    parts = [
        code_digest("hycon.stages.tune_row"),
        task.corpus.as_input().as_json(),
        task.encoder.as_input().as_json(),
        task.settings.as_json(),
        task.tuning.model_copy(update={"trials": 1}).as_json(),
        *(sha256_of(path) for path in _files(task)),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _files(task: TuneTask) -> list[Path]:
    """Return the files that training reads, including the weights of a local model."""
    encoder = task.encoder
    if not encoder.finetune or "text" not in task.modalities:
        return task.inputs
    place = Path(locate(encoder.model, task.tiny, encoder.sha256))
    weights = place / "model.safetensors"
    return [*task.inputs, *([weights] if place.is_dir() and weights not in task.inputs else [])]


def _scorer(task: TuneTask, machine: Machine):
    """Return a function that trains and scores settings in one round, and the number of rounds."""
    device = pick_device(machine.device)
    text = None
    if "text" in task.modalities:
        text = read_text(task.encoder, task.aligned, task.states, task.tiny)
    utterances = read_table(task.aligned / "utterances.csv")
    folds = cross_validation(utterances, task.tuning.folds)
    seeds = task.tuning.seeds

    @functools.lru_cache(maxsize=len(folds) * 3)  # a search space can have several class schemes
    def data(part: int, scheme: str):
        emotions = task.corpus.emotions
        return load_data(
            task.aligned, text, emotions, scheme, device, folds[part], task.modalities,
            machine.features_in,
        )  # fmt: skip

    def score(settings: Settings, number: int) -> float:
        seed, part = divmod(number, len(folds))
        corpus = data(part, settings.train.classes)
        corpus = corpus.prepared(settings, seeds[seed])
        model = text and text.language_model
        return train(corpus, settings, seeds[seed], lambda _: None, model).score

    return score, len(folds) * len(seeds)


def _log_trial(task: TuneTask, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    number, budget = len(finished(study)), task.tuning.trials
    values = [other.value for other in completed(study)]
    found = f"validation {trial.value:.4f}" if trial in completed(study) else "pruned"
    best = f", best {min(values):.4f}" if values else ""
    log.info("%s: trial %d of %d, %s%s", task.name, number, budget, found, best)


def _write(task: TuneTask, study: optuna.Study) -> None:
    """Write the best hyperparameters as an overlay, and all trials as a table."""
    overlay: dict[str, Any] = {}
    for key, value in study.best_trial.user_attrs["values"].items():
        nested: Any = value
        for part in reversed(task.places[key]):
            nested = {part: nested}
        overlay = merge(overlay, nested)
    comments = "".join(f"# {line}\n" for line in _header(task, study))
    with atomic_file(task.output.with_suffix(".yaml")) as temporary:
        temporary.write_text(comments + yaml.safe_dump(overlay, sort_keys=False), encoding="utf-8")
    space = task.tuning.space
    with (
        atomic_file(task.output.with_suffix(".csv")) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", "rounds", f"validation_{_score(task)}", *space])
        for number, trial in enumerate(finished(study), start=1):
            means = list(trial.intermediate_values.values())
            row = [number, trial.state.name.lower(), len(means), means[-1] if means else ""]
            values = trial.user_attrs["values"]
            writer.writerow([*row, *(json.dumps(values[key]) for key in space)])


def _score(task: TuneTask) -> str:
    return "MAE" if task.corpus.task == "regression" else "cross-entropy"


def _header(task: TuneTask, study: optuna.Study) -> list[str]:
    """Return a description of the search space, the score and the result."""
    tuning, trials = task.tuning, finished(study)
    values = [trial.value for trial in completed(study)]
    how = (
        f"{tuning.folds}-fold cross-validation by video over training and validation folds"
        if tuning.folds
        else "the validation fold"
    )
    seeds = f"seed{'s' * (len(tuning.seeds) > 1)} {', '.join(map(str, tuning.seeds))}"
    first = trials[0].user_attrs["values"]
    kept = override(task.settings, first) == task.settings and trials[0].value
    before = f"{kept:.4f} with the previous values; " if kept else ""
    return [
        f"Parameters of {task.name}, found by `snakemake tune`.",
        f"Budget: {len(trials)} trials, {len(trials) - len(values)} of them pruned.",
        f"Judged by {how}, {seeds}; the test fold took no part.",
        f"Validation {_score(task)}: {study.best_value:.4f} with these; {before}"
        f"{np.median(values):.4f} the median of the trials that were not pruned.",
        "Use: snakemake --cores 1 all --configfile OVERLAY THIS_FILE; all trials: the .csv file.",
    ]
