import itertools

import pytest
import torch

from hycon.losses import (
    HybridContrastiveLoss,
    PairSelection,
    inter_modal,
    intra_modal,
    semi_contrastive,
)
from tests.losses.loss_batches import draw, gradients

CLASSES = torch.tensor([0, 1, 0, 1, 1])
WEIGHTS = {"intra": 0.3, "inter": 0.5, "semi": 2.0}
SETTINGS = {"selection": PairSelection(0.5, 0.4), "refinement": True, "similarity": "nonnegative"}


def parts(x):
    """The three losses, each by its own function."""
    return {
        "intra": intra_modal(x, CLASSES, **SETTINGS),
        "inter": inter_modal(x, CLASSES, 0.7, **SETTINGS),
        "semi": semi_contrastive(x, 0.7, SETTINGS["similarity"]),
    }


def hybrid(**weights):
    return HybridContrastiveLoss(0.7, tuple(weights.values()), **SETTINGS)


def test_the_parts_are_the_three_losses_unweighted():
    x = draw(5)
    loss = hybrid(**WEIGHTS)(x, CLASSES)
    for name, part in parts(x).items():
        torch.testing.assert_close(getattr(loss, name), part)


@pytest.mark.parametrize("on", [*itertools.product([True, False], repeat=3)], ids=str)
def test_a_weight_of_zero_removes_its_part_from_value_and_gradient(on):
    weights = {name: w * o for (name, w), o in zip(WEIGHTS.items(), on, strict=True)}
    x = draw(5)
    loss = hybrid(**weights)(x, CLASSES)
    # The parts by themselves, only those that are on
    expected = sum(weights[name] * part for name, part in parts(x).items() if weights[name])
    if not any(on):
        assert loss.total.item() == 0
        assert not loss.total.requires_grad
        return
    torch.testing.assert_close(loss.total, expected)
    torch.testing.assert_close(gradients(loss.total, x), gradients(expected, x))


def test_a_part_with_weight_zero_is_a_value_without_a_gradient():
    x = draw(5)
    loss = hybrid(**{**WEIGHTS, "inter": 0})(x, CLASSES)
    torch.testing.assert_close(loss.inter, parts(x)["inter"].detach())
    assert not loss.inter.requires_grad
    assert loss.intra.requires_grad
    assert loss.semi.requires_grad


@pytest.mark.parametrize("off", WEIGHTS)
def test_a_part_that_is_off_cannot_spoil_the_total(off, monkeypatch):
    parts = torch.tensor([torch.nan if name == off else 1.0 for name in WEIGHTS])
    monkeypatch.setattr("hycon.losses.hybrid.contrastive_terms", lambda *_: parts)
    loss = hybrid(**{**WEIGHTS, off: 0})(draw(5), CLASSES)
    assert getattr(loss, off).isnan()
    assert loss.total.isfinite()


def test_a_representation_that_is_not_a_number_is_not_hidden():
    for selection in (None, PairSelection(0.5, 1.0)):
        x = {m: v.detach() for m, v in draw(5).items()}
        x["audio"][1, 2] = torch.nan
        loss = HybridContrastiveLoss(0.8, selection=selection)(x, CLASSES)
        assert loss.total.isnan()


def test_the_default_weights_are_a_tenth_each():
    loss = HybridContrastiveLoss(0.8)(draw(5), CLASSES)
    torch.testing.assert_close(loss.total, 0.1 * (loss.intra + loss.inter + loss.semi))


def test_it_has_no_parameters_and_no_state():
    loss = HybridContrastiveLoss(0.8)
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}


def test_its_repr_names_the_settings():
    loss = HybridContrastiveLoss(0.8, (1, 0, 0.1), PairSelection(0.5, 1.0), refinement=False)
    assert repr(loss) == (
        "HybridContrastiveLoss(alpha=0.8, weights=(1, 0, 0.1), selection=PairSelection(beta=0.5, "
        "gamma=1.0, weighted=True), refinement=False, similarity='shifted')"
    )


@pytest.mark.parametrize(
    "weights", [(0.1, -0.1, 0.1), (0.1, float("inf"), 0), (float("nan"), 0, 0)]
)
def test_weights_that_are_negative_or_not_finite_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be finite and at least 0, found"):
        HybridContrastiveLoss(0.8, weights)


@pytest.mark.parametrize("weights", [(), (0.1, 0.1), (0.1,) * 4])
def test_a_wrong_number_of_weights_is_refused(weights):
    with pytest.raises(ValueError, match=rf"three \(intra, inter, semi\), found {len(weights)}"):
        HybridContrastiveLoss(0.8, weights)


def test_wrong_settings_are_refused_before_any_batch():
    with pytest.raises(ValueError, match="alpha"):
        HybridContrastiveLoss(1.2)
    with pytest.raises(ValueError, match="similarity must be"):
        HybridContrastiveLoss(0.8, similarity="dot")


def test_wrong_classes_are_refused():
    with pytest.raises(ValueError, match=r"classes must have shape \(5,\), not \(4,\)"):
        HybridContrastiveLoss(0.8)(draw(5), CLASSES[:4])
