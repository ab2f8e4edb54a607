"""Fusion: three unimodal representations into one (method, section 8, evidence 4).

Every fusion takes text, audio and vision, each (K, d), and gives (K, `dimension`).
"""

import torch
from torch import Tensor, nn

from hycon.params import ModelConfig


class Addition(nn.Module):
    """x_l + x_a + x_v: no parameter of its own."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension  # width of the fused representation

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        return torch.stack([text, audio, vision]).sum(dim=0)  # (K, d)


class Concatenation(nn.Module):
    """[x_l; x_a; x_v]: no parameter of its own."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = 3 * settings.dimension

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        return torch.cat([text, audio, vision], dim=1)  # (K, 3d)


class Multiplication(nn.Module):
    """x_l * x_a * x_v, element by element: no parameter of its own."""

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        return text * audio * vision  # (K, d)


def _with_one(x: Tensor) -> Tensor:
    """Append a constant 1 to every row: (K, d) to (K, d + 1)."""
    return nn.functional.pad(x, (0, 1), value=1.0)


class TensorFusion(nn.Module):
    """The outer product of [x_l; 1], [x_a; 1] and [x_v; 1], and a linear map of it to d.

    The ones keep the unimodal and bimodal terms next to the trimodal products. The map is the first
    layer after the product in TFN; it has d (d + 1)^3 weights.
    """

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = settings.dimension
        self.map = nn.Linear((self.dimension + 1) ** 3, self.dimension)

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        pairs = _with_one(text)[:, :, None] * _with_one(audio)[:, None]  # (K, d + 1, d + 1)
        product = pairs.flatten(1)[:, :, None] * _with_one(vision)[:, None]
        return self.map(product.flatten(1))  # (K, d)


class LowRankFusion(nn.Module):
    """Tensor fusion whose weights are a sum of `rank` outer products (LMF).

    The tensor itself is never formed: sum_r (W_l^r z_l) * (W_a^r z_a) * (W_v^r z_v)
    with z = [x; 1].
    """

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        self.dimension = d = settings.dimension
        self.factors = nn.Parameter(torch.empty(3, settings.rank, d + 1, d))
        self.bias = nn.Parameter(torch.zeros(d))
        for factor in self.factors.detach().flatten(0, 1):
            nn.init.xavier_normal_(factor)

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        z = _with_one(torch.stack([text, audio, vision]))  # (3, K, d + 1)
        mapped = z[:, None] @ self.factors  # (3, rank, K, d)
        return mapped.prod(dim=0).sum(dim=0) + self.bias  # (K, d)


class GraphFusion(nn.Module):
    """Unimodal, bimodal and trimodal vertices, summed by level with learned edge weights.

    After the graph fusion network of the same first author (ARGF, AAAI 2020). The weight of a
    unimodal vertex is learned from it. A vertex of a higher level joins two lower ones; its weight
    grows with their weights and falls with their similarity, and the weights of a level sum to 1.
    Trimodal vertices join two bimodal ones, or a bimodal one and the modality that it lacks. The
    levels are concatenated.
    """

    BIMODAL = ((0, 1), (0, 2), (1, 2))  # text-audio, text-vision, audio-vision
    # of the three bimodal vertices and, as 3 to 5, text, audio and vision
    TRIMODAL = ((0, 1), (0, 2), (1, 2), (0, 5), (1, 4), (2, 3))

    def __init__(self, settings: ModelConfig) -> None:
        super().__init__()
        d = settings.dimension
        self.dimension = 3 * d
        self.weight = nn.Sequential(nn.Linear(d, d), nn.Tanh(), nn.Linear(d, 1), nn.Sigmoid())
        self.bimodal = nn.Sequential(nn.Linear(2 * d, d), nn.Tanh())
        self.trimodal = nn.Sequential(nn.Linear(2 * d, d), nn.Tanh())

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        one = torch.stack([text, audio, vision], dim=1)  # (K, 3, d)
        one_weights = self.weight(one).squeeze(2)  # (K, 3)
        two, two_weights = self._join(self.bimodal, self.BIMODAL, one, one_weights)  # (K, 3, d)
        below = torch.cat([two, one], dim=1), torch.cat([two_weights, one_weights], dim=1)
        three, three_weights = self._join(self.trimodal, self.TRIMODAL, *below)  # (K, 6, d)
        levels = (
            (one * one_weights[..., None]).mean(dim=1),
            (two * two_weights[..., None]).sum(dim=1),
            (three * three_weights[..., None]).sum(dim=1),
        )
        return torch.cat(levels, dim=1)  # (K, 3d)

    @staticmethod
    def _join(
        network: nn.Module, edges: tuple[tuple[int, int], ...], vertices: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the vertices (K, E, d) that join two each, and their weights (K, E)."""
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
