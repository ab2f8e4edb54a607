"""SCL, the semi-contrastive loss between the modalities of one utterance."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hycon.losses.similarity import check_alpha, check_several, similarities


def semi_contrastive(
    representations: Mapping[str, Tensor], alpha: float, similarity: str = "shifted"
) -> Tensor:
    r"""Pull the modalities of each utterance towards similarity alpha.

    This loss uses neither classes nor negatives.

    .. math:: L = mean_{k, m} \frac{1}{2} \sum_{n \ne m} (s(x_k^m, x_k^n) - \alpha)^2

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least two modalities.
        alpha: the modality margin, in [0, 1].
        similarity: "shifted" or "nonnegative", see `similarities`.

    Returns:
        A scalar, float32 or wider.

    Raises:
        TypeError: a representation is not a floating-point tensor.
        ValueError: a value or shape is not as above.

    Method: section 3.
    """
    check_alpha(alpha)
    check_several(representations)
    return semi_term(similarities(representations, similarity), alpha)


def semi_term(s: Tensor, alpha: float) -> Tensor:
    """Compute SCL from the similarities of a batch.

    Args:
        s: (M, K, M, K), see `similarities`.
        alpha: the modality margin.

    Returns:
        A scalar; 0 for a single modality.
    """
    modalities, utterances = s.shape[:2]
    own = s.diagonal(dim1=1, dim2=3)  # (M, M, K): all pairs of modalities of an utterance
    itself = torch.eye(modalities, dtype=torch.bool, device=s.device)[..., None]
    squares = (own - alpha).square().masked_fill(itself, 0)
    return squares.sum() / max(1, modalities * (modalities - 1) * utterances)
