"""MAG-BERT: MMSA's multimodal adaptation gate in or behind this project's text encoder.

With a fine-tuned text encoder, the gate shifts the states after the embeddings, or after the frozen
layers; the layers above read the shifted states. With cached states, it shifts these.
"""

import torch
from torch import Tensor, nn

from hycon.encoders.language_model import Gate
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers import mmsa
from hycon.networks.peers.steps import Batch
from hycon.params.peers import AnyPeer

INITIAL_DEVIATION = 0.02  # of weights, as in BERT, by which MMSA initialises the whole network


class MagBert(nn.Module):
    """The gate, and what MMSA has on top of BERT: the pooler and the classifier."""

    def __init__(self, width: int, outputs: int, pooling: str, dropout: float, gate: nn.Module):
        super().__init__()
        self.gate = gate
        self.pooling = pooling
        self.pooler = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(width, outputs)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=INITIAL_DEVIATION)
                nn.init.zeros_(part.bias)

    def of(self, batch: dict[str, PaddedBatch]) -> dict[str, Tensor]:
        """Return the prediction of text states that went through the gate."""
        vector = torch.tanh(self.pooler(pooled(batch["text"], self.pooling)))
        return {"M": self.classifier(self.dropout(vector))}


def make(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    """Make MAG-BERT, as `Kind.make` says."""
    given = mmsa.arguments(widths, outputs, settings, longest)
    given.hidden_size = widths["text"]
    gate = mmsa.load("models.singleTask.BERT_MAG").MAG(given, given)
    return MagBert(
        widths["text"], outputs, settings.text_pooling, settings.hidden_dropout_prob, gate
    )


def gate(network: nn.Module, batch: Batch) -> Gate:
    """Return the gate of a batch.

    Args:
        network: of `make`.
        batch: audio and vision, at the steps of the text.
    """
    audio, vision = (batch[name].values for name in ("audio", "vision"))

    def shifted(states: Tensor, rows: Tensor) -> Tensor:
        network.gate.args.device = states.device  # where MMSA's class makes its ones
        time = states.shape[1]
        with torch.autocast(states.device.type, enabled=False):
            return network.gate(states.float(), vision[rows, :time], audio[rows, :time])

    return shifted
