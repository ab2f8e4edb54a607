"""Tuning: a search for better parameters, by validation scores only (method, section 7)."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import Trial, TrialState
from pydantic import ValidationError

from hycon.corpus.utterances import Utterance
from hycon.errors import HyConError
from hycon.params import Settings, TuningConfig, override

STARTUP = 10  # trials at random before the search learns from them


def cross_validation(utterances: list[Utterance], folds: int) -> list[np.ndarray]:
    """Return the fold of every utterance (N,) for each round; the test fold is unchanged.

    Args:
        utterances: of the corpus.
        folds: 0 for the corpus's own folds, one round; or in how many parts the videos of its
            training and validation folds are cut, each held out for validation once.
    """
    own = np.array([utterance.fold for utterance in utterances])
    if not folds:
        return [own]
    from sklearn.model_selection import GroupKFold

    rows = np.flatnonzero(own != "test")
    videos = [utterances[row].video for row in rows]
    if folds > len(set(videos)):
        raise HyConError(
            f"tuning.folds: {folds}, but only {len(set(videos))} videos to cut; lower it"
        )
    rounds = []
    for _, held in GroupKFold(folds).split(rows, groups=videos):
        fold = np.where(own == "test", "test", "train").astype(own.dtype)
        fold[rows[held]] = "valid"
        rounds.append(fold)
    return rounds


def open_study(path: Path, name: str) -> optuna.Study:
    """Return a study stored in a journal file (one JSON record per line), new or resumed.

    An interrupted trial counts as failed. An incomplete last line is removed.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    _drop_torn_line(path)
    lock = Path(f"{path}.lock")
    lock.unlink(missing_ok=True)  # of a killed process: Snakemake lets only one write this file
    backend = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
    try:
        study = optuna.create_study(
            storage=JournalStorage(backend),
            study_name=name,
            load_if_exists=True,
        )
    except (
        ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError
    ) as error:  # fmt: skip
        raise HyConError(f"{path}: damaged ({error}); delete it and tune again") from None
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _drop_torn_line(path: Path) -> None:
    if path.exists() and (content := path.read_bytes()) and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def search(
    study: optuna.Study,
    base: Settings,
    tuning: TuningConfig,
    score: Callable[[Settings, int], float],
    rounds: int,
    on_trial_end: Callable[[optuna.Study, optuna.trial.FrozenTrial], None],
) -> None:
    """Run a study until it has all of its trials.

    A trial depends on the finished trials alone, so that a resumed search tries the same values as
    an uninterrupted one. The first trial uses the present values of the keys, if the space has
    them.

    Args:
        study: of `open_study`.
        base: settings of all other keys.
        tuning: number of trials, and the search space.
        score: returns the validation score of settings in a round, counted from 0; lower is better.
        rounds: number of rounds to average. From the second one, a trial is pruned if it is worse
            than the median of the others at that round.
        on_trial_end: called with the study and each finished trial.
    """
    while (done := len(finished(study))) < tuning.trials:
        study.sampler = optuna.samplers.TPESampler(
            seed=done, multivariate=True, n_startup_trials=STARTUP
        )
        if not done and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(_inside(base, tuning))
        trial = study.ask()
        values = suggest(trial, tuning)
        trial.set_user_attr("values", values)
        mean = _judge(study, trial, base, score, rounds)
        state = TrialState.PRUNED if mean is None else TrialState.COMPLETE
        on_trial_end(study, study.tell(trial, mean, state=state))


def _judge(
    study: optuna.Study,
    trial: Trial,
    base: Settings,
    score: Callable[[Settings, int], float],
    rounds: int,
) -> float | None:
    """Return a trial's mean score over all rounds, or None if it is pruned."""
    try:
        settings = override(base, trial.user_attrs["values"])
    except ValidationError:
        return None  # each value is allowed, but not these together
    total = 0.0
    for number in range(rounds):
        try:
            total += score(settings, number)
        except FloatingPointError:
            return None
        mean = total / (number + 1)
        trial.report(mean, number)
        if 0 < number < rounds - 1 and _poor(study, mean, number):
            return None
    return mean


def _poor(study: optuna.Study, mean: float, number: int) -> bool:
    """Return whether a mean over the first rounds is worse than the median of the trials.

    Optuna's pruners use a trial's best intermediate value instead, which for a running mean is that
    of the easiest fold.
    """
    means = [trial.intermediate_values.get(number) for trial in finished(study)]
    means = [other for other in means if other is not None]
    return len(means) >= STARTUP and mean > float(np.median(means))


def completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that were judged in all rounds, in order."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that ended, completed or pruned, in order."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def suggest(trial: Trial, tuning: TuningConfig) -> dict[str, Any]:
    """Return a value for every key of the space; numbers to three digits, to be read."""
    values: dict[str, Any] = {}
    for key, choice in tuning.space.items():
        if isinstance(choice, list):
            # as text: a choice may be a number here and null there
            options = [json.dumps(option) for option in choice]
            values[key] = json.loads(trial.suggest_categorical(key, options))
        else:
            found = trial.suggest_float(key, choice.low, choice.high, log=choice.log)
            short = float(f"{found:.3g}")
            values[key] = short if choice.low <= short <= choice.high else found
    return values


def _inside(base: Settings, tuning: TuningConfig) -> dict[str, Any]:
    """Return the present values of the keys, if the space has them."""
    inside: dict[str, Any] = {}
    for key, choice in tuning.space.items():
        value: Any = base.model_dump()
        for part in key.split("."):
            value = value[part]
        if isinstance(choice, list):
            if value in choice:
                inside[key] = json.dumps(choice[choice.index(value)])
        elif value is not None and choice.low <= value <= choice.high:
            inside[key] = value
    return inside
