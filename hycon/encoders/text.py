"""Text encoders: where a pretrained Transformer comes from, and its states of every utterance."""

import importlib.util
import os
from pathlib import Path

import numpy as np

from hycon.errors import HyConError
from hycon.files import sha256_of
from hycon.progress import progress

PACKAGE, TINY = "package:", "tiny:"


def locate(model: str, tiny_folder: Path | None = None, sha256: str | None = None) -> str:
    """Return the folder or Hugging Face id that a `model` parameter stands for.

    Args:
        model: a Hugging Face id, a local folder, `package:NAME` or `tiny:bert`.
        tiny_folder: where the tiny model lies, for `tiny:bert`.
        sha256: digest that the folder's model.safetensors must have, or None.

    Raises:
        HyConError: the package or folder is not there, or the digest differs.
    """
    if model.startswith(PACKAGE):
        folder = _package_folder(model.removeprefix(PACKAGE))
    elif model.startswith(TINY):
        folder = tiny_folder
    elif Path(model).is_dir():
        folder = Path(model)
    elif model.startswith((".", "/", "~")):
        raise HyConError(f"encoder {model}: no such folder; correct `model` in params.yaml")
    else:
        if sha256:
            raise HyConError(
                f"encoder {model}: sha256 is checked for folders and packages only; leave it out"
            )
        return model  # an id: transformers fetches it, or finds it in its cache
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise HyConError(f"encoder {model}: {weights} is missing; only safetensors are loaded")
    if sha256 and (found := sha256_of(weights)) != sha256:
        raise HyConError(f"{weights}: sha256 is {found}, expected {sha256}; install it again")
    return str(folder)


def _package_folder(name: str) -> Path:
    """Return the folder inside an installed package that holds a config.json."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise HyConError(
            f"encoder package:{name}: the package is not installed; "
            f"pip install {name.replace('_', '-')} (or: pip install 'hycon[minilm]')"
        )
    root = Path(next(iter(spec.submodule_search_locations)))
    for config in (root / "config.json", root / "model" / "config.json"):
        if config.is_file():
            return config.parent
    raise HyConError(f"encoder package:{name}: {root} holds no model (no config.json)")


def load(place: str):
    """Return tokenizer and model (in evaluation mode) of a folder or Hugging Face id.

    Weights come as safetensors only, and no code of the model's author runs.

    Raises:
        HyConError: the model cannot be had.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    local = Path(place).is_dir()
    safe = {"trust_remote_code": False, "local_files_only": local}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **safe)
        model = transformers.AutoModel.from_pretrained(place, use_safetensors=True, **safe)
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise HyConError(
            f"encoder {place}: cannot be loaded ({first}); give a local folder as `model`, or "
            "connect to the network once"
        ) from None
    return tokenizer, model.eval()


def encode(
    texts: list[str], tokenizer, model, max_tokens: int, batch_size: int, device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the last hidden states of every text, special tokens included.

    Texts are encoded in order of length, so that little of a batch is padding; padding never
    reaches the result.

    Args:
        texts: N texts; an empty one has its special tokens only.
        tokenizer, model: of `load`.
        max_tokens: longer texts are cut.
        batch_size: texts per forward pass.
        device: where the model runs.

    Returns:
        States (T, H) float32 of all tokens, offsets (N + 1,) int64, and how many texts were cut.
    """
    import torch

    positions = getattr(model.config, "max_position_embeddings", 0)
    limits = (max_tokens, tokenizer.model_max_length, positions)
    limit = min(limit for limit in limits if limit > 0)  # XLNet says -1: no limit
    full = tokenizer(texts, add_special_tokens=True, truncation=False)["input_ids"]
    tokens = tokenizer(texts, add_special_tokens=True, truncation=True, max_length=limit)
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    cut = sum(len(whole) > len(kept) for whole, kept in zip(full, tokens["input_ids"], strict=True))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    states = np.empty((offsets[-1], model.config.hidden_size), dtype=np.float32)
    order = np.argsort(lengths, kind="stable")
    model.to(device)
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    with torch.inference_mode():
        for batch in progress(batches, "encode", unit="batches"):
            inputs = {
                name: _padded([values[i] for i in batch]).to(device)
                for name, values in tokens.items()
            }
            hidden = model(**inputs).last_hidden_state.float().cpu().numpy()
            for row, utterance in enumerate(batch):
                begin, end = offsets[utterance], offsets[utterance + 1]
                states[begin:end] = hidden[row, : end - begin]
    return states, offsets, cut


def _padded(rows: list[list[int]]):
    """Return rows of numbers as one tensor (K, T), zeros on the right.

    The attention mask is one of them: what stands in the padding is never looked at, so that
    tokenizers without a padding token do as well, and those that pad on the left.
    """
    import torch

    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
