"""Small batches for the tests of the networks written anew here."""

import torch

from hycon.networks.packing import PaddedBatch
from hycon.params import MODALITIES

WIDTHS = {"text": 6, "audio": 3, "vision": 4}
LONGEST = {"text": 9, "audio": 11, "vision": 7}
LENGTHS = ((3, 5, 2), (9, 11, 7), (1, 1, 1), (4, 2, 6), (2, 3, 1))  # text, audio, vision
LABELS = torch.tensor([1.2, -0.4, 0.9, 2.6, -2.0])


def batch(lengths=LENGTHS, reads=MODALITIES):
    """Return utterances with (text, audio, vision) steps, padded with what no one should read."""
    generator = torch.Generator().manual_seed(1)
    steps = {}
    for name, found in zip(MODALITIES, zip(*lengths, strict=True), strict=True):
        values = torch.randn(len(found), max(found), WIDTHS[name], generator=generator)
        for row, length in enumerate(found):
            values[row, length:] = 1e3
        steps[name] = PaddedBatch(values, torch.tensor(found))
    return {name: steps[name] for name in reads}
