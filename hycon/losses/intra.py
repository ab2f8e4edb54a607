"""IAMCL, the intra-modal contrastive loss: classes apart within a modality (section 4)."""

from collections.abc import Mapping

from torch import Tensor

from hycon.losses.pairs import PairSelection
from hycon.losses.terms import LossConfig, contrastive_terms


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
    # the margin is the other two losses'
    terms = LossConfig(classes, 1.0, selection, refinement, similarity)
    return contrastive_terms(representations, terms)[0]
