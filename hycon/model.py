"""The network: one encoder a modality, a fusion, a prediction (method, section 2)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.fusion import FUSIONS
from hycon.params import Model

MODALITIES = ("text", "audio", "vision")


class Steps(NamedTuple):
    """A padded batch of one modality: values (K, T, D), and the valid steps of each row (K,)."""

    values: Tensor
    lengths: Tensor


class Output(NamedTuple):
    """What the network gives for K utterances."""

    text: Tensor  # (K, d)
    audio: Tensor  # (K, d)
    vision: Tensor  # (K, d)
    fused: Tensor  # (K, fusion's width)
    prediction: Tensor  # (K,) score, or (K, C) logits

    @property
    def representations(self) -> dict[str, Tensor]:
        """The unimodal representations by modality, as the losses take them."""
        return {name: getattr(self, name) for name in MODALITIES}


class UnimodalEncoder(nn.Module):
    """A projection to d and a Transformer; gives x^m, the state of the last valid step."""

    def __init__(self, width: int, layers: int, settings: Model) -> None:
        super().__init__()
        d = settings.dimension
        self.projection = nn.Linear(width, d)
        self.dropout = nn.Dropout(settings.dropout)
        layer = nn.TransformerEncoderLayer(
            d, settings.heads, 4 * d, settings.dropout, batch_first=True, norm_first=True
        )
        self.transformer = (
            nn.TransformerEncoder(layer, layers, nn.LayerNorm(d), enable_nested_tensor=False)
            if layers
            else None
        )

    def forward(self, steps: Steps) -> Tensor:
        """Return x^m (K, d) of a padded batch; padding never reaches it."""
        hidden = self.projection(steps.values)  # (K, T, d)
        if self.transformer is not None:
            time = hidden.shape[1]
            hidden = self.dropout(hidden + positions(time, hidden.shape[2], hidden))
            padding = torch.arange(time, device=hidden.device) >= steps.lengths[:, None]
            hidden = self.transformer(hidden, src_key_padding_mask=padding)
        last = (steps.lengths - 1)[:, None, None].expand(-1, 1, hidden.shape[2])
        return hidden.gather(1, last).squeeze(1)


def positions(time: int, width: int, like: Tensor) -> Tensor:
    """Return sinusoidal position codes (T, d) in the dtype and on the device of `like`."""
    step = torch.arange(time, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = step * torch.exp(-math.log(10_000.0) / width * rate)
    codes = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    return codes.to(like.dtype)


class HyCon(nn.Module):
    """Three unimodal encoders, a fusion, and a head; the contrastive part is in training only.

    Args:
        widths: features per step of text, audio and vision.
        outputs: 1 for a score, or the number of classes.
        settings: sizes, depths, dropout, fusion.
    """

    def __init__(self, widths: dict[str, int], outputs: int, settings: Model) -> None:
        super().__init__()
        depth = {"text": settings.text_layers, "audio": settings.layers, "vision": settings.layers}
        self.encoders = nn.ModuleDict(
            {name: UnimodalEncoder(widths[name], depth[name], settings) for name in MODALITIES}
        )
        self.fusion = FUSIONS[settings.fusion](settings.dimension)
        self.head = nn.Sequential(
            nn.Linear(self.fusion.dimension, settings.dimension),
            nn.ReLU(),
            nn.Dropout(settings.dropout),
            nn.Linear(settings.dimension, outputs),
        )

    def forward(self, batch: dict[str, Steps]) -> Output:
        """Return representations and prediction of a padded batch, by modality."""
        unimodal = {name: self.encoders[name](batch[name]) for name in MODALITIES}
        fused = self.fusion(**unimodal)
        prediction = self.head(fused)
        if prediction.shape[1] == 1:
            prediction = prediction.squeeze(1)
        return Output(**unimodal, fused=fused, prediction=prediction)
