"""What control rows show, and the warning where all modalities add nothing to the best alone."""

import pytest

from hycon.params import load
from hycon.reporting.controls import conditions, has_one_modality, warning
from tests.reporting.scored_rows import scored_row
from tests.test_params import ROOT

PARAMS = load(ROOT)
MOSI, IEMOCAP = PARAMS.catalogue["mosi"], PARAMS.catalogue["iemocap-utterance"]
ALL = ["text", "audio", "vision"]


def settings(modalities, lambdas=0.0, shuffled=()):
    return {
        "model": {"modalities": modalities},
        "train": {"lambdas": {"intra": lambdas}, "shuffled": list(shuffled)},
    }


@pytest.fixture
def scored(tmp_path):
    """Return a function that writes the scores of a row, a seed for each value."""

    def write(values, modalities, metric="mae_all", encoder="BERT", **more):
        name = f"row-{len(list(tmp_path.iterdir()))}"
        seeds = {str(seed): {"test": {metric: value}} for seed, value in enumerate(values)}
        content = {"settings": settings(modalities, **more)}
        return scored_row(tmp_path / name / "scores.json", seeds, content, encoder=encoder)

    return write


@pytest.fixture
def alone(scored):
    return [scored([0.85, 0.86, 0.87], ["text"]), scored([1.4, 1.41, 1.4], ["audio"])]


def warned(rows, corpus=MOSI):
    return warning(rows, corpus, PARAMS.inference)


def test_a_worse_whole_is_called_worse_with_its_difference(scored, alone):
    found = warned([scored([0.90, 0.89, 0.91], ALL), *alone])
    assert found.startswith(
        "WARNING: text, audio and vision together against text alone: worse, not better (MAE all "
        "+0.040 ["
    )
    assert "3 seeds, p .02" in found


def test_a_whole_that_could_be_better_by_chance_is_undecided(scored, alone):
    assert ": undecided, not better" in warned([scored([0.80, 0.90, 0.85], ALL), *alone])


def test_a_better_whole_needs_no_warning(scored, alone):
    assert warned([scored([0.75, 0.77, 0.76], ALL), *alone]) == ""


def test_higher_accuracy_is_better_and_the_corpus_says_what_all_are(scored):
    alone = [scored([0.60, 0.61], ["audio"], "acc"), scored([0.57, 0.58], ["text"], "acc")]
    assert warned([scored([0.70, 0.7101], ["text", "audio"], "acc"), *alone], IEMOCAP) == ""
    worse = scored([0.58, 0.60], ["text", "audio"], "acc")
    assert "text and audio together against audio alone: " in warned([worse, *alone], IEMOCAP)


def test_rows_of_other_text_encoders_are_not_mixed(scored, alone):
    whole = scored([0.90, 0.89, 0.91], ALL)
    other = scored([0.5, 0.51, 0.52], ALL, encoder="GloVe")
    assert "worse, not better" in warned([other, whole, *alone])


@pytest.mark.parametrize(
    "more",
    [
        {"lambdas": 0.1},
        {"shuffled": ["audio"]},
        {"modalities": None},  # a peer
    ],
)
def test_rows_with_contrastive_learning_shuffled_ones_and_peers_do_not_count(scored, alone, more):
    best = scored([0.1, 0.1, 0.1], **{"modalities": ["text"], **more})
    assert warned([scored([0.75, 0.77, 0.76], ALL), best, *alone]) == ""


def test_without_controls_there_is_nothing_to_say(scored, alone):
    assert warned([scored([0.9, 0.9], ALL)]) == ""
    assert warned(alone) == ""


def test_one_seed_shows_nothing(scored):
    found = warned([scored([0.5], ALL), scored([0.9], ["text"])])
    assert "undecided, not better (MAE all -0.400, 1 seed)" in found


def test_each_modality_is_compared_with_a_constant(scored, alone):
    rows = [*alone, scored([1.40, 1.48, 1.44], ["vision"]), scored([1.45, 1.45, 1.45], [])]
    found = conditions(rows, MOSI, PARAMS.inference)
    assert [(each.words, each.verdict, each.met) for each in found.informative] == [
        ("text alone against a constant", "better", True),
        ("audio alone against a constant", "better", True),
        ("vision alone against a constant", "undecided", False),
    ]
    assert found.together is None


def test_a_contrastive_row_of_one_modality_is_named():
    assert has_one_modality({"settings": settings(["text"], 0.1)})
    assert not has_one_modality({"settings": settings(["text"])})
    assert not has_one_modality({"settings": settings(ALL, 0.1)})
