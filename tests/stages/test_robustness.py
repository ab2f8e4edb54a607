"""Trained networks on incomplete input: what is removed, what is added, and the areas."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hycon.corpus.utterances import read_ragged, read_table
from hycon.errors import HyConError
from hycon.evaluation.metrics import sentiment_metrics
from hycon.networks.packing import PaddedBatch, without_steps
from hycon.params.experiments import RobustnessConfig
from hycon.plan.tasks import RobustnessTable, RobustnessTask, RobustRow, ScoredRow
from hycon.reporting import robustness as reporting
from hycon.stages import Machine
from hycon.stages.robustness import main
from hycon.training.batches import load_data
from hycon.training.loop import infer
from hycon.training.ragged import RaggedTensor
from hycon.training.text import TextFeatures
from hycon.training.trained import load_network, read_record
from tests.stages.test_train import PARAMS, row  # noqa: F401

SETTINGS = PARAMS.settings("sample", "hycon", "bert")


@pytest.fixture
def measured(row, tmp_path):  # noqa: F811
    """Return the folder of a row with two seeds, and the content of its robustness file."""
    folder = row("runs", 1, 2)
    task = RobustnessTask(
        name="sample/main",
        corpus=PARAMS.catalogue["sample"].as_input(),
        rows=[
            RobustRow(
                row="hycon-bert", settings=SETTINGS, encoder=PARAMS.encoders["bert"].as_input(),
                states=tmp_path, runs=folder,
            )
        ],
        aligned=tmp_path, seeds=[1, 2], missing=[0.0, 0.5], noise=[0.0, 1.0],
        metrics=PARAMS.metrics, output=tmp_path / "out.json",
    )  # fmt: skip
    main(task, Machine("cpu"))
    return folder, json.loads((tmp_path / "out.json").read_text())["rows"]["hycon-bert"]


def metrics(found, kind, amount, seed="1"):
    (each,) = (one for one in found if (one["kind"], one["amount"]) == (kind, amount))
    return each["seeds"][seed]


def of_test_fold(tmp_path):
    table = read_table(tmp_path / "utterances.csv")
    rows = [number for number, each in enumerate(table) if each.fold == "test"]
    return rows, np.array([float(table[number].label) for number in rows])


def test_with_nothing_missing_the_scores_are_those_of_the_run(measured, tmp_path):
    folder, found = measured
    rows, labels = of_test_fold(tmp_path)
    for seed in ("1", "2"):
        output = load_file(folder / f"seed-{seed}/representations.safetensors")
        expected = sentiment_metrics(output["prediction"][rows], labels)
        for kind in ("missing", "noise"):
            assert metrics(found, kind, 0.0, seed) == pytest.approx(expected, abs=1e-6)
    assert metrics(found, "missing", 0.5) != metrics(found, "missing", 0.0)
    assert metrics(found, "noise", 1.0) != metrics(found, "noise", 0.0)


def test_without_a_modality_its_features_are_zeros(measured, tmp_path):
    folder, found = measured
    rows, labels = of_test_fold(tmp_path)
    text = TextFeatures(*read_ragged(tmp_path / "states.npy", 20), False, None)
    data = load_data(tmp_path, text, None, SETTINGS.train.classes, "cpu")
    model = load_network(folder / "seed-1", data, SETTINGS)
    audio = data.features["audio"]
    data.features["audio"] = RaggedTensor(audio.values * 0, audio.starts, audio.lengths)
    prediction = infer(model, data, torch.tensor(rows)).prediction.numpy()
    expected = sentiment_metrics(prediction, labels)
    assert metrics(found, "without audio", 1.0) == pytest.approx(expected, abs=1e-6)


def test_as_many_steps_are_removed_as_were_asked_for():
    steps = PaddedBatch(torch.ones(50, 40, 3), torch.full((50,), 40))
    found = without_steps(steps, 0.3, torch.Generator().manual_seed(0)).values
    assert ((found == 0).all(dim=2) | (found == 1).all(dim=2)).all()
    assert (found == 0).float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert without_steps(steps, 1.0, None).values.abs().sum() == 0


def test_the_area_is_that_of_the_trapezoids_over_the_width():
    curves = {
        ("missing", 0.0): {"1": {"acc": 0.8}, "2": {"acc": 0.6}},
        ("missing", 0.1): {"1": {"acc": 0.6}, "2": {"acc": 0.6}},
        ("missing", 0.5): {"1": {"acc": 0.2}, "2": {"acc": 0.6}},
        ("without text", 1.0): {"1": {"acc": 0.3}, "2": {"acc": 0.4}},
    }
    # (0.1 * 0.7 + 0.4 * 0.4) / 0.5
    assert reporting.area(curves, "missing", "acc") == pytest.approx({"1": 0.46, "2": 0.6})
    assert reporting.area(curves, "without text", "acc") == {"1": 0.3, "2": 0.4}


def test_the_table_has_areas_and_the_csv_every_point(measured, tmp_path):
    scored = ScoredRow(
        row="hycon-bert", model="HyCon", encoder="BERT", scores=tmp_path, parameters_digest=""
    )
    table = RobustnessTable(
        title="T", measured=tmp_path / "out.json", rows=[scored], metrics=["mae_all"]
    )
    corpus = PARAMS.catalogue["sample"]
    reporting.write(reporting.make(table, "sample", corpus), tmp_path / "main-robustness")
    markdown = (tmp_path / "main-robustness.md").read_text()
    heading = [each.strip() for each in markdown.splitlines()[0].split("|")[1:-1]]
    assert heading == [
        "Text encoder", "Model", "MAE all whole", "MAE all area, missing", "MAE all without text",
        "MAE all without audio", "MAE all without vision", "MAE all area, noise",
    ]  # fmt: skip
    assert "SAMPLE NUMBERS" in markdown
    assert len((tmp_path / "main-robustness.csv").read_text().splitlines()) == 1 + 2 * (2 + 3 + 2)
    (tmp_path / "out.json").write_text('{"rows": {}}')
    with pytest.raises(HyConError, match="'hycon-bert'"):
        reporting.make(table, "sample", corpus)


def test_weights_of_another_network_and_changed_files_are_refused(measured, tmp_path):
    folder, _ = measured
    text = TextFeatures(*read_ragged(tmp_path / "states.npy", 20), False, None)
    data = load_data(tmp_path, text, None, None, "cpu")
    wider = SETTINGS.model_copy(
        update={"model": SETTINGS.model.model_copy(update={"dimension": 60})}
    )
    with pytest.raises(HyConError, match="its weights do not fit these features"):
        load_network(folder / "seed-1", data, wider)
    read_record(folder / "seed-1")
    (folder / "seed-1/scales.safetensors").write_bytes(b"x")
    with pytest.raises(HyConError, match=r"scales\.safetensors is not the file that was written"):
        read_record(folder / "seed-1")


@pytest.mark.parametrize("missing", [[0.1, 0.5], [0.0, 0.5, 0.5], [0.0, 0.5, 0.2]])
def test_amounts_begin_at_zero_and_ascend(missing):
    with pytest.raises(ValueError, match="expected ascending numbers from 0"):
        RobustnessConfig(missing=missing)
