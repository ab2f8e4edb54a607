"""What DVC plots are tables of means over seeds, worked out here by hand."""

import numpy as np
from safetensors.numpy import save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.params import load
from hycon.plan.tasks import CurvePoint, PlottedRuns
from hycon.reporting.dvc_plots import confusion, curves, training
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

PARAMS = load(ROOT)


def test_a_curve_has_the_mean_over_seeds_at_each_value(tmp_path):
    points = []
    for x, values in ((0.2, [0.5, 0.75]), (0.8, [0.25, 0.50004])):
        seeds = {str(seed): {"test": {"mae_all": value}} for seed, value in enumerate(values)}
        row = scored_row(tmp_path / f"{x}.json", seeds)
        points.append(CurvePoint(panel="P", x=x, metric="mae_all", row=row))
    assert curves(points).values.tolist() == [["P", 0.2, 0.625], ["P", 0.8, 0.375]]
    assert list(curves([]).columns) == ["panel", "x", "mean"]


def plotted(folder, key="sample"):
    corpus = PARAMS.catalogue[key]
    return PlottedRuns(panel="P", runs=folder, seeds=[1, 2], corpus=corpus, aligned=folder)


def test_training_is_averaged_while_every_seed_trained(tmp_path):
    for seed, values in ((1, [1.0, 0.5, 0.25]), (2, [2.0, 1.0])):
        (tmp_path / f"seed-{seed}").mkdir()
        lines = [f"{epoch},0.1,{value}" for epoch, value in enumerate(values, 1)]
        text = "\n".join(["epoch,task,validation", *lines])
        (tmp_path / f"seed-{seed}/history.csv").write_text(text)
    assert training([plotted(tmp_path)]).values.tolist() == [["P", 1, 1.5], ["P", 2, 0.75]]


def row(folder, key, labels, prediction):
    """Write two runs of the same predictions; the first utterance is of the training fold."""
    utterances = [
        Utterance(f"u{i}", "v", i, "test" if i else "train", 0, 1, 1, label, "t")
        for i, label in enumerate(labels)
    ]
    write_table(folder / "utterances.csv", utterances)
    for seed in (1, 2):
        (folder / f"seed-{seed}").mkdir()
        path = folder / f"seed-{seed}/representations.safetensors"
        save_file({"prediction": prediction}, path)
    return plotted(folder, key)


def test_confusions_of_scores_are_those_of_seven_classes_over_all_seeds(tmp_path):
    prediction = np.array([0.0, 2.5, -9.0, 0.4])
    found = confusion([row(tmp_path, "sample", ["1.0", "1.6", "-2.0", "0.0"], prediction)])
    assert found.values.tolist() == [["P", -2, -3, 2], ["P", 0, 0, 2], ["P", 2, 2, 2]]


def test_confusions_of_emotions_are_those_of_the_largest_score(tmp_path):
    prediction = np.eye(4)[[0, 1, 1, 3]]  # happy, sad, angry, neutral
    labels = ["happy", "sad", "angry", "sad"]
    found = confusion([row(tmp_path, "sample-emotion", labels, prediction)])
    assert found.values.tolist() == [
        ["P", "angry", "sad", 2], ["P", "sad", "neutral", 2], ["P", "sad", "sad", 2],
    ]  # fmt: skip
