"""`hycon corpora new` describes a folder, checks it, and adds it to corpora.yaml."""

import re
import shutil

import numpy as np
import pytest

from hycon.commands import corpora
from hycon.errors import HyConError
from hycon.params import load
from tests.corpus.test_table import audio, write
from tests.test_docs import python_blocks
from tests.test_params import ROOT

GROUPS = [[f"u{n}", f"g{n // 2}", "some words", f"{n % 5 - 2}"] for n in range(40)]
SCORED = ["name", "video", "transcript", "sentiment"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def folder(project, lines=GROUPS, header=SCORED, arrays=None):
    arrays = arrays or {"my_audio.npy": np.arange(80, dtype=float).reshape(40, 2)}
    write(project, lines, header, arrays)
    return (project / "raw").rename(project / "My Films")


def new(*arguments):
    corpora.main(["new", *map(str, arguments)])


def test_a_folder_with_common_names_needs_no_option(project, capsys):
    before = (project / "corpora.yaml").read_text()
    new(folder(project))
    assert (project / "corpora.yaml").read_text().startswith(before.rstrip())
    corpus = load().catalogue["my-films"]
    assert (corpus.task, corpus.modalities) == ("regression", ["text", "audio"])
    assert corpus.columns.model_dump(exclude={"folds", "emotions"}) == {
        "name": "name", "group": "video", "text": "transcript", "label": "sentiment",
    }  # fmt: skip
    assert corpus.files["audio"].name == "my_audio.npy"
    assert corpus.mirrors == [str(project / "My Films")]
    printed = capsys.readouterr().out
    assert "28 / 4 / 8 utterances in train" in printed
    assert "--config 'corpora=[my-films]'" in printed


def test_emotions_and_folds_are_taken_from_their_columns(project):
    lines = [
        [*line[:3], ["Very Happy", "sad"][n % 2], str(n // 8)] for n, line in enumerate(GROUPS)
    ]
    given = folder(project, lines, ["name", "dialogue", "text", "emotion", "session"])
    new(given, "--corpus", "a", "--fold", "session", "--test", "4", "--valid", "3")
    new(given, "--corpus", "b", "--fold", "session", "--leave-one-out")
    first, second = (load().catalogue[name] for name in "ab")
    assert first.emotions == ["sad", "very-happy"]
    assert first.columns.emotions == {"Very Happy": "very-happy", "sad": "sad"}
    assert (first.columns.folds.test, first.columns.folds.valid) == (["4"], ["3"])
    assert second.leaves_one_out


@pytest.mark.parametrize(
    ("given", "options", "said"),
    [
        ({}, ["--group", "film"], "--group film: no such column; found name, video, transcript"),
        ({"header": ["name", "x", "transcript", "sentiment"]}, [], "which column is the group?"),
        ({"lines": [[*line[:3], "7"] for line in GROUPS]}, [], "has scores from 7 to 7, expected"),
        ({"lines": [[*line[:3], f"e{n}"] for n, line in enumerate(GROUPS)]}, [],
         "has 40 values, expected scores or 2 to 20 emotions"),
        ({"arrays": {"audio.npy": audio()}}, [], "has 5 utterances, the table 40"),
        ({"arrays": {"features.npy": audio()}}, [], "what is features.npy? Name it after its"),
        ({"arrays": {"audio.npy": audio(), "speech.npy": audio()}}, [], "both audio.npy and spee"),
        ({}, ["--test", "5"], "--fold: missing"),
        ({}, ["--fold", "video", "--test", "5"], "column video has no value 5"),
        ({}, ["--corpus", "sample"], "has a corpus sample already"),
        ({}, ["--corpus", "../x"], "--corpus ../x: expected a-z"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_and_nothing_is_written(project, given, options, said):
    place = folder(project, **given)
    before = (project / "corpora.yaml").read_text()
    with pytest.raises(HyConError) as caught:
        new(place, *options)
    assert said in str(caught.value)
    assert (project / "corpora.yaml").read_text() == before


def test_a_folder_without_a_table_is_refused(project):
    (project / "empty").mkdir()
    with pytest.raises(HyConError, match="has no table"):
        new(project / "empty")
    with pytest.raises(HyConError, match="no such folder"):
        new(project / "nowhere")
    assert not re.search("empty", (project / "corpora.yaml").read_text())


def test_the_files_of_meld_become_a_table_as_the_page_says(project):
    for fold in ("train", "dev", "test"):
        lines = [f"{d},{u},Well — it's “fine”,{['joy', 'anger'][u % 2]}"
                 for d in range(2) for u in range(3)]  # fmt: skip
        text = "\n".join(["Dialogue_ID,Utterance_ID,Utterance,Emotion", *lines])
        (project / f"{fold}_sent_emo.csv").write_text(text, encoding="utf-8")
    (project / "meld").mkdir()
    (example,) = (block for block in python_blocks("docs/corpora.md") if "Dialogue_ID" in block)
    exec(example, {})
    names = [f"{fold}-{d}-{u}" for fold in ("train", "dev", "test") for d in range(2)
             for u in range(3)]  # fmt: skip
    np.savez(project / "meld/audio.npz", **{name: np.ones((2, 3)) for name in names})
    new("meld", "--text", "Utterance")
    corpus = load().catalogue["meld"]
    assert corpus.emotions == ["anger", "joy"]
    assert (corpus.columns.group, corpus.columns.folds.column) == ("dialogue", "fold")
