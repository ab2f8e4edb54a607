"""The similarity of two representations, in [0, 1], of all pairs of a batch (section 7)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

SIMILARITIES = ("shifted", "nonnegative")

# What counts as zero: a shorter vector has no direction, smaller similarities have no ratio.
EPSILON = 1e-12


def similarities(representations: Mapping[str, Tensor], similarity: str = "shifted") -> Tensor:
    """Compare every representation of a batch with every other, in one matrix product.

    Half-precision representations are compared in float32, under autocast too. A zero vector has
    cosine 0 with every vector, and no gradient.

    Args:
        representations: modality name -> (K, d) floating-point tensor; at least two modalities.
        similarity: "shifted", (1 + cosine) / 2; or "nonnegative", the cosine after a softplus.

    Returns:
        (M, K, M, K) tensor, float32 or wider: entry [m, k, n, i] compares utterance k in modality m
        with utterance i in modality n, the modalities in the order of `representations`.

    Raises:
        TypeError: a representation is not a floating-point tensor.
        ValueError: fewer than two modalities, shapes that are not one (K, d), or an unknown
            similarity.

    Method: section 7.
    """
    check_similarity(similarity)
    check_representations(representations)
    return _Similarities.apply(similarity, *representations.values())


class SimilarityCache(NamedTuple):
    """The similarities of n vectors, and what their gradient needs."""

    s: Tensor | None  # (n, n)
    rows: Tensor  # (n, d), the directions of the vectors
    length: Tensor  # (n, 1), infinity for a zero vector
    slope: Tensor | float  # (n, d), or one for all: what is left of a gradient by the vectors


def compare(representations: Sequence[Tensor], similarity: str) -> SimilarityCache:
    """Compare the vectors of some (K, d) tensors, all of them in their order."""
    with torch.autocast(representations[0].device.type, enabled=False):
        x = torch.cat(tuple(representations))  # (n, d)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        slope = 0.5
        if similarity == "nonnegative":
            x, slope = F.softplus(x), x.sigmoid()
        length = _lengths(x)
        rows = x / length
        if similarity == "shifted":
            half = rows.new_full((), 0.5)
            s = torch.addmm(half, rows, rows.T, alpha=0.5)  # (1 + cosine) / 2
        else:
            s = rows @ rows.T
    # Rounding can carry the similarity of parallel or opposite vectors just out of [0, 1]. The
    # true gradient is 0 there, and what flows past this clamp is 0 but for rounding.
    return SimilarityCache(s.clamp_(0, 1), rows, length, slope)


def compare_backward(gradient: Tensor, compared: SimilarityCache) -> Tensor:
    """Return the gradient by the vectors (n, d), given the one by the similarities (n, n)."""
    _, rows, length, slope = compared
    with torch.autocast(rows.device.type, enabled=False):
        by_rows = torch.addmm(gradient @ rows, gradient.T, rows)
    along = (by_rows * rows).sum(-1, keepdim=True)  # which changes no direction
    return torch.addcmul(by_rows, rows, along, value=-1).mul_(slope / length)


class _Similarities(torch.autograd.Function):
    """The similarities (M, K, M, K) of M representations (K, d)."""

    @staticmethod
    def forward(ctx: FunctionCtx, similarity: str, *representations: Tensor) -> Tensor:
        compared = compare(representations, similarity)
        ctx.compared = compared._replace(s=None)
        shape = len(representations), len(representations[0])
        return compared.s.view(*shape, *shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        shape = gradient.shape[:2]
        by_x = compare_backward(gradient.flatten(2).flatten(0, 1), ctx.compared)
        return None, *by_x.view(*shape, -1)


def check_similarity(similarity: str) -> None:
    """Raise ValueError unless `similarity` names one of `SIMILARITIES`."""
    if similarity not in SIMILARITIES:
        allowed = " or ".join(map(repr, SIMILARITIES))
        raise ValueError(f"similarity must be {allowed}, not {similarity!r}")


def check_alpha(alpha: float) -> None:
    """Raise ValueError unless the modality margin lies in [0, 1]."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha, the modality margin, must lie in [0, 1], not {alpha}")


def check_representations(representations: Mapping[str, Tensor]) -> None:
    """Raise unless these are floating-point tensors of one shape (K, d), two at least."""
    if len(representations) < 2:
        found = ", ".join(representations) or "none"
        raise ValueError(f"representations must hold at least two modalities, found {found}")
    for modality, x in representations.items():
        if not x.is_floating_point():
            raise TypeError(f"representation {modality!r} must be floating point, not {x.dtype}")
    shapes = {modality: tuple(x.shape) for modality, x in representations.items()}
    shape, *others = shapes.values()
    if len(shape) != 2 or 0 in shape or any(other != shape for other in others):
        found = ", ".join(f"{modality} {shape}" for modality, shape in shapes.items())
        raise ValueError(f"representations must all be (K, d), K and d at least 1, found {found}")


def directions(x: Tensor) -> Tensor:
    """Divide every row of (n, d) by its length; a zero row stays zero."""
    return x / _lengths(x)


def _lengths(x: Tensor) -> Tensor:
    """Return the lengths (n, 1) of rows, infinity for a zero row.

    Divided by infinity, value and gradient are 0; by a tiny constant, the gradient would explode.
    """
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length.masked_fill(length < EPSILON, torch.inf)
