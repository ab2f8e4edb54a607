"""`hycon predict` with a run that was trained on a few utterances."""

import csv
import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from hycon.atomic_io import sha256_of
from hycon.commands import predict
from hycon.errors import HyConError
from tests.stages.test_train import PARAMS, row  # noqa: F401


@pytest.fixture
def run(row, tmp_path, monkeypatch):  # noqa: F811
    """Return a run on audio and vision, in a project where its corpus is aligned as `mine`."""
    aligned = tmp_path / "data/aligned/mine"
    settings = PARAMS.settings("sample", "audio-vision", "bert")
    folder = row("runs", 1, settings=settings) / "seed-1"
    aligned.mkdir(parents=True)
    for path in tmp_path.glob("*.[cn]*"):
        (aligned / path.name).symlink_to(path)
    for name in ("vectors.npy", "vectors.offsets.npy"):
        width = {"vectors.npy": np.zeros((20, 0), np.float32)}.get(name, np.arange(21))
        np.save(aligned / name, width)
    monkeypatch.chdir(tmp_path)
    return folder


def lines(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def predicted(run, tmp_path, capsys, *arguments):
    out = tmp_path / "out.csv"
    predict.main(["--run", str(run), "--output", str(out), "--device", "cpu", *arguments])
    printed = capsys.readouterr().out
    return lines(out), json.loads(printed) if printed else None


def test_a_corpus_gets_the_predictions_of_the_run(run, tmp_path, capsys):
    found, scores = predicted(run, tmp_path, capsys, "--corpus", "mine")
    expected = load_file(run / "representations.safetensors")["prediction"]
    np.testing.assert_allclose([float(each["prediction"]) for each in found], expected, rtol=1e-4)
    assert [each["label"] for each in found][:3] == ["1.0", "0.0", "-1.0"]
    assert scores["n"] == 20
    part, _ = predicted(run, tmp_path, capsys, "--corpus", "mine", "--fold", "test")
    assert [each["name"] for each in part] == [each["name"] for each in found[16:]]
    for one, other in zip(part, found[16:], strict=True):
        assert float(one["prediction"]) == pytest.approx(float(other["prediction"]), rel=1e-4)


def test_a_table_needs_no_label_and_its_own_files(run, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("name\na\nb\n")
    np.save(tmp_path / "audio-new.npy", np.ones((2, 4)))
    np.save(tmp_path / "vision-new.npy", np.ones((2, 3)))
    given = ["--table", "new.csv", "--audio", "audio-new.npy", "--vision", "vision-new.npy"]
    found, scores = predicted(run, tmp_path, capsys, *given)
    assert [list(each) for each in found] == [["name", "prediction"]] * 2
    assert scores is None
    (tmp_path / "new.csv").write_text("name,label\na,1.5\nb,9\n")
    found, scores = predicted(run, tmp_path, capsys, *given)
    assert scores["n"] == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--corpus", "other"], "data/aligned/other/utterances.csv: not found; snakemake --c"),
        (["--table", "new.csv"], "new.csv: has no audio, which the run was trained on"),
        (["--table", "new.csv", "--audio", "wide.npy", "--vision", "wide.npy"],
         "new.csv: audio has 9 features, the run was trained on 4"),
        (["--table", "new.csv", "--audio", "few.npy"], "few.npy: has 1 utterances, the table 2"),
        (["--table", "new.csv", "--fold", "test"], "--fold: a table has none"),
        (["--table", "none.csv"], "none.csv: cannot be read as CSV"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_run_is_one_line(run, tmp_path, capsys, given, said):
    (tmp_path / "new.csv").write_text("name\na\nb\n")
    np.save(tmp_path / "wide.npy", np.ones((2, 9)))
    np.save(tmp_path / "few.npy", np.ones((1, 4)))
    with pytest.raises(HyConError) as caught:
        predicted(run, tmp_path, capsys, *given)
    assert said in str(caught.value)
    assert not (tmp_path / "out.csv").exists()


def test_a_run_of_held_out_groups_and_a_changed_one_are_refused(run, tmp_path, capsys):
    path = run / "run.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "selection": {"held out": ["a", "b", "c"]}}))
    with pytest.raises(HyConError, match="has a network for each held-out group"):
        predicted(run, tmp_path, capsys, "--corpus", "mine")
    record["files"]["model.safetensors"] = sha256_of(path)
    path.write_text(json.dumps(record))
    with pytest.raises(HyConError, match=r"model\.safetensors is not the file that was written"):
        predicted(run, tmp_path, capsys, "--corpus", "mine")
    path.write_text("{}")
    with pytest.raises(HyConError, match="is no complete run"):
        predicted(run, tmp_path, capsys, "--corpus", "mine")
