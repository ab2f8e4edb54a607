"""The fused pass has the values and gradients of the readable losses, for all settings."""

import itertools

import pytest
import torch

from hycon.losses import (
    HybridContrastiveLoss,
    PairSelection,
    inter_modal,
    intra_modal,
    semi_contrastive,
    similarities,
)
from hycon.losses.fused import FusedSimilarities

SELECTIONS = (
    None,
    PairSelection(0.5, 1.0),
    PairSelection(0.1, 0.1),
    PairSelection(1.0, 0.1, weighted=False),
)
SETTINGS = list(
    itertools.product(SELECTIONS, (True, False), ("shifted", "nonnegative"), (0.0, 0.8, 1.0))
)


def batch(seed, utterances=9, classes=3, modalities=("text", "audio", "vision")):
    generator = torch.Generator().manual_seed(seed)
    x = {
        name: torch.randn(utterances, 5, generator=generator, dtype=torch.float64).requires_grad_()
        for name in modalities
    }
    return x, torch.randint(classes, (utterances,), generator=generator)


@pytest.mark.parametrize(("selection", "refinement", "similarity", "alpha"), SETTINGS)
def test_values_and_gradients_are_those_of_the_readable_losses(
    selection, refinement, similarity, alpha
):
    for seed, (utterances, classes) in enumerate([(9, 3), (6, 1), (4, 9), (2, 2), (1, 1)]):
        x, labels = batch(seed, utterances, classes)
        fused = HybridContrastiveLoss(alpha, (0.2, 0.3, 0.5), selection, refinement, similarity)
        total, *parts = fused(x, labels)
        readable = (
            intra_modal(x, labels, selection, refinement, similarity),
            inter_modal(x, labels, alpha, selection, refinement, similarity),
            semi_contrastive(x, alpha, similarity),
        )
        torch.testing.assert_close(parts, list(readable))
        expected = torch.autograd.grad(
            0.2 * readable[0] + 0.3 * readable[1] + 0.5 * readable[2], list(x.values())
        )
        found = torch.autograd.grad(total, list(x.values()))
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("similarity", ["shifted", "nonnegative"])
def test_fused_similarities_are_the_plain_ones(similarity):
    x, _ = batch(1)
    plain, fused = similarities(x, similarity), FusedSimilarities.apply(similarity, *x.values())
    torch.testing.assert_close(plain, fused)
    weights = torch.randn(plain.shape, dtype=plain.dtype)
    torch.testing.assert_close(
        torch.autograd.grad((plain * weights).sum(), list(x.values())),
        torch.autograd.grad((fused * weights).sum(), list(x.values())),
    )


@pytest.mark.parametrize("similarity", ["shifted", "nonnegative"])
@pytest.mark.parametrize("loss", ["intra", "inter", "semi"])
def test_the_readable_losses_have_second_derivatives(loss, similarity):
    x, classes = batch(2, utterances=4, classes=2, modalities=("text", "audio"))
    functions = {
        "intra": lambda x: intra_modal(x, classes, similarity=similarity),
        "inter": lambda x: inter_modal(x, classes, 0.8, similarity=similarity),
        "semi": lambda x: semi_contrastive(x, 0.8, similarity),
    }

    def of_tensors(*tensors):
        return functions[loss](dict(zip(x, tensors, strict=True)))

    assert torch.autograd.gradgradcheck(of_tensors, tuple(x.values()))
