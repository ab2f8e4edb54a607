"""Utterances of different lengths in one batch: padded, packed, pooled."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

# Utterances per attention chunk on a CPU. The cost of attention grows with the square of the
# longest utterance, and chunks of similar lengths have little padding; a GPU prefers one large
# chunk.
CHUNK = 8


class PaddedBatch(NamedTuple):
    """A padded batch of one modality: values (K, T, D), and the valid steps of each row (K,)."""

    values: Tensor
    lengths: Tensor


class AttentionChunk(NamedTuple):
    """n utterances of a packed batch that follow each other, w valid steps together."""

    steps: slice  # utterances of the batch
    count: int  # n
    place: Tensor  # (w,) int64, positions of their steps in the padded n * T
    valid: Tensor  # (n, 1, 1, T) bool, valid steps

    def pad(self, states: Tensor) -> Tensor:
        """Return the chunk's part of all steps (W, D) as (n, T, D), zeros in the padding."""
        padded = states.new_zeros(self.valid.numel(), states.shape[1])
        padded = padded.index_copy(0, self.place, states[self.steps])
        return padded.unflatten(0, (self.count, -1))

    def packed(self, padded: Tensor) -> Tensor:
        """Return the valid steps (w, D) of a chunk that is padded (n, T, D)."""
        return padded.flatten(0, 1).index_select(0, self.place)


class PackedBatch:
    """The valid steps of a batch in one sequence without padding, shortest utterance first.

    Most utterances are short: padded to the longest, half of the computation would be padding.

    Args:
        lengths: (K,) int64, at least 1: the valid steps of each utterance.
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths, self.order = lengths.sort(stable=True)  # (K,), the utterance of each length
        self.last = self.lengths.cumsum(0) - 1  # (K,), the last of the W steps of each utterance
        self.first = self.last - self.lengths + 1
        self._row = torch.arange(len(lengths), device=lengths.device)
        self._row = self._row.repeat_interleave(self.lengths)  # (W,)
        self.step = torch.arange(len(self._row), device=lengths.device) - self.first[self._row]
        self._bounds = [0, *(self.last + 1).tolist()]

    def pack(self, values: Tensor) -> Tensor:
        """Return the valid steps (W, D) of a padded batch (K, T, D)."""
        place = self.order[self._row] * values.shape[1] + self.step
        return values.flatten(0, 1).index_select(0, place)

    def restore(self, rows: Tensor) -> Tensor:
        """Return one row (K, D) of each utterance in the order of the batch."""
        return rows.index_select(0, self.order.argsort())

    @functools.cached_property
    def chunks(self) -> list[AttentionChunk]:
        """All utterances, in chunks of like lengths."""
        count = len(self.lengths)
        size = CHUNK if self.lengths.device.type == "cpu" else count
        return [self._chunk(begin, min(begin + size, count)) for begin in range(0, count, size)]

    def whole(self) -> AttentionChunk:
        """Return all utterances as one chunk."""
        return self._chunk(0, len(self.lengths))

    def _chunk(self, begin: int, end: int) -> AttentionChunk:
        steps = slice(self._bounds[begin], self._bounds[end])
        longest = self._bounds[end] - self._bounds[end - 1]
        place = (self._row[steps] - begin) * longest + self.step[steps]
        step = torch.arange(longest, device=place.device)
        valid = step < self.lengths[begin:end, None]
        return AttentionChunk(steps, end - begin, place, valid[:, None, None, :])


def pooled(steps: PaddedBatch, pooling: str) -> Tensor:
    """Return one row (K, D) per utterance: its `last` valid step, the `first`, or the `mean`.

    Padding is ignored.
    """
    values, lengths = steps
    if pooling == "first":
        return values[:, 0]
    if pooling == "last":
        return values[torch.arange(len(values), device=values.device), lengths - 1]
    valid = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
    return (values * valid[..., None]).sum(dim=1) / lengths[:, None]
