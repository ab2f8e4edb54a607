"""Losses that replace IAMCL and IEMCL use the same pairs, and the formulas of their papers."""

import itertools
import math

import pytest
import torch

from hycon.losses import BaselineLoss, semi_contrastive
from hycon.losses.baseline_losses import SUBSTITUTES
from tests.losses.loss_batches import MODALITIES, draw, gradients, with_gradient

CLASSES = torch.tensor([0, 1, 0, 2, 1, 0])


def unit(x):
    length = math.sqrt(sum(v * v for v in x))
    return [v / length for v in x]


def cosine(x, y):
    return sum(a * b for a, b in zip(unit(x), unit(y), strict=True))


def distance(x, y):
    return math.dist(unit(x), unit(y))


def mean(values):
    return sum(values) / len(values) if values else 0.0


def contrastive(anchors, candidates):
    """Mean over pairs with a loss: distance of positives, and 1 - distance of negatives."""
    positives, negatives = [], []
    for (k, _, x), (i, same, y) in pairs(anchors, candidates):
        assert k != i
        found = distance(x, y)
        if same and found > 0:
            positives.append(found)
        if not same and found < 1:
            negatives.append(1 - found)
    return mean(positives) + mean(negatives)


def triplet(anchors, candidates):
    """Mean over triplets with a loss: distance of positive - distance of negative + 0.05."""
    losses = []
    for anchor in anchors:
        mine = [pair[1] for pair in pairs([anchor], candidates)]
        positives = [y for _, same, y in mine if same]
        negatives = [y for _, same, y in mine if not same]
        for p, n in itertools.product(positives, negatives):
            loss = distance(anchor[2], p) - distance(anchor[2], n) + 0.05
            losses += [loss] if loss > 0 else []
    return mean(losses)


def supcon(anchors, candidates):
    """Mean over anchors of the negative mean log-softmax of their positives, temperature 0.1."""
    losses = []
    for anchor in anchors:
        mine = [pair[1] for pair in pairs([anchor], candidates)]
        scores = [(same, math.exp(cosine(anchor[2], y) / 0.1)) for _, same, y in mine]
        total = sum(score for _, score in scores)
        logs = [-math.log(score / total) for same, score in scores if same]
        losses += [mean(logs)] if logs else []
    return mean(losses)


def n_pair(anchors, candidates):
    """Mean over positive pairs of their negative log-softmax against the anchor's negatives."""
    losses = []
    for anchor in anchors:
        mine = [pair[1] for pair in pairs([anchor], candidates)]
        negatives = sum(math.exp(cosine(anchor[2], y)) for _, same, y in mine if not same)
        for _, same, y in mine:
            if same:
                own = math.exp(cosine(anchor[2], y))
                losses.append(-math.log(own / (own + negatives)))
    return mean(losses)


def pairs(anchors, candidates):
    """Pair every anchor with every candidate of another utterance; tell whether classes agree."""
    return [
        (anchor, (i, c == anchor[1], y))
        for anchor in anchors
        for i, c, y in candidates
        if i != anchor[0]
    ]


LOOPS = {"contrastive": contrastive, "triplet": triplet, "supcon": supcon, "n-pair": n_pair}


def expected(name, x, classes):
    """Return the loss within and across modalities, each a mean over modalities of the anchors."""
    rows = {
        m: [(k, int(c), v.tolist()) for k, (c, v) in enumerate(zip(classes, x[m], strict=True))]
        for m in MODALITIES
    }
    loop = LOOPS[name]
    within = mean([loop(rows[m], rows[m]) for m in MODALITIES])
    across = []
    for m in MODALITIES:
        others = [rows[n] for n in MODALITIES if n != m]
        across.append(loop(rows[m], [row for other in others for row in other]))
    return within, mean(across)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SUBSTITUTES)
def test_each_loss_is_its_formula_over_other_utterances(name, seed, dtype):
    x = draw(6, seed=seed, dtype=dtype)
    loss = BaselineLoss(name, 0.8, (0.2, 0.3, 0.5))(x, CLASSES)
    within, across = expected(name, x, CLASSES)
    assert loss.intra.item() == pytest.approx(within, rel=1e-4)
    assert loss.inter.item() == pytest.approx(across, rel=1e-4)
    torch.testing.assert_close(loss.semi, semi_contrastive(x, 0.8))
    torch.testing.assert_close(loss.total, 0.2 * loss.intra + 0.3 * loss.inter + 0.5 * loss.semi)


def batches():
    """Edge cases: few utterances, one class or as many classes as utterances, special vectors."""
    for classes in ([0], [0, 1], [0, 0], [1, 1, 1, 1], [0, 1, 2, 3]):
        yield pytest.param(draw(len(classes)), classes, id=f"classes {classes}")
    x = draw(32)
    x["text"].data[3] = 0
    yield pytest.param(x, [0, 1] * 16, id="a zero vector")
    ones = with_gradient({m: torch.ones(4, 3, dtype=torch.float64) for m in MODALITIES})
    yield pytest.param(ones, [0, 1, 0, 1], id="identical vectors")
    opposite = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]], dtype=torch.float64).expand(4, 3)
    x = with_gradient({m: opposite.clone() for m in MODALITIES})
    yield pytest.param(x, [0, 0, 1, 1], id="opposite vectors")


@pytest.mark.parametrize(("x", "classes"), list(batches()))
@pytest.mark.parametrize("name", SUBSTITUTES)
def test_value_and_gradient_are_finite_and_bounded_whatever_the_batch(name, x, classes):
    loss = BaselineLoss(name, 0.8)(x, torch.tensor(classes))
    assert torch.isfinite(loss.total)
    for gradient in gradients(loss.total, x).values():
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 1e3


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_the_order_of_the_batch_and_the_names_of_the_classes_change_nothing(name):
    x, loss = draw(6), BaselineLoss(name, 0.8)
    expected = loss(x, CLASSES)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    mixed = loss({m: v[order] for m, v in x.items()}, CLASSES[order])
    renamed = loss(x, torch.tensor([7, 2, 9])[CLASSES])
    for found in (mixed, renamed):
        for part, value in zip(found, expected, strict=True):
            torch.testing.assert_close(part, value)


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_gradients_are_those_of_finite_differences(name):
    x, loss = draw(5, d=3), BaselineLoss(name, 0.8)

    def total(*vectors):
        return loss(dict(zip(MODALITIES, vectors, strict=True)), CLASSES[:5]).total

    assert torch.autograd.gradcheck(total, tuple(x.values()))


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_a_weight_of_zero_removes_its_part_from_value_and_gradient(name):
    x = draw(6)
    whole = BaselineLoss(name, 0.8, (0.2, 0.3, 0.5))(x, CLASSES)
    part = BaselineLoss(name, 0.8, (0.2, 0.0, 0.5))(x, CLASSES)
    torch.testing.assert_close(part.total, whole.total - 0.3 * whole.inter)
    assert not part.inter.requires_grad
    rest = gradients(0.2 * whole.intra + 0.5 * whole.semi, x)
    torch.testing.assert_close(gradients(part.total, x), rest)


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_half_precision_and_autocast_stay_finite(name):
    x = draw(6, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = BaselineLoss(name, 0.8)(x, CLASSES)
    assert loss.total.dtype == torch.float32
    assert torch.isfinite(loss.total)


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"contrastive, triplet, n-pair, supcon, not 'infonce'"):
        BaselineLoss("infonce", 0.8)
