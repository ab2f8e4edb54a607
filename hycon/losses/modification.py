"""Changes of IAMCL and IEMCL that are not the paper's, to be tested against it (section 11)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Modification:
    """Three independent changes; the defaults are the paper's losses.

    Args:
        power: similarities are raised to it in the ratio; greater than 0. Above 1 it spreads
            similarities that are all close to each other.
        logarithm: whether the loss is -log(ratio) instead of -ratio, whose gradient grows where
            the positives have a small share.
        centred: whether to subtract each modality's mean over the batch before the cosine, so that
            a direction that all representations share does not count.

    Raises:
        ValueError: power is out of range.

    Method: section 11.
    """

    power: float = 1.0
    logarithm: bool = False
    centred: bool = False

    def __post_init__(self):
        if not 0 < self.power < math.inf:
            raise ValueError(f"power must be greater than 0 and finite, not {self.power}")

    def centre(self, representations: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the representations (K, d), minus their means if `centred`."""
        if not self.centred:
            return representations
        return {name: x - x.mean(0) for name, x in representations.items()}


PAPER = Modification()
