"""Edge cases of the method, symmetries, and gradients compared with finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hycon.losses import (
    HybridContrastiveLoss,
    PairSelection,
    inter_modal,
    intra_modal,
    semi_contrastive,
)
from hycon.losses.pairs import Weights
from tests.losses import loop_reference
from tests.losses.loss_batches import MODALITIES, draw, gradients, vectors, with_gradient

SELECTIONS = (
    None,
    PairSelection(0.5, 1.0, weighted=False),
    PairSelection(0.5, 1.0),
    PairSelection(0.1, 0.1),
    PairSelection(1.0, 0.1),
)
selections = pytest.mark.parametrize("selection", SELECTIONS, ids=str)
similarity = pytest.mark.parametrize("similarity", ["shifted", "nonnegative"])


def losses(selection=None, similarity="shifted", alpha=0.8):
    """Return the three losses as functions of representations and classes, with their loops."""
    return {
        "intra": (
            lambda x, c: intra_modal(x, c, selection, similarity=similarity),
            lambda batch: loop_reference.intra(batch, selection),
        ),
        "inter": (
            lambda x, c: inter_modal(x, c, alpha, selection, similarity=similarity),
            lambda batch: loop_reference.inter(batch, alpha, selection),
        ),
        "semi": (
            lambda x, c: semi_contrastive(x, alpha, similarity),
            lambda batch: loop_reference.semi(batch, alpha),
        ),
    }


E, N, W = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
ZERO = [0.0, 0.0]
CORNERS = {
    "K = 1": ([0], [E], [N], [W]),
    "K = 2, one class": ([0, 0], [E, N], [N, E], [W, N]),
    "K = 2, two classes": ([0, 1], [E, N], [N, E], [W, N]),
    "one class": ([1, 1, 1], [E, N, W], [N, N, E], [W, E, N]),
    "no two of a class": ([0, 1, 2], [E, N, W], [N, N, E], [W, E, N]),
    "one without a positive": ([0, 0, 1], [E, N, W], [N, N, E], [W, E, N]),
    "identical vectors": ([0, 0, 1, 1], [E, E, E, E], [E, E, E, E], [E, E, E, E]),
    "zero vectors": ([0, 0, 1, 1], [ZERO, E, N, W], [ZERO, ZERO, N, W], [E, E, ZERO, ZERO]),
    "all zero": ([0, 0, 1], [ZERO] * 3, [ZERO] * 3, [ZERO] * 3),
    "opposite vectors": ([0, 0, 1, 1], [E, W, E, W], [W, E, W, E], [E, W, E, W]),
    "nothing similar to the first": ([0, 0, 1, 1], [E, W, W, W], [E, W, W, W], [E, W, W, W]),
    "ties": ([0, 0, 0, 1, 1], [E, N, N, N, N], [N, E, W, W, W], [W, N, N, E, E]),
}


@selections
@similarity
@pytest.mark.parametrize("corner", CORNERS)
def test_corners_are_finite_and_equal_to_the_loops(corner, similarity, selection):
    classes, *rows = CORNERS[corner]
    batch = loop_reference.Batch(vectors(*rows), classes, similarity)
    for loss, loop in losses(selection, similarity).values():
        expected = loop(batch).detach()
        for dtype in (torch.float64, torch.float32):
            x = vectors(*rows, dtype=dtype)
            found = loss(x, torch.tensor(classes))
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6)
            for gradient in gradients(found, x).values():
                assert gradient.isfinite().all()
                assert gradient.abs().max() < 10


@st.composite
def batches(draw):
    """Return small integers, with many ties and with zero, parallel and opposite vectors."""
    K, d = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    number = st.integers(-2, 2).map(float)
    matrix = st.lists(st.lists(number, min_size=d, max_size=d), min_size=K, max_size=K)
    classes = draw(st.lists(st.integers(0, 2), min_size=K, max_size=K))
    return classes, [draw(matrix) for _ in MODALITIES]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(batches(), st.sampled_from(SELECTIONS), st.sampled_from(["shifted", "nonnegative"]))
def test_any_batch_is_finite_and_equal_to_the_loops(batch, selection, similarity):
    classes, rows = batch
    x = vectors(*rows)
    batch = loop_reference.Batch(x, classes, similarity)
    for loss, loop in losses(selection, similarity).values():
        found = loss(x, torch.tensor(classes))
        torch.testing.assert_close(found, loop(batch), rtol=0, atol=1e-9)
        assert all(gradient.isfinite().all() for gradient in gradients(found, x).values())


@selections
@pytest.mark.parametrize("name", ["intra", "inter"])
def test_without_any_positive_the_loss_is_zero_and_so_are_its_gradients(name, selection):
    x = draw(4)
    loss, _ = losses(selection)[name]
    found = loss(x, torch.arange(4))
    assert found.item() == 0
    assert all((gradient == 0).all() for gradient in gradients(found, x).values())


@selections
@pytest.mark.parametrize("loss", [intra_modal, lambda x, c, **kw: inter_modal(x, c, 0.8, **kw)])
def test_without_any_negative_every_ratio_is_one(loss, selection):
    x = draw(4)
    found = loss(x, torch.zeros(4, dtype=torch.int64), selection=selection, refinement=False)
    assert found.item() == -1
    assert all((gradient == 0).all() for gradient in gradients(found, x).values())


@pytest.mark.parametrize("name", ["intra", "inter"])
def test_an_anchor_without_a_positive_counts_in_no_mean(name):
    # Utterance 4 is alone in its class. The softplus maps -1000 to 0, so it is orthogonal to the
    # others: as a negative it adds nothing, and the loss is the same without it.
    far = -1000.0
    x = {m: torch.cat([v, torch.full((4, 1), far)], 1).detach() for m, v in draw(4).items()}
    alone = torch.tensor([[far] * 4 + [1.0]])
    with_alone = {m: torch.cat([v, alone]) for m, v in x.items()}
    loss, _ = losses(similarity="nonnegative")[name]
    torch.testing.assert_close(
        loss(with_alone, torch.tensor([0, 1, 0, 1, 2])), loss(x, torch.tensor([0, 1, 0, 1]))
    )


class Frozen:
    """A selection that reuses the weights of the first candidates of the same shape."""

    def __init__(self, selection):
        self.selection = selection
        self.weights = {}  # by shape: within a modality, across modalities

    def weigh(self, s, pairs):
        if s.shape not in self.weights:
            self.weights[s.shape] = self.selection.weigh(s, pairs)
        return Weights(*(weights.clone() for weights in self.weights[s.shape]))


@similarity
@pytest.mark.parametrize("name", ["intra", "inter", "semi"])
@pytest.mark.parametrize(
    "selection", [None, PairSelection(0.5, 1.0, weighted=False), "frozen"], ids=str
)
def test_gradients_agree_with_finite_differences(selection, name, similarity):
    if selection == "frozen":
        selection = Frozen(PairSelection(0.5, 1.0))
    loss, _ = losses(selection, similarity)[name]
    x, classes = draw(4, d=3, seed=1), torch.tensor([0, 1, 0, 1])

    def of_tensors(*tensors):
        return loss(dict(zip(x, tensors, strict=True)), classes)

    assert torch.autograd.gradcheck(of_tensors, tuple(x.values()))


@selections
@similarity
@pytest.mark.parametrize("name", ["intra", "inter", "semi"])
def test_order_and_names_do_not_matter(name, similarity, selection):
    loss, _ = losses(selection, similarity)[name]
    x, classes = draw(6), torch.tensor([0, 1, 2, 0, 1, 0])
    found = loss(x, classes)
    expected = gradients(found, x)

    order = torch.tensor([4, 2, 0, 5, 1, 3])
    shuffled = with_gradient({m: v[order] for m, v in x.items()})
    loss_shuffled = loss(shuffled, classes[order])
    torch.testing.assert_close(loss_shuffled, found)
    torch.testing.assert_close(
        gradients(loss_shuffled, shuffled), {m: g[order] for m, g in expected.items()}
    )

    renamed = torch.tensor([7, -3, 40])[classes]
    torch.testing.assert_close(loss(x, renamed), found, rtol=0, atol=0)

    turned = {m: x[m] for m in reversed(MODALITIES)}
    loss_turned = loss(turned, classes)
    torch.testing.assert_close(loss_turned, found)
    torch.testing.assert_close(gradients(loss_turned, x), expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64])
def test_classes_may_be_of_any_integer_dtype(dtype):
    x, classes = draw(4), [0, 1, 0, 1]
    found = intra_modal(x, torch.tensor(classes, dtype=dtype))
    assert found.equal(intra_modal(x, torch.tensor(classes)))


@pytest.mark.parametrize("selection", [None, PairSelection(0.5, 1.0)], ids=str)
@similarity
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_under_autocast_every_dtype_is_computed_in_float32_or_wider(
    scale, dtype, similarity, selection
):
    classes = torch.tensor([0, 1, 0, 1, 1, 2])
    x = with_gradient({m: v * scale for m, v in draw(6, d=50, dtype=dtype).items()})
    hybrid = HybridContrastiveLoss(0.8, (1, 1, 1), selection, similarity=similarity)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = hybrid(x, classes)
        loss.total.backward()
    wide = torch.promote_types(dtype, torch.float32)
    assert loss.total.dtype == wide
    assert loss.total.equal(hybrid({m: v.to(wide) for m, v in x.items()}, classes).total)
    assert all(v.grad.dtype == dtype and v.grad.isfinite().all() for v in x.values())
