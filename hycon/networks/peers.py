"""Peers: networks of the package MMSA that replace the HyCon network.

The classes and MISA's auxiliary losses are those of MMSA. `hycon.params.peers.ADAPTED` lists the
adaptations of each peer. These apply to all:

- They read a fixed number of steps: the length of the corpus's longest utterance, but at most
  `longest`. Longer utterances are truncated. Shorter ones are padded with zeros in front, because
  most peers read the last step. With padding to the longest utterance of a batch, predictions would
  depend on the batch.
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
    """Wrap a network of MMSA in the interface of HyCon.

    Args:
        widths: number of features per step of text, audio and vision.
        outputs: 1 for a score, or the number of classes.
        settings: the network and its sizes.
        longest: number of steps of the corpus's longest utterance, by modality.
        language_model: as in `hycon.networks.hycon.HyCon`.

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
        """Return representations and predictions.

        `fused` is the input of the last layer. The representations of text, audio and vision are
        the features that the class returns. For MFN and Graph-MFN they are the last states, and for
        MISA the sums of private and shared code. EF-LSTM has none, so they are the means of its
        inputs.

        Args:
            batch: padded batch by modality.
        """
        batch = read_tokens(batch, self.language_model)
        batch = {name: _cut(steps, self.longest[name]) for name, steps in batch.items()}
        kind = KINDS[self.settings.network]
        alone = self.training and len(batch["text"].lengths) == 1
        with _reading(self.network, kind.last) as read, running_statistics(self.network, alone):
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
        """Return the weighted sum of MISA's losses in the last training pass; None for others."""
        return self._auxiliary

    def parts(self) -> dict[str, nn.Module]:
        """Return the parts whose parameters are counted separately, except a language model."""
        return {"network": self.network}


def _cut(steps: PaddedBatch, longest: int) -> PaddedBatch:
    return PaddedBatch(steps.values[:, :longest], steps.lengths.clamp(max=longest))


def in_front(steps: PaddedBatch, time: int) -> Tensor:
    """Pad the valid steps with zeros in front, to (K, time, D)."""
    values, lengths = steps
    source = torch.arange(time, device=lengths.device) - (time - lengths[:, None])  # (K, time)
    row = torch.arange(len(values), device=lengths.device)[:, None]
    return values[row, source.clamp(min=0)].masked_fill((source < 0)[..., None], 0.0)


def in_proportion(steps: PaddedBatch, lengths: Tensor) -> PaddedBatch:
    """Resample a modality in proportion to other numbers of steps.

    Step t of T is the mean of the source steps, of S, that begin in [t S / T, (t + 1) S / T). If
    none does, it is the source step that contains the beginning of this interval.

    Args:
        steps: values (K, S, D).
        lengths: (K,) new numbers of steps.
    """
    values, found = steps
    count, time = len(values), int(lengths.max())
    source = torch.arange(values.shape[1], device=lengths.device)
    # source step s begins in window s T // S; padding goes to an extra window
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
    """Call with all text steps, and the mean of audio and of vision."""
    audio, vision = (pooled(batch[name], "mean")[:, None] for name in ("audio", "vision"))
    return network(in_front(batch["text"], longest["text"]), audio, vision)


def _call_in_step(
    network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]
) -> dict:
    """Call with audio and vision resampled to the steps of the text."""
    text = batch["text"]
    others = (in_proportion(batch[name], text.lengths) for name in ("audio", "vision"))
    return network(*(in_front(steps, longest["text"]) for steps in (text, *others)))


def _call_apart(network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]) -> dict:
    """Call with each modality's own steps."""
    return network(*(in_front(batch[name], longest[name]) for name in MODALITIES))


def _call_misa(network: nn.Module, batch: dict[str, PaddedBatch], longest: dict[str, int]) -> dict:
    """Call with padding at the end, and the numbers of valid steps."""
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
    """How to find and call a class of MMSA, and to extract its representations."""

    name: str  # of the class and of its module in MMSA.models.singleTask
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
    yield
    for norm in norms:
        norm.train()


def _forget(network: nn.Module) -> None:
    """Remove the tensors that a forward pass has added to a network as attributes."""
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
        # MMSA has these in a plain dictionary, so they are not trained, saved or moved to a device
        graph = network.graph_mfn
        for nodes, part in graph.networks.items():
            graph.add_module("node_" + "_".join(map(str, nodes)), part)
    if settings.network == "mult":
        for letter in "lav":  # the class does not use these if the sizes are equal
            if getattr(network, f"orig_d_{letter}") == getattr(network, f"d_{letter}"):
                setattr(network, f"proj_{letter}", nn.Identity())
    return network


def _arguments(settings: AnyPeer, longest: dict[str, int]) -> dict:
    """Return a peer's settings with the names and nesting of MMSA's configuration."""
    values = settings.model_dump(exclude={"network"})
    for key in [key for key in values if key.endswith("_shapes")]:
        part = key.removesuffix("_shapes")
        name = part.upper() if part.startswith("nn") else part
        values[f"{name}Config"] = {"shapes": values[key], "drop": values[f"{part}_drop"]}
    return {
        **values,
        # MFN reads the states of the current and the previous step, so only 2 works
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
    """A replacement for the BERT that MMSA's classes create; it returns the states set before."""

    def __init__(self, **_) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, _: Tensor) -> Tensor:
        states, self.states = self.states, None
        return states


def _misa(published: type[nn.Module], arguments: SimpleNamespace) -> nn.Module:
    class Misa(published):
        """MISA with given text states, and a separate number of steps for each modality."""

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

    with warnings.catch_warnings(action="ignore"):  # its fusion cannot use torch's fast path
        network = Misa(arguments)
    width, hidden = arguments.feature_dims[0], arguments.hidden_size
    network.project_t.project_t = nn.Linear(width, hidden)  # 768 in the class
    for unused in (network.sp_discriminator, network.tlayer_norm):  # no loss depends on them
        unused.requires_grad_(False)
    return network


def _misa_losses(network: nn.Module, settings: AnyPeer) -> Tensor:
    """Return the weighted sum of MISA's three losses, computed by MMSA's own trainer."""
    trainer = _mmsa("trains.singleTask.MISA")
    moments = trainer.CMD()
    around = SimpleNamespace(
        args=SimpleNamespace(use_cmd_sim=True),
        model=SimpleNamespace(Model=network),
        loss_diff=trainer.DiffLoss(),
        loss_recon=trainer.MSE(),
        # a moment that is 0 whatever the utterances (all central moments of one utterance, the odd
        # ones of two) puts the square root of 0 into the loss, which has no gradient
        loss_cmd=lambda one, other, highest: moments(one, other, min(highest, len(one))),
    )
    return (
        settings.diff_weight * trainer.MISA.get_diff_loss(around)
        + settings.sim_weight * trainer.MISA.get_cmd_loss(around)
        + settings.recon_weight * trainer.MISA.get_recon_loss(around)
    )


def _mmsa(module: str) -> ModuleType:
    """Import a module of MMSA without running the packages that contain it.

    These packages import all models and trainers of MMSA, and libraries that access GPUs. Here they
    are replaced by empty packages with another name, so that `import MMSA` still imports the real
    one.
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
    utils.MetricsTop = utils.dict_to_str = None  # only the trainer's report uses them
