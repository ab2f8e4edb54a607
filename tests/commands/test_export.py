"""What is exported for MMSA is what MMSA reads, and comes back as it went."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from hycon.commands import export
from hycon.corpus.utterances import FOLDS, read_split, read_table
from hycon.encoders.tiny import build_bert
from hycon.errors import HyConError
from hycon.logs import copied_to
from hycon.params import Corpus, load
from hycon.plan.tasks import AlignTask
from hycon.sample import corpus as sample
from tests.running import run_stage

ROOT = Path(__file__).resolve().parents[2]
PARAMS = load(ROOT)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with a small aligned sample and its tiny BERT."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)
    raw, aligned = folder / "data/raw/sample", folder / "data/aligned/sample"
    sample.generate(raw, task="sentiment", videos=8, utterances_per_video=4, seed=1)
    align(PARAMS.catalogue["sample"], raw, aligned)
    texts = [utterance.text for utterance in read_table(aligned / "utterances.csv")]
    build_bert(texts, folder / "data/models/sample/tiny-bert")
    return folder


def align(corpus, raw, output):
    task = AlignTask(corpus=corpus.as_input(), settings=PARAMS.align, raw=raw, output=output)
    run_stage("align", task)


def exported(project, monkeypatch, *options):
    monkeypatch.chdir(project)
    with copied_to(None):
        export.main(["--format", "mmsa", "--corpus", "sample", "--output", "out.pkl", *options])
    return pickle.loads((project / "out.pkl").read_bytes())


def test_word_vectors_audio_and_vision_stand_side_by_side_padded_in_front(project, monkeypatch):
    folds = exported(project, monkeypatch)
    for fold in FOLDS:
        utterances, rows = read_split(project / "data/aligned/sample", fold)
        part = folds[fold]
        assert part["id"] == [f"{u.video}$_${u.segment}" for u in utterances]
        assert part["raw_text"].tolist() == [u.text for u in utterances]
        np.testing.assert_allclose(part["regression_labels"], [float(u.label) for u in utterances])
        for name, key in (("text", "vectors"), ("audio", "audio"), ("vision", "vision")):
            assert part[name].shape == (len(utterances), 50, rows[key].values.shape[1])
            first = slice(*rows[key].offsets[:2])
            expected = np.nan_to_num(rows[key].values[first])
            np.testing.assert_array_equal(part[name][0, -len(expected) :], expected)
            assert not part[name][0, : -len(expected)].any()
        assert part["audio_lengths"] == np.diff(rows["audio"].offsets).tolist()
    assert {len(set(folds[fold]["annotations"])) for fold in FOLDS} <= {2, 3}


def test_with_an_encoder_every_token_has_the_audio_and_vision_of_its_word(project, monkeypatch):
    plain = exported(project, monkeypatch)["train"]
    part = exported(project, monkeypatch, "--encoder", "bert")["train"]
    ids, mask, _ = part["text_bert"][0]
    words = part["raw_text"][0].split()
    tokens = int(mask.sum())
    # every word of the training fold is in the tiny vocabulary, so one token is one word
    assert tokens == len(words) + 2
    assert ids[tokens - 1] != 0
    assert not ids[tokens:].any()
    assert part["text"].shape[1:] == (50, 64)
    # the last state stands for padding, as in MMSA's own files
    np.testing.assert_array_equal(
        part["text"][0, tokens:], part["text"][0, [tokens - 1] * (50 - tokens)]
    )
    assert not np.array_equal(part["text"][0, tokens - 1], part["text"][0, tokens - 2])
    assert not part["audio"][0, [0, tokens - 1]].any()  # [CLS] and [SEP]
    np.testing.assert_array_equal(
        part["audio"][0, 1 : tokens - 1], plain["audio"][0, -len(words) :]
    )
    assert part["audio_lengths"][0] == tokens


def test_a_long_utterance_is_cut_and_said_to_be(project, monkeypatch, capsys):
    part = exported(project, monkeypatch, "--longest", "4")["train"]
    assert part["audio"].shape[1] == part["text"].shape[1] == 4
    assert max(part["audio_lengths"]) == 4
    assert "utterances cut to 4 words" in capsys.readouterr().err
    part = exported(project, monkeypatch, "--encoder", "bert", "--longest", "4")["train"]
    assert part["text_bert"].shape[1:] == (3, 4)
    assert (part["text_bert"][:, 1].sum(axis=1) <= 4).all()
    assert "texts cut to 4 tokens" in capsys.readouterr().err


def test_what_was_exported_is_imported_again(project, monkeypatch, tmp_path):
    exported(project, monkeypatch)
    files = {"features": {"path": "out.pkl"}}
    corpus = {"title": "t", "task": "regression", "format": "mmsa", "files": files}
    align(Corpus.model_validate(corpus), project, tmp_path / "again")
    for fold in FOLDS:
        before, rows = read_split(project / "data/aligned/sample", fold)
        after, again = read_split(tmp_path / "again", fold)
        assert [(u.id, u.text, u.label) for u in after] == [(u.id, u.text, u.label) for u in before]
        known = np.isfinite(rows["audio"].values)
        assert again["audio"].values.shape == rows["audio"].values.shape
        np.testing.assert_array_equal(again["audio"].values[known], rows["audio"].values[known])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--corpus", "sampel"], "--corpus sampel: unknown; corpora.yaml has sample, "),
        (["--corpus", "sample-emotion"], "has emotions, and MMSA trains on scores"),
        (["--corpus", "mosi-utterance"], "has no word vectors; name a text encoder"),
        (["--encoder", "glove"], "--encoder glove: expected one of bert, xlnet"),
        (["--corpus", "mosi-mult", "--encoder", "bert"], "bert needs words, and mosi-mult has"),
        (["--longest", "1"], "--longest 1: expected 3 or more"),
        (["--aligned", "nowhere"], "nowhere/utterances.csv: cannot be read"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(project, monkeypatch, options, said):
    (project / "out.pkl").unlink(missing_ok=True)
    with pytest.raises(HyConError) as caught:
        exported(project, monkeypatch, *options)
    assert said in str(caught.value)
    assert not (project / "out.pkl").exists()
