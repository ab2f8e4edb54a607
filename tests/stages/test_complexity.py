"""Rows of equal cost are measured once."""

import json
from types import SimpleNamespace

import pytest

from hycon.stages import complexity
from hycon.training.complexity import MEANINGS
from tests.plan.test_jobs import PLAN
from tests.running import run_stage


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return the rows that are measured, and the figures of each row: its place among those."""
    chosen = []

    def load(task, rows, device, features_in):
        chosen.extend(row.row for row in rows)
        return [SimpleNamespace(data=SimpleNamespace(folds={"train": [0]}))] * len(rows)

    def measure(rows, repeats, show):
        return [dict.fromkeys(MEANINGS, place) for place in range(len(rows))]

    monkeypatch.setattr(complexity, "_load", load)
    monkeypatch.setattr(complexity, "measure", measure)
    output = tmp_path / "complexity.json"
    task = PLAN.job("complexity", "sample").task.model_copy(update={"output": output})
    run_stage("complexity", task)
    rows = json.loads(output.read_text())["rows"]
    assert [row["label"] for row in rows] == [row.row for row in task.rows]
    return chosen, {row["label"]: row["seconds per epoch"] for row in rows}


def test_rows_of_equal_cost_have_the_figures_of_the_first_of_them(measured):
    chosen, figures = measured
    assert "without-margin-bert" not in chosen  # another alpha
    assert figures["without-margin-bert"] == figures["hycon-v2-bert"]
    assert figures["hycon-v2-bert"] == chosen.index("hycon-v2-bert")


def test_what_the_corpus_would_be_changed_by_is_no_cost():
    for row in ("shuffled-audio-bert", "shuffled-vision-bert"):
        other = PLAN.settings("sample", row)
        same = PLAN.settings("sample", "no-contrastive-bert")
        assert other != same
        assert other.as_cost() == same.as_cost()
    assert PLAN.settings("sample", "text-only-bert").as_cost() != same.as_cost()


def test_every_other_row_is_measured(measured):
    chosen, figures = measured
    assert len(chosen) == len(set(chosen)) == len(set(figures.values()))
    for row in ("hycon-bert", "hycon-v2-bert", "hycon-v2-glove", "without-weights-bert",
                "mult-bert", "triplet-bert", "supcon-bert"):  # fmt: skip
        assert figures[row] == chosen.index(row)
