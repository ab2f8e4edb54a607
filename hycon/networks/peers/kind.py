"""What a peer is: how its network is made and called, and what its forward pass says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor, nn

from hycon.encoders.language_model import Gate
from hycon.networks.hycon import TrainingStep
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers.steps import in_front, in_proportion
from hycon.params.peers import AnyPeer
from hycon.params.settings import MODALITIES


class Pass(NamedTuple):
    """A forward pass of a network."""

    network: nn.Module
    settings: AnyPeer
    batch: dict[str, PaddedBatch]  # what it read; text is states
    result: dict[str, Tensor]  # what it returned
    left: dict[str, Tensor]  # the tensors that it left on itself as attributes
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
        rates: factors of the learning rate, by the beginning of a parameter's name.
        gate: changes text states below the layers of a fine-tuned text encoder, or cached ones,
            given the network and a batch; None if nothing does.
    """

    make: Callable[[dict[str, int], int, AnyPeer, dict[str, int]], nn.Module]
    call: Callable[[nn.Module, dict[str, PaddedBatch], dict[str, int]], dict[str, Tensor]]
    unimodal: Callable[[Pass], list[Tensor]]
    last: str | None
    losses: Callable[[Pass, Tensor], Tensor] | None = None
    rates: Callable[[AnyPeer], dict[str, float]] = lambda settings: {}
    gate: Callable[[nn.Module, dict[str, PaddedBatch]], Gate] | None = None


def with_means(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict[str, Tensor]:
    """Call with all text steps, and the mean of audio and of vision."""
    audio, vision = (pooled(batch[name], "mean")[:, None] for name in ("audio", "vision"))
    return network(in_front(batch["text"], longest["text"]), audio, vision)


def in_step(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict[str, Tensor]:
    """Call with audio and vision resampled to the steps of the text."""
    text = batch["text"]
    others = (in_proportion(batch[name], text.lengths) for name in ("audio", "vision"))
    return network(*(in_front(steps, longest["text"]) for steps in (text, *others)))


def apart(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict[str, Tensor]:
    """Call with each modality's own steps."""
    return network(*(in_front(batch[name], longest[name]) for name in MODALITIES))


def of_batch(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict[str, Tensor]:
    """Call the network's own method `of`, with padding at the end and the numbers of steps."""
    return network.of(batch)


def features(passed: Pass) -> list[Tensor]:
    """Return the features that a class of MMSA returns."""
    return [passed.result[f"Feature_{letter}"] for letter in "tav"]


def last_states(passed: Pass) -> list[Tensor]:
    """Return the last states of the LSTMs of MFN and Graph-MFN."""
    return [passed.left[f"h_{letter}"] for letter in "lav"]


def codes(passed: Pass) -> list[Tensor]:
    """Return MISA's sums of private and shared code."""
    return [passed.left[f"utt_{letter}"] for letter in "tav"]


def inputs(passed: Pass) -> list[Tensor]:
    """Return the means of the inputs."""
    return [pooled(passed.batch[name], "mean") for name in MODALITIES]
