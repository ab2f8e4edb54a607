"""Names that a corpus, a catalogue or a result brings along never become paths outside."""

import csv
import json
import pickle

import h5py
import numpy as np
import pytest

from hycon.commands import show
from hycon.corpus.build import Report, build
from hycon.corpus.manifest import recorded
from hycon.corpus.utterances import FOLDS, Utterance, read_split, read_table
from hycon.errors import HyConError
from hycon.params import load
from hycon.params.catalogue import Corpus, SourceFile
from hycon.plan.tasks import AlignTask
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT)
BAD = (
    *("../../evil", "/tmp/evil", "..", ".", "a\nb", "a\rb", "\x1b]2J", "x" * 300, "a\\b"),
    *("C:\\evil", "$(touch evil)", "=1+1", "é\u202e", "--log", "data/../../x", "a\tb"),
)


def paths_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


PART = {"text": np.ones((1, 2, 3)), "audio": np.ones((1, 2, 2)), "vision": np.ones((1, 2, 2))}


def mult(path, name):
    """Write MulT's file with one utterance a fold, of videos called as told."""
    folds = {
        fold: {**PART, "labels": np.ones((1, 1, 1)), "id": [[f"{name}{fold}", "0", "1"]]}
        for fold in FOLDS
    }
    path.write_bytes(pickle.dumps(folds))


def mmsa(path, name):
    """Write MMSA's file with one utterance a fold, of videos called as told."""
    text = {"raw_text": [name], "regression_labels": np.ones(1)}
    folds = {fold: {**PART, **text, "id": [f"{name}{fold}$_$0"]} for fold in FOLDS}
    path.write_bytes(pickle.dumps(folds))


def aligned(folder, entry):
    """Align the files of a folder into `out`, and return the paths that are new."""
    before = paths_below(folder)
    corpus, settings = entry.as_input(), PARAMS.align
    task = AlignTask(corpus=corpus, settings=settings, raw=folder, output=folder / "out")
    run_stage("align", task)
    return paths_below(folder) - before


@pytest.mark.parametrize("name", [*BAD, "a\0b"])
@pytest.mark.parametrize(("corpus", "write"), [("mosi-mult", mult), ("mosi-mmsa", mmsa)])
def test_videos_of_a_pickle_are_texts_in_a_table_and_no_paths(
    tmp_path, monkeypatch, corpus, write, name
):
    monkeypatch.chdir(tmp_path)
    entry = PARAMS.catalogue[corpus]
    write(tmp_path / entry.files["features"].name, name)
    made = aligned(tmp_path, entry)
    assert all(path == "out" or path.startswith("out/") for path in made)
    videos = [utterance.video for utterance in read_table(tmp_path / "out/utterances.csv")]
    assert videos == [f"{name}{fold}" for fold in FOLDS]
    assert len(read_split(tmp_path / "out", "test")[0]) == 1
    assert not list(tmp_path.parent.glob("evil*"))


@pytest.mark.parametrize("name", [name for name in BAD if "/" not in name and name != "."])
def test_videos_of_a_sequence_are_texts_in_a_table_and_no_paths(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    files = {}
    for part, feature in (
        *(("words", np.array([[b"good"]])), ("labels", np.ones((1, 1)))),
        *(("audio", np.ones((1, 2))), ("vision", np.ones((1, 2)))),
    ):
        files[part] = {"path": f"{part}.csd"}
        with h5py.File(f"{part}.csd", "w") as file:
            for fold in FOLDS:
                video = file.create_group(f"root/data/{name}{fold}")
                video["intervals"], video["features"] = np.array([[0.0, 1.0]]), feature
    folds = {fold: [f"{name}{fold}"] for fold in FOLDS}
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    files["folds"] = {"path": "folds.json"}
    entry = Corpus.model_validate({"title": "x", "task": "regression", "files": files})
    made = aligned(tmp_path, entry)
    assert all(path == "out" or path.startswith("out/") for path in made)
    found = {u.fold: u.video for u in read_table(tmp_path / "out/utterances.csv")}
    assert found == {fold: f"{name}{fold}" for fold in folds}


@pytest.mark.parametrize(
    "path",
    [
        *("../words.csd", "a/../words.csd", "/words.csd", "a/..", "..", ".", "", "~/x", "a\\b"),
        *("a\0.csd", "a\nb.csd", "a;b", "$(touch x)", "-x.csd", "{x}.csd", ".hidden", "x" * 201),
        *("x.sha256", "x.part", "x.copy", "file:///etc/passwd", "ftp://x/y", "C:/x", "a b", "é"),
    ],
)
def test_a_path_of_the_catalogue_gives_a_plain_name_below_its_corpus_or_none(path):
    with pytest.raises(ValueError, match="1 validation error"):
        SourceFile(path=path)


@pytest.mark.parametrize("place", ["../x", "/etc/passwd", "file:///etc/passwd", "ftp://x/y", "a\0"])
def test_another_place_of_a_file_is_on_a_server(place):
    with pytest.raises(ValueError, match="1 validation error"):
        SourceFile(path="x.csd", sources=[place])
    found = SourceFile(path="a/x.csd", sources=["b c/y.csd", "https://z.example.org/y.csd"])
    assert found.addresses(None, ["http://s"]) == [
        "http://s/a/x.csd",
        "http://s/b c/y.csd",
        "https://z.example.org/y.csd",
    ]


def test_names_of_a_manifest_are_looked_up_and_never_opened(tmp_path):
    entry = {"sha256": "0" * 64, "size": 1, "source": "../../evil"}
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"../..": {"/etc/passwd": entry}}))
    assert recorded(manifest, "mosi", "words.csd") is None
    assert recorded(manifest, "../..", "/etc/passwd").source == "../../evil"
    assert paths_below(tmp_path) == {"manifest.json"}


@pytest.mark.parametrize(
    "metrics",
    [
        *({"../secret": {"main": {}}}, {"sample": {"../../../secret": {}}}, {"/": {"x": {}}}),
        *({"sample": {"\0": {}}}, {"sample": {"x" * 5: {}, "A": {}}}, ["sample"], {"sample": 1}),
    ],
)
def test_the_tables_that_are_shown_are_those_of_results_only(tmp_path, metrics, capsys):
    (tmp_path / "secret.md").write_text("SECRET")
    results = tmp_path / "results"
    results.mkdir()
    (results / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(HyConError, match=r"metrics\.json: cannot be read"):
        show.main(["--results", str(results)])
    assert "SECRET" not in capsys.readouterr().out


def test_a_table_that_is_shown_steers_no_terminal(tmp_path, capsys):
    (tmp_path / "sample/tables").mkdir(parents=True)
    (tmp_path / "metrics.json").write_text('{"sample": {"main": {}}}')
    (tmp_path / "sample/tables/main.md").write_text("| a |\n\x1b[2J\x07 ± 1\n", encoding="utf-8")
    show.main(["--results", str(tmp_path)])
    out = capsys.readouterr().out
    assert "| a |\n?[2J? ± 1\n" in out
    assert "\x1b" not in out


def test_an_error_quotes_a_stranger_in_one_printable_line_of_bounded_length():
    message = str(HyConError("x: \x1b[31m\r\n\u202e" + "y" * 10**6))
    assert message.startswith("x: ?[31m ?yyy")
    assert len(message) < 4100


def test_a_row_of_any_text_is_read_back_as_it_was(tmp_path):
    found = []
    report = Report()
    for number, fold in enumerate(FOLDS):
        text = '"\n\r,\0=1+1\u2028;' * 10
        found.append(Utterance(f"v{number}", f"v{number}", 0, fold, 0.0, 1.0, 1, "1.0", text))
    build([(u, {"audio": np.ones((1, 1))}) for u in found], report, tmp_path, tmp_path / "x")
    assert read_table(tmp_path / "utterances.csv") == found
    with (tmp_path / "utterances.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 4
