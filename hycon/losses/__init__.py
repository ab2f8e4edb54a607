"""HyCon's contrastive losses over the representations of a batch (method, sections 3 to 7)."""

from hycon.losses.baseline_losses import BaselineLoss
from hycon.losses.hybrid import HybridContrastiveLoss, HybridLoss
from hycon.losses.inter import inter_modal
from hycon.losses.intra import intra_modal
from hycon.losses.modification import Modification
from hycon.losses.pairs import PairSelection
from hycon.losses.semi import semi_contrastive
from hycon.losses.similarity import similarities

__all__ = [
    "BaselineLoss",
    "HybridContrastiveLoss",
    "HybridLoss",
    "Modification",
    "PairSelection",
    "inter_modal",
    "intra_modal",
    "semi_contrastive",
    "similarities",
]
