"""What tuning says of itself is true: which trials it counts, and what belongs to a study."""

import csv
from pathlib import Path

import pytest
import yaml

from hycon.params import TuningConfig, load
from hycon.plan.planner import Plan
from hycon.stages import tune_row
from hycon.training.tuning import finished, open_study, search
from tests.test_params import ROOT

ALIGNED = (
    "utterances.csv", "audio.npy", "audio.offsets.npy", "vision.npy", "vision.offsets.npy"
)  # fmt: skip
STATES = [f"data/features/sample/bert/{name}" for name in ("states.npy", "states.offsets.npy")]
FILES = [*(f"data/aligned/sample/{name}" for name in ALIGNED), *STATES]
WEIGHTS = "data/models/sample/tiny-bert/model.safetensors"
RATE = "train.learning_rate"
TUNING = {
    "variants": ["hycon"], "encoder": "bert", "trials": 16, "folds": 0, "seeds": [1],
    "space": {RATE: {"low": 1e-4, "high": 1e-2, "log": True}},
}  # fmt: skip


def planned(**overlay):
    """Return the task of the search for better parameters of the sample."""
    tuning = TuningConfig.model_validate(TUNING)
    params = load(ROOT, overlay).model_copy(update={"tuning": tuning})
    return Plan(params).job("tune_row", "sample/hycon-bert").task


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Return the task, in a folder with stand-ins for the files that it reads."""
    monkeypatch.chdir(tmp_path)
    for name in (*FILES, WEIGHTS):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode())
    return planned()


def searched(task, score):
    study = open_study(task.study, "s")
    search(study, task.settings, task.tuning, score, 3, lambda *_: None)
    return study


def test_trials_that_were_given_up_are_counted_and_their_partial_scores_are_not(task):
    seen = []

    def score(settings, number):
        seen.append(settings.train.learning_rate)
        # the first round is an easy one; small learning rates do well in it and badly after
        small = settings.train.learning_rate < 1e-3
        return {0: 0.0 if small else 0.5}.get(number, 2.0 if small else 1.0)

    study = searched(task, score)
    tune_row._write(task, study)
    header = tune_row._header(task, study)
    poor = sum(trial.state.name == "PRUNED" for trial in finished(study))
    assert poor > 0
    assert header[1] == f"Budget: 16 trials, {poor} of them pruned."
    assert "seed 1; the test fold took no part" in header[2]
    best = (0.5 + 1 + 1) / 3
    assert header[3].startswith(f"Validation MAE: {best:.4f} with these; {best:.4f} with the pre")
    overlay = yaml.safe_load(Path(f"{task.output}.yaml").read_text())
    rate = overlay["per_corpus"]["sample"]["train"]["learning_rate"]
    assert rate >= 1e-3
    assert load(ROOT, overlay).settings("sample", "hycon", "bert").train.learning_rate == rate
    with Path(f"{task.output}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows].count("pruned") == poor
    assert len(seen) == sum(int(row["rounds"]) for row in rows)


def test_what_was_set_before_is_claimed_only_if_it_was_tried(task):
    outside = task.settings.train.model_copy(update={"learning_rate": 0.5})
    settings = task.settings.model_copy(update={"train": outside})
    task = task.model_copy(update={"settings": settings})
    study = searched(task, lambda *_: 1.0)
    assert "with the previous values" not in tune_row._header(task, study)[3]


@pytest.mark.parametrize("name", FILES)
def test_a_study_belongs_to_the_files_that_it_was_made_with(task, name):
    before = tune_row._digest(task)
    assert tune_row._digest(task) == before
    Path(name).write_bytes(b"another")
    assert tune_row._digest(task) != before


@pytest.mark.parametrize("model", ["tiny:bert", "a folder"])
def test_a_study_of_a_fine_tuned_encoder_belongs_to_its_weights_and_to_no_cached_states(
    task, tmp_path, model
):
    folder = tmp_path / "model"
    folder.mkdir()
    chosen = {"model": model if model == "tiny:bert" else str(folder)}
    weights = Path(WEIGHTS) if model == "tiny:bert" else folder / "model.safetensors"
    weights.write_bytes(b"one")
    task = planned(encoders={"bert": {**chosen, "finetune": True}})
    before = tune_row._digest(task)
    for name in STATES:
        Path(name).unlink()
    assert tune_row._digest(task) == before
    weights.write_bytes(b"another")
    assert tune_row._digest(task) != before


def test_more_trials_belong_to_the_same_study_and_another_space_does_not(task):
    before = tune_row._digest(task)
    for change, same in (
        ({"trials": 99}, True),
        ({"folds": 3}, False),
        ({"seeds": [2]}, False),
        ({"space": {RATE: [1e-3, 1e-2]}}, False),
    ):
        tuning = task.tuning.model_copy(update=change)
        assert (tune_row._digest(task.model_copy(update={"tuning": tuning})) == before) == same
