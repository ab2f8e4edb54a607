"""The table of representations: its numbers against loops, and what it reads."""

import csv
import itertools

import numpy as np
import pytest
from safetensors.numpy import save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.planner import Plan
from hycon.plan.tables import tables
from hycon.plan.tasks import RepresentationTable
from hycon.reporting import representations
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

CLASSES = np.array([0, 1, 0, 1, 1])


def drawn(modalities=("text", "audio")):
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=(5, 3)).astype(np.float32) for name in modalities}


def similarity(u, w):
    return (1 + u @ w / np.linalg.norm(u) / np.linalg.norm(w)) / 2


def test_similarities_are_those_of_a_loop_over_pairs():
    x = drawn()
    found = representations.geometry(x, CLASSES)
    expected = {"one_same": [], "one_other": [], "two_same": [], "two_other": [], "own": []}
    for m, n in itertools.product(x, x):
        for k, i in itertools.product(range(5), range(5)):
            s = similarity(x[m][k].astype(float), x[n][i].astype(float))
            if k != i:
                kind = "same" if CLASSES[k] == CLASSES[i] else "other"
                expected[f"{'one' if m == n else 'two'}_{kind}"].append(s)
            elif m != n:
                expected["own"].append(s)
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.mean(values), rel=1e-9), name


def test_uniformity_is_0_if_all_are_equal_and_lower_if_they_are_spread():
    equal = representations.geometry({"text": np.ones((5, 3), np.float32)}, CLASSES)
    assert equal["uniformity"] == pytest.approx(0)
    spread = representations.geometry({"text": drawn()["text"]}, CLASSES)
    assert spread["uniformity"] < -0.5
    assert "own" not in spread
    ends = np.array([[1, 0], [-1, 0], [1, 0], [-1, 0]], np.float32)
    found = representations.geometry({"text": ends}, np.array([0, 1, 0, 1]))
    assert found["one_same"] == pytest.approx(1)
    assert found["one_other"] == pytest.approx(0)
    # of 12 ordered pairs 4 are equal, and 8 have a distance of 2
    assert found["uniformity"] == pytest.approx(np.log((4 + 8 * np.exp(-8)) / 12))


@pytest.fixture
def row(tmp_path):
    """Return a row of two runs over seven utterances, of which five are tested."""
    folds = ["train", "test", "test", "valid", "test", "test", "test"]
    scores = [0, 1.0, -2.0, 0, 1.2, -1.8, -2.2]
    utterances = [
        Utterance(f"v{at}[0]", f"v{at}", 0, fold, 0.0, 1.0, 1, str(score), "word", "")
        for at, (fold, score) in enumerate(zip(folds, scores, strict=True))
    ]
    (tmp_path / "aligned").mkdir()
    write_table(tmp_path / "aligned" / "utterances.csv", utterances)
    found = scored_row(tmp_path / "row/scores.json", {s: {"test": {"mae_all": 1.0}} for s in "12"})
    for seed in "12":
        folder = tmp_path / "row" / f"seed-{seed}"
        folder.mkdir()
        generator = np.random.default_rng(int(seed))
        save_file(
            {name: generator.normal(size=(7, 3)).astype(np.float32) for name in ("text", "audio")},
            folder / "representations.safetensors",
        )
        with (folder / "history.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["epoch", "validation", "gradient_ratio", "gradient_cosine"])
            writer.writerows([[1, 1.0, 0.2, 0.5], [2, 0.9, 0.4, 0.1]])
    return found


def table(folder, row, **changes):
    return RepresentationTable(
        **{"title": "T", "rows": [row], "modalities": {row.row: ["text", "audio"]},
           "scheme": "seven", "aligned": folder / "aligned", **changes}
    )  # fmt: skip


def test_of_a_large_test_fold_a_sample_is_compared_and_the_caption_says_so(
    tmp_path, row, monkeypatch
):
    corpus = load(ROOT).catalogue["sample"]
    for most, said in ((5, "5 utterances"), (4, "4 of 5 utterances drawn at random, seed 0")):
        monkeypatch.setattr(representations, "MOST", most)
        found = representations.make(table(tmp_path, row), "sample", corpus)
        representations.write(found, tmp_path / "t")
        assert f"Test fold, {said}, 2 classes" in (tmp_path / "t.md").read_text()
    tested = np.array([1, 2, 4, 5, 6])
    chosen = np.sort(np.random.default_rng(0).permutation(tested)[:4])
    (_, summary, _), = found.rows  # fmt: skip
    classes = dict(zip(tested, CLASSES, strict=True))
    runs = []
    for seed in (1, 2):
        generator = np.random.default_rng(seed)
        x = {name: generator.normal(size=(7, 3))[chosen] for name in ("text", "audio")}
        found_alone = representations.geometry(x, np.array([classes[at] for at in chosen]))
        runs.append(found_alone["two_same"])
    assert summary["two_same"]["mean"] == pytest.approx(np.mean(runs), rel=1e-6)


def test_the_table_is_of_the_test_fold_over_seeds_with_gradients_over_epochs(tmp_path, row):
    corpus = load(ROOT).catalogue["sample"]
    found = representations.make(table(tmp_path, row), "sample", corpus)
    assert (found.utterances, found.classes) == ("5 utterances", 2)
    (_, summary, seeds), = found.rows  # fmt: skip
    assert seeds == ["1", "2"]
    assert summary["gradient_ratio"]["mean"] == pytest.approx(0.3)
    assert summary["gradient_cosine"]["std"] == 0
    tested = np.array([1, 2, 4, 5, 6])
    runs = []
    for seed in (1, 2):
        generator = np.random.default_rng(seed)
        x = {name: generator.normal(size=(7, 3))[tested] for name in ("text", "audio")}
        runs.append(representations.geometry(x, CLASSES)["two_same"])
    assert summary["two_same"]["mean"] == pytest.approx(np.mean(runs), rel=1e-6)
    representations.write(found, tmp_path / "shown")
    text = (tmp_path / "shown.md").read_text()
    assert "0.300 ± 0.000" in text
    assert "SAMPLE NUMBERS" in text
    assert "5 utterances, 2 classes (scheme seven)" in text


def test_a_missing_run_is_named(tmp_path, row):
    (tmp_path / "row/seed-2/history.csv").unlink()
    with pytest.raises(HyConError, match=r"seed-2/history\.csv: cannot be read"):
        representations.make(table(tmp_path, row), "sample", load(ROOT).catalogue["sample"])


def test_it_is_of_our_rows_on_corpora_with_fixed_folds():
    experiment = {
        "title": "R", "encoders": ["bert"], "variants": ["hycon", "lf-dnn", "constant"],
        "representations": "sign",
    }  # fmt: skip
    plan = Plan(load(ROOT, {"experiments": {"kept": experiment}}), [])
    found = tables(plan, "sample")["kept-representations"]
    assert [row.row for row in found.rows] == ["hycon-bert"]
    assert found.modalities == {"hycon-bert": ["text", "audio", "vision"]}
    job = plan.job("tables", "sample/kept-representations")
    assert "results/runs/sample/hycon-bert/runs-1.json" in job.reads
