"""IEMCL, the inter-modal contrastive loss, which separates classes across modalities."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hycon.losses.modification import PAPER, Modification
from hycon.losses.pairs import Pairs, PairSelection, check_classes, class_pairs
from hycon.losses.ratio import ratio_loss
from hycon.losses.similarity import check_alpha, check_several, similarities


def inter_modal(
    representations: Mapping[str, Tensor],
    classes: Tensor,
    alpha: float,
    selection: PairSelection | None = None,
    refinement: bool = True,
    similarity: str = "shifted",
    modification: Modification = PAPER,
) -> Tensor:
    r"""Contrast each representation with those of the other utterances in the other modalities.

    .. math:: r_k^m = \frac{\sum_{n \ne m} \sum_{i \in P_k} s(x_k^m, x_i^n)}
              {\sum_{n \ne m} (\sum_{i \in P_k} s(x_k^m, x_i^n)
              + \sum_{j \in N_k} s(x_k^m, x_j^n))}
    .. math:: L = mean_{k, m} \left( -r_k^m + \frac{1}{2 |P_k|} \sum_{n \ne m}
              \sum_{i \in P_k} (s(x_k^m, x_i^n) - \alpha)^2 \right)

    P_k are the other utterances of the same class as utterance k, N_k the utterances of other
    classes.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least two modalities.
        classes: (K,) integer tensor; utterances of the same class are positives of each other.
        alpha: the modality margin, in [0, 1].
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether to pull positives towards similarity alpha.
        similarity: "shifted" or "nonnegative", see `similarities`.
        modification: changes that are not the paper's.

    Returns:
        A scalar, float32 or wider; 0 if no utterance shares its class with another.

    Raises:
        TypeError: a tensor's dtype is not as above.
        ValueError: a value or shape is not as above.

    Method: sections 5 and 6.
    """
    check_alpha(alpha)
    check_several(representations)
    s = similarities(modification.centre(representations), similarity)
    modalities, utterances = s.shape[:2]
    check_classes(classes, utterances)
    # candidates in the anchor's own modality do not form pairs
    others = ~torch.eye(modalities, dtype=torch.bool, device=s.device)[:, None, :, None]
    pairs = Pairs(*((mask[:, None] & others).flatten(2) for mask in class_pairs(classes)))
    return ratio_loss(s.flatten(2), pairs, alpha, selection, refinement, modification)
