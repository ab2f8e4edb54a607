import dataclasses

import pytest
import torch

from hycon.losses import PairSelection, inter_modal, intra_modal
from hycon.losses.pairs import Pairs, class_pairs


def test_an_utterance_is_in_no_pair_with_itself():
    positive, negative = class_pairs(torch.tensor([3, -1, 3]))
    assert positive.tolist() == [
        [False, False, True],
        [False, False, False],
        [True, False, False],
    ]
    assert negative.tolist() == [
        [False, True, False],
        [True, False, True],
        [False, True, False],
    ]


@pytest.mark.parametrize(
    ("batch_size", "beta", "h"),
    # Python's round: halves to even
    [
        (1, 0.1, 1),
        (4, 0.1, 1),
        (6, 0.25, 2),
        (10, 0.25, 2),
        (10, 0.36, 4),
        (32, 0.5, 16),
        (7, 1, 7),
    ],
)
def test_h_is_the_rounded_share_of_the_batch_and_at_least_one(batch_size, beta, h):
    assert PairSelection(beta, 1.0).size(batch_size) == h


def weigh(selection, s, positive, negative):
    """Weigh the candidates of one anchor in a batch of as many utterances."""
    K = len(s)
    # The batch size is the second dimension; only the first anchor is looked at.
    s = torch.tensor(s, dtype=torch.float64).expand(1, K, K)
    masks = (torch.tensor(mask, dtype=torch.bool).expand(K, K) for mask in (positive, negative))
    return [weights[0, 0].tolist() for weights in selection.weigh(s, Pairs(*masks))]


def test_the_lowest_positives_and_the_highest_negatives_are_kept():
    s = [0.9, 0.1, 0.5, 0.4, 0.8, 0.2]
    positive, negative = [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]
    pull, push, kept = weigh(PairSelection(0.3, 1.0, weighted=False), s, positive, negative)
    assert pull == kept == [0, 1, 1, 0, 0, 0]
    assert push == [0, 0, 0, 1, 1, 0]


def test_the_hardest_weigh_most_and_the_weights_of_a_kind_sum_to_one():
    s = [0.9, 0.1, 0.5, 0.4, 0.8, 0.2]
    positive, negative = [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]
    pull, push, kept = weigh(PairSelection(0.5, 1.0), s, positive, negative)
    assert pull[1] > pull[2] > pull[0] > 0
    assert push[4] > push[3] > push[5] > 0
    assert pull[3:] == push[:3] == [0, 0, 0]
    assert sum(pull) == pytest.approx(1)
    assert sum(push) == pytest.approx(1)
    assert kept == positive


@pytest.mark.parametrize("weighted", [True, False])
def test_all_there_are_is_kept_where_there_are_fewer_than_h(weighted):
    s = [0.9, 0.1, 0.5, 0.4]
    pull, push, kept = weigh(PairSelection(1.0, 1.0, weighted), s, [0, 1, 0, 0], [0, 0, 0, 0])
    assert pull == kept == [0, 1, 0, 0]
    assert push == [0, 0, 0, 0]


def test_of_equal_pairs_exactly_h_are_kept():
    pull, push, kept = weigh(PairSelection(0.4, 1.0), [0.5] * 5, [1, 1, 1, 0, 0], [0, 0, 0, 1, 1])
    assert sorted(pull) == [0, 0, 0, 0.5, 0.5]
    assert push == [0, 0, 0, 0.5, 0.5]
    assert sum(kept) == 2


@pytest.mark.parametrize("gamma", [1e-320, 1e-6, 1e300])
def test_no_gamma_makes_a_weight_that_is_not_a_number(gamma):
    s = torch.tensor([0.0, 0.0, 0.5]).expand(1, 3, 3)
    masks = Pairs(torch.ones(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool))
    pull = PairSelection(1.0, gamma).weigh(s, masks).pull
    assert pull.sum(-1).allclose(torch.ones(3))


def test_the_weights_carry_no_gradient():
    s = torch.rand(1, 3, 3, requires_grad=True)
    weights = PairSelection(1.0, 1.0).weigh(s, class_pairs(torch.tensor([0, 0, 1])))
    assert not any(w.requires_grad for w in weights)


@pytest.mark.parametrize("beta", [0, -0.5, 1.5, float("nan")])
def test_a_share_outside_zero_to_one_is_refused(beta):
    with pytest.raises(ValueError, match=r"beta, the share of pairs kept, must be in \(0, 1\]"):
        PairSelection(beta, 1.0)


@pytest.mark.parametrize("gamma", [0, -1, float("inf"), float("nan")])
def test_a_gamma_that_is_not_positive_is_refused(gamma):
    with pytest.raises(ValueError, match="gamma must be greater than 0 and finite, not"):
        PairSelection(0.5, gamma)


def test_a_selection_is_a_value():
    assert PairSelection(0.5, 1.0) == PairSelection(0.5, 1.0, weighted=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        PairSelection(0.5, 1.0).beta = 1


@pytest.mark.parametrize("loss", [intra_modal, lambda x, c: inter_modal(x, c, 0.8)])
def test_classes_that_do_not_fit_are_refused(loss):
    x = {"text": torch.ones(3, 2), "audio": torch.ones(3, 2)}
    for dtype in (torch.float32, torch.bool):
        with pytest.raises(TypeError, match=f"classes must be an integer tensor, not {dtype}"):
            loss(x, torch.zeros(3, dtype=dtype))
    for shape in ((2,), (3, 1), ()):
        with pytest.raises(ValueError, match=r"classes must have shape \(3,\), not \("):
            loss(x, torch.zeros(shape, dtype=torch.int64))
