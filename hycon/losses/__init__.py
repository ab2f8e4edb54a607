"""HyCon's contrastive losses over the representations of a batch (the method's sections 3 to 7)."""

from hycon.losses.hybrid import HybridContrastiveLoss, HybridLoss
from hycon.losses.inter import inter_modal
from hycon.losses.intra import intra_modal
from hycon.losses.pairs import PairSelection
from hycon.losses.semi import semi_contrastive
from hycon.losses.similarity import similarities
from hycon.losses.substitute import SubstituteLoss

__all__ = [
    "HybridContrastiveLoss",
    "HybridLoss",
    "PairSelection",
    "SubstituteLoss",
    "inter_modal",
    "intra_modal",
    "semi_contrastive",
    "similarities",
]
