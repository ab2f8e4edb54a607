"""The network of a trained run, as `train` left it."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from hycon.atomic_io import sha256_of
from hycon.encoders.language_model import LanguageModel
from hycon.errors import HyConError
from hycon.networks.own import AnyNetwork
from hycon.params import Settings
from hycon.training.batches import CorpusTensors
from hycon.training.loop import make_network
from hycon.untrusted.safe_json import read_json


def read_record(folder: Path) -> dict[str, Any]:
    """Return the content of run.json, after checking the digests of the run's files.

    Raises:
        HyConError: a file is missing, damaged or not the one that was written.
    """
    path = folder / "run.json"
    try:
        record = read_json(path)
        for name, digest in record["files"].items():
            if name != Path(name).name or sha256_of(folder / name) != digest:
                raise ValueError(f"{name} is not the file that was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HyConError(f"{path}: is no complete run ({error}); train again") from None
    return record


def load_tensors(path: Path, number: int | None = None) -> dict[str, Tensor]:
    """Return the tensors of a file, or those of one network if it has one for each held-out group.

    Args:
        path: model.safetensors or scales.safetensors.
        number: number of the network, from 1; None if there is one only.

    Raises:
        HyConError: the file cannot be read.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); train again") from None
    if number is None:
        return tensors
    prefix = f"{number}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def load_network(
    folder: Path,
    data: CorpusTensors,
    settings: Settings,
    language_model: LanguageModel | None = None,
    number: int | None = None,
    longest: dict[str, int] | None = None,
) -> AnyNetwork:
    """Return the network of a run, in evaluation mode, on the device of the corpus.

    Args:
        folder: of the run.
        data: the corpus, whose features the network will read.
        settings: of the run.
        language_model: text encoder if the text is tokens.
        number: see `load_tensors`.
        longest: see `make_network`.

    Raises:
        HyConError: the weights cannot be read, or are of another network.
    """
    weights = load_tensors(folder / "model.safetensors", number)
    model = make_network(data, settings, language_model, longest)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        raise HyConError(
            f"{folder}: its weights do not fit these features ({first}); take features of the kind "
            "that it was trained on"
        ) from None
    return model.eval().to(torch.device(data.labels.device))
