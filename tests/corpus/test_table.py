"""A table of utterances with an array for each modality, written by hand and read back."""

import csv
import json
from itertools import pairwise

import numpy as np
import pytest
from pyarrow import Table, parquet

from hycon.corpus import arrays
from hycon.corpus.folds import folds_by_rule, training_rounds
from hycon.corpus.utterances import read_ragged, read_table
from hycon.errors import HyConError
from hycon.params import AlignConfig, Corpus
from hycon.params.catalogue import FoldRule
from hycon.plan.tasks import AlignTask
from tests.running import run_stage

ALIGN = AlignConfig(epsilon=1e-5, mode="words", longest={"audio": 3, "vision": 500})
HEADER = ["name", "video", "said", "mood", "split"]
LINES = [
    ["u1", "a", "so good", "joy", "train"],
    ["u2", "a", "", "anger", "train"],
    ["u3", "b", "it  was bad", "anger", "val"],
    ["u4", "c", "fine", "other", "test"],
    ["u5", "c", "very, very good", "joy", "test"],
]
NAMES = [line[0] for line in LINES]
COLUMNS = {
    "name": "name",
    "group": "video",
    "text": "said",
    "label": "mood",
    "emotions": {"joy": "happy", "anger": "angry"},
    "folds": {"column": "split"},
}


def audio():
    return np.arange(10, dtype=np.float32).reshape(5, 2) + 1


def write(folder, lines=LINES, header=HEADER, arrays=None):
    """Write raw/table.csv and arrays, {"audio.npy": array, ...}."""
    raw = folder / "raw"
    raw.mkdir(exist_ok=True)
    with (raw / "table.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    for name, array in (arrays or {"audio.npy": audio()}).items():
        if name.endswith(".npy"):
            np.save(raw / name, array)
        elif name.endswith(".npz"):
            np.savez(raw / name, **array)
        else:
            parquet.write_table(Table.from_pydict(array), raw / name)


def entry(names=("table.csv", "audio.npy"), columns=COLUMNS, **more):
    emotional = {"task": "classification", "emotions": ["happy", "angry"]}
    parts = {name.split(".")[0]: {"path": name} for name in names}
    given = {"title": "t", "format": "table", "columns": columns, "files": parts}
    return Corpus.model_validate({**given, **emotional, **more})


def aligned(folder, corpus=None):
    run_stage(
        "align",
        AlignTask(
            corpus=corpus or entry(), settings=ALIGN, raw=folder / "raw", output=folder / "out"
        ),
    )
    return read_table(folder / "out/utterances.csv")


def rows(folder, name="audio", count=4):
    """Return the rows of each utterance of a modality."""
    values, offsets = read_ragged(folder / f"out/{name}.npy", count)
    return [values[a:b].tolist() for a, b in pairwise(offsets)]


def test_every_column_goes_where_it_belongs(tmp_path):
    write(tmp_path)
    table = aligned(tmp_path)
    assert [(u.id, u.video, u.segment, u.fold, u.words, u.label, u.text) for u in table] == [
        ("u1", "a", 0, "train", 2, "happy", "so good"),
        ("u2", "a", 1, "train", 0, "angry", ""),
        ("u3", "b", 0, "valid", 3, "angry", "it was bad"),
        ("u5", "c", 0, "test", 3, "happy", "very, very good"),
    ]
    assert rows(tmp_path) == [[[1, 2]], [[3, 4]], [[5, 6]], [[9, 10]]]
    assert read_ragged(tmp_path / "out/vision.npy", 4).values.shape == (4, 0)
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["dropped, by reason"] == {"label 'other' is none of the emotions": 1}
    assert report["utterances without words"] == ["u2"]


def test_a_corpus_has_the_modalities_of_its_files_and_its_text():
    assert entry().modalities == ["text", "audio"]
    assert entry(("table.csv", "audio.npy", "vision.npz")).modalities == ["text", "audio", "vision"]
    silent = {**COLUMNS, "text": None}
    assert entry(("table.csv", "vision.npy"), silent).modalities == ["vision"]
    assert entry(("table.csv", "vectors.npz"), silent).modalities == ["text"]
    assert not entry(("table.csv", "vectors.npz"), silent).has_text


def sequences():
    """Return three, one, two, one and five steps of two features; audio keeps three."""
    lengths = (3, 1, 2, 1, 5)
    return [np.full((n, 2), i + 1, np.float32) for i, n in enumerate(lengths)]


@pytest.mark.parametrize("kind", ["padded", "named", "ragged", "parquet"])
def test_sequences_are_read_from_every_form(tmp_path, kind):
    each = sequences()
    padded = np.zeros((5, 5, 2), np.float32)
    for row, steps in zip(padded, each, strict=True):
        row[: len(steps)] = steps
    padded[2, 2:] = np.nan
    offsets = np.cumsum([0, *map(len, each)])
    whole = np.concatenate(each)
    order = np.argsort(np.tile([1, 0], 6), kind="stable")  # names may come mixed
    named = np.repeat(NAMES, [len(steps) for steps in each])
    forms = {
        "padded": ("audio.npy", padded),
        "named": ("audio.npz", dict(zip(NAMES, each, strict=True))),
        "ragged": ("audio.npz", {"values": whole, "offsets": offsets}),
        "parquet": (
            "audio.parquet",
            {"x": whole[order, 0], "name": named[order], "y": whole[order, 1]},
        ),
    }
    name, content = forms[kind]
    write(tmp_path, arrays={name: content})
    aligned(tmp_path, entry(("table.csv", name)))
    assert rows(tmp_path) == [[[1, 1]] * 3, [[2, 2]], [[3, 3]] * 2, [[5, 5]] * 3]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["modalities"]["audio"]["utterances cut"] == 1


def test_the_table_may_be_parquet_and_labels_scores(tmp_path):
    write(tmp_path)
    content = {
        "group": ["a", "a", "b", "c", "d"],
        "score": [2.5, -1.0, None, 3.5, 0.0],
        "fold": ["train", "dev", "train", "train", "Test"],
    }
    content["fold"][1] = "train"
    content["fold"][3] = "valid"
    parquet.write_table(Table.from_pydict(content), tmp_path / "raw/table.parquet")
    columns = {"group": "group", "label": "score", "folds": {"column": "fold"}}
    corpus = entry(("table.parquet", "audio.npy"), columns, task="regression", emotions=None)
    with pytest.raises(HyConError, match="no utterance in the fold valid"):
        aligned(tmp_path, corpus)
    content["score"][3] = -3.0
    parquet.write_table(Table.from_pydict(content), tmp_path / "raw/table.parquet")
    assert [(u.id, u.label) for u in aligned(tmp_path, corpus)] == [
        ("a[0]", "2.5"), ("a[1]", "-1.0"), ("c[3]", "-3.0"), ("d[4]", "0.0"),
    ]  # fmt: skip


def test_unknown_values_stay_unknown_and_are_counted(tmp_path):
    values = audio()
    values[0, 1] = np.nan
    values[2] = np.inf
    write(tmp_path, arrays={"audio.npy": values})
    aligned(tmp_path)
    np.testing.assert_equal(rows(tmp_path)[:3:2], [[[1, np.nan]], [[np.nan, np.nan]]])
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert (report["modalities"]["audio"]["NaN"], report["modalities"]["audio"]["infinite"]) == (
        1,
        2,
    )


def line(number, column, value):
    """Return the lines with one value changed."""
    changed = [list(each) for each in LINES]
    changed[number][HEADER.index(column)] = value
    return changed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lines": line(2, "name", "u1")}, "table.csv: line 4: found 'u1' again, after line 2"),
        ({"lines": line(2, "name", "")}, "table.csv: line 4: found nothing under name"),
        ({"lines": line(2, "video", "")}, "table.csv: line 4 has no video"),
        ({"lines": line(1, "split", "test")}, "video a is in the folds train and test"),
        ({"lines": line(2, "split", "later")}, "found the fold 'later', expected train, valid, te"),
        ({"lines": [[*each[:2], " ", *each[3:]] for each in LINES]}, "column 'said' has no text"),
        ({"lines": [[*each[:3], "x", each[4]] for each in LINES]}, "no labelled utterance"),
        ({"lines": [[*LINES[0], "more"]]}, "table.csv:2: found 6 values, expected 5"),
        ({"lines": []}, "table.csv: has no utterance"),
        ({"header": ["name", "video", "text", "mood", "split"]}, "has no column 'said' (columns."),
        ({"header": ["name", "name", "said", "mood", "split"]}, "two columns have the same name"),
        ({"arrays": {"audio.npy": audio()[:4]}}, "audio.npy: has 4 utterances, the table 5"),
        ({"arrays": {"audio.npy": np.ones(5)}}, "found (5,), expected (N, D) or (N, T, D)"),
        ({"arrays": {"audio.npy": np.ones((5, 0))}}, "expected numbers with at least one feature"),
        ({"arrays": {"audio.npy": np.array([["x"]] * 5)}}, "expected numbers"),
        ({"arrays": {"audio.npy": np.full((5, 2), np.nan)}}, "found nothing of audio in any"),
        ({"arrays": {"audio.npy": np.array([[print]] * 5)}}, "audio.npy: cannot be read"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_in_one_line(tmp_path, given, said):
    write(tmp_path, **given)
    with pytest.raises(HyConError) as caught:
        aligned(tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("audio.npz", {"u1": np.ones(2)}, "lacks 4 of 5 utterances, such as u2"),
        ("audio.npz", {name: np.ones(1 + (name == "u3")) for name in NAMES}, "u3 has 2 features"),
        ("audio.npz", {name: np.ones((2, 2, 2)) for name in NAMES}, "u1 is (2, 2, 2), expected"),
        ("audio.npz", {name: np.array([print]) for name in NAMES}, "audio.npz: cannot be read"),
        ("audio.npz", {"values": np.ones((5, 2)), "offsets": np.arange(5)}, "has 4 utterances"),
        ("audio.npz", {"values": np.ones((4, 2)), "offsets": np.arange(6)}, "ascend from 0 to 4"),
        ("audio.parquet", {"id": NAMES, "x": [1.0] * 5}, "has no column `name`"),
        ("audio.parquet", {"name": NAMES}, "has no column but `name`"),
        ("audio.parquet", {"name": NAMES, "x": NAMES}, "column x is object"),
        ("audio.parquet", {"name": NAMES[:3], "x": [1.0] * 3}, "lacks 2 of 5 utterances"),
    ],
)  # fmt: skip
def test_an_array_that_does_not_fit_the_table_is_refused(tmp_path, name, content, said):
    write(tmp_path, arrays={name: content})
    with pytest.raises(HyConError) as caught:
        aligned(tmp_path, entry(("table.csv", name)))
    assert said in str(caught.value)


def test_damaged_files_and_bombs_are_refused(tmp_path, monkeypatch):
    write(tmp_path)
    for name in ("audio.npy", "audio.npz", "audio.parquet"):
        (tmp_path / "raw" / name).write_bytes(b"PK\x03\x04 no archive")
        with pytest.raises(HyConError, match="cannot be read"):
            aligned(tmp_path, entry(("table.csv", name)))
    np.savez_compressed(tmp_path / "raw/audio.npz", values=np.zeros((1 << 17, 8)))
    monkeypatch.setattr(arrays, "MOST_BYTES", 1 << 20)
    with pytest.raises(HyConError, match="expands to 8388736 bytes"):
        aligned(tmp_path, entry(("table.csv", "audio.npz")))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": None}, "columns belong to format: table"),
        ({"files": {"table": {"path": "t.xlsx"}}}, "t.xlsx must end in .csv or .parquet"),
        ({"files": {"table": {"path": "t.csv"}, "audio": {"path": "a.pkl"}}}, "a.pkl must end in"),
        ({"columns": {**COLUMNS, "emotions": {"joy": "sad"}}}, "sad is not one of `emotions`"),
        ({"files": {"table": {"path": "t.csv"}}, "columns": {**COLUMNS, "text": None}},
         "files has no modality"),
        ({"columns": {**COLUMNS, "folds": {"leave_one_out": True}}}, "column: missing"),
        ({"columns": {**COLUMNS, "folds": {"column": "s", "valid": [1]}}}, "test: missing"),
        ({"columns": {**COLUMNS, "folds": {"column": "s", "test": [1], "valid": ["1"]}}},
         "1 is in test and in valid"),
        ({"columns": {**COLUMNS, "folds": {"column": "s", "test": [1], "leave_one_out": True}}},
         "remove test and valid"),
    ],
)  # fmt: skip
def test_an_entry_that_contradicts_itself_is_refused(changes, said):
    with pytest.raises(ValueError, match="validation error") as caught:
        entry(**changes)
    assert said in str(caught.value)


GROUPS = [f"g{number // 2}" for number in range(40)]


def test_groups_are_drawn_by_the_seed_and_stay_whole():
    rule = FoldRule(test_share=0.2, valid_share=0.25)
    folds = folds_by_rule(rule, GROUPS, None)
    assert [folds.count(name) for name in ("train", "valid", "test")] == [24, 8, 8]
    assert folds[::2] == folds[1::2]
    assert folds == folds_by_rule(rule, GROUPS, None)
    assert folds != folds_by_rule(rule.model_copy(update={"seed": 1}), GROUPS, None)


def test_values_of_a_column_name_the_test_fold_and_the_rest_is_divided():
    sessions = [str(1 + number // 8) for number in range(40)]
    folds = folds_by_rule(FoldRule(column="s", test=["5"], valid=["4"]), GROUPS, sessions)
    assert folds == ["train"] * 24 + ["valid"] * 8 + ["test"] * 8
    folds = folds_by_rule(FoldRule(column="s", test=["5"]), GROUPS, sessions)
    assert folds[32:] == ["test"] * 8
    assert folds[:32].count("valid") == 4  # two of sixteen groups
    with pytest.raises(ValueError, match="column s has no value 6"):
        folds_by_rule(FoldRule(column="s", test=["6"]), GROUPS, sessions)


def test_each_group_is_tested_once_and_the_next_one_validates(tmp_path):
    lines = [[f"u{n}", f"d{n}", "words", "joy", str(s)] for n, s in enumerate([9, 9, 10, 10, 11])]
    write(tmp_path, lines)
    table = aligned(
        tmp_path, entry(columns={**COLUMNS, "folds": {"column": "split", "leave_one_out": True}})
    )
    assert {u.fold for u in table} == {"test"}
    assert {name: fold.tolist() for name, fold in training_rounds(table).items()} == {
        "9": ["test", "test", "valid", "valid", "train"],
        "10": ["train", "train", "test", "test", "valid"],
        "11": ["valid", "valid", "train", "train", "test"],
    }
    write(tmp_path, [*lines[:4], [*lines[4][:4], ""]])
    with pytest.raises(HyConError, match="line 6 has no split"):
        aligned(
            tmp_path,
            entry(columns={**COLUMNS, "folds": {"column": "split", "leave_one_out": True}}),
        )
    write(tmp_path, [[*each[:4], "1" if each[4] == "9" else "2"] for each in lines])
    with pytest.raises(HyConError, match="found 2 groups, expected at least 3"):
        aligned(
            tmp_path,
            entry(columns={**COLUMNS, "folds": {"column": "split", "leave_one_out": True}}),
        )
