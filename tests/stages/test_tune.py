"""What tuning says of itself is true: which trials it counts, and what belongs to a study."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from hycon.params import Tuning, load
from hycon.stages import tune
from hycon.training.tuning import finished, open_study, search
from tests.test_params import ROOT

PARAMS = load(ROOT)
ENDINGS = (".npy", ".offsets.npy")
SPACE = {"train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}


@pytest.fixture
def arguments(tmp_path):
    """Return a stage's arguments for the sample, with stand-ins for the files that it reads."""
    arrays = [f"{name}{part}" for name in ("audio", "vision", "states") for part in ENDINGS]
    for name in ("utterances.csv", *arrays):
        (tmp_path / name).write_bytes(name.encode())
    tuning = {"variant": "hycon", "encoder": "bert", "trials": 16, "folds": 0, "seeds": [1]}
    return SimpleNamespace(
        name="sample/hycon-bert",
        corpus=PARAMS.catalogue["sample"],
        encoder=PARAMS.encoders["bert"],
        settings=PARAMS.settings("sample", "hycon", "bert"),
        tuning=Tuning.model_validate({**tuning, "space": SPACE}),
        places={"train.learning_rate": ["per_corpus", "sample", "train", "learning_rate"]},
        aligned=tmp_path,
        states=tmp_path,
        tiny=None,
        output=tmp_path / "found",
    )


def searched(arguments, score):
    study = open_study(arguments.aligned / "study", "s")
    search(study, arguments.settings, arguments.tuning, score, 3, lambda *_: None)
    return study


def test_trials_that_were_given_up_are_counted_and_their_partial_scores_are_not(arguments):
    seen = []

    def score(settings, number):
        seen.append(settings.train.learning_rate)
        # the first round is an easy one; small learning rates do well in it and badly after
        small = settings.train.learning_rate < 1e-3
        return {0: 0.0 if small else 0.5}.get(number, 2.0 if small else 1.0)

    study = searched(arguments, score)
    tune._write(arguments, study)
    header = tune._header(arguments, study)
    poor = sum(trial.state.name == "PRUNED" for trial in finished(study))
    assert poor > 0
    assert header[1] == f"Budget: 16 trials, {poor} of them given up early."
    assert "seed 1; the test fold took no part" in header[2]
    best = (0.5 + 1 + 1) / 3
    assert header[3].startswith(f"Validation MAE: {best:.4f} with these; {best:.4f} with what was")
    overlay = yaml.safe_load(Path(f"{arguments.output}.yaml").read_text())
    rate = overlay["per_corpus"]["sample"]["train"]["learning_rate"]
    assert rate >= 1e-3
    assert load(ROOT, overlay).settings("sample", "hycon", "bert").train.learning_rate == rate
    with Path(f"{arguments.output}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows].count("pruned") == poor
    assert len(seen) == sum(int(row["rounds"]) for row in rows)


def test_what_was_set_before_is_claimed_only_if_it_was_tried(arguments):
    outside = arguments.settings.train.model_copy(update={"learning_rate": 0.5})
    arguments.settings = arguments.settings.model_copy(update={"train": outside})
    study = searched(arguments, lambda *_: 1.0)
    assert "with what was set before" not in tune._header(arguments, study)[3]


@pytest.mark.parametrize("name", ["utterances.csv", "audio.npy", "states.npy"])
def test_a_study_belongs_to_the_files_that_it_was_made_with(arguments, name):
    before = tune._digest(arguments)
    assert tune._digest(arguments) == before
    (arguments.aligned / name).write_bytes(b"another")
    assert tune._digest(arguments) != before


def test_more_trials_belong_to_the_same_study_and_another_space_does_not(arguments):
    before = tune._digest(arguments)
    more = arguments.tuning.model_copy(update={"trials": 99})
    other = arguments.tuning.model_copy(update={"folds": 3})
    assert tune._digest(SimpleNamespace(**{**vars(arguments), "tuning": more})) == before
    assert tune._digest(SimpleNamespace(**{**vars(arguments), "tuning": other})) != before
