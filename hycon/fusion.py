"""Fusion: three unimodal representations into one (method, sections 7 and 8)."""

import torch
from torch import Tensor, nn


class Addition(nn.Module):
    """x_l + x_a + x_v: no parameter of its own."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.dimension = dimension  # width of the fused representation

    def forward(self, text: Tensor, audio: Tensor, vision: Tensor) -> Tensor:
        return torch.stack([text, audio, vision]).sum(dim=0)  # (K, d)


FUSIONS = {"addition": Addition}
