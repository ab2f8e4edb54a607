"""The common form of IAMCL and IEMCL: a ratio of similarities and a refinement (section 4)."""

import torch
from torch import Tensor

from hycon.losses.modification import PAPER, Modification
from hycon.losses.pairs import Pairs, PairSelection, weigh_pairs
from hycon.losses.similarity import EPSILON


def ratio_loss(
    s: Tensor,
    pairs: Pairs,
    target: float,
    selection: PairSelection | None,
    refinement: bool,
    modification: Modification = PAPER,
) -> Tensor:
    r"""Compute the mean of -ratio + refinement over anchors.

    .. math:: -\frac{\sum_i w_i s_i}{\sum_i w_i s_i + \sum_j w_j s_j}
              + \frac{1}{N} \sum_i (s_i - target)^2

    i runs over the N positives of an anchor, j over its negatives. Without a selection, all weights
    are 1.

    Args:
        s: (M, K, P) similarities between the anchors, utterance k in modality m, and P candidates.
        pairs: two boolean masks that broadcast to (M, K, P).
        target: the similarity towards which the refinement pulls positives.
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether to add the second term.
        modification: changes of the first term that are not the paper's.

    Returns:
        A scalar. Anchors without a positive are ignored; it is 0 if no anchor has a positive.
    """
    weights = weigh_pairs(s, pairs, selection)
    # the gradient of a power below 1 is infinite at 0
    compared = s if modification.power == 1 else s.clamp(min=EPSILON) ** modification.power
    pushed = (compared * weights.push).sum(-1)  # (M, K)
    total = (compared * weights.pull).sum(-1) + pushed
    count = weights.kept.sum(-1).expand_as(total)
    anchors = count > 0
    # 1 - ratio, in a form that is exactly 0 for an anchor without a negative, and for an anchor
    # whose similarities are all 0
    share = pushed / total.masked_fill(total < EPSILON, torch.inf)
    if modification.logarithm:
        loss = -torch.log1p(-share.masked_fill(~anchors, 0).clamp(max=1 - torch.finfo(s.dtype).eps))
    else:
        loss = share - 1
    if refinement:
        loss = loss + ((s - target).square() * weights.kept).sum(-1) / count.clamp(min=1)
    return (loss * anchors).sum() / anchors.sum().clamp(min=1)
