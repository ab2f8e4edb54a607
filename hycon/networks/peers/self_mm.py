"""Self-MM: MMSA's class with given text states, and the unimodal labels of MMSA's trainer.

Each modality has a label of its own. At first it is the utterance's label. From the second epoch
on, it moves with the distances of the features to the centres of positive and negative ones. The
labels, the features of the training fold and the centres are the network's memory.
"""

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from hycon.errors import HyConError
from hycon.networks.packing import PaddedBatch, pooled
from hycon.networks.peers import mmsa
from hycon.networks.peers.kind import Pass
from hycon.params.peers import SelfMm

MODES = ("fusion", "text", "audio", "vision")
SIGNS = ("pos", "neg")


def make(
    widths: dict[str, int], outputs: int, settings: SelfMm, longest: dict[str, int]
) -> nn.Module:
    """Make Self-MM, as `Kind.make` says.

    Raises:
        HyConError: the corpus has emotions, or MMSA is not installed.
    """
    if outputs != 1:
        raise HyConError(f"self-mm: found {outputs} classes, expected scores; leave it out here")
    published = mmsa.Published("SELF_MM", "multiTask").load()
    given = mmsa.arguments(widths, outputs, settings, longest)
    given.text_out, given.need_data_aligned = widths["text"], False
    given.a_lstm_layers = given.v_lstm_layers = 1  # the class reads the states of one layer
    network = published(given)
    network.pooling = settings.text_pooling
    return network


def call(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict[str, Tensor]:
    """Call with one state for the text, and padding of audio and vision at the end."""
    text = batch["text"]
    network.text_model.states = pooled(text, network.pooling)[:, None]
    others = ((batch[name].values, batch[name].lengths.cpu()) for name in ("audio", "vision"))
    return network(mmsa.tokens(text), *others)


def rates(settings: SelfMm) -> dict[str, float]:
    """Return the factors of the learning rates of the LSTMs of audio and vision."""
    return {"audio_model.": settings.audio_rate, "video_model.": settings.video_rate}


def losses(passed: Pass, _: Tensor) -> Tensor:
    """Return the sum of the weighted losses of text, audio and vision; update the memory.

    The losses, and how labels, features and centres change, are code of MMSA's trainer, which does
    both in this order.
    """
    step, memory, result = passed.step, passed.memory, passed.result
    found = [result[f"Feature_{letter}"].detach() for letter in "ftav"]
    if len(memory.get("labels.fusion", ())) != len(step.labels):
        memory.update(_start(step.labels, dict(zip(MODES, found, strict=True))))
    trainer = mmsa.load("trains.multiTask.SELF_MM").SELF_MM
    around = _around(memory, passed.settings)
    loss = sum(
        trainer.weighted_loss(
            around, result[task], around.label_map[mode][step.places], step.places, mode
        )
        for mode, task in zip(MODES[1:], "TAV", strict=True)  # that of the fusion is the task loss
    )
    if step.epoch > 1:
        trainer.update_labels(around, *found, step.epoch, step.places, result)
    trainer.update_features(around, *found, step.places)
    trainer.update_centers(around)
    for mode, centres in around.center_map.items():
        for sign, centre in centres.items():
            # without any label of this sign, MMSA's centre is NaN; here it stays as it was
            before = memory[f"centres.{mode}.{sign}"]
            memory[f"centres.{mode}.{sign}"] = torch.where(centre.isnan(), before, centre)
    return loss


def _start(labels: Tensor, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the memory at the start: the labels (n,), and zeros.

    Args:
        labels: of the training fold, (n,) float scores.
        found: features (K, d) of a batch, whose widths and dtypes the memory takes.
    """
    memory = {}
    for mode, one in found.items():
        memory[f"labels.{mode}"] = labels.clone()
        memory[f"features.{mode}"] = one.new_zeros(len(labels), one.shape[1])
        memory |= {f"centres.{mode}.{sign}": one.new_zeros(one.shape[1]) for sign in SIGNS}
    return memory


def _around(memory: dict[str, Tensor], settings: SelfMm) -> SimpleNamespace:
    """Return what methods of MMSA's trainer read and change; tensors are those of the memory."""
    return SimpleNamespace(
        args=SimpleNamespace(excludeZero=True, H=settings.H),
        label_map={mode: memory[f"labels.{mode}"] for mode in MODES},
        feature_map={mode: memory[f"features.{mode}"] for mode in MODES},
        center_map={
            mode: {sign: memory[f"centres.{mode}.{sign}"] for sign in SIGNS} for mode in MODES
        },
    )
