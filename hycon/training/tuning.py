"""Hyperparameter search by validation scores only (method, section 7)."""

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

STARTUP = 10  # random trials before the search models their scores


def cross_validation(utterances: list[Utterance], folds: int) -> list[np.ndarray]:
    """Return the fold names (N,) of all utterances for each round; the test fold never changes.

    Args:
        utterances: all utterances of the corpus.
        folds: number of parts into which the videos of the training and validation folds are split;
            each part is the validation fold of one round. 0 gives one round with the corpus's own
            folds.

    Raises:
        HyConError: there are fewer videos than parts.
    """
    own = np.array([utterance.fold for utterance in utterances])
    if not folds:
        return [own]
    from sklearn.model_selection import GroupKFold

    rows = np.flatnonzero(own != "test")
    videos = [utterances[row].video for row in rows]
    if folds > len(set(videos)):
        raise HyConError(
            f"tuning.folds: {folds}, but only {len(set(videos))} videos to split; lower it"
        )
    rounds = []
    for _, held in GroupKFold(folds).split(rows, groups=videos):
        fold = np.where(own == "test", "test", "train").astype(own.dtype)
        fold[rows[held]] = "valid"
        rounds.append(fold)
    return rounds


def open_study(path: Path, name: str) -> optuna.Study:
    """Open or create a study in a journal file, with one JSON record per line.

    Interrupted trials are marked as failed. An incomplete last line is removed.

    Args:
        path: path of the journal file.
        name: name of the study; a file can contain several.

    Raises:
        HyConError: the file is damaged.
    """
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path.parent.mkdir(parents=True, exist_ok=True)
    _drop_torn_line(path)
    lock = Path(f"{path}.lock")
    lock.unlink(missing_ok=True)  # left by a killed process; only one process opens a study
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
    """Run trials until the study has all of them.

    Each trial depends only on the finished trials, so that a resumed search tries the same values
    as an uninterrupted one. The first trial uses the current values of the keys that are within the
    search space.

    Args:
        study: output of `open_study`.
        base: current settings, which also provide all keys outside the search space.
        tuning: number of trials, and the search space.
        score: returns the validation score of settings in a round, counted from 0; lower is better.
        rounds: number of rounds to average. From the second round on, a trial is pruned if its mean
            so far is worse than the median of the others after the same round.
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
        return None  # each value is valid, but their combination is not
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

    Optuna's own pruners compare the best intermediate value of a trial. For a running mean, that
    value depends mostly on the easiest fold.
    """
    means = [trial.intermediate_values.get(number) for trial in finished(study)]
    means = [other for other in means if other is not None]
    return len(means) >= STARTUP and mean > float(np.median(means))


def completed(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that completed all rounds, in order."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the completed and pruned trials, in order."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def suggest(trial: Trial, tuning: TuningConfig) -> dict[str, Any]:
    """Suggest a value for every key of the search space.

    Numbers are rounded to three significant digits, unless that leaves the range.
    """
    values: dict[str, Any] = {}
    for key, choice in tuning.space.items():
        if isinstance(choice, list):
            # as JSON, because a choice can contain both numbers and null
            options = [json.dumps(option) for option in choice]
            values[key] = json.loads(trial.suggest_categorical(key, options))
        else:
            found = trial.suggest_float(key, choice.low, choice.high, log=choice.log)
            short = float(f"{found:.3g}")
            values[key] = short if choice.low <= short <= choice.high else found
    return values


def _inside(base: Settings, tuning: TuningConfig) -> dict[str, Any]:
    """Return the current values of the keys, where they are within the search space."""
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
