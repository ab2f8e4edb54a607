from math import exp

import pytest
import torch

from hycon.losses import PairSelection, inter_modal
from tests.losses.loss_batches import draw
from tests.losses.loss_example import CLASSES, X

# The example's anchors that have a positive are 0 and 1; each has two positives, two negatives.
#   anchor      t0      t1       a0      a1      v0       v1
#   positives   1  .5   .9  .98  .9  0   1  .9   .98 .9   .5  0
#   negatives   0  .8   .2  1    1   .9  .5 .8   .8  .1   0   .5
RATIOS = (1.5 / 2.3 + 1.88 / 3.08 + 0.9 / 2.8 + 1.9 / 3.2 + 1.88 / 2.78 + 0.5 / 1.0) / 6
# (s - 0.8)^2 of the positives, halved per anchor
REFINEMENT = (0.13 + 0.0424 + 0.65 + 0.05 + 0.0424 + 0.73) / 2 / 6


def test_the_example_worked_out_by_hand():
    loss = inter_modal(X, CLASSES, alpha=0.8)
    assert loss.item() == pytest.approx(REFINEMENT - RATIOS, abs=1e-12)


def test_the_example_without_refinement():
    loss = inter_modal(X, CLASSES, alpha=0.8, refinement=False)
    assert loss.item() == pytest.approx(-RATIOS, abs=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_the_example_with_the_hardest_pair_of_each_kind(weighted):
    # K beta = 1.2: h = 1, the lowest positive and the highest negative; a single pair has weight 1.
    ratios = 0.5 / 1.3 + 0.9 / 1.9 + 0.0 + 0.9 / 1.7 + 0.9 / 1.7 + 0.0
    refinement = 0.09 + 0.01 + 0.64 + 0.01 + 0.01 + 0.64
    loss = inter_modal(X, CLASSES, alpha=0.8, selection=PairSelection(0.4, 1.0, weighted))
    assert loss.item() == pytest.approx((refinement - ratios) / 6, abs=1e-12)


def test_the_example_with_weights():
    # K beta = 2.1: h = 2, all pairs of each kind; the refinement stays unweighted.
    gamma = 0.5
    pairs = [
        ((1, 0.5), (0, 0.8)),
        ((0.9, 0.98), (0.2, 1)),
        ((0.9, 0), (1, 0.9)),
        ((1, 0.9), (0.5, 0.8)),
        ((0.98, 0.9), (0.8, 0.1)),
        ((0.5, 0), (0, 0.5)),
    ]
    ratios = 0
    for (p, q), (m, n) in pairs:
        u, v = exp(1 / (p + gamma)), exp(1 / (q + gamma))
        pull = (p * u + q * v) / (u + v)
        push = (m * exp(m) + n * exp(n)) / (exp(m) + exp(n))
        ratios += pull / (pull + push)
    loss = inter_modal(X, CLASSES, alpha=0.8, selection=PairSelection(0.7, gamma))
    assert loss.item() == pytest.approx(REFINEMENT - ratios / 6, abs=1e-12)


def test_the_refinement_aims_at_the_margin():
    x, classes = draw(4), torch.tensor([0, 0, 1, 1])

    def refinement(alpha):
        return inter_modal(x, classes, alpha) - inter_modal(x, classes, alpha, refinement=False)

    # The mean of (s - alpha)^2 is alpha^2 plus a line: its values at 0 and 1 determine all others.
    zero, one = refinement(0.0), refinement(1.0)
    torch.testing.assert_close(refinement(0.3), 0.7 * zero + 0.3 * one - 0.3 * 0.7)


def test_no_pair_is_within_a_modality_nor_within_an_utterance():
    # All nine are orthogonal; then two are made equal, which changes the similarity of that pair
    # alone.
    x = {m: torch.eye(9, dtype=torch.float64)[3 * i : 3 * i + 3] for i, m in enumerate(X)}
    classes = torch.tensor([0, 0, 0])
    alone = inter_modal(x, classes, alpha=0.5)

    def with_alike(first, second):
        moved = {m: v.clone() for m, v in x.items()}
        moved[second[0]][second[1]] = moved[first[0]][first[1]]
        return inter_modal(moved, classes, alpha=0.5)

    assert with_alike(("text", 0), ("text", 1)) == alone
    assert with_alike(("text", 0), ("audio", 0)) == alone
    assert with_alike(("text", 0), ("audio", 1)) > alone


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_a_margin_outside_zero_to_one_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha, the modality margin, must be in \[0, 1\], not"):
        inter_modal(draw(2), torch.tensor([0, 1]), alpha)
