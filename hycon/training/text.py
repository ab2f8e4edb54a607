"""The text of a corpus for training: cached states, or tokens to encode."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from hycon.corpus.utterances import read_ragged, read_table
from hycon.encoders.language_model import LanguageModel, upper_layers
from hycon.encoders.text import load, locate, tokenise
from hycon.params import Encoder


class TextFeatures(NamedTuple):
    """The text of every utterance, and the language model that encodes it if it is tokens.

    `values` are (T, H) float32 states or (T, I) int64 tokens, `offsets` (N + 1,) int64. With a
    language model, states are those of its frozen layers.
    """

    values: np.ndarray
    offsets: np.ndarray
    standardise: bool  # True for word vectors, False for the states of a model
    language_model: nn.Module | None


def read_text(encoder: Encoder, aligned: Path, states: Path, tiny: Path | None) -> TextFeatures:
    """Load the text of a corpus.

    Args:
        encoder: the text encoder, and whether it is fine-tuned.
        aligned: folder of the aligned utterances.
        states: folder of the cached states, of the frozen layers if the others are fine-tuned;
            unused if all layers are.
        tiny: folder of the tiny model if it is fine-tuned, else None.

    Raises:
        HyConError: a file or a model is missing, damaged, or does not match the others.
    """
    utterances = read_table(aligned / "utterances.csv")
    if encoder.cached:
        values, offsets = read_ragged(states / "states.npy", len(utterances))
        if not encoder.finetune:
            return TextFeatures(values, offsets, encoder.kind == "vectors", None)
    tokenizer, model = load(locate(encoder.model, tiny, encoder.sha256))
    if encoder.frozen_layers:
        upper = LanguageModel(upper_layers(model, encoder.frozen_layers), ())
        return TextFeatures(values, offsets, False, upper)
    texts = [utterance.text for utterance in utterances]
    values, offsets, names, _ = tokenise(texts, tokenizer, model, encoder.max_tokens)
    return TextFeatures(values, offsets, False, LanguageModel(model, names))
