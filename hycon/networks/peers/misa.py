"""MISA: MMSA's class with given text states, and the losses of MMSA's trainer."""

import warnings
from types import SimpleNamespace

from torch import Tensor, nn

from hycon.networks.packing import PaddedBatch
from hycon.networks.peers import mmsa
from hycon.networks.peers.kind import Pass
from hycon.params.peers import AnyPeer
from hycon.params.settings import MODALITIES


def make(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    """Make MISA, as `Kind.make` says."""
    published = mmsa.Published("MISA").load()

    class Misa(published):
        """MISA with given text states, and a separate number of steps for each modality."""

        def of(self, batch: dict[str, PaddedBatch]) -> dict[str, Tensor]:
            text, audio, vision = (batch[name] for name in MODALITIES)
            self.bertmodel.states = text.values
            self.lengths = {"arnn1": audio.lengths.cpu(), "vrnn1": vision.lengths.cpu()}
            return self(mmsa.tokens(text), audio.values, vision.values)

        def extract_features(self, sequence, lengths, rnn1, rnn2, layer_norm):
            own = self.lengths["arnn1" if rnn1 is self.arnn1 else "vrnn1"]
            return super().extract_features(sequence, own, rnn1, rnn2, layer_norm)

    with warnings.catch_warnings(action="ignore"):  # its fusion cannot use torch's fast path
        network = Misa(mmsa.arguments(widths, outputs, settings, longest))
    network.project_t.project_t = nn.Linear(widths["text"], settings.hidden_size)  # from 768 there
    for unused in (network.sp_discriminator, network.tlayer_norm):  # no loss depends on them
        unused.requires_grad_(False)
    return network


def losses(passed: Pass, _: Tensor) -> Tensor:
    """Return the weighted sum of MISA's three losses, computed by MMSA's own trainer."""
    settings, trainer = passed.settings, mmsa.load("trains.singleTask.MISA")
    moments = trainer.CMD()
    around = SimpleNamespace(
        args=SimpleNamespace(use_cmd_sim=True),
        model=SimpleNamespace(Model=SimpleNamespace(**passed.attributes)),
        loss_diff=trainer.DiffLoss(),
        loss_recon=trainer.MSE(),
        # a moment that is 0 whatever the utterances (all central moments of one utterance, the odd
        # ones of two) puts the square root of 0 into the loss, which has no gradient: so no more
        # moments than utterances
        loss_cmd=lambda one, other, highest: moments(one, other, min(highest, len(one))),
    )
    return (
        settings.diff_weight * trainer.MISA.get_diff_loss(around)
        + settings.sim_weight * trainer.MISA.get_cmd_loss(around)
        + settings.recon_weight * trainer.MISA.get_recon_loss(around)
    )
