"""Every loss against the loops of `loop_reference`: value and gradient, over all the settings."""

from functools import cache

import pytest
import torch

from hycon.losses import (
    HybridContrastiveLoss,
    Modification,
    PairSelection,
    inter_modal,
    intra_modal,
    semi_contrastive,
)
from tests.losses import loop_reference
from tests.losses.loss_batches import draw, gradients

similarity = pytest.mark.parametrize("similarity", ["shifted", "nonnegative"])
alpha = pytest.mark.parametrize("alpha", [0.0, 0.8, 1.0])
refinement = pytest.mark.parametrize("refinement", [True, False], ids=["refined", "unrefined"])
dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
classes = pytest.mark.parametrize(
    "classes",
    [
        (0, 1, 0, 1, 1),
        pytest.param((4, -2, 4, 4, 7), id="two alone in their class"),
        (0, 1, 2, 2, 1, 0),
    ],
    ids=str,
)
selection = pytest.mark.parametrize(
    "selection",
    [
        None,
        PairSelection(0.5, 1.0, weighted=False),
        PairSelection(0.5, 1.0),
        pytest.param(PairSelection(0.2, 0.1), id="hardest one"),
    ],
    ids=str,
)


@dtype
@alpha
@similarity
@classes
def test_semi_contrastive_is_the_loop(classes, similarity, alpha, dtype):
    check(
        lambda x, _: semi_contrastive(x, alpha, similarity),
        looped(loop_reference.semi, classes, similarity, alpha),
        classes,
        dtype,
    )


@dtype
@refinement
@selection
@similarity
@classes
def test_intra_modal_is_the_loop(classes, similarity, selection, refinement, dtype):
    check(
        lambda x, c: intra_modal(x, c, selection, refinement, similarity),
        looped(loop_reference.intra, classes, similarity, selection, refinement),
        classes,
        dtype,
    )


@dtype
@pytest.mark.parametrize(
    ("refinement", "alpha"), [(True, 0.0), (True, 0.8), (True, 1.0), (False, 0.8)]
)
@selection
@similarity
@classes
def test_inter_modal_is_the_loop(classes, similarity, selection, refinement, alpha, dtype):
    check(
        lambda x, c: inter_modal(x, c, alpha, selection, refinement, similarity),
        looped(loop_reference.inter, classes, similarity, alpha, selection, refinement),
        classes,
        dtype,
    )


@dtype
@refinement
@selection
@similarity
def test_the_hybrid_total_is_the_loop(similarity, selection, refinement, dtype):
    classes, alpha, weights = (0, 1, 0, 1, 1), 0.7, (0.3, 0.5, 2.0)
    loss = HybridContrastiveLoss(alpha, weights, selection, refinement, similarity)
    check(
        lambda x, c: loss(x, c).total,
        looped(loop_reference.hybrid, classes, similarity, alpha, weights, selection, refinement),
        classes,
        dtype,
    )


@selection
@similarity
@classes
@pytest.mark.parametrize(
    "changes",
    [{"power": 3.0}, {"power": 0.5}, {"logarithm": True}, {"centred": True},
     {"power": 2.0, "logarithm": True, "centred": True}],
    ids=str,
)  # fmt: skip
def test_modified_losses_are_the_loop(changes, classes, similarity, selection):
    weights = (0.3, 0.5, 0.0)
    loss = HybridContrastiveLoss(
        0.7, weights, selection, similarity=similarity, modification=Modification(**changes)
    )
    batch = loop_reference.Batch(draw(len(classes)), classes, similarity, **changes)
    value = loop_reference.hybrid(batch, 0.7, weights, selection)
    check(lambda x, c: loss(x, c).total, (value, batch.gradients(value)), classes, torch.float64)


def test_a_modified_loss_of_one_modality_has_no_pairs_across_modalities():
    loss = HybridContrastiveLoss(0.7, modification=Modification(logarithm=True))
    x = {"text": draw(4)["text"]}
    found = loss(x, torch.tensor([0, 1, 0, 1]))
    assert found.intra > 0
    assert found.inter == found.semi == 0
    assert "modification=Modification(power=1.0, logarithm=True" in repr(loss)


@pytest.mark.parametrize("power", [0, -1.0, float("inf"), float("nan")])
def test_a_power_that_is_not_above_0_is_refused(power):
    with pytest.raises(ValueError, match="power must be greater than 0 and finite"):
        Modification(power=power)


@pytest.mark.parametrize("loop", [loop_reference.intra, loop_reference.inter])
def test_the_gradient_through_the_weights_would_be_another_one(loop):
    # Without this, the agreement with the loops would not show that the weights are detached.
    batch = loop_reference.Batch(draw(5), (0, 1, 0, 1, 1))
    settings = {"selection": PairSelection(0.5, 0.1)}
    if loop is loop_reference.inter:
        settings["alpha"] = 0.8
    stopped = batch.gradients(loop(batch, **settings))
    flowing = batch.gradients(loop(batch, **settings, stop_gradient=False))
    assert all((stopped[m] - flowing[m]).abs().max() > 1e-3 for m in stopped)


def check(loss, expected, classes, dtype):
    """Assert that a loss, and its gradients, are the expected ones."""
    value, value_gradients = expected
    x = draw(len(classes), dtype=dtype)
    found = loss(x, torch.tensor(classes))
    assert found.shape == ()
    assert found.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 5e-6}[dtype]
    close = {"rtol": 0, "atol": tolerance, "check_dtype": False}
    torch.testing.assert_close(found, value, **close)
    torch.testing.assert_close(gradients(found, x), value_gradients, **close)


@cache
def looped(loop, classes, similarity, *settings):
    """Value and gradients of a loop, computed once for all dtypes."""
    batch = batch_of(classes, similarity)
    loss = loop(batch, *settings)
    return loss.detach(), batch.gradients(loss)


@cache
def batch_of(classes, similarity):
    return loop_reference.Batch(draw(len(classes)), classes, similarity)
