"""Classes of the package MMSA, imported without its packages, and what they are made with."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hycon.errors import HyConError
from hycon.networks.packing import PaddedBatch
from hycon.params.peers import MISSING, AnyPeer, installed
from hycon.params.settings import MODALITIES

ALIAS = "_hycon_mmsa"
FOLDERS = (
    "", "models", "models.singleTask", "models.multiTask", "models.subNets", "trains",
    "trains.singleTask", "trains.multiTask", "utils",
)  # fmt: skip


class Published(NamedTuple):
    """A class of MMSA. Calling this makes a network of it, as `Kind.make` says."""

    name: str  # of the class and of its module
    folder: str = "singleTask"

    def load(self) -> type[nn.Module]:
        """Return the class.

        Raises:
            HyConError: MMSA is not installed.
        """
        return getattr(load(f"models.{self.folder}.{self.name}"), self.name)

    def __call__(
        self, widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
    ) -> nn.Module:
        return self.load()(arguments(widths, outputs, settings, longest))


def arguments(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> SimpleNamespace:
    """Return a peer's settings with the names and nesting of MMSA's configuration."""
    values = settings.model_dump(exclude={"network"})
    for key in [key for key in values if key.endswith("_shapes")]:
        part = key.removesuffix("_shapes")
        name = part.upper() if part.startswith("nn") else part
        values[f"{name}Config"] = {"shapes": values[key], "drop": values[f"{part}_drop"]}
    return SimpleNamespace(
        **values,
        feature_dims=[widths[each] for each in MODALITIES],
        train_mode="regression" if outputs == 1 else "classification",
        num_classes=outputs,
        # MFN reads the states of the current and the previous step, so only 2 works
        windowsize=2,
        dst_feature_dim_nheads=[values.get("dst_feature_dim"), values.get("nheads")],
        seq_lens=longest["text"],
        device="cpu",
        # these request it and get `PrecomputedStates`
        use_bert=settings.network in ("misa", "mmim"),
        use_cmd_sim=True,
        rnncell="lstm",
        use_finetune=False,
        transformers=None,
        pretrained=None,
    )


def graph_mfn(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    """Make Graph-MFN, with the networks of its graph registered.

    MMSA has these in a plain dictionary, so they are not trained, saved or moved to a device.
    """
    network = Published("Graph_MFN")(widths, outputs, settings, longest)
    graph = network.graph_mfn
    for nodes, part in graph.networks.items():
        graph.add_module("node_" + "_".join(map(str, nodes)), part)
    return network


def mult(
    widths: dict[str, int], outputs: int, settings: AnyPeer, longest: dict[str, int]
) -> nn.Module:
    """Make MulT, without projections that the class does not use because the sizes are equal."""
    network = Published("MULT")(widths, outputs, settings, longest)
    for letter in "lav":
        if getattr(network, f"orig_d_{letter}") == getattr(network, f"d_{letter}"):
            setattr(network, f"proj_{letter}", nn.Identity())
    return network


class PrecomputedStates(nn.Module):
    """A replacement for the BERT that MMSA's classes create; it returns the states set before."""

    def __init__(self, **_) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, _: Tensor) -> Tensor:
        states, self.states = self.states, None
        return states


def tokens(text: PaddedBatch) -> Tensor:
    """Return the mask of valid steps as BERT's tokens (K, 3, T), for `PrecomputedStates`."""
    step = torch.arange(text.values.shape[1], device=text.lengths.device)
    mask = (step < text.lengths[:, None]).to(text.values.dtype)  # (K, T)
    return torch.stack([torch.zeros_like(mask), mask, torch.zeros_like(mask)], dim=1)


def load(module: str) -> ModuleType:
    """Import a module of MMSA without running the packages that contain it.

    These packages import all models and trainers of MMSA, and libraries that access GPUs. Here they
    are replaced by empty packages with another name, so that `import MMSA` still imports the real
    one.

    Raises:
        HyConError: MMSA is not installed.
    """
    if not installed():
        raise HyConError(f"peers: {MISSING}")
    _empty_packages()
    name = f"{ALIAS}.{module}"
    if name not in sys.modules:
        with _without_transformers():
            importlib.import_module(name)
    return sys.modules[name]


@contextmanager
def _without_transformers() -> Iterator[None]:
    """Replace the package transformers, whose import takes seconds.

    Modules of MMSA import it for classes that are not used here.
    """
    names = ("transformers", "transformers.models.bert.modeling_bert")
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        empty = ModuleType(name)
        empty.__getattr__ = lambda _: nn.Module  # a base of these classes
        sys.modules[name] = empty
    try:
        yield
    finally:
        for name, module in before.items():
            del sys.modules[name]
            if module is not None:
                sys.modules[name] = module


@functools.cache
def _empty_packages() -> None:
    root = Path(next(iter(importlib.util.find_spec("MMSA").submodule_search_locations)))
    for name in FOLDERS:
        package = ModuleType(f"{ALIAS}.{name}".rstrip("."))
        package.__path__ = [str(root.joinpath(*name.split(".")))]
        sys.modules[package.__name__] = package
    features = importlib.import_module(f"{ALIAS}.models.subNets.FeatureNets")
    nets, utils = (sys.modules[f"{ALIAS}.{name}"] for name in ("models.subNets", "utils"))
    nets.SubNet, nets.TextSubNet = features.SubNet, features.TextSubNet
    nets.BertTextEncoder = PrecomputedStates
    utils.MetricsTop = utils.dict_to_str = None  # only the trainer's report uses them
