"""The shipped variants do what their names say: against the losses written out with loops."""

import itertools
from pathlib import Path

import pytest
import torch

from hycon.losses import BaselineLoss, PairSelection
from hycon.params import load
from hycon.training.objective import contrastive_loss
from tests.losses import loop_reference as loop
from tests.losses.loss_batches import draw, gradients

PARAMS = load(
    Path(__file__).resolve().parents[1],
    {
        "train": {"lambdas": {"intra": 0.3, "inter": 0.5, "semi": 0.7}, "alpha": 0.6},
        # a beta at which a batch of 7 drops pairs
        "variants": {"hycon-v2": {"train": {"selection": {"beta": 0.3, "gamma": 0.5}}}},
    },
)
CLASSES = torch.tensor([0, 1, 0, 1, 1, 0, 0])
HARDEST = PairSelection(0.3, 0.5)
ALIKE = PairSelection(0.3, 0.5, weighted=False)
# weights of IAMCL, IEMCL and SCL; alpha; selection; refinement
EXPECTED = {
    "hycon-v2": (0.3, 0.5, 0.7, 0.6, HARDEST, True),
    "hycon": (0.3, 0.5, 0.7, 0.6, None, True),
    "without-intra": (0, 0.5, 0.7, 0.6, HARDEST, True),
    "without-inter": (0.3, 0, 0.7, 0.6, HARDEST, True),
    "without-semi": (0.3, 0.5, 0, 0.6, HARDEST, True),
    "without-refinement": (0.3, 0.5, 0.7, 0.6, HARDEST, False),
    "without-margin": (0.3, 0.5, 0.7, 1.0, HARDEST, True),
    "without-weights": (0.3, 0.5, 0.7, 0.6, ALIKE, True),
}


def settings(variant):
    return PARAMS.settings("mosi", variant, "bert")


@pytest.mark.parametrize("variant", EXPECTED)
def test_value_and_gradient_are_those_of_what_is_left(variant):
    *weights, alpha, selection, refinement = EXPECTED[variant]
    x = draw(7)
    found = contrastive_loss(settings(variant).train)(x, CLASSES).total
    batch = loop.Batch(x, CLASSES)
    terms = (
        lambda: loop.intra(batch, selection, refinement),
        lambda: loop.inter(batch, alpha, selection, refinement),
        lambda: loop.semi(batch, alpha),
    )
    expected = sum(weight * term() for weight, term in zip(weights, terms, strict=True) if weight)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, x), batch.gradients(expected))


@pytest.mark.parametrize("variant", [name for name in EXPECTED if name != "hycon-v2"])
def test_every_switch_changes_value_and_gradient(variant):
    x = draw(7)
    full = contrastive_loss(settings("hycon-v2").train)(x, CLASSES).total
    found = contrastive_loss(settings(variant).train)(x, CLASSES).total
    assert abs(found - full) > 1e-4
    assert not torch.allclose(gradients(found, x)["text"], gradients(full, x)["text"], atol=1e-5)


def test_without_all_three_there_is_no_contrastive_part():
    assert contrastive_loss(settings("no-contrastive").train) is None


@pytest.mark.parametrize("variant", EXPECTED)
def test_a_variant_differs_from_the_full_model_in_its_switch_only(variant):
    full, found = settings("hycon-v2"), settings(variant)
    switches = {"lambdas", "alpha", "selection", "refinement"}
    assert found.model == full.model
    assert found.train.model_dump(exclude=switches) == full.train.model_dump(exclude=switches)


@pytest.mark.parametrize("variant", ["contrastive", "triplet", "n-pair", "supcon"])
def test_other_losses_take_the_place_of_both_with_the_same_weights(variant):
    found = contrastive_loss(settings(variant).train)
    assert isinstance(found, BaselineLoss)
    assert (found.name, found.alpha, found.weights) == (variant, 0.6, (0.3, 0.5, 0.7))
    # they have no refinement
    changed = settings(variant).train.model_copy(update={"pair_loss": "hycon", "refinement": True})
    assert changed == settings("hycon").train


SWITCHES = [
    dict(zip(("intra", "inter", "semi"), weights, strict=True), pair_loss=loss, refinement=refined)
    for weights in itertools.product((0.0, 0.4), repeat=3)
    for loss, refined in (("hycon", True), ("hycon", False), ("supcon", True))
]
OTHER = {
    "alpha": 0.2,
    "refinement": None,  # the opposite
    "similarity": "nonnegative",
    "classes": "polarity",
    "pair_loss": "triplet",
    "selection": {"beta": 0.3, "gamma": 0.2, "weighted": True},
}


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
@pytest.mark.parametrize("key", OTHER)
def test_a_key_is_unused_exactly_where_another_value_changes_neither_loss_nor_parameters(
    switches, key
):
    def row(**changes):
        lambdas = {name: switches[name] for name in ("intra", "inter", "semi")}
        train = {"lambdas": lambdas, "selection": None, "alpha": 0.6, "similarity": "shifted",
                 "classes": "sign", "pair_loss": switches["pair_loss"],
                 "refinement": switches["refinement"]}  # fmt: skip
        return PARAMS.model_copy(
            update={"train": type(PARAMS.train).model_validate(
                PARAMS.train.model_dump() | train | changes)}
        ).settings("sample", "hycon", "glove").train  # fmt: skip

    x, before = draw(7), row()
    if key == "selection" and switches["pair_loss"] != "hycon":
        assert key in before.unused_keys()  # refused beside another loss
        return
    after = row(**{key: OTHER[key] if key != "refinement" else not switches["refinement"]})
    unused = key in before.unused_keys()
    assert (before == after) == unused
    if any(before.lambdas.model_dump().values()) and key != "classes":
        totals = [contrastive_loss(options)(x, CLASSES).total for options in (before, after)]
        assert torch.equal(*totals) == unused


@pytest.mark.parametrize(
    "fusion", ["concatenation", "multiplication", "tensor", "low-rank", "graph"]
)
def test_fusion_variants_change_the_fusion_only(fusion):
    full, found = settings("hycon-v2"), settings(fusion)
    rank = PARAMS.model.rank if fusion == "low-rank" else None
    assert found.model == full.model.model_copy(update={"fusion": fusion, "rank": rank})
    assert found.train == full.train
