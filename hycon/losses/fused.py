"""IAMCL, IEMCL and SCL of a batch in one pass over its similarities, with their gradient.

The values equal those of `intra_modal`, `inter_modal` and `semi_contrastive`, which are written for
readability. `HybridContrastiveLoss` uses this pass, which is faster.

Small batches are dominated by per-operation overhead: 32 utterances of three modalities have 9,216
similarities, which take two microseconds per operation. So this pass uses few operations, and a
hand-written gradient, because autograd takes twice the time. It has no second derivatives.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from hycon.losses.pairs import Pairs, PairSelection, Weights, check_classes, class_pairs
from hycon.losses.similarity import EPSILON, check_representations, check_similarity, lengths


class LossConfig(NamedTuple):
    """The arguments of the losses, except the representations."""

    classes: Tensor
    alpha: float
    selection: PairSelection | None
    refinement: bool
    similarity: str


def contrastive_terms(representations: Mapping[str, Tensor], terms: LossConfig) -> Tensor:
    """Compute the three losses of a batch.

    Args:
        representations: modality name -> (K, d) floating-point tensor; with a single modality,
            IEMCL and SCL are 0.
        terms: classes, margin, pair selection, refinement and similarity, as in
            `HybridContrastiveLoss`.

    Returns:
        (3,) tensor: IAMCL, IEMCL, SCL. The first two ignore anchors without a positive, and are 0,
        with zero gradients, if no anchor has one.

    Raises:
        TypeError: a tensor's dtype is not as above.
        ValueError: a shape is not as above.

    Method: sections 3 to 6.
    """
    check_similarity(terms.similarity)
    check_representations(representations)
    check_classes(terms.classes, len(next(iter(representations.values()))))
    return _Terms.apply(terms, *representations.values())


class SimilarityCache(NamedTuple):
    """The similarities of n vectors, and the values that their gradient needs."""

    s: Tensor | None  # (n, n)
    rows: Tensor  # (n, d), the directions of the vectors
    length: Tensor  # (n, 1), infinity for a zero vector
    slope: Tensor | float  # (n, d) or a scalar, the factor of the gradient by the vectors


def compare(representations: Sequence[Tensor], similarity: str) -> SimilarityCache:
    """Compute the similarities between all vectors of several tensors.

    Args:
        representations: (K, d) floating-point tensors, one per modality.
        similarity: "shifted" or "nonnegative", see `similarities`.
    """
    with torch.autocast(representations[0].device.type, enabled=False):
        x = torch.cat(tuple(representations))  # (n, d)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        slope = 0.5
        if similarity == "nonnegative":
            x, slope = F.softplus(x), x.sigmoid()
        length = lengths(x)
        rows = x / length
        if similarity == "shifted":
            half = rows.new_full((), 0.5)
            s = torch.addmm(half, rows, rows.T, alpha=0.5)  # (1 + cosine) / 2
        else:
            s = rows @ rows.T
    # Rounding can move the similarity of parallel or opposite vectors slightly out of [0, 1]. The
    # gradient ignores this clamp: it is 0 there anyway, except for rounding.
    return SimilarityCache(s.clamp_(0, 1), rows, length, slope)


def compare_backward(gradient: Tensor, compared: SimilarityCache) -> Tensor:
    """Return the gradient with respect to the vectors.

    Args:
        gradient: (n, n) gradient with respect to the similarities.
        compared: output of `compare`.

    Returns:
        (n, d) gradient.
    """
    _, rows, length, slope = compared
    with torch.autocast(rows.device.type, enabled=False):
        by_rows = torch.addmm(gradient @ rows, gradient.T, rows)
    along = (by_rows * rows).sum(-1, keepdim=True)  # the part that does not change the direction
    return torch.addcmul(by_rows, rows, along, value=-1).mul_(slope / length)


class FusedSimilarities(torch.autograd.Function):
    """`similarities` with a hand-written gradient: M tensors (K, d) give (M, K, M, K)."""

    @staticmethod
    def forward(ctx: FunctionCtx, similarity: str, *representations: Tensor) -> Tensor:
        compared = compare(representations, similarity)
        ctx.compared = compared._replace(s=None)
        shape = len(representations), len(representations[0])
        return compared.s.view(*shape, *shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        shape = gradient.shape[:2]
        by_x = compare_backward(gradient.flatten(2).flatten(0, 1), ctx.compared)
        return None, *by_x.view(*shape, -1)


class _Terms(torch.autograd.Function):
    """The three losses of representations (K, d)."""

    @staticmethod
    def forward(ctx: FunctionCtx, terms: LossConfig, *representations: Tensor) -> Tensor:
        classes, alpha, selection, refinement, similarity = terms
        modalities, utterances = len(representations), len(classes)
        compared = compare(representations, similarity)
        s = compared.s.view(modalities, utterances, modalities, utterances)
        pairs = class_pairs(classes)
        pull, push, kept = _selected(s, pairs, selection) if selection else _all_alike(s, pairs)
        blocks, target, across = _blocks(modalities, utterances, alpha, s.dtype, s.device)
        # reuse two tensors of this size: at large K, allocation takes as long as the arithmetic
        held = s * pull
        sums = [held.sum(-1), torch.mul(s, push, out=held).sum(-1)]
        sums.append(kept.sum(-1).expand(s.shape[:3]))
        gap = s.sub_(target)
        shared = gap.diagonal(dim1=1, dim2=3).clone()  # (M, M, K): one utterance, two modalities
        if refinement:
            torch.mul(gap, kept, out=held)
            sums.append(gap.mul_(held).sum(-1))
        # sum (M, K, M) over the modality of the candidates: (2, M, K), own and other modalities
        pulled, pushed, positives, *squares = (torch.stack(sums)[:, None] * blocks).sum(-1)
        # 1 - ratio is the share of the negatives. In this form the ratio is exactly 1 for an anchor
        # without a negative, and for an anchor whose similarities are all 0.
        total = pulled + pushed
        inverse = total.masked_fill_(total < EPSILON, torch.inf).reciprocal_()
        loss = pushed * inverse - 1
        count = positives.clamp(min=1)
        for square in squares:
            loss += square / count
        # weight of an anchor in the mean over anchors with a positive
        share = (positives > 0).to(s.dtype)
        share /= share.sum((1, 2), keepdim=True).clamp_(min=1)
        ctx.compared, ctx.refinement = compared._replace(s=None), refinement
        ctx.save_for_backward(
            held, pull, push, pulled, pushed, inverse, count, share, shared, blocks, across
        )
        semi = (shared.square() * across).sum()
        return torch.cat([(loss * share).sum((1, 2)), semi[None]])

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        held, pull, push, pulled, pushed, inverse, count, share, shared, blocks, across = (
            ctx.saved_tensors
        )
        share = share * gradient[:2, None, None]
        steep = share * inverse.square()
        # with respect to the negatives, and to the positives
        slopes = [pulled * steep, -pushed * steep]
        if ctx.refinement:
            slopes.append(2 * share / count)
        # back from (2, M, K) to (M, K, M, 1)
        slopes = (torch.stack(slopes)[..., None] * blocks).sum(1)[..., None]
        by_push, by_pull, *by_squares = slopes
        by_s = push * by_push
        by_s.addcmul_(pull, by_pull)
        for by_square in by_squares:
            by_s.addcmul_(held, by_square)
        by_s.diagonal(dim1=1, dim2=3).addcmul_(shared, across * (2 * gradient[2]))
        modalities, utterances = held.shape[:2]
        by_s = by_s.view(modalities * utterances, -1)
        by_x = compare_backward(by_s, ctx.compared)
        return None, *by_x.view(modalities, utterances, -1)


@functools.lru_cache(maxsize=64)
def _blocks(
    modalities: int, utterances: int, alpha: float, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return constants of the blocks of s, each of which compares two modalities.

    Returns:
        (2, M, 1, M): masks of the blocks in IAMCL and in IEMCL. (M, 1, M, 1): the target similarity
        of positives. (M, M, 1): the weight of each pair of an utterance's modalities in SCL.
    """
    own = torch.eye(modalities, dtype=dtype, device=device)
    others = 1 - own
    target = own + alpha * others
    across = others / max(1, modalities * (modalities - 1) * utterances)
    return torch.stack([own, others])[:, :, None], target[:, None, :, None], across[..., None]


def _all_alike(s: Tensor, pairs: Pairs) -> Weights:
    """Return weights (K, 1, K) that are 1 for all pairs."""
    positive, negative = (mask[:, None].to(s.dtype) for mask in pairs)
    return Weights(positive, negative, positive)


def _selected(s: Tensor, pairs: Pairs, selection: PairSelection) -> Weights:
    """Return the weights (M, K, M, K) of the pairs that a selection keeps.

    IAMCL selects among the candidates of one modality, IEMCL jointly among those of all others.
    """
    others = [mask[:, None].expand(s.shape).clone() for mask in pairs]
    for mask in others:
        _own(mask).fill_(False)
    weights = selection.weigh(s.flatten(2), Pairs(*(mask.flatten(2) for mask in others)))
    weights = Weights(*(weight.view(s.shape) for weight in weights))
    for weight, within in zip(weights, selection.weigh(_own(s), pairs), strict=True):
        _own(weight).copy_(within)
    return weights


def _own(blocks: Tensor) -> Tensor:
    """Return the blocks (M, K, K) of each modality with itself, as a view."""
    return blocks.diagonal(dim1=0, dim2=2).movedim(-1, 0)
