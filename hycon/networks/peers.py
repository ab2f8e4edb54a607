"""Peers: networks of the package MMSA in place of HyCon.

The classes are MMSA's, and so are MISA's auxiliary losses. `hycon.params.peers.ADAPTED` lists the
adaptations of each; these apply to all:

- They read a fixed number of steps, `longest` or those of the corpus's longest utterance. Longer
  utterances are cut, and shorter ones have zeros in front, because most peers read the last step.
  With padding to the longest of a batch, a prediction would depend on the batch.
- For a batch of one utterance, such as the last of an epoch, batch norms use running statistics.
- Attributes that a forward pass adds to a network (states of MFN, codes of MISA) are removed.
"""

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.errors import HyConError
from hycon.networks.hycon import Output, read_tokens
from hycon.networks.packing import PaddedBatch, pooled
from hycon.params.peers import MISSING, AnyPeer, Mult, installed
from hycon.params.settings import MODALITIES

ALIAS = "_hycon_mmsa"


class Peer(nn.Module):
    """A network of MMSA, called as HyCon is.

    Args:
        widths: features per step of text, audio and vision.
        outputs: 1 for a score, or the number of classes.
        settings: which network, and its sizes.
        longest: steps of the corpus's longest utterance, by modality.
        language_model: as of `hycon.networks.hycon.HyCon`.

    Raises:
        HyConError: MMSA is not installed.
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
        self.settings = settings
        self.outputs = outputs
        self.longest = {name: min(steps, settings.longest) for name, steps in longest.items()}
        if isinstance(settings, Mult):
            self.longest = {
                name: max(self.longest[name], getattr(settings, f"conv1d_kernel_size_{letter}"))
                for name, letter in zip(MODALITIES, "lav", strict=True)
            }
        self.network = _build(widths, outputs, settings, self.longest)
        self.language_model = language_model
        self._auxiliary: Tensor | None = None

    def forward(self, batch: dict[str, PaddedBatch]) -> Output:
        """Return representations and prediction of a padded batch, by modality.

        `fused` is what the last layer reads. Text, audio and vision are the features that the class
        returns; of MFN and Graph-MFN the last states, of MISA private and shared code together; of
        EF-LSTM, which has none, the mean of what it reads.
        """
        batch = read_tokens(batch, self.language_model)
        batch = {name: _cut(steps, self.longest[name]) for name, steps in batch.items()}
        kind = KINDS[self.settings.network]
        alone = self.training and len(batch["text"].lengths) == 1
        with _reading(self.network, kind.last) as read, _running_statistics(self.network, alone):
            result = kind.call(self.network, batch, self.longest)
        unimodal = kind.unimodal(self.network, result, batch)
        prediction = result["M"].reshape(-1, self.outputs)
        fused = read[0] if kind.last else result["Feature_f"]
        wanted = self.training and self.settings.network == "misa"
        self._auxiliary = _misa_losses(self.network, self.settings) if wanted else None
        _forget(self.network)
        return Output(
            dict(zip(MODALITIES, unimodal, strict=True)),
            fused=fused.reshape(len(prediction), -1),
            prediction=prediction.squeeze(1) if self.outputs == 1 else prediction,
        )

    def auxiliary_loss(self) -> Tensor | None:
        """Return MISA's own losses of the last forward pass in training, weighted; else None."""
        return self._auxiliary

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, without a language model."""
        return {"network": self.network}


def _cut(steps: PaddedBatch, longest: int) -> PaddedBatch:
    return PaddedBatch(steps.values[:, :longest], steps.lengths.clamp(max=longest))


def in_front(steps: PaddedBatch, time: int) -> Tensor:
    """Return the valid steps at the end of `time` steps (K, time, D), behind zeros."""
    values, lengths = steps
    source = torch.arange(time, device=lengths.device) - (time - lengths[:, None])  # (K, time)
    row = torch.arange(len(values), device=lengths.device)[:, None]
    return values[row, source.clamp(min=0)].masked_fill((source < 0)[..., None], 0.0)


def in_proportion(steps: PaddedBatch, lengths: Tensor) -> PaddedBatch:
    """Return a modality at other numbers of steps, in proportion.

    Step t of T is the mean of those of the S source steps that begin in [t S / T, (t + 1) S / T);
    where none does, it is the one that is going on.

    Args:
        steps: values (K, S, D).
        lengths: (K,) numbers of steps wanted.
    """
    values, found = steps
    count, time = len(values), int(lengths.max())
    source = torch.arange(values.shape[1], device=lengths.device)
    # source step s begins in the window s T // S; padding goes to a window of its own
    window = torch.div(source * lengths[:, None], found[:, None], rounding_mode="floor")
    window = torch.where(source < found[:, None], window, time)  # (K, S)
    row = torch.arange(count, device=lengths.device)[:, None]
    place = (row * (time + 1) + window).flatten()
    sums = values.new_zeros(count * (time + 1), values.shape[2])
    sums = sums.index_add(0, place, values.flatten(0, 1)).unflatten(0, (count, -1))[:, :time]
    number = place.bincount(minlength=count * (time + 1)).unflatten(0, (count, -1))[:, :time, None]
    step = torch.arange(time, device=lengths.device) * found[:, None]
    going_on = torch.minimum(step // lengths[:, None], found[:, None] - 1)  # (K, T)
    return PaddedBatch(
        torch.where(number > 0, sums / number.clamp(min=1), values[row, going_on]), lengths
    )


def _call_with_means(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict:
    """Call with text in steps, and one vector of audio and of vision."""
    audio, vision = (pooled(batch[name], "mean")[:, None] for name in ("audio", "vision"))
    return network(in_front(batch["text"], longest["text"]), audio, vision)


def _call_in_step(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict:
    """Call with audio and vision at the text's steps."""
    text = batch["text"]
    others = (in_proportion(batch[name], text.lengths) for name in ("audio", "vision"))
    return network(*(in_front(steps, longest["text"]) for steps in (text, *others)))


def _call_apart(network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]) -> dict:
    """Call with each modality at its own steps."""
    return network(*(in_front(batch[name], longest[name]) for name in MODALITIES))


def _call_misa(network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]) -> dict:
    """Call with padding behind, and the numbers of valid steps."""
    return network.of(batch)


def _features(network: nn.Module, result: dict, batch: dict[str, PaddedBatch]) -> list[Tensor]:
    return [result[f"Feature_{letter}"] for letter in "tav"]


def _last_states(network: nn.Module, result: dict, batch: dict[str, PaddedBatch]) -> list[Tensor]:
    return [network.h_l, network.h_a, network.h_v]


def _codes(network: nn.Module, result: dict, batch: dict[str, PaddedBatch]) -> list[Tensor]:
    return [network.utt_t, network.utt_a, network.utt_v]


def _inputs(network: nn.Module, result: dict, batch: dict[str, PaddedBatch]) -> list[Tensor]:
    return [pooled(batch[name], "mean") for name in MODALITIES]


class _Kind(NamedTuple):
    """How one of the classes is found, called and read."""

    name: str  # the class and its module in MMSA.models.singleTask
    call: Callable[[nn.Module, dict[str, PaddedBatch], dict[str, int]], dict]
    unimodal: Callable[[nn.Module, dict, dict[str, PaddedBatch]], list[Tensor]]
    last: str | None  # the last layer, whose input is `fused`; None if the network returns it


KINDS = {
    "tfn": _Kind("TFN", _call_with_means, _features, "post_fusion_layer_3"),
    "lmf": _Kind("LMF", _call_with_means, _features, None),
    "lf-dnn": _Kind("LF_DNN", _call_with_means, _features, "post_fusion_layer_3"),
    "ef-lstm": _Kind("EF_LSTM", _call_in_step, _inputs, "out"),
    "mfn": _Kind("MFN", _call_in_step, _last_states, "out_fc2"),
    "graph-mfn": _Kind("Graph_MFN", _call_in_step, _last_states, "out_fc2"),
    "mult": _Kind("MULT", _call_apart, _features, "out_layer"),
    "misa": _Kind("MISA", _call_misa, _codes, "fusion.fusion_layer_3"),
}


@contextmanager
def _reading(network: nn.Module, layer: str | None) -> Iterator[list[Tensor]]:
    """Yield a list that receives the inputs of a layer."""
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
def _running_statistics(network: nn.Module, wanted: bool) -> Iterator[None]:
    """Let batch norms neither take nor learn a batch's statistics."""
    norms = [each for each in network.modules() if wanted and isinstance(each, nn.BatchNorm1d)]
    for norm in norms:
        norm.eval()
    yield
    for norm in norms:
        norm.train()


def _forget(network: nn.Module) -> None:
    """Remove the attributes that a forward pass has added to a network and its modules."""
    for name in [name for name, value in vars(network).items() if isinstance(value, Tensor)]:
        delattr(network, name)


def _build(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    name = KINDS[settings.network].name
    published = getattr(_mmsa(f"models.singleTask.{name}"), name)
    arguments = SimpleNamespace(
        feature_dims=[widths[each] for each in MODALITIES],
        train_mode="regression" if outputs == 1 else "classification",
        num_classes=outputs,
        **_arguments(settings, longest),
    )
    if settings.network == "misa":
        return _misa(published, arguments)
    network = published(arguments)
    if settings.network == "graph-mfn":
        # kept in a dictionary only: neither trained nor saved nor moved to a device
        graph = network.graph_mfn
        for nodes, part in graph.networks.items():
            graph.add_module("node_" + "_".join(map(str, nodes)), part)
    if settings.network == "mult":
        for letter in "lav":  # not used by the class where nothing is to be projected
            if getattr(network, f"orig_d_{letter}") == getattr(network, f"d_{letter}"):
                setattr(network, f"proj_{letter}", nn.Identity())
    return network


def _arguments(settings: AnyPeer, longest: dict[str, int]) -> dict:
    """Return a peer's settings under the names and in the nests of MMSA's configuration."""
    values = settings.model_dump(exclude={"network"})
    for key in [key for key in values if key.endswith("_shapes")]:
        part = key.removesuffix("_shapes")
        name = part.upper() if part.startswith("nn") else part
        values[f"{name}Config"] = {"shapes": values[key], "drop": values[f"{part}_drop"]}
    return {
        **values,
        # of each step MFN reads the last one's state and its own: no other number works
        "windowsize": 2,
        "dst_feature_dim_nheads": [values.get("dst_feature_dim"), values.get("nheads")],
        "seq_lens": longest["text"],
        "device": "cpu",
        "use_bert": settings.network == "misa",  # MISA requests it and gets `_Given`
        "use_cmd_sim": True,
        "rnncell": "lstm",
        "use_finetune": False,
        "transformers": None,
        "pretrained": None,
    }


class _Given(nn.Module):
    """Stands where MMSA's classes make a BERT of their own: gives the states it was handed."""

    def __init__(self, **_) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, _: Tensor) -> Tensor:
        states, self.states = self.states, None
        return states


def _misa(published: type[nn.Module], arguments: SimpleNamespace) -> nn.Module:
    class Misa(published):
        """MISA with given text states, and with each modality's own number of steps."""

        def of(self, batch: dict[str, PaddedBatch]) -> dict:
            text, audio, vision = (batch[name] for name in MODALITIES)
            step = torch.arange(text.values.shape[1], device=text.lengths.device)
            mask = (step < text.lengths[:, None]).to(text.values.dtype)  # (K, T)
            self.bertmodel.states = text.values
            self.lengths = {"arnn1": audio.lengths.cpu(), "vrnn1": vision.lengths.cpu()}
            tokens = torch.stack([torch.zeros_like(mask), mask, torch.zeros_like(mask)], dim=1)
            return self(tokens, audio.values, vision.values)

        def extract_features(self, sequence, lengths, rnn1, rnn2, layer_norm):
            own = self.lengths["arnn1" if rnn1 is self.arnn1 else "vrnn1"]
            return super().extract_features(sequence, own, rnn1, rnn2, layer_norm)

    with warnings.catch_warnings(action="ignore"):  # of a fast path that its fusion cannot take
        network = Misa(arguments)
    width, hidden = arguments.feature_dims[0], arguments.hidden_size
    network.project_t.project_t = nn.Linear(width, hidden)  # 768 in the class
    for unused in (network.sp_discriminator, network.tlayer_norm):  # no loss depends on them
        unused.requires_grad_(False)
    return network


def _misa_losses(network: nn.Module, settings: AnyPeer) -> Tensor:
    """Return the sum of MISA's three losses, computed by the functions of MMSA's trainer."""
    trainer = _mmsa("trains.singleTask.MISA")
    moments = trainer.CMD()
    around = SimpleNamespace(
        args=SimpleNamespace(use_cmd_sim=True),
        model=SimpleNamespace(Model=network),
        loss_diff=trainer.DiffLoss(),
        loss_recon=trainer.MSE(),
        # a moment that is 0 for any utterances (all central ones of one utterance, odd ones of two)
        # has the root of 0 in its loss, and so no gradient
        loss_cmd=lambda one, other, highest: moments(one, other, min(highest, len(one))),
    )
    return (
        settings.diff_weight * trainer.MISA.get_diff_loss(around)
        + settings.sim_weight * trainer.MISA.get_cmd_loss(around)
        + settings.recon_weight * trainer.MISA.get_recon_loss(around)
    )


def _mmsa(module: str) -> ModuleType:
    """Return a module of MMSA, without the packages around it.

    Those import all of MMSA's models and trainers, and with them what talks to GPUs. Here they are
    empty, under another name than MMSA's, so that `import MMSA` still means the real one.
    """
    if not installed():
        raise HyConError(f"peers: {MISSING}")
    _empty_packages()
    return importlib.import_module(f"{ALIAS}.{module}")


@functools.cache
def _empty_packages() -> None:
    root = Path(next(iter(importlib.util.find_spec("MMSA").submodule_search_locations)))
    folders = (
        "", "models", "models.singleTask", "models.subNets", "trains", "trains.singleTask", "utils",
    )  # fmt: skip
    for name in folders:
        package = ModuleType(f"{ALIAS}.{name}".rstrip("."))
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[package.__name__] = package
    features = importlib.import_module(f"{ALIAS}.models.subNets.FeatureNets")
    nets, utils = (sys.modules[f"{ALIAS}.{name}"] for name in ("models.subNets", "utils"))
    nets.SubNet, nets.TextSubNet = features.SubNet, features.TextSubNet
    nets.BertTextEncoder = _Given
    utils.MetricsTop = utils.dict_to_str = None  # the trainer's report is not needed
