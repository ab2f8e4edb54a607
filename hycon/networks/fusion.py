"""Fusions, which combine the unimodal representations (method, section 8, evidence 4).

A fusion takes one representation (K, d) for each of `settings.modalities`, in the order text,
audio, vision, and returns (K, `dimension`).
"""

import functools

import torch
from torch import Tensor, nn

from hycon.params import ModelConfig


class Addition(nn.Module):
    """Add the representations, x_l + x_a + x_v; there are no parameters."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension  # width of the fused representation

    def forward(self, *unimodal: Tensor) -> Tensor:
        return torch.stack(unimodal).sum(dim=0)  # (K, d)


class Concatenation(nn.Module):
    """Concatenate the representations, [x_l; x_a; x_v]; there are no parameters."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = len(settings.modalities) * settings.dimension

    def forward(self, *unimodal: Tensor) -> Tensor:
        return torch.cat(unimodal, dim=1)  # (K, 3d)


class Multiplication(nn.Module):
    """Multiply the representations element by element, x_l * x_a * x_v, without parameters."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension

    def forward(self, *unimodal: Tensor) -> Tensor:
        return functools.reduce(torch.mul, unimodal)  # (K, d)


def _with_one(x: Tensor) -> Tensor:
    """Append a constant 1 to every row: (K, d) to (K, d + 1)."""
    return nn.functional.pad(x, (0, 1), value=1.0)


class TensorFusion(nn.Module):
    """Map the outer product of [x_l; 1], [x_a; 1] and [x_v; 1] linearly to d.

    Because of the ones, the product contains the unimodal and bimodal terms too. The map, which is
    the first layer after the product in TFN, has d (d + 1)^3 weights.
    """

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension
        inputs = (self.dimension + 1) ** len(settings.modalities)
        self.map = nn.Linear(inputs, self.dimension)

    def forward(self, *unimodal: Tensor) -> Tensor:
        product, *others = map(_with_one, unimodal)
        for other in others:
            product = (product[:, :, None] * other[:, None]).flatten(1)  # (K, (d + 1)^2), ...
        return self.map(product)  # (K, d)


class LowRankFusion(nn.Module):
    """Apply tensor fusion with weights that are a sum of `rank` outer products (LMF).

    The result is sum_r (W_l^r z_l) * (W_a^r z_a) * (W_v^r z_v) with z = [x; 1], without computing
    the outer product of the representations.
    """

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = d = settings.dimension
        count = len(settings.modalities)
        self.factors = nn.Parameter(torch.empty(count, settings.rank, d + 1, d))
        self.bias = nn.Parameter(torch.zeros(d))
        for factor in self.factors.detach().flatten(0, 1):
            nn.init.xavier_normal_(factor)

    def forward(self, *unimodal: Tensor) -> Tensor:
        z = _with_one(torch.stack(unimodal))  # (3, K, d + 1)
        mapped = z[:, None] @ self.factors  # (3, rank, K, d)
        return mapped.prod(dim=0).sum(dim=0) + self.bias  # (K, d)


class GraphFusion(nn.Module):
    """Sum unimodal, bimodal and trimodal vertices by level, with learned edge weights.

    This follows the graph fusion network by the same first author (ARGF, AAAI 2020). A network
    computes the weight of each unimodal vertex. A vertex of a higher level joins two vertices of
    lower levels. Its weight grows with their weights and falls with their similarity; the weights
    of a higher level sum to 1. A trimodal vertex joins two bimodal vertices, or a bimodal vertex
    and the missing modality. The levels are concatenated; two modalities have two levels, and one
    has one.
    """

    BIMODAL = ((0, 1), (0, 2), (1, 2))  # text-audio, text-vision, audio-vision
    # 0 to 2 are the bimodal vertices; 3 to 5 are text, audio and vision
    TRIMODAL = ((0, 1), (0, 2), (1, 2), (0, 5), (1, 4), (2, 3))

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        d = settings.dimension
        self.levels = len(settings.modalities)
        self.dimension = self.levels * d
        self.weight = nn.Sequential(nn.Linear(d, d), nn.Tanh(), nn.Linear(d, 1), nn.Sigmoid())
        if self.levels > 1:
            self.bimodal = nn.Sequential(nn.Linear(2 * d, d), nn.Tanh())
        if self.levels > 2:
            self.trimodal = nn.Sequential(nn.Linear(2 * d, d), nn.Tanh())

    def forward(self, *unimodal: Tensor) -> Tensor:
        one = torch.stack(unimodal, dim=1)  # (K, 3, d)
        one_weights = self.weight(one).squeeze(2)  # (K, 3)
        levels = [(one * one_weights[..., None]).mean(dim=1)]
        if self.levels > 1:
            edges = self.BIMODAL if self.levels > 2 else self.BIMODAL[:1]
            two, two_weights = self._join(self.bimodal, edges, one, one_weights)  # (K, 3, d)
            levels.append((two * two_weights[..., None]).sum(dim=1))
        if self.levels > 2:
            below = torch.cat([two, one], dim=1), torch.cat([two_weights, one_weights], dim=1)
            three, three_weights = self._join(self.trimodal, self.TRIMODAL, *below)  # (K, 6, d)
            levels.append((three * three_weights[..., None]).sum(dim=1))
        return torch.cat(levels, dim=1)  # (K, 3d)

    @staticmethod
    def _join(
        network: nn.Module, edges: tuple[tuple[int, int], ...], vertices: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the vertices (K, E, d) that join the ends of E edges, and their weights (K, E)."""
        first, second = (list(ends) for ends in zip(*edges, strict=True))
        joined = network(torch.cat([vertices[:, first], vertices[:, second]], dim=2))
        shares = vertices.softmax(dim=2)
        alike = (shares[:, first] * shares[:, second]).sum(dim=2)  # (K, E), in (0, 1]
        scores = (weights[:, first] + weights[:, second]) / (alike + 0.5)
        return joined, scores.softmax(dim=1)


FUSIONS = {
    "addition": Addition,
    "concatenation": Concatenation,
    "multiplication": Multiplication,
    "tensor": TensorFusion,
    "low-rank": LowRankFusion,
    "graph": GraphFusion,
}
