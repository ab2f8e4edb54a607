"""Attention layers and encoders of the peers that are reimplemented here."""

import torch
from torch import Tensor, nn

from hycon.networks.hycon import Dropout
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers.steps import cut


def attend(query: Tensor, key_value: Tensor, heads: int, valid: Tensor | None = None) -> Tensor:
    """Return what each query finds (K, Q, w).

    Args:
        query: (K, Q, w).
        key_value: (K, T, 2w), keys and then values.
        heads: number of heads, which split w.
        valid: (K, T) bool, the keys that count; None for all.
    """
    query, key, value = (
        each.unflatten(2, (heads, -1)).transpose(1, 2) for each in (query, *key_value.chunk(2, 2))
    )
    mask = None if valid is None else valid[:, None, None, :]
    found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return found.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """A Transformer layer with pre-normalisation and GELU, for self- or cross-attention.

    Args:
        dimension: width of all states, d.
        heads: number of heads, which divide d.
        hidden: width of the hidden layer after the attention.
        dropout: probability, on the output of each sublayer.
        cross: whether the layer attends to other states than those it changes.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        hidden: int,
        dropout: float,
        cross: bool = False,
    ) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(dimension)
        self.of_others = nn.LayerNorm(dimension) if cross else None
        self.heads = heads
        self.query = nn.Linear(dimension, dimension, bias=False)
        self.key_value = nn.Linear(dimension, 2 * dimension, bias=False)
        self.out = nn.Linear(dimension, dimension)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(dimension),
            nn.Linear(dimension, hidden),
            nn.GELU(),
            nn.Linear(hidden, dimension),
        )
        self.dropout = Dropout(dropout)

    def forward(
        self,
        states: Tensor,
        valid: Tensor | None = None,
        others: Tensor | None = None,
        first: int | None = None,
    ) -> Tensor:
        """Return new states (K, Q, d).

        Args:
            states: (K, Q, d) states to change.
            valid: (K, T) bool, the steps attended to that count; None for all.
            others: (K, T, d) states that a cross-attention layer attends to.
            first: number of states that are changed and returned; None for all.
        """
        asking = self.before_attention(states)
        read = asking if self.of_others is None else self.of_others(others)
        states, asking = states[:, :first], asking[:, :first]
        found = attend(self.query(asking), self.key_value(read), self.heads, valid)
        states = states + self.dropout(self.out(found))
        return states + self.dropout(self.feed_forward(states))


class Embedding(nn.Module):
    """Transformer layers over learned tokens and the steps of a modality, with learned positions.

    Args:
        width: number of features per step.
        longest: number of steps that are read, from the start of an utterance.
        tokens: number of learned tokens, which are in front of the steps.
        spread: standard deviation of the initial positions.
        layers: the Transformer layers.
    """

    def __init__(
        self, width: int, longest: int, tokens: int, spread: float, layers: list[Layer]
    ) -> None:
        super().__init__()
        dimension = layers[0].out.out_features
        self.longest = longest
        self.projection = nn.Linear(width, dimension)
        self.tokens = nn.Parameter(torch.zeros(tokens, dimension))
        self.positions = nn.Parameter(spread * torch.randn(tokens + longest, dimension))
        self.layers = nn.ModuleList(layers)

    def forward(self, steps: PaddedBatch, tokens_only: bool = False) -> PaddedBatch:
        """Return the states (K, tokens + T, d) of the tokens and of the steps that are read.

        Args:
            steps: values (K, T, D).
            tokens_only: whether to compute the states (K, tokens, d) of the tokens only.
        """
        values, lengths = cut(steps, self.longest)
        count = len(self.tokens)
        lengths = lengths + count
        tokens = self.tokens.expand(len(values), -1, -1)
        states = torch.cat([tokens, self.projection(values)], dim=1)
        states = states + self.positions[: states.shape[1]]
        valid = torch.arange(states.shape[1], device=lengths.device) < lengths[:, None]
        *before, last = self.layers
        for layer in before:
            states = layer(states, valid)
        if not tokens_only:
            return PaddedBatch(last(states, valid), lengths)
        return PaddedBatch(last(states, valid, first=count), torch.full_like(lengths, count))
