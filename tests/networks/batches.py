"""Small batches for the tests of peers."""

import torch

from hycon.networks.packing import PaddedBatch, pooled
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


def rows(steps, chosen):
    """Return some rows of a batch, padded no further than they need."""
    cut = {}
    for name, (values, lengths) in steps.items():
        kept = lengths[chosen]
        cut[name] = PaddedBatch(values[chosen, : int(kept.max())], kept)
    return cut


def falls(network, auxiliary=lambda labels: None):
    """Return whether training halves the loss where each modality carries a third of the label."""
    steps = batch([(3 + i % 4, 2 + i % 5, 4 + i % 3) for i in range(16)])
    labels = sum(pooled(each, "mean")[:, 0] for each in steps.values())
    optimiser = torch.optim.Adam(network.train().parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.l1_loss(network(steps).prediction, labels)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        (loss + (auxiliary(labels) or 0.0)).backward()
        optimiser.step()
    return min(losses[-5:]) < 0.5 * losses[0]
