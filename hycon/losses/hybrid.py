"""The hybrid contrastive loss: IAMCL, IEMCL and SCL over one set of similarities (section 7)."""

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.losses.fused import LossConfig, contrastive_terms
from hycon.losses.inter import inter_modal
from hycon.losses.intra import intra_modal
from hycon.losses.modification import PAPER, Modification
from hycon.losses.pairs import PairSelection
from hycon.losses.semi import semi_contrastive
from hycon.losses.similarity import check_alpha, check_similarity


class HybridLoss(NamedTuple):
    """The weighted total and its three unweighted parts; all are scalars."""

    total: Tensor
    intra: Tensor
    inter: Tensor
    semi: Tensor


class HybridContrastiveLoss(nn.Module):
    """Compute the weighted sum of IAMCL, IEMCL and SCL; the module has no parameters.

    Args:
        alpha: the modality margin, in [0, 1].
        weights: weights of the intra-modal, inter-modal and semi-contrastive loss; each at least 0.
            A loss with weight 0 is returned, detached, but is not part of the total.
        selection: pair selection and weighting of HyCon-v2; None uses all pairs, unweighted.
        refinement: whether the intra- and inter-modal losses include their refinement.
        similarity: "shifted" or "nonnegative", see `similarities`.
        modification: changes of the losses within and across modalities that are not the paper's.
            With any, the losses are those of `intra_modal` and `inter_modal`, which are slower.

    Raises:
        ValueError: a value is not as above.

    Method: section 7.
    """

    def __init__(
        self,
        alpha: float,
        weights: tuple[float, float, float] = (0.1, 0.1, 0.1),
        selection: PairSelection | None = None,
        refinement: bool = True,
        similarity: str = "shifted",
        modification: Modification = PAPER,
    ):
        super().__init__()
        check_alpha(alpha)
        check_similarity(similarity)
        self.alpha = alpha
        self.weights = check_weights(weights)
        self.selection = selection
        self.refinement = refinement
        self.similarity = similarity
        self.modification = modification

    def forward(self, representations: Mapping[str, Tensor], classes: Tensor) -> HybridLoss:
        """Compute the losses of a batch.

        Args:
            representations: modality name -> (K, d) floating-point tensor; with a single modality,
                the inter-modal and the semi-contrastive loss are 0.
            classes: (K,) integer tensor; utterances of the same class are positives of each other.

        Returns:
            The total and its parts; scalars of float32 or wider.

        Raises:
            TypeError: a tensor's dtype is not as above.
            ValueError: a shape is not as above.
        """
        if self.modification != PAPER:
            return weigh(self.weights, self._modified(representations, classes))
        terms = LossConfig(classes, self.alpha, self.selection, self.refinement, self.similarity)
        parts = contrastive_terms(representations, terms)
        if all(self.weights):  # two operations instead of the nine of `weigh`
            return HybridLoss(parts.dot(_constant(self.weights, parts)), *parts.unbind())
        return weigh(self.weights, parts.unbind())

    def _modified(
        self, representations: Mapping[str, Tensor], classes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        common = self.selection, self.refinement, self.similarity, self.modification
        intra = intra_modal(representations, classes, *common)
        if len(representations) == 1:
            return intra, intra.new_zeros(()), intra.new_zeros(())
        inter = inter_modal(representations, classes, self.alpha, *common)
        return intra, inter, semi_contrastive(representations, self.alpha, self.similarity)

    def extra_repr(self) -> str:
        """Return the settings, as they appear in the module's repr."""
        settings = ["alpha", "weights", "selection", "refinement", "similarity"]
        settings += ["modification"] if self.modification != PAPER else []
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in settings)


def weigh(weights: tuple[float, float, float], parts: tuple[Tensor, Tensor, Tensor]) -> HybridLoss:
    """Return the weighted total and its parts; parts with weight 0 are detached."""
    parts = [part if weight else part.detach() for weight, part in zip(weights, parts, strict=True)]
    active = [weight * part for weight, part in zip(weights, parts, strict=True) if weight]
    return HybridLoss(sum(active, start=parts[0].new_zeros(())), *parts)


def _constant(weights: tuple[float, float, float], like: Tensor) -> Tensor:
    return _constants(weights, like.dtype, like.device)


@functools.lru_cache(maxsize=64)
def _constants(
    weights: tuple[float, float, float], dtype: torch.dtype, device: torch.device
) -> Tensor:
    return torch.tensor(weights, dtype=dtype, device=device)


def check_weights(weights: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return the three weights; raise ValueError unless they are finite and at least 0."""
    if len(weights) != 3:
        raise ValueError(f"weights must be three (intra, inter, semi), found {len(weights)}")
    if not all(0 <= weight < math.inf for weight in weights):
        raise ValueError(f"weights must be finite and at least 0, found {tuple(weights)}")
    return tuple(weights)
