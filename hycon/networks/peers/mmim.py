"""MMIM: MMSA's class with given text states, and the losses of both stages of MMSA's trainer.

MMSA trains in two stages, each a pass over the training fold with its own optimiser. The first
trains the estimators of mutual information, the second everything else. Here each step has the
gradients of both: a parameter gets those of the stage that trains it in MMSA.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers import mmsa
from hycon.networks.peers.kind import Pass
from hycon.params.peers import AnyPeer

SIGNS = ("pos", "neg")


def make(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    """Make MMIM, as `Kind.make` says."""
    published = mmsa.Published("MMIM").load()

    class Mmim(published):
        """MMIM with given text states."""

        def of(self, batch: dict[str, PaddedBatch]) -> dict[str, Tensor]:
            self.bertmodel.states = pooled(batch["text"], settings.text_pooling)[:, None]
            audio, vision = (batch[name] for name in ("audio", "vision"))
            return self(
                None, (audio.values, audio.lengths.cpu()), (vision.values, vision.lengths.cpu())
            )

    given = mmsa.arguments(widths, outputs, settings, longest)
    # The class takes the states of the first layer, and without directions refuses one utterance.
    # With one layer, it does not use the dropout of audio and vision, nor `last_activation` at all.
    vars(given).update(
        n_layer=1,
        bidirectional=True,
        need_data_aligned=False,
        mmilb_mid_activation="ReLU",
        mmilb_last_activation="Tanh",
        cpc_activation="Tanh",
    )
    network = Mmim(given)
    for parameter in network.parameters():  # as MMSA's trainer does
        if parameter.dim() > 1:
            nn.init.xavier_normal_(parameter)
    for _, _, estimator in _pairs(network):  # neither stage of MMSA trains these
        estimator.entropy_prj.requires_grad_(False)
    return network


def losses(passed: Pass, labels: Tensor) -> Tensor:
    """Return the losses of both stages, except the task loss.

    The entropy needs the signs of scores, so there is none for emotions. As in MMSA, the first
    batches of an epoch fill the memory and have none either. It is also left out where it does not
    exist: where a sign has no more utterances than its covariance has rows, or these are the same.
    """
    network, settings, result = passed.network, passed.settings, passed.result
    signed = labels.is_floating_point() and len(labels) > 1  # the class fails for one utterance
    number = _batch_of_epoch(passed) if signed else 0
    total = settings.alpha * result["nce"]
    for one, other, estimator in _pairs(network):
        x, y = result[f"Feature_{one}"], result[f"Feature_{other}"]
        first_stage = -estimator(x.detach(), y.detach())[0]
        memory = _Memory(passed.memory, one + other, settings.mem_size)
        recalled = memory.recall() if number > settings.mem_size else None
        with _fixed(estimator):
            bound, found, entropy = estimator(x, y, labels if signed else None, recalled)
        if signed:
            memory.store(found, number)
        if recalled is not None and _exists(entropy, found, recalled):
            bound = bound + entropy
        total = total + first_stage - settings.beta * bound
    return total


def _batch_of_epoch(passed: Pass) -> int:
    """Return how many batches of the epoch were before, and clear the memory if none was."""
    memory, epoch = passed.memory, passed.step.epoch if passed.step else 0
    if "epoch" not in memory or int(memory["epoch"]) != epoch:
        memory.clear()
        memory.update(epoch=torch.tensor(epoch), batches=torch.tensor(0))
    number = int(memory["batches"])
    memory["batches"] = torch.tensor(number + 1)
    return number


class _Memory(NamedTuple):
    """The states of the last batches, which an estimator has projected for its entropy."""

    tensors: dict[str, Tensor]
    pair: str
    size: int  # batches

    def recall(self) -> dict[str, list[Tensor]]:
        """Return by sign the states (n, d) of each batch."""
        return {
            sign: [self.tensors[f"{self.pair}.{sign}.{slot}"] for slot in range(self.size)]
            for sign in SIGNS
        }

    def store(self, found: dict[str, Tensor], number: int) -> None:
        """Keep the states (n, d) of a batch in the place of the oldest."""
        for sign in SIGNS:
            self.tensors[f"{self.pair}.{sign}.{number % self.size}"] = found[sign].detach()


def _exists(entropy: Tensor, found: dict[str, Tensor], recalled: dict[str, list[Tensor]]) -> bool:
    enough = (
        len(found[sign]) + sum(map(len, recalled[sign])) > found[sign].shape[1] for sign in SIGNS
    )
    return all(enough) and bool(entropy.isfinite())


def _pairs(network: nn.Module) -> list[tuple[str, str, nn.Module]]:
    """Return each pair of modalities, as MMSA abbreviates them, with its estimator."""
    pairs = ["tv", "ta", *(["va"] if network.add_va else [])]
    return [(*pair, network.get_submodule(f"mi_{pair}")) for pair in pairs]


@contextmanager
def _fixed(module: nn.Module) -> Iterator[None]:
    """Keep gradients from the parameters of a module."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    yield
    for parameter in trained:
        parameter.requires_grad_(True)
