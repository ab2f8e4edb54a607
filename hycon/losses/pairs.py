"""Positive and negative pairs: which they are, what each one weighs, what they cost an anchor.

Throughout, `s` is (M, K, P): the similarities of the anchors, utterance k in modality m, to P
candidates. The pairs' masks and weights have the shape of `s`, or (K, P) where all modalities share
them.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hycon.losses.similarity import EPSILON


class Pairs(NamedTuple):
    """Which candidate is a positive, and which a negative, of which anchor: two boolean masks."""

    positive: Tensor
    negative: Tensor


class Weights(NamedTuple):
    """What every pair weighs, as constants: 0 for a pair that takes no part.

    `pull` holds the positives' and `push` the negatives' weights in the ratio; `kept` is 1 for the
    positives that the refinement runs over.
    """

    pull: Tensor
    push: Tensor
    kept: Tensor


@dataclass(frozen=True)
class PairSelection:
    """Keep the hardest pairs of every anchor and weight them by how hard they are (section 6).

    Args:
        beta: share of the batch kept as positives, and again as negatives; in (0, 1].
        gamma: evens out the weights of the positives; greater than 0.
        weighted: whether the kept pairs are weighted at all, or all count the same.

    Raises:
        ValueError: beta or gamma out of range.
    """

    beta: float
    gamma: float
    weighted: bool = True

    def __post_init__(self):
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta, the share of pairs kept, must lie in (0, 1], not {self.beta}")
        if not 0 < self.gamma < math.inf:
            raise ValueError(f"gamma must be greater than 0 and finite, not {self.gamma}")

    def size(self, batch_size: int) -> int:
        """Return h, how many positives (and negatives) an anchor keeps of those that it has."""
        return max(1, round(batch_size * self.beta))

    @torch.no_grad()
    def weigh(self, s: Tensor, pairs: Pairs) -> Weights:
        """Return the weights of the pairs, through which no gradient flows; `s` is (M, K, P)."""
        h = self.size(s.shape[1])
        # 2 and -1 are beyond any similarity: they fill up where there are fewer than h.
        low, positives = torch.where(pairs.positive, s, 2).topk(h, largest=False, sorted=False)
        high, negatives = torch.where(pairs.negative, s, -1).topk(h, sorted=False)  # (M, K, h)
        is_positive, is_negative = low != 2, high != -1
        kept = _spread(is_positive.to(s.dtype), positives, s)
        if not self.weighted:
            return Weights(kept, _spread(is_negative.to(s.dtype), negatives, s), kept)
        # A gamma that is 0 in this dtype must not make 1 / 0.
        hardness = 1 / (low + max(self.gamma, torch.finfo(s.dtype).tiny))
        pull = _spread(_masked_softmax(hardness, is_positive), positives, s)
        push = _spread(_masked_softmax(high, is_negative), negatives, s)
        return Weights(pull, push, kept)


def class_pairs(classes: Tensor) -> Pairs:
    """Pair every utterance with the others: positives share its class, negatives do not.

    Args:
        classes: (K,) integer tensor.

    Returns:
        Two (K, K) boolean masks; neither holds the utterance itself.
    """
    same = classes[:, None] == classes
    negative = ~same
    return Pairs(same.fill_diagonal_(False), negative)


def check_classes(classes: Tensor, batch_size: int) -> None:
    """Raise unless `classes` is a (K,) integer tensor, K the batch size."""
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise TypeError(f"classes must be an integer tensor, not {classes.dtype}")
    if classes.shape != (batch_size,):
        raise ValueError(f"classes must have shape ({batch_size},), not {tuple(classes.shape)}")


def contrast(
    s: Tensor, pairs: Pairs, selection: PairSelection | None, target: float | None
) -> Tensor:
    """Mean over the anchors that have a positive of -ratio, plus the refinement unless it is off.

    Args:
        s: (M, K, P) similarities.
        pairs: the masks.
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        target: the similarity that the refinement wants of positives; None leaves it out.

    Returns:
        A scalar; 0, with zero gradients, where no anchor has a positive.

    Method: sections 4 to 6.
    """
    weights = selection.weigh(s, pairs) if selection else _all_alike(pairs, s.dtype)
    pull = (s * weights.pull).sum(-1)  # (M, K)
    push = (s * weights.push).sum(-1)
    # 1 - ratio is the negatives' share. Written so, an anchor without a negative has ratio 1, and
    # so has one whose similarities are all 0: there is nothing to push away.
    total = pull + push
    loss = push / total.masked_fill(total < EPSILON, torch.inf) - 1
    positives = weights.kept.sum(-1)
    if target is not None:
        loss = loss + ((s - target).square() * weights.kept).sum(-1) / positives.clamp(min=1)
    valid = (positives > 0).expand_as(loss)
    return (loss * valid).sum() / valid.sum().clamp(min=1)


def _all_alike(pairs: Pairs, dtype: torch.dtype) -> Weights:
    positive = pairs.positive.to(dtype)
    return Weights(positive, pairs.negative.to(dtype), positive)


def _masked_softmax(x: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the entries of the last dimension where `mask` is true; 0 for the others."""
    return x.masked_fill(~mask, torch.finfo(x.dtype).min).softmax(-1) * mask


def _spread(x: Tensor, index: Tensor, like: Tensor) -> Tensor:
    """Put (M, K, h) values at the candidates that they belong to: (M, K, P), 0 elsewhere."""
    return torch.zeros_like(like).scatter_(-1, index, x)
