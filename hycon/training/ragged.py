"""Sequences of different lengths, in memory or on disk, and padded batches of them."""

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from hycon.atomic_io import naming
from hycon.corpus.utterances import in_file, rows_of
from hycon.errors import HyConError
from hycon.networks.packing import PaddedBatch, pooled
from hycon.params import MOST_IN_MEMORY

# clip standardised features at this many standard deviations: COVAREP has outliers of thousands of
# them, which would dominate every sum
OUTLIER = 10.0
# rows whose statistics are summed at once, so that memory contains the features once and not six
# times; the sums depend on it, by their rounding
BLOCK = 1 << 14
# rows that are standardised at once: float64 numbers that fit the processor's cache
CACHED = 1 << 8
POOLED = 256  # texts that are pooled at once
# `auto` holds features in memory up to MOST_IN_MEMORY, and up to this share of what is free
FREE_SHARE = 1 / 4


class Scale(NamedTuple):
    """Mean and standard deviation of each feature, (D,) float64."""

    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class RaggedTensor:
    """Sequences of different lengths in one tensor: values (W, D), starts and lengths (N,).

    Values are float32 features, or int64 token ids.
    """

    values: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(
        cls, values: np.ndarray, offsets: np.ndarray, device: str, scale: Scale | None = None
    ) -> "RaggedTensor":
        """Return sequences in memory from values (W, D) and offsets (N + 1,) int64.

        Memory-mapped values are copied, values in memory are not, unless there is a `scale` to
        standardise them by.
        """
        bounds = torch.from_numpy(offsets).to(device)
        return cls(_in_memory(values, scale).to(device), bounds[:-1], bounds.diff())

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def pad(self, rows: Tensor) -> PaddedBatch:
        """Return the sequences `rows` (K,) as a padded batch; padding repeats the last step."""
        lengths = self.lengths[rows]
        step = torch.arange(int(lengths.max()), device=rows.device)
        step = torch.minimum(step, lengths[:, None] - 1)  # (K, T)
        place = self.starts[rows][:, None] + step
        return PaddedBatch(
            self.values.index_select(0, place.flatten()).view(*place.shape, -1), lengths
        )

    def loaded(self) -> "RaggedTensor":
        """Return the sequences in memory, where they are."""
        return self

    def pooled(self, pooling: str) -> "RaggedTensor":
        """Return sequences of one step: the "last" or "first" of each, or the "mean" of all."""
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        values = torch.cat([pooled(self.pad(part), pooling) for part in rows.split(POOLED)])
        return RaggedTensor(values, rows, torch.ones_like(rows))


@dataclass(frozen=True)
class RaggedFile:
    """Sequences of different lengths that stay in a file until a batch reads them.

    Its batches are those of a `RaggedTensor` with the same content, bit for bit.

    Args:
        file: opened to read, without a buffer.
        values: (W, D), the same file memory-mapped. Batches are read from `file`, because mapped
            pages count as memory of the process.
        starts, lengths: (N,) int64 on the device of the batches.
        scale: of standardised features, else None.
    """

    file: BinaryIO
    values: np.memmap
    starts: Tensor
    lengths: Tensor
    scale: Scale | None = None

    @classmethod
    def of(
        cls, values: np.memmap, offsets: np.ndarray, device: str, scale: Scale | None
    ) -> "RaggedFile":
        bounds = torch.from_numpy(offsets).to(device)
        file = Path(values.filename).open("rb", buffering=0)  # noqa: SIM115, open as long as used
        return cls(file, values, bounds[:-1], bounds.diff(), scale)

    @property
    def width(self) -> int:
        return self.values.shape[1]

    def pad(self, rows: Tensor) -> PaddedBatch:
        """Return the sequences `rows` (K,) as a padded batch; padding repeats the last step."""
        lengths = self.lengths[rows]
        counts, starts = lengths.cpu().numpy(), self.starts[rows].cpu().numpy()
        steps = np.empty((len(counts), counts.max(), self.width), self.values.dtype)
        for each in np.argsort(starts, kind="stable").tolist():  # in the file's order
            count = counts[each]
            self._read(int(starts[each]), steps[each, :count])
            steps[each, count:] = steps[each, count - 1]
        flat = _in_memory(steps.reshape(-1, self.width), self.scale)
        return PaddedBatch(flat.view(steps.shape).to(rows.device), lengths)

    def loaded(self) -> RaggedTensor:
        """Return the sequences in memory."""
        values = _in_memory(self.values, self.scale).to(self.lengths.device)
        return RaggedTensor(values, self.starts, self.lengths)

    def pooled(self, pooling: str) -> "RaggedFile":
        """Return sequences of one step: the "last" or "first" of each, or the "mean" of all.

        Means are written to a temporary file, because the rounding of a mean depends on how many
        are computed at once.
        """
        if pooling == "mean":
            return self._means()
        last = self.starts + self.lengths - 1
        starts = last if pooling == "last" else self.starts
        return dataclasses.replace(self, starts=starts, lengths=torch.ones_like(starts))

    def _means(self) -> "RaggedFile":
        rows = torch.arange(len(self.lengths), device=self.lengths.device)
        folder = Path(self.values.filename).parent
        with naming(folder):
            file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115, the same
            for part in rows.split(POOLED):
                pooled(self.pad(part), "mean").cpu().numpy().tofile(file)
        values = np.memmap(file, np.float32, "r", shape=(len(rows), self.width))
        return RaggedFile(file, values, rows, torch.ones_like(rows))

    def _read(self, start: int, steps: np.ndarray) -> None:
        """Read steps (T, D) of the file, from row `start` on."""
        place = self.values.offset + start * self.values.strides[0]
        if os.preadv(self.file.fileno(), [steps], place) != steps.nbytes:
            raise HyConError(
                f"{self.values.filename}: ended early; it changed while it was read, make it again"
            )


Ragged = RaggedTensor | RaggedFile


def fits(size: int, device: str) -> bool:
    """Return whether `features_in: auto` holds features of that many bytes in memory."""
    if device.startswith("cuda"):
        free, _ = torch.cuda.mem_get_info(device)
    else:
        free = psutil.virtual_memory().available
    return size <= min(MOST_IN_MEMORY, FREE_SHARE * free)


def scale_of(values: np.ndarray, train: np.ndarray) -> Scale:
    """Return mean and standard deviation of the training rows.

    Args:
        values: (W, D) float32; not finite where a value is unknown.
        train: (W,) bool; the statistics use the known values of these rows.

    Returns:
        Mean and deviation. The deviation of a constant column is 1.
    """
    count, total, squares = (np.zeros(values.shape[1]) for _ in range(3))
    for part, known in _training_rows(values, train):
        count += known.sum(axis=0)
        total += part.sum(axis=0, where=known)
    count = np.maximum(1, count)
    mean = total / count
    for part, known in _training_rows(values, train):
        squares += np.square(part - mean).sum(axis=0, where=known)
    deviation = np.sqrt(squares / count)
    # treat a column as constant if its deviation is only rounding error
    constant = deviation <= 1e-7 * np.maximum(1.0, np.abs(mean))
    deviation[constant] = 1.0
    return Scale(mean, deviation)


def standardise(values: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Standardise features (W, D) by mean and deviation (D,), see `scale_of`.

    Returns:
        (W, D) float32, all finite. Unknown values become 0, which is the mean of the known ones.
    """
    scaled = np.empty(values.shape, np.float32)
    wide = np.empty((CACHED, values.shape[1]))
    for start, block in _blocks(values):
        for at in range(0, len(block), CACHED):
            rows = block[at : at + CACHED]
            part = np.subtract(rows, mean, out=wide[: len(rows)])
            part /= deviation
            known = np.isfinite(part)
            if not known.all():
                part[~known] = 0.0
            scaled[start + at : start + at + len(rows)] = part.clip(-OUTLIER, OUTLIER, out=part)
    return scaled


def _in_memory(values: np.ndarray, scale: Scale | None) -> Tensor:
    """Return values (W, D), standardised if there is a scale, as float32, or int64 if integers."""
    if scale is not None:
        return torch.from_numpy(standardise(values, *scale))
    kind = np.int64 if values.dtype.kind == "i" else np.float32
    if in_file(values):
        whole = np.empty(values.shape, kind)
        for start, block in _blocks(values):
            whole[start : start + len(block)] = block
        return torch.from_numpy(whole)
    return torch.from_numpy(np.require(values, kind, ["C", "W", "E"]))


def _blocks(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield an array's rows in blocks, each with the number of its first row."""
    for start in range(0, len(values), BLOCK):
        yield start, rows_of(values, start, min(start + BLOCK, len(values)))


def _training_rows(
    values: np.ndarray, train: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the training rows of each block in float64, and a mask of their known values."""
    for start, block in _blocks(values):
        part = block[train[start : start + len(block)]].astype(np.float64)
        yield part, np.isfinite(part)
