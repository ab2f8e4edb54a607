"""The network: one encoder per modality, a fusion and a prediction head (method, section 2)."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.encoders.language_model import Gate
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


class TrainingStep(NamedTuple):
    """Which step of the training a forward pass belongs to."""

    places: Tensor  # (K,) int64, the batch's places in the training fold
    epoch: int  # from 1
    labels: Tensor  # (n,) of the whole training fold: float scores or int64 classes


class TrainableNetwork(nn.Module):
    """What the training loop asks of a network, besides a forward pass that gives an `Output`.

    The defaults are those of a network with no loss of its own that remembers nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        # learning-rate factors, by prefix of a parameter's name
        self.learning_rate_factors: dict[str, float] = {}
        # the training loop sets it before each forward pass in training
        self.step: TrainingStep | None = None
        # State kept between steps besides the weights. Checkpoints have it, so a resumed run is
        # bit-identical; the weights of the finished run do not.
        self.memory: dict[str, Tensor] = {}

    def auxiliary_loss(self, labels: Tensor) -> Tensor | None:
        """Return what is added to the task loss of the last training pass, or None.

        The training loop calls it once after each forward pass in training.

        Args:
            labels: of the batch, (K,) float scores or int64 classes.
        """
        return None

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, except a language model."""
        raise NotImplementedError


class Dropout(nn.Dropout):
    """Apply dropout with the same random numbers on every CPU.

    `torch.nn.Dropout` uses the generator of MKL on Intel processors. On others, it uses a generator
    that takes three times as long as this one.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not self.training or not self.p:
            return super().forward(x)
        keep = torch.rand_like(x).ge_(self.p).mul_(1 / (1 - self.p))
        return x * keep


class Layer(nn.Module):
    """A Transformer layer with pre-normalisation and dropout on the output of each sublayer.

    torch's layer also applies dropout to attention weights and hidden units. This takes a third of
    a step on a CPU and prevents fused attention.
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
        """Compute the states of the wanted steps, which attend to all steps of their utterance.

        Args:
            hidden: (W, d) states of the packed steps.
            chunks: parts of the batch, in which attention is computed separately.
            wanted: (K,) int64, one step of each utterance; requires a single chunk. None for all
                steps.

        Returns:
            (K, d) states, or (W, d) for all steps.
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
        """Attend with queries (n, Q, d) to keys and values (n, T, 2d); return (n, Q, d)."""
        query = self._split(query)
        key, value = (self._split(part) for part in key_value.chunk(2, dim=2))
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=valid)
        return found.transpose(1, 2).flatten(2)

    def _split(self, states: Tensor) -> Tensor:
        """Reshape (n, T, d) to (n, heads, T, d / heads), contiguous for the kernel."""
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2).contiguous()


class Transformer(nn.Module):
    """Transformer layers over sequences with positions; returns one `pooled` state per sequence."""

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
        # only one step of the last layer is needed
        wanted = packing.last if self.pooling == "last" else packing.first
        return self.after(last(hidden, [packing.whole()], wanted))


class Lstm(nn.Module):
    """Unidirectional LSTM layers over sequences; returns one `pooled` state per sequence."""

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
    """Project the features to d and apply layers over the steps; return x^m.

    x^m is the state of the last valid step. For text, it can also be the state of the first step,
    which is [CLS] for BERT, or the mean over the valid steps.
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
        """Return x^m (K, d) of a padded batch; it does not depend on padding."""
        if self.network is None:
            one = self.feature_dropout(pooled(steps, self.pooling))  # (K, D)
            return self.dropout(self.projection(one))
        packing = PackedBatch(steps.lengths)
        hidden = self.projection(self.feature_dropout(packing.pack(steps.values)))  # (W, d)
        return packing.restore(self.network(hidden, packing))


def positions(time: int, width: int, like: Tensor) -> Tensor:
    """Return sinusoidal position encodings (T, d).

    Args:
        time: number of steps, T.
        width: size of an encoding, d.
        like: tensor with the dtype and device of the result.
    """
    step = torch.arange(time, device=like.device, dtype=torch.float32)[:, None]
    rate = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = step * torch.exp(-math.log(10_000.0) / width * rate)
    codes = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    return codes.to(like.dtype)


class HyCon(TrainableNetwork):
    """The HyCon network: an encoder per modality, a fusion and a prediction head.

    Without modalities, the network predicts a constant.

    Args:
        widths: number of features per step, by modality.
        outputs: 1 for a score, or the number of classes.
        settings: sizes, numbers of layers, dropout and fusion.
        language_model: maps the tokens of the text and their lengths to states
            (K, T, widths["text"]); None if the text is already states.
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
        """Return representations and predictions.

        Args:
            batch: padded batch by modality.
        """
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

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, except a language model."""
        fusion = {"fusion": self.fusion} if self.fusion else {}
        return {**self.encoders, **fusion, "head": self.head}


def read_tokens(
    batch: dict[str, PaddedBatch], language_model: nn.Module | None, gate: Gate | None = None
) -> dict[str, PaddedBatch]:
    """Return a batch whose text is states; the language model, if any, encodes its tokens.

    Args:
        batch: padded batch by modality.
        language_model: None if the text is states already.
        gate: changes states within the language model, or the given ones.
    """
    text, lengths = batch.get("text", (None, None))
    if language_model is not None:
        text = language_model(text, lengths, gate)
    elif gate is not None:
        text = gate(text, torch.arange(len(lengths), device=lengths.device))
    else:
        return batch
    return {**batch, "text": PaddedBatch(text, lengths)}


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Return the number of trainable parameters by part of the network, and of "all" parts."""
    parts = {
        **model.parts(),
        **({"language model": model.language_model} if model.language_model is not None else {}),
    }
    counts = {
        name: sum(p.numel() for p in part.parameters() if p.requires_grad)
        for name, part in parts.items()
    }
    return {**counts, "all": sum(counts.values())}
