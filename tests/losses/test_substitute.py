"""Other losses in place of IAMCL and IEMCL: the same pairs, each loss as its paper has it."""

import itertools
import math

import pytest
import torch

from hycon.losses import SubstituteLoss, semi_contrastive
from hycon.losses.substitute import SUBSTITUTES
from tests.losses.loss_batches import MODALITIES, draw, gradients

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
    """Mean over pairs with a loss: positives' distance; what negatives lack of distance 1."""
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
    """Mean over triplets with a loss: what the negative lacks of being 0.05 farther away."""
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
    """Mean over anchors of minus the mean log share of their positives, temperature 0.1."""
    losses = []
    for anchor in anchors:
        mine = [pair[1] for pair in pairs([anchor], candidates)]
        scores = [(same, math.exp(cosine(anchor[2], y) / 0.1)) for _, same, y in mine]
        total = sum(score for _, score in scores)
        logs = [-math.log(score / total) for same, score in scores if same]
        losses += [mean(logs)] if logs else []
    return mean(losses)


def n_pair(anchors, candidates):
    """Cross-entropy of one pair a class, the other pairs' positives being the negatives."""
    chosen = {}
    for (_, c, x), (_, same, y) in pairs(anchors, candidates):
        if same:
            chosen.setdefault(c, (x, y))
    losses = []
    for c, (x, _) in chosen.items():
        scores = {other: math.exp(cosine(x, y)) for other, (_, y) in chosen.items()}
        losses.append(-math.log(scores[c] / sum(scores.values())))
    return mean(losses)


def pairs(anchors, candidates):
    """Every anchor with every candidate of another utterance, and whether they share a class."""
    return [
        (anchor, (i, c == anchor[1], y))
        for anchor in anchors
        for i, c, y in candidates
        if i != anchor[0]
    ]


LOOPS = {"contrastive": contrastive, "triplet": triplet, "supcon": supcon, "n-pair": n_pair}


def expected(name, x, classes):
    """The loss within and across modalities, each a mean over the anchors' modalities."""
    rows = {
        m: [(k, int(c), v.tolist()) for k, (c, v) in enumerate(zip(classes, x[m], strict=True))]
        for m in MODALITIES
    }
    loop = LOOPS[name]
    within = mean([loop(rows[m], rows[m]) for m in MODALITIES])
    across = []
    for m in MODALITIES:
        others = [rows[n] for n in MODALITIES if n != m]
        if name == "n-pair":
            across.append(mean([loop(rows[m], other) for other in others]))
        else:
            across.append(loop(rows[m], [row for other in others for row in other]))
    return within, mean(across)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SUBSTITUTES)
def test_each_loss_is_its_formula_over_other_utterances(name, seed, dtype):
    x = draw(6, seed=seed, dtype=dtype)
    loss = SubstituteLoss(name, 0.8, (0.2, 0.3, 0.5))(x, CLASSES)
    within, across = expected(name, x, CLASSES)
    assert loss.intra.item() == pytest.approx(within, rel=1e-4)
    assert loss.inter.item() == pytest.approx(across, rel=1e-4)
    torch.testing.assert_close(loss.semi, semi_contrastive(x, 0.8))
    torch.testing.assert_close(loss.total, 0.2 * loss.intra + 0.3 * loss.inter + 0.5 * loss.semi)


@pytest.mark.parametrize("classes", [[0], [0, 1], [0, 0], [1, 1, 1, 1], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("name", SUBSTITUTES)
def test_value_and_gradient_are_finite_whatever_the_batch(name, classes):
    x = draw(len(classes))
    loss = SubstituteLoss(name, 0.8)(x, torch.tensor(classes))
    assert torch.isfinite(loss.total)
    assert all(torch.isfinite(g).all() for g in gradients(loss.total, x).values())


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_a_weight_of_zero_removes_its_part_from_value_and_gradient(name):
    x = draw(6)
    whole = SubstituteLoss(name, 0.8, (0.2, 0.3, 0.5))(x, CLASSES)
    part = SubstituteLoss(name, 0.8, (0.2, 0.0, 0.5))(x, CLASSES)
    torch.testing.assert_close(part.total, whole.total - 0.3 * whole.inter)
    assert not part.inter.requires_grad
    rest = gradients(0.2 * whole.intra + 0.5 * whole.semi, x)
    torch.testing.assert_close(gradients(part.total, x), rest)


@pytest.mark.parametrize("name", SUBSTITUTES)
def test_half_precision_and_autocast_stay_finite(name):
    x = draw(6, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = SubstituteLoss(name, 0.8)(x, CLASSES)
    assert loss.total.dtype == torch.float32
    assert torch.isfinite(loss.total)


def test_an_unknown_loss_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"contrastive, triplet, n-pair, supcon, not 'infonce'"):
        SubstituteLoss("infonce", 0.8)
