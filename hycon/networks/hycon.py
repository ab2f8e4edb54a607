"""The network: one encoder a modality, a fusion, a prediction (method, section 2)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.networks.fusion import FUSIONS
from hycon.networks.packing import AttentionChunk, PackedBatch, PaddedBatch, pooled
from hycon.params import ModelConfig


class Output(NamedTuple):
    """The network's output for K utterances."""

    representations: dict[str, Tensor]  # by modality, (K, d)
    fused: Tensor  # (K, fusion's width)
    prediction: Tensor  # (K,) score, or (K, C) logits

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name: the modalities, `fused` and `prediction`."""
        return {**self.representations, "fused": self.fused, "prediction": self.prediction}


class Dropout(nn.Dropout):
    """Dropout with the same random numbers on every CPU.

    torch's own uses MKL's generator on Intel processors, and on others a generator that takes three
    times as long as this one.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or not self.p:
            return super().forward(x)
        keep = torch.rand_like(x).ge_(self.p).mul_(1 / (1 - self.p))
        return x * keep


class Layer(nn.Module):
    """A Transformer layer with pre-normalisation, and dropout on the output of each part.

    torch's own layer also drops attention weights and hidden units, which costs a third of a step
    on a CPU and keeps it from the fused attention kernel.
    """

    def __init__(self, dimension: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(dimension)
        self.query = nn.Linear(dimension, dimension)
        self.key_value = nn.Linear(dimension, 2 * dimension)
        self.out = nn.Linear(dimension, dimension)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dimension),
            nn.Linear(dimension, 4 * dimension),
            nn.ReLU(),
            nn.Linear(4 * dimension, dimension),
        )
        self.dropout = Dropout(dropout)

    def forward(
        self, hidden: Tensor, chunks: list[AttentionChunk], wanted: Tensor | None = None
    ) -> Tensor:
        """Return the states (Q, d) of the wanted steps, which attend to all steps of their
        utterance.

        Args:
            hidden: (W, d) states of the packed steps.
            chunks: parts of the batch that are attended to at once; together the whole batch.
            wanted: (K,) int64, one step of each utterance, with a single chunk; None for all steps.
        """
        normed = self.before_attention(hidden)
        asking = normed
        if wanted is not None:
            asking, hidden = normed.index_select(0, wanted), hidden.index_select(0, wanted)
        query, key_value = self.query(asking), self.key_value(normed)
        if wanted is None:
            parts = [
                chunk.packed(self._attend(chunk.pad(query), chunk.pad(key_value), chunk.valid))
                for chunk in chunks
            ]
            attended = torch.cat(parts)
        else:
            (chunk,) = chunks
            attended = self._attend(query[:, None], chunk.pad(key_value), chunk.valid).squeeze(1)
        hidden = hidden + self.dropout(self.out(attended))
        return hidden + self.dropout(self.feed_forward(hidden))

    def _attend(self, query: Tensor, key_value: Tensor, valid: Tensor) -> Tensor:
        """Return the attention of queries (n, Q, d) over keys and values (n, T, 2d): (n, Q, d)."""
        query = self._split(query)
        key, value = (self._split(part) for part in key_value.chunk(2, dim=2))
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=valid)
        return found.transpose(1, 2).flatten(2)

    def _split(self, states: Tensor) -> Tensor:
        """Return (n, T, d) as (n, heads, T, d / heads), laid out as the kernel reads it."""
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2).contiguous()


class Transformer(nn.Module):
    """Layers over sequences with positions; returns one `pooled` state of each."""

    def __init__(self, layers: int, pooling: str, settings: ModelConfig) -> None:
        super().__init__()
        d = settings.dimension
        self.pooling = pooling
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.ModuleList(
            Layer(d, settings.heads, settings.dropout) for _ in range(layers)
        )
        self.after = nn.LayerNorm(d)

    def forward(self, hidden: Tensor, packing: PackedBatch) -> Tensor:
        codes = positions(int(packing.lengths[-1]), hidden.shape[1], hidden)
        hidden = self.dropout(hidden + codes.index_select(0, packing.step))
        *before, last = self.layers
        for layer in before:
            hidden = layer(hidden, packing.chunks)
        if self.pooling == "mean":
            hidden = self.after(last(hidden, packing.chunks))
            return pooled(PaddedBatch(packing.whole().pad(hidden), packing.lengths), "mean")
        # of the last layer nothing but one step is read
        wanted = packing.last if self.pooling == "last" else packing.first
        return self.after(last(hidden, [packing.whole()], wanted))


class Lstm(nn.Module):
    """Recurrent layers over sequences, forwards; gives one state of each, `pooled` as asked."""

    def __init__(self, layers: int, pooling: str, settings: ModelConfig) -> None:
        super().__init__()
        d = settings.dimension
        self.pooling = pooling
        self.dropout = Dropout(settings.dropout)
        between = settings.dropout if layers > 1 else 0.0
        self.layers = nn.LSTM(d, d, layers, batch_first=True, dropout=between)

    def forward(self, hidden: Tensor, packing: PackedBatch) -> Tensor:
        # padding comes after the valid steps, so it does not affect their states
        states, _ = self.layers(packing.whole().pad(self.dropout(hidden)))
        return self.dropout(pooled(PaddedBatch(states, packing.lengths), self.pooling))


NETWORKS = {"transformer": Transformer, "lstm": Lstm}


class UnimodalEncoder(nn.Module):
    """A projection to d and layers over the steps; gives x^m, the state of the last valid step.

    The text's may be the first one instead, which is BERT's [CLS], or the mean of the valid ones.
    """

    def __init__(
        self, width: int, layers: int, pooling: str, feature_dropout: float, settings: ModelConfig
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.feature_dropout = Dropout(feature_dropout)
        self.projection = nn.Linear(width, settings.dimension)
        self.dropout = Dropout(settings.dropout)
        self.network = NETWORKS[settings.network](layers, pooling, settings) if layers else None

    def forward(self, steps: PaddedBatch) -> Tensor:
        """Return x^m (K, d) of a padded batch; padding never reaches it."""
        if self.network is None:
            one = self.feature_dropout(pooled(steps, self.pooling))  # (K, D)
            return self.dropout(self.projection(one))
        packing = PackedBatch(steps.lengths)
        hidden = self.projection(self.feature_dropout(packing.pack(steps.values)))  # (W, d)
        return packing.restore(self.network(hidden, packing))


def positions(time: int, width: int, like: Tensor) -> Tensor:
    """Return sinusoidal position codes (T, d) in the dtype and on the device of `like`."""
    step = torch.arange(time, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = step * torch.exp(-math.log(10_000.0) / width * rate)
    codes = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    return codes.to(like.dtype)


class HyCon(nn.Module):
    """An encoder for each modality, a fusion, and a head.

    Without modalities the network predicts a constant.

    Args:
        widths: features per step by modality.
        outputs: 1 for a score, or the number of classes.
        settings: sizes, depths, dropout, fusion.
        language_model: turns the tokens that the text then is, with their lengths, into states
            (K, T, widths["text"]); None where the text is states already.
    """

    def __init__(
        self,
        widths: dict[str, int],
        outputs: int,
        settings: ModelConfig,
        language_model: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict()
        self.dimension = settings.dimension
        for name in settings.modalities:
            text = name == "text"
            self.encoders[name] = UnimodalEncoder(
                widths[name],
                settings.text_layers if text else settings.layers,
                settings.text_pooling if text else "last",
                0.0 if text else settings.feature_dropout,
                settings,
            )
        self.fusion = FUSIONS[settings.fusion](settings) if self.encoders else None
        width = self.fusion.dimension if self.fusion else settings.dimension
        self.head = nn.Sequential(
            nn.Linear(width, settings.dimension),
            nn.ReLU(),
            Dropout(settings.dropout),
            nn.Linear(settings.dimension, outputs),
        )
        self.language_model = language_model if "text" in self.encoders else None

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return representations and prediction of a padded batch, by modality."""
        batch = read_tokens(batch, self.language_model)
        unimodal = {name: encode(batch[name]) for name, encode in self.encoders.items()}
        if self.fusion:
            fused = self.fusion(*unimodal.values())
        else:
            steps = next(iter(batch.values()))
            fused = self.head[0].weight.new_zeros(len(steps.lengths), self.dimension)
        prediction = self.head(fused)
        if prediction.shape[1] == 1:
            prediction = prediction.squeeze(1)
        return Output(unimodal, fused, prediction)

    def auxiliary_loss(self) -> None:
        """Return None, because HyCon's additional losses are those of `hycon.losses`."""

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, without a language model."""
        fusion = {"fusion": self.fusion} if self.fusion else {}
        return {**self.encoders, **fusion, "head": self.head}


def read_tokens(
    batch: dict[str, PaddedBatch], language_model: nn.Module | None
) -> dict[str, PaddedBatch]:
    """Return a batch with its text as states, if there is a language model to read its tokens."""
    if language_model is None:
        return batch
    tokens, lengths = batch["text"]
    return {**batch, "text": PaddedBatch(language_model(tokens, lengths), lengths)}


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Return the number of trained parameters of each part of the network, and of all parts."""
    parts = {
        **model.parts(),
        **({"language model": model.language_model} if model.language_model is not None else {}),
    }
    counts = {
        name: sum(p.numel() for p in part.parameters() if p.requires_grad)
        for name, part in parts.items()
    }
    return {**counts, "all": sum(counts.values())}
