"""A run that is interrupted and resumed ends with the bits of one that was not."""

import itertools
import json
import logging
import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from hycon.errors import Terminated
from hycon.networks.hycon import HyCon
from hycon.training import checkpoint as module
from hycon.training import loop
from hycon.training.checkpoint import Checkpoint, State
from hycon.training.loop import train
from tests.training.test_loop import corpus, quiet, settings

ORIGIN = {"seed": 1, "settings": {"alpha": 0.8}, "code": "a", "threads": 1}


def in_sittings(path, steps, *arguments):
    """Train in sittings that each end after some steps, as on SIGTERM; return the run."""
    sittings = 0
    while True:
        torch.randn(sittings)  # whatever else draws at random does not matter
        random.seed(sittings)
        left = itertools.count(steps - 1, -1)
        checkpoint = Checkpoint(path, ORIGIN)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "asked_to_end", lambda left=left: next(left) < 0)
            try:
                run = train(*arguments, checkpoint=checkpoint)
            except Terminated:
                sittings += 1
                continue
        assert sittings == checkpoint.resumed >= 1
        return run


@pytest.fixture(autouse=True)
def _heard(monkeypatch, caplog):
    """Let pytest hear what is said, once, whatever a stage has set up before."""
    monkeypatch.setattr(module.log, "handlers", [])
    monkeypatch.setattr(module.log, "propagate", True)
    caplog.set_level(logging.INFO, "hycon")


def same(run, other):
    assert (run.epoch, run.score, run.history) == (other.epoch, other.score, other.history)
    assert run.epochs.keys() == other.epochs.keys()
    assert all(torch.equal(value, other.epochs[fold]) for fold, value in run.epochs.items())
    weights, others = run.model.state_dict(), other.model.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


VARIANTS = {
    "plain": {},
    "averaged, cosine": {"averaging": 0.9, "schedule": "cosine", "warmup": 0.3},
    "no best epoch after the first": {"learning_rate": 0.5, "patience": 3},
    "selected pairs": {"selection": {"beta": 0.5, "gamma": 1.0, "weighted": True}},
    "missing steps": {"missing": 0.3},
    "every epoch kept": {"every_epoch": True},
    "without contrastive terms": {"lambdas": {"intra": 0, "inter": 0, "semi": 0}},
}


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("steps", [1, 4])
def test_a_run_broken_off_again_and_again_ends_in_the_same_bits(name, steps, tmp_path):
    arguments = (corpus(), settings(epochs=4, **VARIANTS[name]), 1, quiet)
    same(in_sittings(tmp_path / "run.checkpoint", steps, *arguments), train(*arguments))


class Counting(HyCon):
    """Adds to its loss how often each utterance was read before, which it remembers."""

    def auxiliary_loss(self, labels):
        places, epoch, fold = self.step
        assert torch.equal(fold[places], labels)
        count = self.memory.setdefault("count", torch.zeros(len(fold)))
        assert count[places].eq(epoch - 1).all()
        loss = (count[places] * self.head[0].weight.square().sum()).mean()
        self.memory["count"] = count.index_add(0, places, torch.ones(len(places)))
        return loss


@pytest.mark.parametrize("steps", [1, 4])
def test_a_networks_memory_is_kept_too_but_not_among_its_weights(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "HyCon", Counting)
    arguments = (corpus(), settings(epochs=4), 1, quiet)
    whole = train(*arguments)
    assert whole.model.memory["count"].tolist() == [4] * 40
    assert not [name for name in whole.model.state_dict() if "count" in name]
    assert [row["auxiliary"] > 0 for row in whole.history] == [False, True, True, True]
    run = in_sittings(tmp_path / "run.checkpoint", steps, *arguments)
    same(run, whole)
    assert torch.equal(run.model.memory["count"], whole.model.memory["count"])


def test_each_epoch_and_long_ones_by_time_leave_a_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    kept = []

    def noted(checkpoint, state):
        values = state.values
        kept.append((len(values["history"]), values["position"][0]))

    monkeypatch.setattr(Checkpoint, "save", noted)
    monkeypatch.setattr(module, "AFTER_EPOCH", 0.0)
    train(corpus(), settings(epochs=3), 1, quiet, checkpoint=Checkpoint(path, ORIGIN))
    assert kept == [(1, 0), (2, 0)]  # after the last epoch the result itself is written
    kept.clear()
    monkeypatch.setattr(module, "WITHIN_EPOCH", 0.0)
    train(corpus(), settings(epochs=1), 1, quiet, checkpoint=Checkpoint(path, ORIGIN))
    assert kept == [(0, step) for step in range(1, 6)]


def test_writing_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    saved = []

    def slow(tensors, path, texts):
        saved.append(now[0])
        now[0] += 6.0
        save_file(tensors, path, texts)

    monkeypatch.setattr(module, "save_file", slow)
    checkpoint = Checkpoint(tmp_path / "run.checkpoint", ORIGIN)
    for _ in range(1000):
        now[0] += 1.0
        checkpoint.after_epoch(lambda: State({}, {"history": []}))
    assert saved[0] == 101.0
    pauses = [after - before - 6.0 for before, after in itertools.pairwise(saved)]
    assert pauses == [200.0] * 4  # 6 seconds are 3% of it


def test_the_file_is_plain_tensors_and_text(tmp_path, monkeypatch):
    path = tmp_path / "run.checkpoint"
    left = itertools.count(6, -1)
    monkeypatch.setattr(module, "asked_to_end", lambda: next(left) < 0)
    with pytest.raises(Terminated):
        train(corpus(), settings(averaging=0.9), 1, quiet, checkpoint=Checkpoint(path, ORIGIN))
    tensors = load_file(path)
    groups = {name.split(".")[0] for name in tensors}
    assert groups == {"model", "best", "steps", "order", "random", "sums"}
    assert {name.split(".")[1] for name in tensors if name.startswith("steps.")} == {
        "optimiser",
        "averaged",
    }


@pytest.fixture
def kept(tmp_path):
    """Return a checkpoint's path, and the state that it holds."""
    path = tmp_path / "run.checkpoint"
    state = State({"a.b": torch.arange(40.0), "c": torch.tensor(3)}, {"history": [], "x": [1, 2.5]})
    Checkpoint(path, ORIGIN).save(state)
    return path, state


def test_what_was_kept_comes_back(kept):
    path, state = kept
    found = Checkpoint(path, ORIGIN).load()
    assert found.values == state.values
    assert all(torch.equal(found.tensors[name], value) for name, value in state.tensors.items())
    assert Checkpoint(path.with_name("none"), ORIGIN).load() is None


def test_a_checkpoint_that_is_damaged_anywhere_is_passed_over_with_a_warning(kept, caplog):
    path, state = kept
    whole = path.read_bytes()
    header = len(whole) - 164  # the tensors' bytes come last
    damaged = [whole[:length] for length in range(0, len(whole), 7)]
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        damaged.append(bytes(flipped))
    passed_over = 0
    for content in damaged:
        path.write_bytes(content)
        caplog.clear()
        found = Checkpoint(path, ORIGIN).load()
        if found is None:
            (record,) = caplog.records
            assert record.levelname == "WARNING"
            assert str(path) in record.message
            assert "training starts over" in record.message
            assert "\n" not in record.message
            passed_over += 1
        else:  # a blank of the header's padding for another: nothing that is read
            assert len(content) == len(whole)
            assert content[header:] == whole[header:]
            assert found.values == state.values
            for name, value in state.tensors.items():
                assert torch.equal(found.tensors[name], value)
    assert passed_over >= len(damaged) - 8


def test_a_file_made_by_someone_else_is_passed_over(kept):
    path, state = kept
    texts = {"provenance": json.dumps(ORIGIN), "run": "{}", "values": "[" * 100_000}
    save_file(state.tensors, path, {**texts, "sha256": module._digest(state.tensors, texts)})
    assert Checkpoint(path, ORIGIN).load() is None
    save_file(state.tensors, path, None)
    assert Checkpoint(path, ORIGIN).load() is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 2), ("settings", {"alpha": 0.7}), ("code", "b"), ("threads", 2), ("inputs", {})],
)
def test_a_checkpoint_of_another_run_is_passed_over_and_says_of_what(kept, key, value, caplog):
    path, _ = kept
    assert Checkpoint(path, {**ORIGIN, key: value}).load() is None
    assert f"{path}: of other {key}; training starts over" in caplog.text


def test_times_of_all_sittings_are_added_up(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    path = tmp_path / "run.checkpoint"
    first = Checkpoint(path, ORIGIN)
    now[0] = 5.0
    first.save(State({}, {"history": []}))
    now[0] = 100.0
    second = Checkpoint(path, ORIGIN)
    second.load()
    now[0] = 107.0
    assert (second.started, second.seconds, second.resumed) == (first.started, 12.0, 1)


def test_deleting_takes_what_a_kill_within_writing_has_left_too(tmp_path):
    checkpoint = Checkpoint(tmp_path / "seed-1.checkpoint/state.safetensors", ORIGIN)
    for folder in ("seed-1.checkpoint", ".seed-1.checkpoint.part"):
        (tmp_path / folder).mkdir()
    checkpoint.delete()
    assert list(tmp_path.iterdir()) == []
