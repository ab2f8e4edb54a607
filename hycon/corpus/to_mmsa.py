"""Aligned utterances to a feature file that MMSA trains on."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hycon.atomic_io import atomic_file
from hycon.corpus.from_mmsa import SEPARATOR
from hycon.corpus.utterances import RaggedArray, Utterance

ANNOTATIONS = ("Negative", "Neutral", "Positive")


class Tokens(NamedTuple):
    """A fold's texts as a language model reads them.

    `states` are (R, H), `ids` and `types` (R,) for all tokens of n utterances, `offsets` (n + 1,),
    and `words` (R,) the word that each token belongs to, -1 for special tokens.
    """

    states: np.ndarray
    ids: np.ndarray
    types: np.ndarray
    words: np.ndarray
    offsets: np.ndarray


class Longest(NamedTuple):
    """How many steps of each modality are written; shorter ones are padded with zeros."""

    text: int
    audio: int
    vision: int


def fold_content(
    utterances: list[Utterance],
    ragged: dict[str, RaggedArray],
    tokens: Tokens | None,
    aligned: bool,
    longest: Longest,
) -> dict[str, Any]:
    """Return a fold as MMSA reads it.

    Some networks of MMSA use the last step for the whole utterance, so the position of the padding
    matters. Without tokens, the text is the corpus's word vectors, there is no `text_bert`, and
    padding comes first, as in the SDK. With tokens, padding comes last, as networks that read
    `text_bert` expect; the text is a state for each token, and the last state is repeated (MMSA's
    files have states for padding, too). Audio and vision that are aligned to words are repeated for
    each token of a word, with zeros for special tokens. Unknown values (NaN) become 0.

    Args:
        utterances: n utterances with scores.
        ragged: their `audio`, `vision` and `vectors`.
        tokens: tokens of their texts, or None.
        aligned: whether audio and vision have one row per word.
        longest: lengths of the arrays.
    """
    rows = {
        name: RaggedArray(np.nan_to_num(r.values, nan=0.0), r.offsets) for name, r in ragged.items()
    }
    if tokens is None:
        text = {"text": rows["vectors"].padded(longest.text, front=True)}
    else:
        text = _text(tokens, longest.text)
        if aligned:
            rows |= {name: _by_token(rows[name], tokens) for name in ("audio", "vision")}
    scores = np.array([float(utterance.label) for utterance in utterances], dtype=np.float32)
    classes = np.sign(scores).astype(int) + 1
    front = tokens is None
    return {
        "raw_text": np.array([utterance.text for utterance in utterances]),
        "id": [f"{utterance.video}{SEPARATOR}{utterance.segment}" for utterance in utterances],
        **text,
        "audio": rows["audio"].padded(longest.audio, front),
        "vision": rows["vision"].padded(longest.vision, front),
        "audio_lengths": np.diff(rows["audio"].offsets).clip(max=longest.audio).tolist(),
        "vision_lengths": np.diff(rows["vision"].offsets).clip(max=longest.vision).tolist(),
        "annotations": [ANNOTATIONS[each] for each in classes],
        "classification_labels": classes,
        "regression_labels": scores,
    }


def _text(tokens: Tokens, longest: int) -> dict[str, np.ndarray]:
    """Return `text` (n, longest, H) and `text_bert` (n, 3, longest)."""
    columns = np.stack([tokens.ids, np.ones_like(tokens.ids), tokens.types], axis=1)
    text_bert = RaggedArray(columns, tokens.offsets).padded(longest).transpose(0, 2, 1)
    text = RaggedArray(tokens.states, tokens.offsets).padded(longest)
    last = tokens.states[tokens.offsets[1:] - 1]
    padding = text_bert[:, 1, :, None] == 0
    return {"text": np.where(padding, last[:, None], text), "text_bert": text_bert}


def _by_token(rows: RaggedArray, tokens: Tokens) -> RaggedArray:
    """Return the row of each token's word; zeros for special tokens."""
    begin = np.repeat(rows.offsets[:-1], np.diff(tokens.offsets))
    special = tokens.words < 0
    values = rows.values[begin + np.where(special, 0, tokens.words)]
    return RaggedArray(np.where(special[:, None], np.float32(0), values), tokens.offsets)


def write(path: Path, folds: dict[str, dict[str, Any]]) -> None:
    """Write a feature file, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        pickle.dump(folds, file, protocol=4)
