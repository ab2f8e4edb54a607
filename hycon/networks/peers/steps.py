"""How peers read steps: a limited number, resampled, or as means, with zeros in front."""

import torch
from torch import Tensor

from hycon.networks.packing import PaddedBatch, pooled

Batch = dict[str, PaddedBatch]


def cut(steps: PaddedBatch, longest: int) -> PaddedBatch:
    """Return the first steps of each utterance, at most `longest`."""
    return PaddedBatch(steps.values[:, :longest], steps.lengths.clamp(max=longest))


def shortened(batch: Batch, longest: dict[str, int]) -> Batch:
    """Return the first steps of each modality."""
    return {name: cut(steps, longest[name]) for name, steps in batch.items()}


def averaged(batch: Batch, longest: dict[str, int]) -> Batch:
    """Return the first steps of the text, and the mean over all steps of audio and of vision."""
    text = batch["text"]
    one = torch.ones_like(text.lengths)
    means = {name: PaddedBatch(pooled(batch[name], "mean")[:, None], one)
             for name in ("audio", "vision")}  # fmt: skip
    return {"text": cut(text, longest["text"]), **means}


def resampled(batch: Batch, longest: dict[str, int]) -> Batch:
    """Return the first steps of the text, and of audio and vision resampled to all its steps."""
    text = batch["text"]
    others = {name: resample(batch[name], text.lengths) for name in ("audio", "vision")}
    return {name: cut(steps, longest["text"]) for name, steps in {"text": text, **others}.items()}


def one_zero(like: PaddedBatch) -> PaddedBatch:
    """Return one step of one feature, 0, for as many utterances as `like` has."""
    count, device = len(like.lengths), like.lengths.device
    return PaddedBatch(torch.zeros(count, 1, 1, device=device), torch.ones_like(like.lengths))


def pad_front(steps: PaddedBatch, time: int) -> Tensor:
    """Pad the valid steps with zeros in front, to (K, time, D)."""
    values, lengths = steps
    source = torch.arange(time, device=lengths.device) - (time - lengths[:, None])  # (K, time)
    row = torch.arange(len(values), device=lengths.device)[:, None]
    return values[row, source.clamp(min=0)].masked_fill((source < 0)[..., None], 0.0)


def resample(steps: PaddedBatch, lengths: Tensor) -> PaddedBatch:
    """Resample a modality in proportion to other numbers of steps.

    Step t of T is the mean of the source steps, of S, that begin in [t S / T, (t + 1) S / T). If
    none does, it is the source step that contains the beginning of this interval.

    Args:
        steps: values (K, S, D).
        lengths: (K,) new numbers of steps.
    """
    values, found = steps
    count, time = len(values), int(lengths.max())
    source = torch.arange(values.shape[1], device=lengths.device)
    # source step s begins in window s T // S; padding goes to an extra window
    window = torch.div(source * lengths[:, None], found[:, None], rounding_mode="floor")
    window = torch.where(source < found[:, None], window, time)  # (K, S)
    row = torch.arange(count, device=lengths.device)[:, None]
    place = (row * (time + 1) + window).flatten()
    sums = values.new_zeros(count * (time + 1), values.shape[2])
    sums = sums.index_add(0, place, values.flatten(0, 1)).unflatten(0, (count, -1))[:, :time]
    number = place.bincount(minlength=count * (time + 1)).unflatten(0, (count, -1))[:, :time, None]
    step = torch.arange(time, device=lengths.device) * found[:, None]
    going_on = torch.minimum(step // lengths[:, None], found[:, None] - 1)  # (K, T)
    return PaddedBatch(
        torch.where(number > 0, sums / number.clamp(min=1), values[row, going_on]), lengths
    )
