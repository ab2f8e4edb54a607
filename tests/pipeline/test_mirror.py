"""Real CMU-MOSI words and labels, where the mirror lies beside the checkout."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hycon.corpus.utterances import read_offsets, read_rows, read_table
from hycon.params import load
from hycon.stages import align

ROOT = Path(__file__).resolve().parents[2]
MIRROR = ROOT.parent / "shared" / "mirror"

pytestmark = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"NOT TESTED ON REAL DATA: no mirror of CMU-MOSI at {MIRROR}"
)


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """Return the folder of the aligned corpus."""
    params = load(ROOT)
    corpus = params.catalogue["mosi-utterance"]
    raw, folder = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("aligned")
    for file in corpus.files.values():
        (raw / file.name).symlink_to(MIRROR / file.path)
    options = {
        "--corpus": corpus.as_json(),
        "--settings": params.align.as_json(),
        "--raw": str(raw),
        "--output": str(folder),
    }
    align.main([part for option in options.items() for part in option])
    return folder


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


def test_every_word_has_the_features_of_its_utterance(aligned):
    table = read_table(aligned / "utterances.csv")
    offsets = read_offsets(aligned / "offsets.npy", len(table))
    audio = read_rows(aligned / "audio.npy", offsets[-1])
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
