"""Differences to a reference row: the numbers, and what a reader sees of them."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from scipy import stats

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics
from hycon.params import Corpus
from hycon.plan.tasks import DifferenceTable, RowPair
from hycon.reporting.differences import differences, make, write
from tests.reporting.scored_rows import scored_row, with_other_parameters

FILES = {name: {"path": f"{name}.csd"} for name in ("words", "audio", "vision", "labels", "folds")}
SCORED = Corpus.model_validate({"title": "Test_corpus", "task": "regression", "files": FILES})
NAMES = ["happy", "sad"]
EMOTIONAL = Corpus.model_validate(
    {"title": "E", "task": "classification", "emotions": NAMES, "files": FILES}
)


def utterances(labels):
    """Return as many of the training fold as of the test fold, which comes last."""
    folds = ["train"] * len(labels) + ["test"] * len(labels)
    return [
        Utterance(f"v[{n}]", "v", n, fold, 0.0, 1.0, 1, str(label), "")
        for n, (fold, label) in enumerate(zip(folds, [*labels, *labels], strict=True))
    ]


def row(folder, predictions, metrics, decision=None, model="HyCon_v2"):
    """Write a row's scores and predictions (seeds, N), those of the training fold unlike."""
    seeds = {}
    for seed, values in enumerate(predictions, start=1):
        run = folder / f"seed-{seed}"
        run.mkdir(parents=True)
        both = np.concatenate([values * 0 - 9, values])
        save_file({"prediction": both.astype(np.float32)}, run / "representations.safetensors")
        seeds[str(seed)] = {"test": metrics(values.astype(np.float32))}
    settings = {"train": {"emotion_decision": decision}}
    return scored_row(folder / "scores.json", seeds, {"settings": settings}, model)


@pytest.fixture
def scored(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.round(rng.uniform(-3, 3, size=60), 1)
    labels[:5] = 0.0
    found = {}
    for name, spread, model in (("ours", 0.4, "HyCon_v2"), ("reference", 1.2, "No_contrast")):
        predictions = labels + rng.normal(scale=spread, size=(4, 60))
        measured = functools.partial(sentiment_metrics, labels=labels)
        found[name] = row(tmp_path / name, predictions, measured, model=model)
    return utterances(labels), RowPair(row=found["ours"], reference=found["reference"])


def test_every_metric_is_compared_over_seeds_and_utterances(scored):
    table, pair = scored
    found = {each.metric: each for each in differences([pair], SCORED, table)}
    assert len(found) == 10
    ours, theirs = (
        [run["test"]["mae_all"] for run in json.loads(path.read_text())["seeds"].values()]
        for path in (pair.row.scores, pair.reference.scores)
    )
    mae = found["mae_all"]
    assert (mae.model, mae.encoder) == ("HyCon_v2", "BERT")
    assert mae.tested.difference == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert mae.tested.t_test == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    low, high = mae.interval
    assert low < mae.tested.difference < high < 0


def test_emotions_are_compared_by_their_own_decision(tmp_path):
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 2, size=50)
    rows = []
    for name, apart in (("ours", True), ("reference", False)):
        scores = rng.normal(size=(3, 50, 2)) + 2 * np.eye(2)[numbers]
        decision = "one-against-rest" if apart else "joint"
        rows.append(
            row(
                tmp_path / name,
                scores,
                lambda p, apart=apart: emotion_metrics(p, numbers, NAMES, apart),
                decision,
            )
        )
    table = utterances([NAMES[number] for number in numbers])
    pair = RowPair(row=rows[0], reference=rows[1])
    found = {each.metric: each for each in differences([pair], EMOTIONAL, table)}
    assert list(found) == ["acc_happy", "f1_happy", "acc_sad", "f1_sad", "acc", "f1"]
    for each in found.values():
        assert each.interval[0] <= each.tested.difference <= each.interval[1]


def task(pair, folder):
    return DifferenceTable(title="Title", reference="No_contrast", pairs=[pair], aligned=folder)


def test_what_is_written_names_corpus_reference_method_and_n(scored, tmp_path):
    table, pair = scored
    write_table(tmp_path / "utterances.csv", table)
    found = make(task(pair, tmp_path), "corpus", SCORED)
    assert found.differences == differences([pair], SCORED, table)
    write(found, tmp_path / "main-differences")
    markdown = (tmp_path / "main-differences.md").read_text()
    mae = next(each for each in found.differences if each.metric == "mae_all")
    assert f"{mae.tested.difference:+.3f} [{mae.interval[0]:+.3f}, " in markdown
    for part in ("Title: differences. Corpus: Test_corpus.", "Reference: No_contrast.",
                 "n = 4 seeds", "paired two-", "2000 bootstrap resamples",
                 "not corrected"):  # fmt: skip
        assert part in markdown
    frame = pd.read_csv(tmp_path / "main-differences.csv")
    assert len(frame) == 10
    assert frame["difference"][6] == pytest.approx(mae.tested.difference, rel=1e-12)
    latex = (tmp_path / "main-differences.tex").read_text()
    assert r"HyCon\_v2" in latex
    assert r"\label{tab:corpus-main-differences}" in latex
    assert r"95\%" in latex


@pytest.mark.parametrize("side", ["row", "reference"])
def test_scores_made_with_other_parameters_are_refused(scored, tmp_path, side):
    table, pair = scored
    write_table(tmp_path / "utterances.csv", table)
    pair = pair.model_copy(update={side: with_other_parameters(getattr(pair, side))})
    name = "ours" if side == "row" else "reference"
    with pytest.raises(HyConError, match=rf"{name}/scores\.json: made with other parameters"):
        make(task(pair, tmp_path), "corpus", SCORED)


def test_predictions_that_do_not_fit_the_corpus_are_refused(scored):
    table, pair = scored
    with pytest.raises(HyConError, match="120 of prediction, expected 119; train again"):
        differences([pair], SCORED, table[:-1])
