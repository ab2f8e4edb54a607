"""Aligned utterances to a feature file that MMSA trains on."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hycon.corpus.from_mmsa import SEPARATOR
from hycon.corpus.utterances import Ragged, Utterance
from hycon.files import atomic_file

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
    ragged: dict[str, Ragged],
    tokens: Tokens | None,
    aligned: bool,
    longest: Longest,
) -> dict[str, Any]:
    """Return a fold as MMSA reads it.

    With tokens the text is a state for each token, and audio and vision that are aligned to words
    are repeated for each token of a word (zeros for special tokens). Without, the text is the
    corpus's own vectors, and there is no `text_bert`. What is unknown (NaN) is 0.

    Args:
        utterances: n of them, with scores.
        ragged: their `audio`, `vision` and `vectors`.
        tokens: their texts as tokens.
        aligned: whether audio and vision have one row a word.
        longest: lengths of the arrays.
    """
    rows = {name: Ragged(np.nan_to_num(r.values, nan=0.0), r.offsets) for name, r in ragged.items()}
    text = rows["vectors"]
    content: dict[str, Any] = {}
    if tokens is not None:
        text = Ragged(tokens.states, tokens.offsets)
        columns = np.stack([tokens.ids, np.ones_like(tokens.ids), tokens.types], axis=1)
        padded = Ragged(columns, tokens.offsets).padded(longest.text)  # (n, T, 3)
        content["text_bert"] = padded.transpose(0, 2, 1)
        if aligned:
            for name in ("audio", "vision"):
                rows[name] = _by_token(rows[name], tokens)
    scores = np.array([float(utterance.label) for utterance in utterances], dtype=np.float32)
    classes = np.sign(scores).astype(int) + 1
    return {
        "raw_text": np.array([utterance.text for utterance in utterances]),
        "id": [f"{utterance.video}{SEPARATOR}{utterance.segment}" for utterance in utterances],
        "text": text.padded(longest.text),
        **content,
        "audio": rows["audio"].padded(longest.audio),
        "vision": rows["vision"].padded(longest.vision),
        "audio_lengths": np.diff(rows["audio"].offsets).clip(max=longest.audio).tolist(),
        "vision_lengths": np.diff(rows["vision"].offsets).clip(max=longest.vision).tolist(),
        "annotations": [ANNOTATIONS[each] for each in classes],
        "classification_labels": classes,
        "regression_labels": scores,
    }


def _by_token(rows: Ragged, tokens: Tokens) -> Ragged:
    """Return the row of each token's word; zeros for special tokens."""
    begin = np.repeat(rows.offsets[:-1], np.diff(tokens.offsets))
    special = tokens.words < 0
    values = rows.values[begin + np.where(special, 0, tokens.words)]
    return Ragged(np.where(special[:, None], np.float32(0), values), tokens.offsets)


def write(path: Path, folds: dict[str, dict[str, Any]]) -> None:
    """Write a feature file, whole or not at all."""
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        pickle.dump(folds, file, protocol=4)
