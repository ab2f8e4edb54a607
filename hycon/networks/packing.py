"""Batches of utterances of different lengths: padding, packing and pooling."""

import functools
from typing import NamedTuple

import torch
from torch import Tensor

# Utterances per attention chunk on a CPU. The cost of attention grows with the square of the
# longest utterance, and chunks of similar lengths have little padding. A GPU is faster with one
# large chunk.
CHUNK = 8


class PaddedBatch(NamedTuple):
    """A padded batch of one modality: values (K, T, D), and the number of valid steps (K,)."""

    values: Tensor
    lengths: Tensor


class AttentionChunk(NamedTuple):
    """n consecutive utterances of a packed batch, with w valid steps in total."""

    steps: slice  # their w steps among the W packed steps
    count: int  # n
    place: Tensor  # (w,) int64, position of each step in the flattened padded chunk, n * T
    valid: Tensor  # (n, 1, 1, T) bool, mask of valid steps

    def pad(self, states: Tensor) -> Tensor:
        """Select the chunk from all packed steps (W, D), and pad it with zeros to (n, T, D)."""
        padded = states.new_zeros(self.valid.numel(), states.shape[1])
        padded = padded.index_copy(0, self.place, states[self.steps])
        return padded.unflatten(0, (self.count, -1))

    def packed(self, padded: Tensor) -> Tensor:
        """Return the valid steps (w, D) of a padded chunk (n, T, D)."""
        return padded.flatten(0, 1).index_select(0, self.place)


def without_steps(steps: PaddedBatch, share: float, draw: torch.Generator | None) -> PaddedBatch:
    """Return a padded batch in which a random share of the steps is zeros.

    Args:
        steps: values (K, T, D), floating point.
        share: probability of each step.
        draw: generator on the CPU; None for torch's own.
    """
    keep = torch.rand(*steps.values.shape[:2], 1, generator=draw) >= share
    return PaddedBatch(steps.values * keep.to(steps.values), steps.lengths)


class PackedBatch:
    """The valid steps of a batch in one sequence without padding, shortest utterance first.

    Most utterances are short. With padding to the longest one, half of the computation would be
    spent on padding.

    Args:
        lengths: (K,) int64, number of valid steps of each utterance; at least 1.
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths, self.order = lengths.sort(stable=True)  # (K,) each; `order` sorts the batch
        self.last = self.lengths.cumsum(0) - 1  # (K,), index of each utterance's last step in W
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
        """Bring rows (K, D), one per packed utterance, back into the order of the batch."""
        return rows.index_select(0, self.order.argsort())

    @functools.cached_property
    def chunks(self) -> list[AttentionChunk]:
        """All utterances, in chunks of similar lengths."""
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
    """Reduce a padded batch to one row (K, D) per utterance, ignoring padding.

    Args:
        steps: values (K, T, D) and lengths (K,).
        pooling: "last" or "first" valid step, or "mean" of the valid steps.
    """
    values, lengths = steps
    if pooling == "first":
        return values[:, 0]
    if pooling == "last":
        return values[torch.arange(len(values), device=values.device), lengths - 1]
    valid = torch.arange(values.shape[1], device=values.device) < lengths[:, None]
    return (values * valid[..., None]).sum(dim=1) / lengths[:, None]
