"""Encoders that come as packages: a model in several parts, and word vectors."""

import shutil

import numpy as np
import pytest
from pyarrow import Table, parquet

from hycon.atomic_io import sha256_of
from hycon.encoders import packages
from hycon.encoders.text import load, locate
from hycon.encoders.tiny import build_bert
from hycon.encoders.word_vectors import encode_words
from hycon.errors import HyConError
from hycon.params import load as load_params
from hycon.plan.planner import Plan
from tests.test_params import ROOT

PARTS = "cut-model-01..03"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with the given files, where pip would."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(name, **files):
        module, info = name.replace("-", "_"), site / f"{name.replace('-', '_')}-1.dist-info"
        (site / module).mkdir(exist_ok=True)
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        for file, content in files.items():
            (site / module / file).write_bytes(content)
        (info / "RECORD").write_text("".join(f"{module}/{file},,\n" for file in files))
        return site / module

    return run


@pytest.fixture
def model(tmp_path, install):
    """Install a model cut into three packages; return its sha256."""
    build_bert(["a good film"], tmp_path / "zipped/all-tiny")
    shutil.make_archive(str(tmp_path / "whole"), "zip", tmp_path / "zipped")
    whole = (tmp_path / "whole.zip").read_bytes()
    size = len(whole) // 3 + 1
    for number in range(3):
        part = whole[number * size : (number + 1) * size]
        install(f"cut-model-0{number + 1}", **{f"all-tiny.zip.00{number + 1}": part})
    return sha256_of(tmp_path / "zipped/all-tiny/model.safetensors")


def test_a_model_in_parts_is_joined_checked_and_loaded_once(model, tmp_path, monkeypatch):
    folder = locate(f"package:{PARTS}", sha256=model)
    assert folder.startswith(str(tmp_path / "cache/hycon"))
    tokenizer, found = load(folder)
    assert (len(tokenizer) > 5, found.config.model_type) == (True, "bert")
    monkeypatch.setattr(packages, "_part", None)  # a second time unpacks nothing
    assert locate(f"package:{PARTS}", sha256=model) == folder


def test_parts_that_are_missing_damaged_or_others_are_refused(model, install, tmp_path):
    with pytest.raises(HyConError, match="needs a sha256"):
        locate(f"package:{PARTS}")
    with pytest.raises(HyConError, match="expected 0000"):
        locate(f"package:{PARTS}", sha256="0" * 64)
    with pytest.raises(HyConError, match="cut-model-04: the package is not installed; pip install"):
        locate("package:cut-model-01..04", sha256=model)
    install("cut-model-02", **{"all-tiny.zip.002": b"x"})
    with pytest.raises(HyConError, match="is no model"):
        locate(f"package:{PARTS}", sha256=model)
    install("cut-model-02", **{"readme.txt": b"x"})
    with pytest.raises(HyConError, match=r"has 0 files \.zip\.NUMBER"):
        locate(f"package:{PARTS}", sha256=model)
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


@pytest.fixture
def vectors(install, tmp_path):
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "v.npy", values)
    parquet.write_table(Table.from_pydict({"index": ["good", "film", "don't"]}), tmp_path / "i")
    files = {"v.npy": tmp_path / "v.npy", "words.parquet": tmp_path / "i"}
    folder = install("tiny-glove", **{name: path.read_bytes() for name, path in files.items()})
    return sha256_of(folder / "v.npy")


def test_words_become_vectors_and_unknown_ones_nan(vectors):
    texts = ["Good film!", "", "don't xyzzy"]
    states, offsets, unknown = encode_words(texts, "package:tiny-glove", vectors)
    np.testing.assert_equal(states, [[0, 1], [2, 3], [np.nan, np.nan], [4, 5], [np.nan, np.nan]])
    assert offsets.tolist() == [0, 2, 3, 5]
    assert unknown == 0.25


def test_vectors_that_are_others_or_none_are_refused(vectors, install):
    with pytest.raises(HyConError, match="sha256 is"):
        encode_words(["a"], "package:tiny-glove", "0" * 64)
    with pytest.raises(HyConError, match="come from a package"):
        encode_words(["a"], "glove", None)
    install("tiny-glove", **{"v.npy": b"x"})
    with pytest.raises(HyConError, match=r"expected one .npy and one .parquet"):
        encode_words(["a"], "package:tiny-glove", None)


def test_vectors_of_a_package_are_for_corpora_with_words():
    given = {"label": "GloVe 6B", "kind": "vectors", "model": "package:tiny-glove"}
    params = load_params(ROOT, {"encoders": {"glove-6b": given}})
    assert params.unusable("mosi-utterance", "glove-6b") is None
    assert (
        params.unusable("iemocap", "glove-6b")
        == "glove-6b needs words, and iemocap has only vectors"
    )
    job = Plan(params).job("encode", "mosi-utterance/glove-6b")
    assert job.reads == ("data/aligned/mosi-utterance/utterances.csv",)
    assert Plan(params).encoder_label("mosi-utterance", "glove-6b") == "GloVe 6B"
