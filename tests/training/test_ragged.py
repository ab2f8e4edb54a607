"""Features in files give the batches, and so the runs, of features in memory, bit for bit."""

import itertools

import numpy as np
import pytest
import torch

from hycon.corpus.utterances import (
    Utterance,
    in_file,
    offsets_path,
    read_ragged,
    rows_of,
    write_table,
)
from hycon.errors import HyConError, Terminated
from hycon.params import MODALITIES, override
from hycon.training import checkpoint as checkpoints
from hycon.training import ragged
from hycon.training.batches import load_data
from hycon.training.checkpoint import Checkpoint
from hycon.training.loop import infer, train
from hycon.training.ragged import RaggedFile, RaggedTensor
from hycon.training.text import TextFeatures
from tests.training.test_checkpoint import ORIGIN, same
from tests.training.test_loop import quiet, settings

COUNT = 600  # more than two of the blocks of texts that are pooled at once
# 7: a mean of as many features is rounded differently by how many means are computed at once
WIDTHS = {"audio": 5, "vision": 4, "states": 7}


@pytest.fixture
def loaded(tmp_path):
    """Return a function that loads a corpus with unknown values, from memory or from files."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(1, 40, COUNT)
    folds = draw.choice(["train", "valid", "test"], COUNT, p=[0.1, 0.1, 0.8])
    scores = draw.choice([-2.0, 1.5], COUNT)
    write_table(
        tmp_path / "utterances.csv",
        [
            Utterance(f"v{n}[0]", f"v{n}", 0, fold, 0.0, 1.0, 3, str(score), "a b c")
            for n, (fold, score) in enumerate(zip(folds, scores, strict=True))
        ],
    )
    for name, width in WIDTHS.items():
        values = draw.normal(20, 3, (lengths.sum(), width)).astype(np.float32)
        if name == "audio":
            values[draw.random(values.shape) < 0.1] = np.nan
            values[::50], values[::70, 1] = np.inf, 1e9
        path = tmp_path / f"{name}.npy"
        np.save(path, values)
        np.save(offsets_path(path), np.concatenate([[0], lengths.cumsum()]))

    def load(features_in, vectors=False):
        values, offsets = read_ragged(tmp_path / "states.npy", COUNT)
        text = TextFeatures(values, offsets, vectors, None)
        return load_data(
            tmp_path, text, None, "sign", "cpu", modalities=MODALITIES, features_in=features_in
        )

    return load


def bits(tensor):
    return tensor.numpy().tobytes()


CHANGES = {
    "as they are": {"model.text_layers": 1},
    "word vectors": {"model.text_layers": 1},
    "last state": {"model.text_layers": 0, "model.text_pooling": "last"},
    "first state": {"model.text_layers": 0, "model.text_pooling": "first"},
    "mean state": {"model.text_layers": 0, "model.text_pooling": "mean"},
    "mean of word vectors": {"model.text_layers": 0, "model.text_pooling": "mean"},
    "shuffled": {"train.shuffled": ["text", "vision"], "model.text_layers": 0},
    "noise": {"train.noise": 0.5},
    "few labels": {"train.labelled": 0.5},
    "steps missing": {"train.missing": 0.3},
    "shuffled, with noise": {"train.shuffled": ["audio"], "train.noise": 0.5},
}


@pytest.mark.parametrize("name", CHANGES)
def test_batches_of_files_are_those_of_memory(loaded, name):
    changed = override(settings(), CHANGES[name])
    memory, files = (
        loaded(where, vectors="vectors" in name).prepared(changed, 3)
        for where in ("memory", "files")
    )
    kinds = {type(each) for each in files.features.values()}
    assert RaggedFile in kinds
    assert {type(each) for each in memory.features.values()} == {RaggedTensor}
    assert (files.widths, files.longest) == (memory.widths, memory.longest)
    rows = torch.arange(COUNT)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    assert torch.equal(files.by_length(order), memory.by_length(order))
    for batch in [*order.split(32), rows[:1], rows[-1:].repeat(3)]:
        ours, theirs = files.batch(batch), memory.batch(batch)
        assert ours.keys() == theirs.keys()
        for modality, expected in theirs.items():
            assert ours[modality].values.shape == expected.values.shape
            assert bits(ours[modality].values) == bits(expected.values)
            assert torch.equal(ours[modality].lengths, expected.lengths)


@pytest.mark.parametrize("name", ["as they are", "mean state", "steps missing", "noise"])
def test_a_run_from_files_is_the_run_from_memory(loaded, name):
    changed = override(settings(epochs=2), CHANGES[name])
    memory, files = (loaded(where).prepared(changed, 3) for where in ("memory", "files"))
    run, other = (train(data, changed, 3, quiet) for data in (memory, files))
    same(run, other)
    rows = torch.arange(COUNT)
    expected = infer(run.model, memory, rows).tensors()
    found = infer(other.model, files, rows).tensors()
    assert {key: bits(value) for key, value in found.items()} == {
        key: bits(value) for key, value in expected.items()
    }


def test_a_run_is_resumed_from_files_where_it_was_from_memory_and_the_other_way_round(
    loaded, tmp_path, monkeypatch
):
    changed = settings(epochs=3)
    memory, files = (loaded(where).prepared(changed, 1) for where in ("memory", "files"))
    sittings = 0
    for data in itertools.cycle((memory, files)):
        left = itertools.count(3, -1)
        monkeypatch.setattr(checkpoints, "asked_to_end", lambda left=left: next(left) < 0)
        try:
            run = train(data, changed, 1, quiet, checkpoint=Checkpoint(tmp_path / "c", ORIGIN))
            break
        except Terminated:
            sittings += 1
    assert sittings >= 3
    same(run, train(memory, changed, 1, quiet))


def kinds_of(data):
    return {type(each) for each in data.features.values()}


def test_auto_takes_memory_up_to_a_size_and_a_share_of_what_is_free(loaded, monkeypatch):
    size = sum(4 * each.values.numel() for each in loaded("memory").features.values())
    assert kinds_of(loaded("auto")) == {RaggedTensor}
    for most, kind in ((size, RaggedTensor), (size - 1, RaggedFile)):
        monkeypatch.setattr(ragged, "MOST_IN_MEMORY", most)
        assert kinds_of(loaded("auto")) == {kind}
    monkeypatch.undo()
    for free, kind in ((4 * size, RaggedTensor), (4 * size - 4, RaggedFile)):
        machine = type("Machine", (), {"available": free})
        monkeypatch.setattr(ragged.psutil, "virtual_memory", lambda machine=machine: machine)
        assert kinds_of(loaded("auto")) == {kind}


def test_what_is_no_whole_file_is_in_memory(tmp_path):
    values = np.ones((3, 2), np.float32)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", np.asfortranarray(np.arange(6.0).reshape(3, 2)))
    mapped, other = (np.load(tmp_path / name, mmap_mode="r") for name in ("a.npy", "b.npy"))
    assert [in_file(each) for each in (mapped, mapped[1:], other, values)] == [
        True, False, False, False,
    ]  # fmt: skip
    for each in (mapped, mapped[1:], other, values):
        np.testing.assert_array_equal(rows_of(each, 1, 2), each[1:2])


def test_a_file_that_ends_early_is_named(loaded, tmp_path):
    data = loaded("files")
    path = tmp_path / "audio.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(HyConError, match=r"audio.npy: ended early; .* make it again"):
        data.batch(torch.tensor([COUNT - 1]))


def test_means_leave_no_file_behind(loaded, tmp_path):
    before = sorted(tmp_path.iterdir())
    loaded("files").with_pooled_text("mean")
    assert sorted(tmp_path.iterdir()) == before
