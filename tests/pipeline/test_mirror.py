"""Real CMU-MOSI words and labels, where the mirror lies beside the checkout."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hycon.corpus.utterances import read_ragged, read_table
from hycon.params import load
from hycon.plan.tasks import AlignTask
from tests.running import run_stage

ROOT = Path(__file__).resolve().parents[2]
MIRROR = ROOT.parent / "shared" / "mirror"

pytestmark = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"NOT TESTED ON REAL DATA: no mirror of CMU-MOSI at {MIRROR}"
)


def align_with(labels, folder):
    """Align the mirror's words with one of its files of labels, in a folder."""
    params = load(ROOT, {"catalogue": {"mosi-utterance": {"files": {"labels": labels}}}})
    corpus = params.catalogue["mosi-utterance"]
    raw = folder / "raw"
    raw.mkdir()
    for file in corpus.files.values():
        (raw / file.name).symlink_to(MIRROR / file.path)
    output = folder / "aligned"
    task = AlignTask(corpus=corpus.as_input(), settings=params.align, raw=raw, output=output)
    run_stage("align", task)
    return output


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """Return the folder of the aligned corpus."""
    return align_with({}, tmp_path_factory.mktemp("own"))


def test_labels_of_another_alignment_are_noticed_and_those_of_the_words_own_are_not(
    tmp_path, capsys
):
    (tmp_path / "own").mkdir()
    align_with({}, tmp_path / "own")
    assert "boundaries cut a word" not in capsys.readouterr().err
    (tmp_path / "server").mkdir()
    # the two files as the server has them, untouched
    folder = align_with(
        {"path": "CMU-MOSI/labels/CMU_MOSI_Opinion_Labels.csd", "sha256": None},
        tmp_path / "server",
    )
    said = capsys.readouterr().err
    assert "5.3% of the segment boundaries cut a word, expected at most 4.0%" in said
    assert "take both from one source" in said
    report = json.loads((folder / "report.json").read_text())
    assert report["utterances"] == {"train": 1284, "valid": 229, "test": 686}
    assert (report["videos"], report["dropped"]) == (93, [])
    # 2,198 of 2,199 have words, as with mmsdk's own `align`; the other is of no length
    assert report["utterances without words"] == ["2WGyTLYerpo[43]"]


def test_the_folds_have_their_official_sizes(aligned):
    folds = [utterance.fold for utterance in read_table(aligned / "utterances.csv")]
    assert [folds.count(name) for name in ("train", "valid", "test")] == [1284, 229, 686]


def test_texts_and_scores_are_the_published_ones(aligned):
    table = {utterance.id: utterance for utterance in read_table(aligned / "utterances.csv")}
    first = table["03bSnISJMiM[0]"]
    assert (first.text, first.label) == ("anyhow it was really good", "2.4")
    # a segment of no length has no words and is kept, so that the test fold stays whole
    assert [key for key, utterance in table.items() if not utterance.words] == ["2WGyTLYerpo[43]"]
    # these two videos list their segments out of time order; rows follow the file
    for video in ("VbQk4H8hgr0", "d6hH302o4v8"):
        starts = [utterance.start for utterance in table.values() if utterance.video == video]
        assert starts != sorted(starts)
    for key, text, label in (
        ("VbQk4H8hgr0[44]", "and not at all original in my opinion", "-2.2"),
        ("VbQk4H8hgr0[45]", "it couldve been so much better", "-1.8"),
        ("VbQk4H8hgr0[46]", "than the second sequel was really great", "2.2"),
        ("d6hH302o4v8[24]", "made no sense", "-1.6"),
        ("d6hH302o4v8[32]", "cgi it was terrible", "-3.0"),
        ("d6hH302o4v8[33]", "i hated it", "-3.0"),
        ("d6hH302o4v8[39]", "dull", "-1.0"),
    ):
        assert (table[key].text, table[key].label) == (text, label)


def test_every_word_has_the_features_of_its_utterance(aligned):
    table = read_table(aligned / "utterances.csv")
    audio, offsets = read_ragged(aligned / "audio.npy", len(table))
    unknown = [number for number, row in enumerate(audio) if not np.isfinite(row).all()]
    assert unknown == [offsets[[u.id for u in table].index("2WGyTLYerpo[43]")]]
    inside = [
        number
        for number, (begin, end) in enumerate(pairwise(offsets))
        # the words of a segment's ends may reach into its neighbours
        if end - begin > 2 and np.ptp(audio[begin + 1 : end - 1], axis=0).max() == 0
    ]
    # and some segments overlap each other by several words
    assert len(inside) > 0.9 * sum(u.words > 2 for u in table)
