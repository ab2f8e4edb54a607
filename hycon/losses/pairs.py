"""Selection and weighting of positive and negative pairs.

Throughout, `s` is (M, K, P): the similarities between the anchors, utterance k in modality m, and P
candidates. Masks and weights have the shape of `s`, or (K, P) if all modalities share them.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Two boolean masks: the positives and the negatives of each anchor."""

    positive: Tensor
    negative: Tensor


class Weights(NamedTuple):
    """The weight of each pair, a constant; 0 for pairs that are not used.

    `pull` contains the weights of the positives in the ratio, and `push` those of the negatives.
    `kept` is 1 for the positives in the refinement.
    """

    pull: Tensor
    push: Tensor
    kept: Tensor


@dataclass(frozen=True)
class PairSelection:
    """Keep the hardest pairs of each anchor, and weight them by hardness.

    Args:
        beta: maximum number of positives of an anchor, and of its negatives, as a share of the
            batch size; in (0, 1].
        gamma: smooths the weights of the positives; greater than 0.
        weighted: whether to weight the kept pairs by hardness.

    Raises:
        ValueError: beta or gamma is out of range.

    Method: section 6.
    """

    beta: float
    gamma: float
    weighted: bool = True

    def __post_init__(self):
        if not 0 < self.beta <= 1:
            raise ValueError(f"beta, the share of pairs kept, must be in (0, 1], not {self.beta}")
        if not 0 < self.gamma < math.inf:
            raise ValueError(f"gamma must be greater than 0 and finite, not {self.gamma}")

    def size(self, batch_size: int) -> int:
        """Return h, the maximum number of positives, and of negatives, that each anchor keeps."""
        return max(1, round(batch_size * self.beta))

    @torch.no_grad()
    def weigh(self, s: Tensor, pairs: Pairs) -> Weights:
        """Return the weights of the pairs, without gradient.

        Args:
            s: (M, K, P) similarities.
            pairs: two boolean masks (M, K, P).
        """
        h = self.size(s.shape[1])
        # Move all other candidates out of the range of similarities, so that they are selected only
        # if an anchor has fewer than h pairs. Shift them by a constant, because equal values slow
        # down the search.
        outside = [(~mask).to(s.dtype) for mask in pairs]
        low, positives = _extremes(s.add(outside[0], alpha=4), h, largest=False)
        high, negatives = _extremes(s.sub(outside[1], alpha=4), h, largest=True)  # (M, K, h)
        # negated, so that NaN is selected and shows in the loss
        real = torch.stack([low > 2, high < -2]).logical_not_()
        counted = real.to(s.dtype)
        kept = _spread(counted[0], positives, s)
        if not self.weighted:
            return Weights(kept, _spread(counted[1], negatives, s), kept)
        # a small gamma can be 0 in this dtype; avoid 1 / 0
        hardness = 1 / (low + max(self.gamma, torch.finfo(s.dtype).tiny))
        least = torch.finfo(s.dtype).min
        weights = torch.stack([hardness, high]).masked_fill_(~real, least).softmax(-1).mul_(counted)
        return Weights(_spread(weights[0], positives, s), _spread(weights[1], negatives, s), kept)


def weigh_pairs(s: Tensor, pairs: Pairs, selection: PairSelection | None) -> Weights:
    """Return the weights of all pairs; without a selection, all are 1.

    Args:
        s: (M, K, P) similarities.
        pairs: two boolean masks that broadcast to (M, K, P).
        selection: which pairs to keep, and how to weight them.
    """
    pairs = Pairs(*(mask.expand_as(s) for mask in pairs))
    if selection:
        return selection.weigh(s.detach(), pairs)
    positive, negative = (mask.to(s.dtype) for mask in pairs)
    return Weights(positive, negative, positive)


def class_pairs(classes: Tensor) -> Pairs:
    """Return the pairs of utterances; positives share a class, negatives do not.

    Args:
        classes: (K,) integer tensor.

    Returns:
        Two (K, K) boolean masks; neither pairs an utterance with itself.
    """
    same = classes[:, None] == classes
    negative = ~same
    return Pairs(same.fill_diagonal_(False), negative)


def check_classes(classes: Tensor, batch_size: int) -> None:
    """Raise TypeError or ValueError unless `classes` is an integer tensor (batch_size,)."""
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise TypeError(f"classes must be an integer tensor, not {classes.dtype}")
    if classes.shape != (batch_size,):
        raise ValueError(f"classes must have shape ({batch_size},), not {tuple(classes.shape)}")


def _extremes(keys: Tensor, h: int, largest: bool) -> tuple[Tensor, Tensor]:
    """Return the h largest or smallest values of the last dimension, unsorted, and their indices.

    On a CPU, numpy takes a third of the time of torch.
    """
    if keys.device.type != "cpu":
        return keys.topk(h, largest=largest, sorted=False)
    where = np.argpartition(keys.numpy(), -h if largest else h - 1)
    index = torch.from_numpy(where[..., -h:] if largest else where[..., :h])
    return keys.gather(-1, index), index


def _spread(x: Tensor, index: Tensor, like: Tensor) -> Tensor:
    """Scatter values (M, K, h) to the candidates at `index`; return (M, K, P), 0 elsewhere."""
    return torch.zeros_like(like).scatter_(-1, index, x)
