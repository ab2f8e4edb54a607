"""Generated corpora of two shapes, and their settings, for timing training."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hycon.encoders.language_model import LanguageModel
from hycon.networks.hycon import HyCon
from hycon.networks.peers import Peer
from hycon.params import MODALITIES, Settings, load
from hycon.params.loading import read_yaml
from hycon.training import loop
from hycon.training.batches import CorpusTensors
from hycon.training.device import make_deterministic, set_threads
from hycon.training.objective import contrastive_loss
from hycon.training.optimiser import OptimizerStep
from hycon.training.ragged import RaggedTensor

ROOT = Path(__file__).resolve().parents[1]
# the paper's: CMU-MOSI with BERT's states (768), COVAREP (74) and FACET (47), up to 50 steps each,
# with params.yaml as it is. The small one: what config/mosi-utterance-evidence.yaml trains; text
# of at most 32 tokens (384), audio (73) and vision (256) of one step
SHAPES = {
    "paper": ("mosi", "bert", None, {"text": 768, "audio": 74, "vision": 47}, 50),
    "small": (
        "mosi-utterance",
        "minilm",
        ROOT / "config" / "mosi-utterance-evidence.yaml",
        {"text": 384, "audio": 73, "vision": 256},
        32,
    ),
}


def arguments_of(name: str, description: str, device: str | None = None) -> argparse.Namespace:
    """Read the options of a benchmark of training, and set torch up as a training does.

    With a default `device` there are two more: the device, and a folder of CMU-MOSI's files.
    """
    options = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=description.splitlines()[0]
    )
    options.add_argument("--threads", type=int, default=1)
    options.add_argument(
        "--output", type=Path, default=Path("benchmarks/results"), help="folder of the tables"
    )
    if device:
        options.add_argument("--mirror", type=Path, help="folder with CMU-MOSI's files")
        options.add_argument(
            "--device", default=device, help=f"cpu, cuda, cuda:1 (default: {device})"
        )
    arguments = options.parse_args()
    set_threads(arguments.threads)
    make_deterministic()
    return arguments


def settings(shape: str, variant: str) -> Settings:
    """Return a variant's settings in a shape."""
    corpus, encoder, overlay, _, _ = SHAPES[shape]
    return load(ROOT, read_yaml(overlay) if overlay else None).settings(corpus, variant, encoder)


def corpus(shape: str, count: int, device: str = "cpu") -> CorpusTensors:
    """Return utterances of a shape, all of them for training; drawn at random, the same each time.

    Their lengths are drawn evenly, so that every batch has steps to the longest, or nearly.
    """
    _, _, _, widths, longest = SHAPES[shape]
    rng = np.random.default_rng(0)
    text = rng.integers(3, longest, count, endpoint=True)
    features = {}
    for name in MODALITIES:
        lengths = text if name == "text" or shape == "paper" else np.ones(count, dtype=np.int64)
        values = rng.standard_normal((lengths.sum(), widths[name]), dtype=np.float32)
        features[name] = RaggedTensor.of(values, np.concatenate([[0], lengths.cumsum()]), device)
    scores = torch.from_numpy(rng.uniform(-3, 3, count).astype(np.float32)).to(device)
    classes = scores.round().long() if shape == "small" else (scores >= 0).long()
    folds = {"train": torch.arange(count, device=device)}
    return CorpusTensors(features, scores, classes, folds, 1)


def trainer(
    data: CorpusTensors, row: Settings, language_model: LanguageModel | None = None
) -> tuple[HyCon | Peer, Callable[[], object]]:
    """Return a new network, and what trains it for an epoch, from where the last one ended."""
    torch.manual_seed(1)
    model = loop.make_network(data, row, language_model)
    step = OptimizerStep(model, row.train, 10**6)
    contrastive, order = contrastive_loss(row.train), torch.Generator().manual_seed(1)
    return model, lambda: loop.run_epoch(model, data, row.train, order, contrastive, step)
