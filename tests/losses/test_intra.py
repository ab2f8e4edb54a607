from math import exp

import pytest
import torch

from hycon.losses import PairSelection, intra_modal
from tests.losses.loss_batches import draw
from tests.losses.loss_example import CLASSES, X

# The example's anchors that have a positive are 0 and 1; each has one positive and one negative.
#   anchor     t0   t1   a0   a1   v0   v1
#   positive   .8   .8   .5   .5   .2   .2
#   negative   .5   .9   .5   0    .98  .1
RATIOS = (0.8 / 1.3 + 0.8 / 1.7 + 0.5 / 1.0 + 0.5 / 0.5 + 0.2 / 1.18 + 0.2 / 0.3) / 6
REFINEMENT = (0.04 + 0.25 + 0.64) / 3


def test_the_example_worked_out_by_hand():
    assert intra_modal(X, CLASSES).item() == pytest.approx(REFINEMENT - RATIOS, abs=1e-12)


def test_the_example_without_refinement():
    loss = intra_modal(X, CLASSES, refinement=False)
    assert loss.item() == pytest.approx(-RATIOS, abs=1e-12)


@pytest.mark.parametrize("weighted", [True, False])
def test_selecting_changes_nothing_where_there_is_one_pair_of_a_kind(weighted):
    # A softmax over one pair gives it weight 1.
    loss = intra_modal(X, CLASSES, PairSelection(1.0, 0.5, weighted))
    assert loss.item() == pytest.approx(REFINEMENT - RATIOS, abs=1e-12)


def test_the_weights_of_two_positives_worked_out_by_hand():
    # A fourth utterance, of class 0, repeats the first: anchors 0, 1 and 3 have two positives
    # and one negative, anchor 2 has none. K = 4, beta = 0.5: both positives are kept.
    x = {"text": torch.cat([X["text"], X["text"][:1]]), "audio": torch.ones(4, 2).double()}
    classes = torch.tensor([0, 0, 1, 0])
    gamma = 0.5

    def ratio(positives, negative):
        hardness = [exp(1 / (s + gamma)) for s in positives]
        pull = sum(s * w for s, w in zip(positives, hardness, strict=True)) / sum(hardness)
        return pull / (pull + negative)

    # Text anchors 0 and 3: positives .8 and 1, negative .5; 1: positives .8 and .8, negative .9.
    # In audio all pairs are equal: each positive has weight 1/2, every ratio is 1/2.
    ratios = 2 * ratio([0.8, 1.0], 0.5) + ratio([0.8, 0.8], 0.9) + 3 * 0.5
    loss = intra_modal(x, classes, PairSelection(0.5, gamma), refinement=False)
    assert loss.item() == pytest.approx(-ratios / 6, abs=1e-12)


def test_modalities_are_never_compared_with_each_other():
    x, classes = draw(5), torch.tensor([0, 1, 0, 1, 1])
    turned = {**x, "audio": x["audio"].flip(-1)}  # the same cosines within audio, others across
    torch.testing.assert_close(intra_modal(x, classes), intra_modal(turned, classes))
