"""The stage writes as it encodes, and what it writes are the bytes of arrays saved whole."""

import json

import numpy as np
import pytest
import torch
from pyarrow import Table, parquet

from hycon.atomic_io import sha256_of
from hycon.corpus.utterances import FloatFile, Utterance, offsets_path, ragged_file, write_table
from hycon.encoders import text, word_vectors
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import EncodeTask
from tests.running import run_stage
from tests.test_params import ROOT

TEXTS = ["a good film", "", "not bad at all , it was fine", "good", "good " * 90, "bad film , bad"]
WORDS = {"good": [0, 1], "film": [2, 3], ",": [4, 5]}


@pytest.fixture
def encode(tmp_path):
    """Return a function that runs the stage with a text encoder, and its folder's files."""
    aligned = tmp_path / "aligned"
    aligned.mkdir()
    rows = [
        Utterance(f"v{n}[0]", f"v{n}", 0, "train", 0.0, 1.0, len(each.split()), "1.0", each.strip())
        for n, each in enumerate(TEXTS)
    ]
    write_table(aligned / "utterances.csv", rows)
    with ragged_file(aligned / "vectors.npy") as file:
        for n in range(len(TEXTS)):
            file.append(np.full((n + 1, 3), n + 0.5, np.float32))
    build_bert([each.strip() for each in TEXTS], tmp_path / "tiny")

    def run(**encoder):
        base = load(ROOT).encoders["bert"].as_input()
        task = EncodeTask(
            encoder=base.model_copy(update=encoder), aligned=aligned, tiny=tmp_path / "tiny",
            output=tmp_path / "states",
        )  # fmt: skip
        run_stage("encode", task)
        return task

    return run


def assert_saved(folder, states, offsets):
    """Compare the files of a folder with those of numpy, byte by byte."""
    np.save(folder.parent / "expected.npy", states)
    np.save(folder.parent / "expected.offsets.npy", offsets)
    for name in ("npy", "offsets.npy"):
        expected = (folder.parent / f"expected.{name}").read_bytes()
        assert (folder / f"states.{name}").read_bytes() == expected
    described = json.loads((folder / "encoder.json").read_text())
    assert (described["utterances"], described["dimension"]) == (len(TEXTS), states.shape[1])


def test_states_of_a_model_are_those_that_it_gives_at_once(encode, monkeypatch):
    monkeypatch.setattr(text, "TEXTS", 2)
    task = encode(max_tokens=20, batch_size=2)
    monkeypatch.undo()
    loaded = text.load(str(task.tiny))
    states, offsets, cut = text.encode([each.strip() for each in TEXTS], *loaded, 20, 2)
    assert cut == 1
    assert_saved(task.output, states, offsets)
    assert json.loads((task.output / "encoder.json").read_text())["utterances cut"] == 1


def test_vectors_of_the_corpus_are_copied(encode, tmp_path):
    task = encode(kind="vectors", model=None)
    aligned = tmp_path / "aligned" / "vectors.npy"
    assert_saved(task.output, np.load(aligned), np.load(offsets_path(aligned)))


def test_vectors_of_a_package_are_written_in_pieces(encode, tmp_path, monkeypatch):
    np.save(tmp_path / "v.npy", np.array(list(WORDS.values()), np.float32))
    parquet.write_table(Table.from_pydict({"index": list(WORDS)}), tmp_path / "w.parquet")
    files = [tmp_path / "v.npy", tmp_path / "w.parquet"]
    monkeypatch.setattr(word_vectors, "files_of", lambda _: files)
    expected = word_vectors.encode_words(
        [each.strip() for each in TEXTS], "package:x", sha256_of(files[0])
    )
    monkeypatch.setattr(word_vectors, "TEXTS", 2)
    task = encode(kind="vectors", model="package:x", sha256=sha256_of(files[0]))
    assert_saved(task.output, *expected[:2])
    said = "".join(f" {each} " for each in TEXTS).split()
    assert expected[2] == sum(word not in WORDS for word in said) / len(said)


def test_a_failure_on_the_way_leaves_no_states(encode, tmp_path, monkeypatch):
    loaded = text.load(str(tmp_path / "tiny"))
    weights = loaded[1].get_input_embeddings().weight
    with torch.no_grad():
        weights[loaded[0].vocab["film"]] = float("nan")
    monkeypatch.setattr(text, "load", lambda _: loaded)
    with pytest.raises(HyConError, match="gave NaN or infinite states"):
        encode()
    assert not (tmp_path / "states").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_rows_are_written_in_any_order(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    file = FloatFile(tmp_path / "a.npy").start((4, 3))
    file[2:4] = values[2:]
    file[0:2] = values[:2].astype(np.float64)
    file.close()
    np.save(tmp_path / "b.npy", values)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
