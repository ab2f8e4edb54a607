"""Conventional losses that replace IAMCL and IEMCL (method, section 8, evidence 7).

The losses are those of pytorch-metric-learning. They use the same pairs as IAMCL and IEMCL: other
utterances, within a modality and across modalities. SCL is unchanged.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from hycon.losses.fused import FusedSimilarities
from hycon.losses.hybrid import HybridLoss, check_weights, weigh
from hycon.losses.pairs import Pairs, check_classes, class_pairs
from hycon.losses.semi import semi_term
from hycon.losses.similarity import check_alpha, check_representations, check_similarity, directions

# name: (class in the package, its arguments). Contrastive and triplet loss use the Euclidean
# distance of normalised vectors; N-pair and SupCon use the cosine. N-pair is NTXentLoss, because it
# contrasts every positive with all negatives; the package's NPairsLoss uses one pair per class.
SUBSTITUTES = {
    "contrastive": ("ContrastiveLoss", {"pos_margin": 0, "neg_margin": 1}),
    "triplet": ("TripletMarginLoss", {"margin": 0.05}),
    "n-pair": ("NTXentLoss", {"temperature": 1.0}),
    "supcon": ("SupConLoss", {"temperature": 0.1}),
}


class BaselineLoss(nn.Module):
    """Apply a conventional loss within and across modalities, and SCL.

    It is a drop-in replacement for HybridContrastiveLoss.

    Args:
        loss: a name in `SUBSTITUTES`.
        alpha: the modality margin of SCL, in [0, 1].
        weights: weights of the loss within modalities, of the loss across modalities, and of SCL;
            each at least 0.
        similarity: similarity that SCL uses: "shifted" or "nonnegative", see `similarities`.

    Raises:
        ValueError: a value is not as above.
    """

    def __init__(
        self,
        loss: str,
        alpha: float,
        weights: tuple[float, float, float] = (0.1, 0.1, 0.1),
        similarity: str = "shifted",
    ):
        super().__init__()
        if loss not in SUBSTITUTES:
            raise ValueError(f"loss must be one of {', '.join(SUBSTITUTES)}, not {loss!r}")
        check_alpha(alpha)
        check_similarity(similarity)
        from pytorch_metric_learning import losses  # importing it takes seconds

        self.name = loss
        kind, options = SUBSTITUTES[loss]
        self.loss = getattr(losses, kind)(**options)
        self.alpha = alpha
        self.weights = check_weights(weights)
        self.similarity = similarity

    def forward(self, representations: Mapping[str, Tensor], classes: Tensor) -> HybridLoss:
        """Compute the losses of a batch, with the interface of HybridContrastiveLoss.forward."""
        check_representations(representations)
        s = FusedSimilarities.apply(self.similarity, *representations.values())
        check_classes(classes, s.shape[1])
        pairs = class_pairs(classes)
        within, across = [], []
        with torch.autocast(classes.device.type, enabled=False):
            # normalise here, because the package divides zero vectors by a tiny constant
            x = {name: directions(value.to(s.dtype)) for name, value in representations.items()}
            for modality, anchors in x.items():
                others = [value for name, value in x.items() if name != modality]
                within.append(self._compare(anchors, [anchors], classes, pairs))
                if others:
                    across.append(self._compare(anchors, others, classes, pairs))
        between = torch.stack(across).mean() if across else s.new_zeros(())
        return weigh(self.weights, (torch.stack(within).mean(), between, semi_term(s, self.alpha)))

    def _compare(
        self, anchors: Tensor, others: list[Tensor], classes: Tensor, pairs: Pairs
    ) -> Tensor:
        """Return the loss of anchors (K, d) against the K utterances of each of the others."""
        copies = len(others)
        indices = [row for mask in pairs for row in torch.where(mask.repeat(1, copies))]
        return self.loss(
            anchors,
            classes,
            tuple(indices),
            ref_emb=torch.cat(others),
            ref_labels=classes.repeat(copies),
        )

    def extra_repr(self) -> str:
        """Return the settings, as they appear in the module's repr."""
        settings = ("name", "alpha", "weights", "similarity")
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in settings)
