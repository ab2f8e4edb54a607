"""The warning where all modalities together are not better than the best alone."""

import json

import pytest

from hycon.params import load
from hycon.plan.tasks import PageCorpus, PageRow, ScoredRow
from hycon.reporting import report
from hycon.reporting.controls import has_one_modality, warning
from hycon.reporting.run_records import RowRecord
from tests.test_params import ROOT

CATALOGUE = load(ROOT).catalogue
MOSI, IEMOCAP = CATALOGUE["mosi"], CATALOGUE["iemocap-utterance"]
ALL = ["text", "audio", "vision"]


def scored(values, modalities, metric="mae_all", lambdas=0.0, shuffled=()):
    """Return the scores of a row, a seed for each value."""
    return {
        "settings": {
            "model": {"modalities": modalities},
            "train": {"lambdas": {"intra": lambdas}, "shuffled": list(shuffled)},
        },
        "seeds": {str(seed): {"test": {metric: value}} for seed, value in enumerate(values)},
    }


ALONE = [scored([0.85, 0.86, 0.87], ["text"]), scored([1.4, 1.4, 1.4], ["audio"])]


def test_a_worse_whole_is_called_not_better_with_both_numbers():
    found = warning([scored([0.90, 0.89, 0.91], ALL), *ALONE], MOSI)
    assert found.startswith(
        "WARNING: text, audio and vision together (MAE 0.900) are not better than text alone "
        "(0.860; 3 seeds, p = "
    )


def test_a_whole_that_could_be_better_by_chance_is_not_shown_to_be():
    found = warning([scored([0.80, 0.90, 0.85], ALL), *ALONE], MOSI)
    assert "are not shown to be better than text alone" in found


def test_a_better_whole_needs_no_warning():
    assert warning([scored([0.75, 0.77, 0.76], ALL), *ALONE], MOSI) == ""


def test_higher_accuracy_is_better_and_the_corpus_says_what_all_are():
    alone = [scored([0.60, 0.61], ["audio"], "acc"), scored([0.57, 0.58], ["text"], "acc")]
    both = scored([0.70, 0.7101], ["text", "audio"], "acc")
    assert warning([both, *alone], IEMOCAP) == ""
    worse = scored([0.58, 0.60], ["text", "audio"], "acc")
    assert "text and audio together (accuracy 0.590) are not better than audio alone" in warning(
        [worse, *alone], IEMOCAP
    )


@pytest.mark.parametrize(
    "more",
    [
        {"lambdas": 0.1},
        {"shuffled": ["audio"]},
        {"modalities": None},  # a peer
    ],
)
def test_rows_with_contrastive_learning_shuffled_ones_and_peers_do_not_count(more):
    best = scored([0.1, 0.1, 0.1], **{"modalities": ["text"], **more})
    assert warning([scored([0.75, 0.77, 0.76], ALL), best, *ALONE], MOSI) == ""


def test_without_controls_there_is_nothing_to_say():
    assert warning([scored([0.9, 0.9], ALL)], MOSI) == ""
    assert warning(ALONE, MOSI) == ""
    assert warning([{"seeds": {}}], MOSI) == ""


def test_one_seed_shows_nothing():
    found = warning([scored([0.5], ALL), scored([0.9], ["text"])], MOSI)
    assert "are not shown to be better than text alone (0.900; 1 seed)" in found


def test_a_contrastive_row_of_one_modality_is_named():
    assert has_one_modality(scored([1.0], ["text"], lambdas=0.1))
    assert not has_one_modality(scored([1.0], ["text"]))
    assert not has_one_modality(scored([1.0], ALL, lambdas=0.1))


def test_the_page_has_the_warning_at_its_top(tmp_path):
    rows = []
    for name, values, modalities in (("all", [0.9, 0.9], ALL), ("text", [0.8, 0.8], ["text"])):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(scored(values, modalities)))
        row = ScoredRow(row=name, model=name, encoder="E", scores=path, parameters_digest="")
        rows.append(PageRow(row=row, experiment="main"))
    part = PageCorpus(key="mosi", corpus=MOSI, tables=[], figures=[], rows=rows)
    records = [RowRecord(row.row.row, "", "", scored([1.0], names)["settings"], "", {}, [])
               for row, names in zip(rows, (ALL, ["text"]), strict=True)]  # fmt: skip
    assert report._warning(part, records).startswith(
        "CMU-MOSI: WARNING: text, audio and vision together"
    )
    template = (report.PAGE / "report.html.jinja").read_text()
    assert template.index("for warning in warnings") < template.index('id="overview"')
