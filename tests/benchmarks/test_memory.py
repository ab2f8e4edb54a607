"""The benchmark of memory trains, aligns and compares what it says that it does."""

import numpy as np
import pytest

from benchmarks import memory
from benchmarks.networks import settings
from hycon.corpus.utterances import FOLDS, read_table
from hycon.training.ragged import RaggedFile, RaggedTensor


@pytest.fixture
def small(monkeypatch):
    for name, value in {"VALID": 40, "STEPS": 2, "TURN": 1, "REPEATS": 1}.items():
        monkeypatch.setattr(memory, name, value)


@pytest.mark.usefixtures("small")
def test_the_stand_ins_are_trained_on_for_as_many_steps_as_are_asked_for(tmp_path, monkeypatch):
    size = memory.write(tmp_path / "a", 200, 8)
    folds = [each.fold for each in read_table(tmp_path / "a" / "utterances.csv")]
    assert set(folds) == set(FOLDS)
    rows = np.load(tmp_path / "a" / "states.npy").shape[0]
    assert size == 4 * rows * (8 + 74 + 35)
    steps = []
    plain = memory.loop.OptimizerStep.__call__
    monkeypatch.setattr(
        memory.loop.OptimizerStep, "__call__", lambda *given: steps.append(1) or plain(*given)
    )
    found = memory.train(tmp_path / "a")
    assert len(steps) == 2
    assert found.keys() == {"loading", "step"}


@pytest.mark.usefixtures("small")
def test_steps_from_memory_and_from_files_are_compared(tmp_path):
    lines = memory.compared(tmp_path / "b", 200)
    assert [len(line.other) for line in lines] == [1, 0, 1, 0]
    row = settings("small", "hycon-v2")
    for where, kind in {"memory": RaggedTensor, "files": RaggedFile}.items():
        data = memory.read(tmp_path / "b", row, where)
        assert {type(each) for each in data.features.values()} == {kind}


def test_a_part_is_aligned_whole(tmp_path):
    memory.write_table_corpus(tmp_path / "c", 60)
    assert memory.align_part(tmp_path / "c") == {"utterances": 60}
