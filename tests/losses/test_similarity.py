import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hycon.losses import (
    HybridContrastiveLoss,
    PairSelection,
    inter_modal,
    semi_contrastive,
    similarities,
)
from tests.losses import loop_reference
from tests.losses.loss_batches import draw, gradients, vectors, with_gradient

both = pytest.mark.parametrize("similarity", ["shifted", "nonnegative"])


@both
def test_it_compares_every_utterance_and_modality_with_every_other(similarity):
    x = draw(3)
    s = similarities(x, similarity)
    batch = loop_reference.Batch(x, [0, 0, 0], similarity)
    names = list(x)
    assert s.shape == (3, 3, 3, 3)
    for m, k, n, i in torch.cartesian_prod(*[torch.arange(3)] * 4).tolist():
        expected = batch.s(names[m], k, names[n], i).item()
        assert s[m, k, n, i].item() == pytest.approx(expected, abs=1e-14)


def test_nonnegative_is_the_cosine_after_a_softplus():
    x = draw(2)
    u, w = F.softplus(x["text"][0]), F.softplus(x["vision"][1])
    expected = F.cosine_similarity(u, w, dim=0)
    torch.testing.assert_close(similarities(x, "nonnegative")[0, 0, 2, 1], expected)


@both
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_it_stays_within_zero_and_one_whatever_the_rounding(similarity, dtype):
    x = {m: v.detach() for m, v in draw(64, d=50, dtype=dtype).items()}
    x["audio"], x["vision"] = 3 * x["text"], -7 * x["text"]  # parallel and opposite
    s = similarities(x, similarity)
    assert s.min() >= 0
    assert s.max() <= 1


@both
def test_length_and_only_length_does_not_matter_once_nonnegative(similarity):
    x = draw(3)
    positive = {m: v.exp() for m, v in x.items()}
    logs = {m: v.expm1().log() for m, v in positive.items()}  # softplus undoes this
    u = positive if similarity == "shifted" else logs
    stretched = {m: 5 * v for m, v in positive.items()}
    w = stretched if similarity == "shifted" else {m: v.expm1().log() for m, v in stretched.items()}
    torch.testing.assert_close(similarities(u, similarity), similarities(w, similarity))


def test_a_zero_vector_has_cosine_zero_with_every_vector_and_no_gradient():
    x = vectors([[0.0, 0.0], [1.0, 2.0]], [[3.0, 4.0], [-1.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]])
    s = similarities(x)
    assert (s[0, 0] == 0.5).all()
    assert (s[2, 1] == 0.5).all()
    found = gradients(s.square().sum(), x)
    assert (found["text"][0] == 0).all()
    assert (found["vision"][1] == 0).all()
    assert found["text"][1].abs().max() > 0


@both
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_compared_in_float32(similarity, dtype):
    x = draw(5, dtype=dtype)
    s = similarities(x, similarity)
    assert s.dtype == torch.float32
    assert s.equal(similarities({m: v.float() for m, v in x.items()}, similarity))


@both
def test_autocast_changes_nothing(similarity):
    x = draw(5, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        s = similarities(x, similarity)
    assert s.equal(similarities(x, similarity))


def test_modalities_may_differ_in_precision():
    x = draw(3, dtype=torch.float32)
    x["text"] = x["text"].detach().bfloat16()
    s = similarities(x)
    assert s.dtype == torch.float32
    assert s.equal(similarities({**x, "text": x["text"].float()}))


@pytest.mark.parametrize("selection", [None, PairSelection(0.5, 1.0)], ids=str)
def test_the_hybrid_loss_needs_one_matrix_product_and_no_larger_tensor_than_the_similarities(
    selection,
):
    few, many = record(4, selection), record(16, selection)
    assert sum(name in ("mm", "addmm", "bmm", "baddbmm") for name in many.names) == 1
    assert many.largest == (3 * 16) ** 2
    assert few.names == many.names  # no loop over utterances or pairs


class Record(TorchDispatchMode):
    """Note what each operation is called, and the size of the largest tensor that one makes."""

    def __init__(self):
        super().__init__()
        self.names = []
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.names.append(func.overloadpacket.__name__)
        tensors = [t for t in (out if isinstance(out, tuple) else (out,)) if torch.is_tensor(t)]
        self.largest = max([self.largest, *(t.numel() for t in tensors)])
        return out


def record(K, selection):
    loss = HybridContrastiveLoss(0.8, selection=selection)
    loss(draw(K), torch.arange(K) % 2)  # makes the constants of this K
    with Record() as log:
        loss(draw(K), torch.arange(K) % 2)
    return log


def test_an_unknown_similarity_is_refused_with_those_allowed():
    with pytest.raises(ValueError, match="must be 'shifted' or 'nonnegative', not 'cosine'"):
        similarities(draw(2), "cosine")


def test_no_modality_is_refused():
    with pytest.raises(ValueError, match="at least one modality, found none"):
        similarities({})


def test_losses_across_modalities_refuse_a_single_one():
    x = {"text": torch.randn(4, 3)}
    with pytest.raises(ValueError, match="at least two modalities, found text"):
        inter_modal(x, torch.tensor([0, 0, 1, 1]), alpha=0.8)
    with pytest.raises(ValueError, match="at least two modalities, found text"):
        semi_contrastive(x, alpha=0.8)


@pytest.mark.parametrize(
    ("text", "audio"),
    [((4, 8), (4, 7)), ((4, 8), (3, 8)), ((4,), (4,)), ((2, 4, 8), (2, 4, 8)), ((0, 8), (0, 8))],
    ids=str,
)
def test_shapes_that_are_not_one_matrix_shape_are_refused(text, audio):
    with pytest.raises(ValueError, match=r"must all be \(K, d\).*, found text \(.*\), audio \("):
        similarities({"text": torch.zeros(text), "audio": torch.zeros(audio)})


def test_integers_are_refused():
    x = with_gradient(draw(2))
    with pytest.raises(TypeError, match=r"'audio' must be floating point, not torch\.int64"):
        similarities({**x, "audio": torch.ones(2, 4, dtype=torch.int64)})
