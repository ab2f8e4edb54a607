"""IEMCL, the inter-modal contrastive loss: classes apart across modalities (section 5)."""

from collections.abc import Mapping

from torch import Tensor

from hycon.losses.pairs import PairSelection
from hycon.losses.similarity import check_alpha
from hycon.losses.terms import LossConfig, contrastive_terms


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
    terms = LossConfig(classes, alpha, selection, refinement, similarity)
    return contrastive_terms(representations, terms)[1]
