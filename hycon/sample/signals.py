"""Audio and vision of the sample corpus: frames that are smooth in time and carry the cues.

Each frame is a speaker's offset, an autoregressive process and the cues of the utterance, scaled
to each dimension's own range.
"""

from typing import NamedTuple

import numpy as np

MARGIN = 0.25  # seconds of frames before the first and after the last utterance
LOADING = 0.9  # of a cue on one of its dimensions, in standard deviations of the process
SPEAKER = 0.2  # of the speakers' offsets, the same


class Modality(NamedTuple):
    """Frames per second, memory of a frame, range of each dimension, and where each cue shows."""

    rate: float
    memory: float
    centre: np.ndarray  # (D,)
    scale: np.ndarray  # (D,), 0 for a constant dimension
    cues: tuple[tuple[int, ...], ...]

    def loadings(self) -> np.ndarray:
        """Return the weight of each cue on each dimension, (2, D)."""
        weights = np.zeros((len(self.cues), len(self.scale)))
        for row, dimensions in zip(weights, self.cues, strict=True):
            row[list(dimensions)] = LOADING
        return weights


def _ranges(*groups: tuple[int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    counts, centres, scales = zip(*groups, strict=True)
    return np.repeat(centres, counts), np.repeat(scales, counts)


# laid out as COVAREP: pitch (Hz), voicing, glottal parameters, MCEP, HMPDM, HMPDD
AUDIO = Modality(
    100.0,
    0.98,
    *_ranges(
        *[(1, 180.0, 35.0), (1, 0.6, 0.1), (8, 0.3, 0.12), (1, 0.1, 0.03)],
        *[(1, -12.0, 2.5), (24, 0.2, 0.4), (9, 0.0, 0.0), (16, 0.4, 0.3), (13, -0.1, 0.2)],
    ),
    cues=((0, 1, 2, 3, 11, 12, 13, 14), (4, 5, 15, 16, 17, 18, 19, 20)),
)
# laid out as FACET: emotions and action units (evidence), head pose (degrees), face size
VISION = Modality(
    30.0,
    0.93,
    *_ranges((10, 0.0, 1.0), (20, 0.3, 0.5), (3, 0.0, 8.0), (1, 120.0, 15.0), (1, 1.0, 0.0)),
    cues=((4, 5, 9, 16, 17, 20), (0, 1, 6, 12, 13, 18)),
)


def synthesise(
    modality: Modality, spans: np.ndarray, cues: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the frames of one video.

    Args:
        modality: properties of the frames, `AUDIO` or `VISION`.
        spans: (U, 2) float64, the times in seconds that the utterances are spoken in, in order.
        cues: (U, 2) float64, the cues of each utterance.

    Returns:
        intervals (n, 2) float64 in seconds, and features (n, D) float32.
    """
    start, stop = spans[0, 0] - MARGIN, spans[-1, 1] + MARGIN
    edges = start + np.arange(int((stop - start) * modality.rate) + 1) / modality.rate
    intervals = np.column_stack([edges[:-1], edges[1:]])
    times = intervals.mean(axis=1)
    utterance = np.clip(np.searchsorted(spans[:, 0], times) - 1, 0, None)
    begin, end = spans[utterance].T
    # a cue swells and fades within its utterance; its mean over the utterance is the cue
    swell = np.pi / 2 * np.sin(np.pi * np.clip((times - begin) / (end - begin), 0, 1))
    shown = cues[utterance] * swell[:, None]  # (n, 2)
    process = _remember(rng.standard_normal((len(times), len(modality.scale))), modality.memory)
    offset = rng.normal(scale=SPEAKER, size=len(modality.scale))
    standard = process + offset + shown @ modality.loadings()
    return intervals, (modality.centre + modality.scale * standard).astype(np.float32)


def _remember(shocks: np.ndarray, memory: float) -> np.ndarray:
    """Turn shocks (n, D) in place into a first-order autoregressive process of unit variance."""
    shocks[1:] *= np.sqrt(1 - memory**2)
    previous = shocks[0]
    for shock in shocks[1:]:
        shock += memory * previous
        previous = shock
    return shocks
