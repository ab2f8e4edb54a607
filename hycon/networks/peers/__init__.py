"""Peers: networks of the package MMSA, and of others, that replace the HyCon network.

`hycon.params.peers.ADAPTED` lists the adaptations of each. These apply to all:

- They read a fixed number of steps: the length of the corpus's longest utterance, but at most
  `longest`. Longer utterances are truncated, after audio and vision are averaged or resampled.
  Shorter ones are padded with zeros in front, because most peers read the last step. With padding
  to the longest utterance of a batch, predictions would depend on the batch.
- In place of a modality that the corpus lacks, they read one step of one feature, which is zero.
  `Output` has no representation of it.
- For a batch of one utterance, such as the last of an epoch, batch norms use running statistics.
- Attributes that a forward pass adds to a network (states of MFN, codes of MISA) are removed.

A kind of peer is an entry of `KINDS`; its settings are in `hycon.params.peers`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from hycon.networks.hycon import Output, TrainableNetwork, read_tokens
from hycon.networks.packing import PaddedBatch
from hycon.networks.peers import kind, mag, misa, mmim, mmsa, multitask, self_mm
from hycon.networks.peers.kind import Kind, Pass
from hycon.networks.peers.steps import Batch, averaged, one_zero, resampled
from hycon.params.peers import AnyPeer, Mult
from hycon.params.settings import MODALITIES

LAST = "post_fusion_layer_3"  # of TFN, LF-DNN and Self-MM, and of their siblings
KINDS = {
    "tfn": Kind(mmsa.Published("TFN"), kind.pad_text, kind.features, LAST, read=averaged),
    "lmf": Kind(mmsa.Published("LMF"), kind.pad_text, kind.features, None, read=averaged),
    "lf-dnn": Kind(mmsa.Published("LF_DNN"), kind.pad_text, kind.features, LAST, read=averaged),
    "ef-lstm": Kind(
        mmsa.Published("EF_LSTM"), kind.pad_as_text, kind.inputs, "out", read=resampled
    ),
    "mfn": Kind(
        mmsa.Published("MFN"), kind.pad_as_text, kind.last_states, "out_fc2", read=resampled
    ),
    "graph-mfn": Kind(
        mmsa.graph_mfn, kind.pad_as_text, kind.last_states, "out_fc2", read=resampled
    ),
    "mult": Kind(mmsa.mult, kind.pad_each, kind.features, "out_layer"),
    "misa": Kind(misa.make, kind.whole_batch, kind.codes, "fusion.fusion_layer_3", misa.losses),
    "self-mm": Kind(
        self_mm.make, self_mm.call, kind.features, LAST, self_mm.losses, rates=self_mm.rates
    ),
    "mtfn": Kind(
        multitask.of("MTFN"), kind.pad_text, kind.features, LAST, multitask.losses, averaged
    ),
    "mlf-dnn": Kind(
        multitask.of("MLF_DNN"), kind.pad_text, kind.features, LAST, multitask.losses, averaged
    ),
    "mlmf": Kind(
        multitask.of("MLMF"), kind.pad_text, kind.features, None, multitask.losses, averaged
    ),
    "mmim": Kind(mmim.make, kind.whole_batch, kind.features, None, mmim.losses),
    "mag-bert": Kind(
        mag.make, kind.whole_batch, kind.inputs, "classifier", read=resampled, gate=mag.gate
    ),
}


class Peer(TrainableNetwork):
    """Wrap a peer in the interface of HyCon.

    Args:
        widths: number of features per step, by modality: text, and what the corpus has of audio
            and vision.
        outputs: 1 for a score, or the number of classes.
        settings: the network and its sizes.
        longest: number of steps of the corpus's longest utterance, by modality.
        language_model: as in `hycon.networks.hycon.HyCon`.

    Raises:
        HyConError: the network is MMSA's, which is not installed.
    """

    def __init__(
        self,
        widths: dict[str, int],
        outputs: int,
        settings: AnyPeer,
        longest: dict[str, int],
        language_model: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.absent = [name for name in MODALITIES if name not in widths]
        widths, longest = ({**dict.fromkeys(self.absent, 1), **each} for each in (widths, longest))
        self.settings = settings
        self.outputs = outputs
        self.longest = {name: min(steps, settings.longest) for name, steps in longest.items()}
        if isinstance(settings, Mult):
            self.longest = {
                name: max(self.longest[name], getattr(settings, f"conv1d_kernel_size_{letter}"))
                for name, letter in zip(MODALITIES, "lav", strict=True)
            }
        self.kind = KINDS[settings.network]
        self.network = self.kind.make(widths, outputs, settings, self.longest)
        self.learning_rate_factors = {
            f"network.{name}": factor for name, factor in self.kind.rates(settings).items()
        }
        self.language_model = language_model
        self._pass: Pass | None = None

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return representations and predictions.

        `fused` is the input of the last layer. The representations of text, audio and vision are
        the features that the class returns. For MFN and Graph-MFN they are the last states, and for
        MISA the sums of private and shared code. EF-LSTM and MAG-BERT have none, so they are the
        means of the inputs; for the text of MAG-BERT, of the states behind its gate.

        Args:
            batch: padded batch by modality.
        """
        batch = batch | {name: one_zero(batch["text"]) for name in self.absent}
        if self.kind.gate is None:
            batch = self._read(read_tokens(batch, self.language_model))
        else:  # it needs audio and vision before the text is encoded
            batch = self._read(batch)
            batch = read_tokens(batch, self.language_model, self.kind.gate(self.network, batch))
        alone = self.training and len(batch["text"].lengths) == 1
        with (
            _reading(self.network, self.kind.last) as read,
            running_statistics(self.network, alone),
        ):
            result = self.kind.call(self.network, batch, self.longest)
        attributes = _taken(self.network)
        step = self.step if self.training else None
        passed = Pass(self.network, self.settings, batch, result, attributes, step, self.memory)
        unimodal = self.kind.unimodal(passed)
        prediction = result["M"].reshape(-1, self.outputs)
        fused = read[0] if self.kind.last else result["Feature_f"]
        self._pass = passed if self.training and self.kind.losses else None
        return Output(
            {
                name: found
                for name, found in zip(MODALITIES, unimodal, strict=True)
                if name not in self.absent
            },
            fused=fused.reshape(len(prediction), -1),
            prediction=prediction.squeeze(1) if self.outputs == 1 else prediction,
        )

    def _read(self, batch: Batch) -> Batch:
        return self.kind.read(batch, self.longest)

    def auxiliary_loss(self, labels: Tensor) -> Tensor | None:
        """Return the weighted sum of the network's own losses in the last training pass.

        Called once after each training pass. None if the network has none, or if the last pass was
        not one of training.
        """
        passed, self._pass = self._pass, None
        return self.kind.losses(passed, labels) if passed is not None else None

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, except a language model."""
        return {"network": self.network}


@contextmanager
def _reading(network: nn.Module, layer: str | None) -> Iterator[list[Tensor]]:
    """Yield a list to which each input of a layer is appended."""
    read: list[Tensor] = []
    if layer is None:
        yield read
        return
    watch = network.get_submodule(layer).register_forward_pre_hook(
        lambda _, inputs: read.append(inputs[0])
    )
    try:
        yield read
    finally:
        watch.remove()


@contextmanager
def running_statistics(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Make batch norms use running statistics and not update them."""
    norms = [each for each in network.modules() if wanted and isinstance(each, nn.BatchNorm1d)]
    for norm in norms:
        norm.eval()
    try:
        yield
    finally:
        for norm in norms:
            norm.train()


def _taken(network: nn.Module) -> dict[str, Tensor]:
    """Remove the tensors that a forward pass has added to a network as attributes; return them."""
    found = {name: value for name, value in vars(network).items() if isinstance(value, Tensor)}
    for name in found:
        delattr(network, name)
    return found
