"""Stand-ins for the feature files of MulT and MMSA: padded arrays drawn at random, pickled.

A file is made in memory, as its readers read it: MMSA's unaligned CMU-MOSEI takes some 9 GB.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.standins import VOCABULARY
from hycon.corpus.folds import standard_folds
from hycon.corpus.utterances import FOLDS

# steps; features of text, audio and vision
MULT = {"iemocap": (20, 300, 74, 35), "mosi": (50, 300, 5, 20), "mosei": (50, 300, 74, 35)}
MMSA = {"mosi": (768, 5, 20), "mosei": (768, 74, 35)}
UNALIGNED = {"text": 50, "audio": 500, "vision": 375}  # MMSA's steps where they are not aligned
EMOTIONS = 4  # neutral, happy, sad, angry
CLASSES = ("Negative", "Neutral", "Positive")
NAMES = ("text", "audio", "vision")


def write_mult(
    path: Path, corpus: str = "iemocap", utterances: tuple[int, int, int] = (6, 3, 3), seed: int = 0
) -> None:
    """Write a feature file of MulT: aligned, padded in front, with -inf here and there in audio.

    Args:
        path: the file.
        corpus: iemocap (one of four emotions, no names), mosi or mosei (scores, with names).
        utterances: of train, valid and test.
        seed: of every draw.
    """
    longest, *widths = MULT[corpus]
    content = {}
    for number, (fold, count) in enumerate(zip(FOLDS, utterances, strict=True)):
        rng = np.random.default_rng([seed, number])
        lengths = rng.integers(3, longest + 1, size=count)
        if corpus == "iemocap":
            classes = rng.permutation(np.arange(count) % EMOTIONS)
            labels = np.eye(2, dtype=np.float32)[np.eye(EMOTIONS, dtype=int)[classes]]
            cues = classes - 1.5
        else:
            cues = _scores(count, rng)
            labels = cues[:, None, None]
        part: dict[str, Any] = {
            name: _padded(lengths, longest, width, cues, rng, front=True)
            for name, width in zip(NAMES, widths, strict=True)
        }
        part["audio"][::5, -1, 2] = -np.inf
        part["labels"] = labels
        if corpus != "iemocap":
            ids = [
                [video, f"{7 * k}.0", f"{7 * k + 5}.5"] for video, k in _names(corpus, fold, count)
            ]
            part["id"] = np.array(ids, dtype="S11" if corpus == "mosi" else object)
        content[fold] = part
    _write(path, content)


def write_mmsa(
    path: Path,
    corpus: str,
    aligned: bool,
    utterances: tuple[int, int, int] = (6, 3, 3),
    seed: int = 0,
) -> None:
    """Write a feature file of MMSA: texts, tokens and states of BERT, padded behind.

    Args:
        path: the file.
        corpus: mosi or mosei.
        aligned: whether audio and vision have a row for each token, or their own rates.
        utterances: of train, valid and test.
        seed: of every draw.
    """
    content = {}
    for number, (fold, count) in enumerate(zip(FOLDS, utterances, strict=True)):
        rng = np.random.default_rng([seed, number])
        scores = _scores(count, rng)
        tokens = rng.integers(5, UNALIGNED["text"] + 1, size=count)
        lengths, longest = dict.fromkeys(NAMES, tokens), dict.fromkeys(NAMES, UNALIGNED["text"])
        if not aligned:
            longest = UNALIGNED
            lengths = {name: np.minimum(longest[name], 12 * tokens) for name in NAMES[1:]}
            lengths["text"] = tokens
        # [CLS], a token a word, [SEP]
        texts = [" ".join(rng.choice(VOCABULARY[1:], size=length - 2)) for length in tokens]
        classes = np.sign(scores).astype(int) + 1
        content[fold] = {
            "raw_text": np.array(texts),
            "text_bert": _tokens(tokens, rng),
            "id": [f"{video}$_${clip}" for video, clip in _names(corpus, fold, count)],
            "annotations": [CLASSES[each] for each in classes],
            "classification_labels": classes,
            "regression_labels": scores,
        }
        for name, width in zip(NAMES, MMSA[corpus], strict=True):
            content[fold][name] = _padded(lengths[name], longest[name], width, scores, rng)
            if name != "text" and not aligned:
                content[fold][f"{name}_lengths"] = lengths[name].tolist()
    _write(path, content)


def _names(corpus: str, fold: str, count: int) -> list[tuple[str, int]]:
    """Return video and clip of each utterance: a few of every video, as evenly as can be."""
    videos = standard_folds(f"cmu_{corpus}")[fold]
    return sorted((videos[row % len(videos)], row // len(videos)) for row in range(count))


def _scores(count: int, rng: np.random.Generator) -> np.ndarray:
    return (np.round(rng.normal(0.2, 1.3, size=count).clip(-3, 3) * 5) / 5).astype(np.float32)


def _tokens(lengths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (N, 3, 50) float32: ids between [CLS] 101 and [SEP] 102, mask, segments."""
    mask = np.arange(UNALIGNED["text"]) < lengths[:, None]
    ids = np.where(mask, rng.integers(1000, 30000, size=mask.shape), 0)
    ids[:, 0], ids[np.arange(len(ids)), lengths - 1] = 101, 102
    return np.stack([ids, mask, np.zeros_like(ids)], axis=1).astype(np.float32)


def _padded(
    lengths: np.ndarray,
    longest: int,
    width: int,
    cues: np.ndarray,
    rng: np.random.Generator,
    front: bool = False,
) -> np.ndarray:
    """Return (N, longest, width) float32: noise about a mean that follows the cues, and zeros."""
    rows = rng.standard_normal((len(lengths), longest, width), dtype=np.float32)
    rows[:, :, ::8] += np.float32(0.2) * cues[:, None, None].astype(np.float32)
    steps = np.arange(longest)
    rows[(steps[::-1] if front else steps) >= lengths[:, None]] = 0
    return rows


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=4)
