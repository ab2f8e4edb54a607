"""Croissant metadata follow from corpora.yaml; mlcroissant 1.1.1 found no error in any of them."""

import json

import pytest

from hycon.commands import corpora
from hycon.corpus.croissant import metadata
from hycon.params import load
from tests.test_params import ROOT


@pytest.fixture
def catalogue(monkeypatch):
    monkeypatch.chdir(ROOT)
    return load().catalogue


def test_every_corpus_has_a_name_a_description_and_its_files_with_digests(catalogue):
    for name, corpus in catalogue.items():
        found = metadata(name, corpus, {file.name: "0" * 64 for file in corpus.files.values()})
        assert found["name"] == name
        assert found["description"]
        assert [file["@id"] for file in found["distribution"]] == list(corpus.files)
        assert all(len(file["sha256"]) == 64 for file in found["distribution"])


def test_a_real_corpus_has_its_licence_citation_page_and_addresses(catalogue):
    found = metadata("mosi", catalogue["mosi"], {})
    assert found["license"].startswith("Academic use only")
    assert found["citeAs"].startswith("Zadeh et al.")
    assert found["url"] == "http://multicomp.cs.cmu.edu/resources/cmu-mosi-dataset/"
    words = found["distribution"][0]
    assert words["contentUrl"].endswith("/CMU-MOSI/language/CMU_MOSI_TimestampedWords.csd")
    assert (words["contentSize"], words["encodingFormat"]) == ("1628987 B", "application/x-hdf5")


def test_files_without_a_digest_are_left_out_and_named(catalogue, capsys, caplog):
    corpora.main(["mosi", "--croissant"])
    printed = capsys.readouterr().out
    parts = {file["@id"] for file in json.loads(printed)["distribution"]}
    assert {"words", "labels"} <= parts
    for part in set(catalogue["mosi"].files) - parts:
        assert catalogue["mosi"].files[part].name in caplog.text
