"""Sweeps: variants under several conditions, their rows, and the figure of effects."""

import pytest

from hycon.errors import HyConError
from hycon.params import load, swept_name
from hycon.plan.figures import figures
from hycon.plan.planner import Plan
from hycon.plan.tables import reference_pairs
from tests.test_params import ROOT

LABELS = {"label": "share of the labels", "keys": ["train.labelled"], "values": [0.1, 0.5]}
LAMBDAS = {
    "label": "lambda",
    "keys": [f"train.lambdas.{name}" for name in ("intra", "inter", "semi")],
    "values": [0.1, 1],
}
NOISE = {"label": "noise", "keys": ["train.noise"], "values": [2]}


def overlay(sweeps, **changes):
    experiment = {
        "title": "Map", "encoders": ["bert", "glove"],
        "variants": ["hycon-v2", "no-contrastive", "text-only"], "reference": "no-contrastive",
        "alone": "text-only", "sweeps": sweeps, **changes,
    }  # fmt: skip
    return {"experiments": {"map": experiment}}


def plan(**sweeps):
    return Plan(load(ROOT, overlay(sweeps)), [])


def points(found, panel):
    return {each.x: each.rows for each in found.conditions("sample", "map") if each.panel == panel}


def test_every_variant_has_a_row_at_every_value_and_is_compared_there():
    found = plan(labels=LABELS)
    at = points(found, "share of the labels")
    assert list(at) == [0.1, 0.5, 1.0]
    assert at[0.1]["hycon-v2"] == "hycon-v2-labels-1-bert"
    assert at[1.0]["hycon-v2"] == "hycon-v2-bert"
    for share, rows in at.items():
        for row in rows.values():
            assert found.settings("sample", row).train.labelled == share
    pairs = [(each.row.row, each.reference.row) for each in reference_pairs(found, "sample", "map")]
    assert ("hycon-v2-labels-1-bert", "no-contrastive-labels-1-bert") in pairs
    assert ("hycon-v2-glove", "no-contrastive-glove") in pairs
    assert len(pairs) == len(set(pairs)) == 4
    assert set(found.rows_of("sample", "map")) >= {row for each in at.values()
                                                   for row in each.values()}  # fmt: skip
    assert found.params.variants["hycon-v2-labels-1"].label == "HyCon-v2, share of the labels 0.1"


def test_what_a_corpus_changes_of_a_variant_it_changes_at_every_value():
    own = {"hycon-v2": {"train": {"alpha": 0.3}}, "text-only": {"train": {"epochs": 3}}}
    changes = {"per_corpus": {"sample": {"variants": own}}}
    found = Plan(load(ROOT, {**overlay({"labels": LABELS}), **changes}), [])
    for rows in points(found, "share of the labels").values():
        assert found.settings("sample", rows["hycon-v2"]).train.alpha == 0.3
        assert found.settings("sample", rows["text-only"]).train.epochs == 3
        assert found.settings("mosi", rows["hycon-v2"]).train.alpha == 0.8


def test_text_encoders_are_a_condition_too():
    at = points(plan(labels=LABELS), "text encoder")
    assert at == {
        label: {name: f"{name}-{encoder}" for name in ("hycon-v2", "no-contrastive", "text-only")}
        for label, encoder in (("tiny BERT", "bert"), ("GloVe", "glove"))
    }


def test_what_a_value_does_not_change_is_the_unchanged_row():
    found = plan(lambdas=LAMBDAS, noise=NOISE)
    at = points(found, "lambda")
    assert list(at) == [0.1, 1.0, 10.0]  # 10 is what params.yaml has for the sample
    assert {rows["no-contrastive"] for rows in at.values()} == {"no-contrastive-bert"}
    assert found.settings("sample", at[0.1]["hycon-v2"]).train.lambdas.semi == 0.1
    noisy = points(found, "noise")[2.0]
    assert noisy["text-only"] == "text-only-bert"
    assert noisy["no-contrastive"] == "no-contrastive-noise-1-bert"
    rows = found.rows_of("sample", "map")
    assert "no-contrastive-lambdas-1-bert" not in rows
    assert "text-only-noise-1-bert" not in rows


def test_a_value_comes_before_what_the_variant_changes_itself():
    changes = {"variants": {"hycon-v2": {"train": {"alpha": 0.7}}}}
    sweep = {"label": "alpha", "keys": ["train.alpha"], "values": [0.2]}
    found = Plan(load(ROOT, overlay({"alpha": sweep}) | changes), [])
    assert points(found, "alpha") == {
        0.7: {name: f"{name}-bert" for name in ("hycon-v2", "no-contrastive", "text-only")}
    }


def test_there_is_one_figure_of_effects_instead_of_forests_of_many_rows():
    found = figures(plan(labels=LABELS), "sample")
    names = [name for name in found if name.startswith("map-")]
    assert names == ["map-effects-bert"]
    figure = found["map-effects-bert"]
    assert figure.reference == "No contrastive learning"
    assert figure.alone == "Text"
    assert {each.variant for each in figure.points} == {"HyCon-v2"}
    job = plan(labels=LABELS).job("figures", "sample/map-effects-bert")
    assert "results/runs/sample/text-only-labels-2-bert/scores.json" in job.reads


def test_words_are_points_without_an_order():
    sweep = {"label": "classes", "keys": ["train.classes"], "values": ["seven", "polarity"]}
    assert list(points(plan(classes=sweep), "classes")) == ["sign", "seven", "polarity"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference": None}, "sweeps compare with `reference`, which is none of `variants`"),
        ({"alone": "audio-only"}, "alone: audio-only is none of `variants`"),
        ({"sweeps": {"a": {**LABELS, "values": [2]}}}, "found 2"),
        ({"sweeps": {"a": {**LABELS, "keys": ["train.alpah"]}}}, "alpah"),
        ({"sweeps": {"a": {**LABELS, "keys": ["corpora"]}}}, "keys"),
        ({"sweeps": {"a": {"keys": ["train.alpha"], "values": [1]}}}, "label: missing"),
    ],
    ids=str,
)
def test_sweeps_that_cannot_be_are_refused(changes, words):
    given = overlay({"labels": LABELS})
    given["experiments"]["map"] |= changes
    with pytest.raises(HyConError) as error:
        load(ROOT, given)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_name_that_is_taken_is_refused():
    given = overlay({"labels": LABELS})
    given["variants"] = {swept_name("hycon-v2", "labels", 1): {"label": "mine"}}
    with pytest.raises(HyConError, match="hycon-v2-labels-1 exists already; rename the sweep"):
        load(ROOT, given)


@pytest.mark.parametrize("variants", [["no-contrastive"], ["hycon-v2", "shuffled-vision"]])
def test_without_a_row_to_compare_there_are_no_conditions(variants):
    given = overlay({"labels": LABELS}, variants=variants, reference=variants[-1], alone=None)
    found = Plan(load(ROOT, given), [])
    corpus = "iemocap-utterance" if len(variants) > 1 else "sample"  # it has no vision
    assert found.conditions(corpus, "map") == []
    assert reference_pairs(found, corpus, "map") == []
