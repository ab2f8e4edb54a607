"""IEMCL, the inter-modal contrastive loss: classes apart across modalities (section 5)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hycon.losses.pairs import Pairs, PairSelection, check_classes, class_pairs, contrast
from hycon.losses.similarity import check_alpha, similarities


def inter_modal(
    representations: Mapping[str, Tensor],
    classes: Tensor,
    alpha: float,
    selection: PairSelection | None = None,
    refinement: bool = True,
    similarity: str = "shifted",
) -> Tensor:
    """Contrast every representation with those of the other utterances in the other modalities.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least two modalities.
        classes: (K,) integer tensor; utterances of one class are positives of each other.
        alpha: the modality margin, in [0, 1].
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether positives are also drawn to similarity alpha.
        similarity: "shifted" or "nonnegative", see `similarities`.

    Returns:
        A scalar, float32 or wider; 0 where no utterance shares its class with another.

    Raises:
        TypeError: a tensor's dtype is not as above.
        ValueError: a value or shape is not as above.

    Method: sections 5 and 6.
    """
    check_alpha(alpha)
    s = similarities(representations, similarity)
    check_classes(classes, s.shape[1])
    return inter_term(s, class_pairs(classes), alpha, selection, refinement)


def inter_term(
    s: Tensor, pairs: Pairs, alpha: float, selection: PairSelection | None, refinement: bool
) -> Tensor:
    """IEMCL of the (M, K, M, K) similarities and the (K, K) pairs of a batch."""
    # Masking the own modality out is no slower than copying the others, up to a K of 64 or so.
    other = ~torch.eye(s.shape[0], dtype=torch.bool, device=s.device)[:, None, :, None]
    masks = Pairs(*((other & mask[:, None, :]).flatten(2) for mask in pairs))  # (M, K, MK)
    return contrast(s.flatten(2), masks, selection, target=alpha if refinement else None)
