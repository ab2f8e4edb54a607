"""IAMCL, the intra-modal contrastive loss: classes apart within a modality (section 4)."""

from collections.abc import Mapping

from torch import Tensor

from hycon.losses.pairs import Pairs, PairSelection, check_classes, class_pairs, contrast
from hycon.losses.similarity import similarities


def intra_modal(
    representations: Mapping[str, Tensor],
    classes: Tensor,
    selection: PairSelection | None = None,
    refinement: bool = True,
    similarity: str = "shifted",
) -> Tensor:
    """Contrast every representation with those of the other utterances in its own modality.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least two modalities.
        classes: (K,) integer tensor; utterances of one class are positives of each other.
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether positives are also drawn to similarity 1.
        similarity: "shifted" or "nonnegative", see `similarities`.

    Returns:
        A scalar, float32 or wider; 0 where no utterance shares its class with another.

    Raises:
        TypeError: a tensor's dtype is not as above.
        ValueError: a value or shape is not as above.

    Method: sections 4 and 6.
    """
    s = similarities(representations, similarity)
    check_classes(classes, s.shape[1])
    return intra_term(s, class_pairs(classes), selection, refinement)


def intra_term(
    s: Tensor, pairs: Pairs, selection: PairSelection | None, refinement: bool
) -> Tensor:
    """IAMCL of the (M, K, M, K) similarities and the (K, K) pairs of a batch."""
    own = s.diagonal(dim1=0, dim2=2).movedim(-1, 0)  # (M, K, K): the own modality
    return contrast(own, pairs, selection, target=1.0 if refinement else None)
