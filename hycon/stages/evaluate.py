"""Score the runs of one variant, seed by seed (rule `evaluate`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from hycon.atomic_io import atomic_file, sha256_of, write_json
from hycon.corpus.utterances import Utterance, read_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_output
from hycon.evaluation.inference import resample, scoring
from hycon.evaluation.metrics import label_metrics
from hycon.logs import log
from hycon.plan.paths import RESAMPLED
from hycon.plan.rows import scores_digest
from hycon.plan.tasks import EvaluateTask
from hycon.progress import progress
from hycon.stages import Machine
from hycon.untrusted.safe_json import read_json

FOLDS = ("valid", "test")


def main(task: EvaluateTask, _: Machine) -> None:
    expected = {
        "corpus": task.corpus.model_dump(mode="json"),
        "encoder": task.encoder.model_dump(mode="json"),
        "settings": task.settings.model_dump(mode="json"),
    }
    utterances = read_table(task.aligned / "utterances.csv")
    seeds, tested = {}, {}
    for folder in progress(
        [task.runs / f"seed-{seed}" for seed in task.seeds], task.name, unit="seeds"
    ):
        record = _record(folder / "run.json", expected)
        predictions = {fold: _predictions(folder, utterances, fold) for fold in FOLDS}
        tested[str(record["seed"])] = predictions["test"]
        seeds[str(record["seed"])] = {
            **{
                key: value
                for key, value in record.items()
                if key not in ("seed", "files", *expected)
            },
            "run": sha256_of(folder / "run.json"),
            **{fold: score(utterances, predictions[fold], fold, task) for fold in FOLDS},
        }
    resampled = _resample(utterances, tested, task)
    content = {
        "name": task.name,
        "generated": task.corpus.generator is not None,
        "units": "acc*, f1*, corr* as fractions; mae* in units of the score",
        **expected,
        "metrics": task.metrics.model_dump(mode="json"),
        "parameters digest": scores_digest(
            task.corpus, task.encoder, task.settings, task.metrics, list(map(int, seeds))
        ),
        "resampled": resampled,
        "seeds": seeds,
    }
    write_json(task.output, content)
    log.info("%s: scored %d seeds", task.name, len(seeds))


def _resample(
    utterances: list[Utterance], tested: dict[str, np.ndarray], task: EvaluateTask
) -> dict[str, Any]:
    """Write the metrics of each run on resamples of the test fold, and return what they are of."""
    rows = rows_of(utterances, "test")
    chosen = [utterances[row] for row in rows]
    metrics = scoring(
        [each.label for each in chosen], task.corpus.emotions,
        task.settings.train.emotion_decision, task.metrics.f1,
    )  # fmt: skip
    runs = resample(
        {seed: predictions[rows] for seed, predictions in tested.items()},
        [each.video for each in chosen],
        metrics,
    )
    path = task.output.with_name(RESAMPLED)
    with atomic_file(path) as temporary:
        save_file(
            {name: each.astype(np.float32) for name, each in runs.resampled.items()}, temporary
        )
    return {"sha256": sha256_of(path), "groups": runs.groups}


def _predictions(folder: Path, utterances: list[Utterance], fold: str) -> np.ndarray:
    """Return a run's predictions; where each group is tested once, each is in validation once."""
    held_out = fold == "valid" and utterances[0].held_out
    return read_output(folder, len(utterances), "validation" if held_out else "prediction")


def rows_of(utterances: list[Utterance], fold: str) -> list[int]:
    """Return the numbers of a fold's utterances; of all if each group is tested once."""
    return [
        row
        for row, utterance in enumerate(utterances)
        if utterance.held_out or utterance.fold == fold
    ]


def score(
    utterances: list[Utterance], predictions: np.ndarray, fold: str, task: EvaluateTask
) -> dict[str, float]:
    """Return every metric of the corpus's task over one fold.

    It is over all utterances if the corpus tests each group once.
    """
    corpus = task.corpus
    rows = rows_of(utterances, fold)
    labels = [utterances[row].label for row in rows]
    try:
        decision = task.settings.train.emotion_decision
        return label_metrics(predictions[rows], labels, corpus.emotions, decision, task.metrics.f1)
    except ValueError as error:
        table = task.aligned / "utterances.csv"
        raise HyConError(
            f"{task.name}: fold {fold}: cannot be scored ({error}); see {table}: align the "
            "corpus again, or train again"
        ) from None


def _record(path: Path, expected: dict) -> dict:
    """Return a run's record, refusing one made with other parameters."""
    try:
        record = read_json(path)
        made_with = {key: record[key] for key in expected}
        if type(record["seed"]) is not int or not isinstance(record["selection"], dict):
            raise ValueError("its seed or selection is none")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and train again") from None
    if made_with != expected:
        raise HyConError(
            f"{path}: made with other parameters ({_difference(made_with, expected)}); "
            "delete its folder and run again"
        )
    return record


def _difference(found, expected, key: str = "") -> str:
    """Return the first key whose values differ, with both values."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for name in sorted({*found, *expected}):
            if found.get(name) != expected.get(name):
                below = f"{key}.{name}" if key else name
                return _difference(found.get(name), expected.get(name), below)
    return f"{key} {json.dumps(found)}, expected {json.dumps(expected)}"
