"""Scores of runs, and the resamples of the test fold that all tests between rows use."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_runs, read_scores
from hycon.evaluation.metrics import sentiment_metrics
from hycon.params import load
from hycon.plan.planner import Plan
from hycon.stages import Machine, evaluate
from tests.test_params import ROOT

METRICS = ["mae_all", "acc2_nonneg"]
SEEDS = [3, 5]


@pytest.fixture
def evaluated(tmp_path):
    """Evaluate two runs of made-up predictions; return the task, and the predictions by seed."""
    task = Plan(load(ROOT, {"seeds": SEEDS})).job("evaluate", "sample/hycon-glove").task
    task = task.model_copy(
        update={"aligned": tmp_path, "runs": tmp_path, "output": tmp_path / "scores.json"}
    )
    rng = np.random.default_rng(0)
    labels = rng.uniform(-3, 3, size=48).round(1)
    folds = ["train"] * 12 + ["valid"] * 12 + ["test"] * 24
    # the videos of the test fold have 6 utterances each
    write_table(
        tmp_path / "utterances.csv",
        [
            Utterance(f"u{n}", f"v{n // 6}", n, fold, 0.0, 1.0, 1, str(label), "")
            for n, (fold, label) in enumerate(zip(folds, labels, strict=True))
        ],
    )
    made_with = {
        key: getattr(task, key).model_dump(mode="json") for key in ("corpus", "encoder", "settings")
    }
    predictions = {}
    for seed in SEEDS:
        folder = tmp_path / f"seed-{seed}"
        folder.mkdir()
        predictions[seed] = (labels + rng.normal(size=48)).astype(np.float32)
        save_file({"prediction": predictions[seed]}, folder / "representations.safetensors")
        record = {"seed": seed, "selection": {"epoch": 1}, "commit": "c" * 40, **made_with}
        (folder / "run.json").write_text(json.dumps(record))
    evaluate.main(task, Machine("cpu", 1))
    return task, predictions, labels


def test_resamples_draw_whole_videos_and_have_their_plain_metrics(evaluated):
    task, predictions, labels = evaluated
    runs = read_runs(task.output, METRICS)
    assert (runs.seeds, runs.groups) == (("3", "5"), 4)
    draws = np.random.default_rng(0).multinomial(4, np.full(4, 0.25), 1000)
    for row, seed in enumerate(SEEDS):
        whole = sentiment_metrics(predictions[seed][24:], labels[24:])
        assert runs.values["mae_all"][row] == pytest.approx(whole["mae_all"])
        for number in (0, 7, 999):
            chosen = np.concatenate(
                [np.arange(24 + 6 * video, 30 + 6 * video)
                 for video, times in enumerate(draws[number]) for _ in range(times)]
            )  # fmt: skip
            plain = sentiment_metrics(predictions[seed][chosen], labels[chosen])
            for metric in METRICS:
                found = runs.resampled[metric][row, number]
                assert found == pytest.approx(plain[metric], rel=1e-5)


def test_the_same_runs_have_the_same_resamples(evaluated):
    task, *_ = evaluated
    first = task.output.with_name("resampled.safetensors").read_bytes()
    evaluate.main(task, Machine("cpu", 1))
    assert task.output.with_name("resampled.safetensors").read_bytes() == first


@pytest.mark.parametrize("change", ["metric", "seed", "type"])
def test_resamples_that_do_not_fit_the_scores_end_in_one_line(evaluated, change):
    task, *_ = evaluated
    file = task.output.with_name("resampled.safetensors")
    content = load_file(file)
    if change == "metric":
        del content["mae_all"]
    elif change == "seed":
        content["mae_all"] = content["mae_all"][:1]
    else:
        content["mae_all"] = content["mae_all"].astype(np.int64)
    save_file(content, file)
    scores = read_scores(task.output)
    scores["resampled"]["sha256"] = evaluate.sha256_of(file)
    task.output.write_text(json.dumps(scores))
    with pytest.raises(HyConError, match=r"resampled\.safetensors: cannot be read .*evaluate"):
        read_runs(task.output, METRICS)
