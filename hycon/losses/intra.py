"""IAMCL, the intra-modal contrastive loss, which separates classes within a modality."""

from collections.abc import Mapping

from torch import Tensor

from hycon.losses.modification import PAPER, Modification
from hycon.losses.pairs import PairSelection, check_classes, class_pairs
from hycon.losses.ratio import ratio_loss
from hycon.losses.similarity import similarities


def intra_modal(
    representations: Mapping[str, Tensor],
    classes: Tensor,
    selection: PairSelection | None = None,
    refinement: bool = True,
    similarity: str = "shifted",
    modification: Modification = PAPER,
) -> Tensor:
    r"""Contrast each representation with those of the other utterances in the same modality.

    .. math:: r_k^m = \frac{\sum_{i \in P_k} s(x_k^m, x_i^m)}
              {\sum_{i \in P_k} s(x_k^m, x_i^m) + \sum_{j \in N_k} s(x_k^m, x_j^m)}
    .. math:: L = mean_{k, m} \left( -r_k^m
              + \frac{1}{|P_k|} \sum_{i \in P_k} (s(x_k^m, x_i^m) - 1)^2 \right)

    P_k are the other utterances of the same class as utterance k, N_k the utterances of other
    classes.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least one modality.
        classes: (K,) integer tensor; utterances of the same class are positives of each other.
        selection: which pairs to keep, and how to weight them; None keeps all, unweighted.
        refinement: whether to pull positives towards similarity 1.
        similarity: "shifted" or "nonnegative", see `similarities`.
        modification: changes that are not the paper's.

    Returns:
        A scalar, float32 or wider; 0 if no utterance shares its class with another.

    Raises:
        TypeError: a tensor's dtype is not as above.
        ValueError: a value or shape is not as above.

    Method: sections 4 and 6.
    """
    s = similarities(modification.centre(representations), similarity)
    check_classes(classes, s.shape[1])
    own = s.diagonal(dim1=0, dim2=2).movedim(-1, 0)  # (M, K, K): every modality with itself
    return ratio_loss(own, class_pairs(classes), 1.0, selection, refinement, modification)
