"""The text of a corpus as training takes it: states that were cached, or tokens to be encoded."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import nn

from hycon.corpus.utterances import read_ragged, read_table
from hycon.encoders.language_model import LanguageModel
from hycon.encoders.text import load, locate, tokenise
from hycon.params import Encoder


class TextFeatures(NamedTuple):
    """A text of every utterance: rows of numbers, and the model that reads them if they are tokens.

    `values` are (T, H) float32 states or (T, I) int64 tokens, `offsets` (N + 1,) int64.
    """

    values: np.ndarray
    offsets: np.ndarray
    standardise: bool  # word vectors are, a model's states are not
    language_model: nn.Module | None


def read_text(encoder: Encoder, aligned: Path, states: Path, tiny: Path | None) -> TextFeatures:
    """Return the text of a corpus.

    Args:
        encoder: which one, and whether it is fine-tuned.
        aligned: folder of the aligned utterances.
        states: folder of the cached states.
        tiny: folder of the tiny model, if it is one that is fine-tuned.

    Raises:
        HyConError: a file or a model is missing, damaged, or does not fit the others.
    """
    utterances = read_table(aligned / "utterances.csv")
    if not encoder.finetune:
        values, offsets = read_ragged(states / "states.npy", len(utterances))
        return TextFeatures(values, offsets, encoder.kind == "vectors", None)
    tokenizer, model = load(locate(encoder.model, tiny, encoder.sha256))
    texts = [utterance.text for utterance in utterances]
    values, offsets, names, _ = tokenise(texts, tokenizer, model, encoder.max_tokens)
    return TextFeatures(values, offsets, False, LanguageModel(model, names))
