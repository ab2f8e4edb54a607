"""Similarities in [0, 1] between all representations of a batch (method, section 7)."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

SIMILARITIES = ("shifted", "nonnegative")

# Shorter vectors count as zero vectors, and smaller sums of similarities as 0.
EPSILON = 1e-12


def similarities(representations: Mapping[str, Tensor], similarity: str = "shifted") -> Tensor:
    """Compute the similarities between all representations of a batch in one matrix product.

    Half-precision representations are compared in float32, even under autocast. A zero vector has
    cosine 0 with every vector, and gradient 0.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least one modality.
        similarity: "shifted", (1 + cosine) / 2; or "nonnegative", the cosine after a softplus.

    Returns:
        (M, K, M, K) tensor, float32 or wider. Entry [m, k, n, i] compares utterance k in modality m
        with utterance i in modality n; modalities are in the order of `representations`.

    Raises:
        TypeError: a representation is not a floating-point tensor.
        ValueError: there is no modality, the shapes are not all the same (K, d), or the similarity
            is unknown.

    Method: section 7.
    """
    check_similarity(similarity)
    check_representations(representations)
    shape = len(representations), len(next(iter(representations.values())))
    with torch.autocast(next(iter(representations.values())).device.type, enabled=False):
        x = torch.cat(tuple(representations.values()))  # (M * K, d)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        x = F.softplus(x) if similarity == "nonnegative" else x
        x = directions(x)
        cosine = x @ x.T
        s = (1 + cosine) / 2 if similarity == "shifted" else cosine
    # rounding can move the similarity of parallel or opposite vectors slightly out of [0, 1]
    return s.clamp(0, 1).view(*shape, *shape)


def check_similarity(similarity: str) -> None:
    """Raise ValueError unless `similarity` names one of `SIMILARITIES`."""
    if similarity not in SIMILARITIES:
        allowed = " or ".join(map(repr, SIMILARITIES))
        raise ValueError(f"similarity must be {allowed}, not {similarity!r}")


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless the modality margin is in [0, 1]."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha, the modality margin, must be in [0, 1], not {alpha}")


def check_representations(representations: Mapping[str, Tensor]) -> None:
    """Raise unless there is at least one tensor, and all are floating point with one shape (K, d).

    Raises:
        TypeError: a tensor is not floating point.
        ValueError: there is no tensor, or the shapes are not as above.
    """
    if not representations:
        raise ValueError("representations must have at least one modality, found none")
    for modality, x in representations.items():
        if not x.is_floating_point():
            raise TypeError(f"representation {modality!r} must be floating point, not {x.dtype}")
    shapes = {modality: tuple(x.shape) for modality, x in representations.items()}
    shape, *others = shapes.values()
    if len(shape) != 2 or 0 in shape or any(other != shape for other in others):
        found = ", ".join(f"{modality} {shape}" for modality, shape in shapes.items())
        raise ValueError(f"representations must all be (K, d), K and d at least 1, found {found}")


def check_several(representations: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless there are at least two modalities."""
    if len(representations) < 2:
        found = ", ".join(representations) or "none"
        raise ValueError(f"representations must have at least two modalities, found {found}")


def directions(x: Tensor) -> Tensor:
    """Divide every row of (n, d) by its length; a zero row stays zero."""
    return x / lengths(x)


def lengths(x: Tensor) -> Tensor:
    """Return the lengths (n, 1) of rows (n, d), infinity for a zero row.

    Division by infinity makes value and gradient 0; with a tiny constant, the gradient would
    explode.
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.masked_fill(length < EPSILON, torch.inf)
