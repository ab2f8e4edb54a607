"""Tuning: by validation alone, and the same whether it was broken off or not."""

import itertools
import json

import numpy as np
import pytest
import torch

from hycon.corpus.utterances import Utterance
from hycon.errors import HyConError
from hycon.params import TuningConfig
from hycon.training import tuning
from hycon.training.tuning import completed, cross_validation, finished, open_study, search
from tests.training.test_loop import settings

SPACE = {
    "train.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "train.batch_size": [8, 16],
    "train.clip_norm": [None, 1.0],
    "model.dropout": {"low": 0.0, "high": 0.5},
}
PLAN = {"variants": ["hycon"], "encoder": "bert", "trials": 16, "folds": 0, "seeds": [1]}


def plan(**changes):
    space = {key: SPACE[key] for key in ("train.learning_rate", "train.batch_size")}
    return TuningConfig.model_validate({**PLAN, "space": space, **changes})


def score(found, number):
    """A bowl whose floor lies at a learning rate of 1e-3 with batches of 16."""
    away = abs(np.log10(found.train.learning_rate) + 3)
    return float(away + (found.train.batch_size == 8) + 0.01 * number)


def ignore(*_):
    pass


def values(study):
    return [(trial.user_attrs["values"], trial.state.name) for trial in finished(study)]


def test_the_search_finds_the_floor_and_starts_from_what_is_set(tmp_path):
    study = open_study(tmp_path / "study", "s")
    base = settings(learning_rate=5e-3, batch_size=8)
    search(study, base, plan(trials=30), score, 1, ignore)
    first, *_ = finished(study)
    assert first.user_attrs["values"] == {"train.learning_rate": 5e-3, "train.batch_size": 8}
    best = study.best_trial.user_attrs["values"]
    assert best["train.batch_size"] == 16
    assert best["train.learning_rate"] == pytest.approx(1e-3, rel=0.5)
    assert study.best_value == score(settings(learning_rate=best["train.learning_rate"],
                                              batch_size=16), 0)  # fmt: skip


class Killed(BaseException):
    pass


@pytest.mark.parametrize("when", [1, 7, 25])
def test_a_search_that_is_killed_and_goes_on_ends_as_one_that_was_not(tmp_path, when):
    whole = open_study(tmp_path / "whole", "s")
    search(whole, settings(), plan(), score, 2, ignore)
    calls = itertools.count(1)

    def dies(found, number):
        if next(calls) == when:
            raise Killed
        return score(found, number)

    broken = open_study(tmp_path / "broken", "s")
    with pytest.raises(Killed):
        search(broken, settings(), plan(), dies, 2, ignore)
    with (tmp_path / "broken").open("ab") as file:
        file.write(b'{"op_code": 4, "torn')  # as a kill in the middle of a write leaves it
    resumed = open_study(tmp_path / "broken", "s")
    assert len(finished(resumed)) < len(finished(whole))
    search(resumed, settings(), plan(), score, 2, ignore)
    assert values(resumed) == values(whole)
    assert resumed.best_value == whole.best_value


def test_more_trials_go_on_with_a_finished_search(tmp_path):
    search(open_study(tmp_path / "study", "s"), settings(), plan(trials=3), score, 1, ignore)
    study = open_study(tmp_path / "study", "s")
    before = values(study)
    search(study, settings(), plan(trials=5), score, 1, ignore)
    assert values(study)[:3] == before
    assert len(values(study)) == 5


def test_trials_that_look_poor_or_give_nan_are_given_up_and_never_best(tmp_path):
    seen = []

    def costly(found, number):
        seen.append(number)
        if found.train.learning_rate > 3e-3:
            raise FloatingPointError
        return score(found, number) + 5 * (number > 0)  # the first round is an easy one

    study = open_study(tmp_path / "study", "s")
    search(study, settings(), plan(trials=25), costly, 4, ignore)
    assert {state for _, state in values(study)} == {"COMPLETE", "PRUNED"}
    assert len(seen) < 25 * 4
    given_up = [trial for trial in finished(study) if trial.state.name == "PRUNED"]
    assert {len(trial.intermediate_values) for trial in given_up} >= {0, 2}
    means = [trial.intermediate_values.get(1, np.inf) for trial in finished(study)]
    complete = [mean for mean, (_, state) in zip(means, values(study), strict=True)
                if state == "COMPLETE"]  # fmt: skip
    assert max(complete[tuning.STARTUP :], default=0) < np.median(complete[: tuning.STARTUP])
    assert study.best_trial.user_attrs["values"]["train.learning_rate"] < 3e-3


def test_values_are_those_that_an_overlay_will_hold(tmp_path):
    tried = []

    def keep(found, _):
        tried.append(found)
        return 1.0

    study = open_study(tmp_path / "study", "s")
    search(study, settings(), plan(trials=4, space=SPACE), keep, 1, ignore)
    for trial, found in zip(finished(study), tried, strict=True):
        said = json.loads(json.dumps(trial.user_attrs["values"]))
        assert said["train.learning_rate"] == found.train.learning_rate
        assert said["model.dropout"] == found.model.dropout
        assert len(f"{said['model.dropout']:g}") <= 8
        assert said["train.clip_norm"] == found.train.clip_norm


def test_values_that_are_not_allowed_together_are_given_up_and_the_search_goes_on(tmp_path):
    space = {"space": {"model.dimension": [8, 6], "model.heads": [2, 4]}}
    tried = []

    def keep(found, _):
        tried.append(found)
        return 1.0

    study = open_study(tmp_path / "study", "s")
    search(study, settings(), plan(trials=12, **space), keep, 1, ignore)
    assert len(finished(study)) == 12
    assert {(s.model.dimension, s.model.heads) for s in tried} <= {(8, 2), (8, 4), (6, 2)}
    assert len(completed(study)) == len(tried) < 12


def test_rounding_does_not_leave_the_range_and_null_is_no_number(tmp_path):
    space = {
        "train.averaging": {"low": 0.99, "high": 0.9999},
        "train.clip_norm": {"low": 0.1, "high": 9.0},
    }
    study = open_study(tmp_path / "study", "s")
    base = settings(clip_norm=None)
    search(study, base, plan(trials=12, space=space), lambda *_: 1.0, 1, ignore)
    assert all(trial.user_attrs["values"]["train.averaging"] < 1 for trial in finished(study))
    assert len(completed(study)) == 12


def test_another_study_in_the_same_file_is_not_gone_on_with(tmp_path):
    search(open_study(tmp_path / "study", "s"), settings(), plan(trials=2), score, 1, ignore)
    assert finished(open_study(tmp_path / "study", "other")) == []


def test_a_damaged_study_says_so(tmp_path):
    search(open_study(tmp_path / "study", "s"), settings(), plan(trials=2), score, 1, ignore)
    lines = (tmp_path / "study").read_bytes().splitlines(keepends=True)
    lines[1] = b"{\n"
    (tmp_path / "study").write_bytes(b"".join(lines))
    with pytest.raises(HyConError, match="damaged"):
        open_study(tmp_path / "study", "s")


def utterances():
    """12 videos of 3 utterances; the last 4 are the test fold."""
    folds = ["train"] * 6 + ["valid"] * 2 + ["test"] * 4
    return [
        Utterance(f"v{video}[{i}]", f"v{video}", i, fold, "0", 0.0, 1.0, 1, "word")
        for video, fold in enumerate(folds)
        for i in range(3)
    ]


def test_cross_validation_holds_every_video_out_once_and_leaves_the_test_fold_alone():
    table = utterances()
    rounds = cross_validation(table, 4)
    held = np.stack([fold == "valid" for fold in rounds])
    own = np.array([utterance.fold for utterance in table])
    assert len(rounds) == 4
    assert (held.sum(axis=0) == (own != "test")).all()
    for fold in rounds:
        assert ((fold == "test") == (own == "test")).all()
        by_video = {(u.video, name) for u, name in zip(table, fold, strict=True)}
        assert len(by_video) == 12  # no video on both sides


def test_without_parts_the_folds_are_the_corpus_s_own():
    (fold,) = cross_validation(utterances(), 0)
    assert fold.tolist() == [utterance.fold for utterance in utterances()]


def test_more_parts_than_videos_are_refused():
    with pytest.raises(HyConError, match=r"tuning\.folds: 9, but only 8 videos"):
        cross_validation(utterances(), 9)


def test_a_search_does_not_disturb_the_generators_of_training(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    search(open_study(tmp_path / "study", "s"), settings(), plan(trials=12), score, 1, ignore)
    assert torch.equal(torch.rand(1), expected)
    assert tuning.STARTUP == 10
