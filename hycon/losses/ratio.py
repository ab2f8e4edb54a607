"""What IAMCL and IEMCL share: the ratio of similarities, and its refinement (method, section 4)."""

import torch
from torch import Tensor

from hycon.losses.pairs import Pairs, PairSelection, weigh_pairs
from hycon.losses.similarity import EPSILON


def ratio_loss(
    s: Tensor, pairs: Pairs, target: float, selection: PairSelection | None, refinement: bool
) -> Tensor:
    r"""Return the mean over anchors of -ratio, and of the refinement.

    .. math:: -\frac{\sum_i w_i s_i}{\sum_i w_i s_i + \sum_j w_j s_j}
              + \frac{1}{N} \sum_i (s_i - target)^2

    i runs over the N positives of an anchor, j over its negatives; without a selection all weights
    are 1.

    Args:
        s: (M, K, P) similarities of the anchors, utterance k in modality m, to P candidates.
        pairs: two boolean masks that broadcast to (M, K, P).
        target: the similarity towards which the refinement pulls positives.
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether to add the second term.

    Returns:
        A scalar; anchors without a positive are ignored, and it is 0 if no anchor has one.
    """
    weights = weigh_pairs(s, pairs, selection)
    pushed = (s * weights.push).sum(-1)  # (M, K)
    total = (s * weights.pull).sum(-1) + pushed
    # -ratio, in a form that is exactly -1 for an anchor without a negative, and for one whose
    # similarities are all 0
    loss = pushed / total.masked_fill(total < EPSILON, torch.inf) - 1
    count = weights.kept.sum(-1).expand_as(loss)
    if refinement:
        loss = loss + ((s - target).square() * weights.kept).sum(-1) / count.clamp(min=1)
    anchors = count > 0
    return (loss * anchors).sum() / anchors.sum().clamp(min=1)
