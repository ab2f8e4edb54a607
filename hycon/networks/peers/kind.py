"""What a peer is: how its network is made and called, and what its forward pass says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from hycon.encoders.language_model import Gate
from hycon.networks.hycon import TrainingStep
from hycon.networks.packing import pooled
from hycon.networks.peers.steps import Batch, pad_front, shortened
from hycon.params.peers import AnyPeer
from hycon.params.settings import MODALITIES


class Pass(NamedTuple):
    """A forward pass of a network."""

    network: nn.Module
    settings: AnyPeer
    batch: Batch  # what it read; text is states
    result: dict[str, Tensor]  # what it returned
    attributes: dict[str, Tensor]  # the tensors that it left on itself as attributes
    step: TrainingStep | None  # None outside training
    memory: dict[str, Tensor]  # as in `TrainableNetwork`; losses may change it


@dataclass(frozen=True)
class Kind:
    """A kind of peer.

    Args:
        make: makes the network from widths, outputs, settings and the longest numbers of steps, as
            in `hycon.networks.peers.Peer`.
        call: calls it with a batch and the longest numbers of steps; returns tensors by name, of
            which "M" (K, outputs) is the prediction.
        unimodal: the representations of text, audio and vision, (K, d) each.
        last: the last layer, whose input is `fused`; None if this is the result's "Feature_f".
        losses: the weighted sum of the network's own losses, given a forward pass in training and
            the labels of its batch, (K,) float scores or int64 classes; None if it has none.
        read: shortens a batch to the steps that are read, given the longest numbers of them.
        rates: factors of the learning rate, by prefix of a parameter's name.
        gate: changes text states below the layers of a fine-tuned text encoder, or cached ones,
            given the network and a batch; None if nothing does.
    """

    make: Callable[[dict[str, int], int, AnyPeer, dict[str, int]], nn.Module]
    call: Callable[[nn.Module, Batch, dict[str, int]], dict[str, Tensor]]
    unimodal: Callable[[Pass], list[Tensor]]
    last: str | None
    losses: Callable[[Pass, Tensor], Tensor] | None = None
    read: Callable[[Batch, dict[str, int]], Batch] = shortened
    rates: Callable[[AnyPeer], dict[str, float]] = lambda settings: {}
    gate: Callable[[nn.Module, Batch], Gate] | None = None


def pad_text(network: nn.Module, batch: Batch, longest: dict[str, int]) -> dict[str, Tensor]:
    """Call with the text padded in front, and one step of audio and of vision."""
    text = pad_front(batch["text"], longest["text"])
    return network(text, batch["audio"].values, batch["vision"].values)


def pad_as_text(network: nn.Module, batch: Batch, longest: dict[str, int]) -> dict[str, Tensor]:
    """Call with all modalities padded in front to the longest text."""
    return network(*(pad_front(batch[name], longest["text"]) for name in MODALITIES))


def pad_each(network: nn.Module, batch: Batch, longest: dict[str, int]) -> dict[str, Tensor]:
    """Call with each modality padded in front to its own longest."""
    return network(*(pad_front(batch[name], longest[name]) for name in MODALITIES))


def whole_batch(network: nn.Module, batch: Batch, longest: dict[str, int]) -> dict[str, Tensor]:
    """Call the network's own method `of`, with padding at the end and the lengths."""
    return network.of(batch)


def features(passed: Pass) -> list[Tensor]:
    """Return the features that a class of MMSA returns."""
    return [passed.result[f"Feature_{letter}"] for letter in "tav"]


def last_states(passed: Pass) -> list[Tensor]:
    """Return the last states of the LSTMs of MFN and Graph-MFN."""
    return [passed.attributes[f"h_{letter}"] for letter in "lav"]


def codes(passed: Pass) -> list[Tensor]:
    """Return MISA's sums of private and shared code."""
    return [passed.attributes[f"utt_{letter}"] for letter in "tav"]


def inputs(passed: Pass) -> list[Tensor]:
    """Return the means of the inputs."""
    return [pooled(passed.batch[name], "mean") for name in MODALITIES]
