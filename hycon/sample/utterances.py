"""The labels of the sample corpora, and what each modality shows of them.

Every utterance has an attitude, which is a sign (scores) or an emotion. Words, audio and vision show
it, each with its own errors and noise, so that all together show it best. A score also has a
strength, which no modality shows.
"""

from typing import NamedTuple

import numpy as np

from hycon.sample.language import EMOTIONS, read_emotion, read_sentiment, utter

TASKS = ("sentiment", "emotion")
SHARES = {"sentiment": (0.5, 0.5), "emotion": (0.18, 0.23, 0.23, 0.36)}  # the latter as in IEMOCAP
SIGNS = (-1.0, 1.0)
VOTE = 0.2  # scores are multiples of it, as means of five votes are
# means of the two cues of each attitude
CUES = {
    "sentiment": ((-1.0, 0.0), (1.0, 0.0)),
    "emotion": ((1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)),
}


class Utterance(NamedTuple):
    """A sentence, its label (C,) float32, and the cues of audio, of vision and of a giveaway, (2,)."""

    words: list[str]
    label: np.ndarray
    audio: np.ndarray
    vision: np.ndarray
    giveaway: np.ndarray


def draw(
    task: str,
    count: int,
    truthful: float,
    noise: float,
    strength: tuple[float, float],
    longest: int,
    synonyms: int,
    rng: np.random.Generator,
) -> list[Utterance]:
    """Draw `count` utterances of `task`, in random order.

    Args:
        task: one of `TASKS`.
        count: number of utterances.
        truthful: how often a modality shows the attitude; else it shows one drawn at random.
        noise: standard deviation of a cue; the attitudes' cues lie 2 apart.
        strength: least and largest size of a score.
        longest, synonyms: as of `hycon.sample.language.utter`.
        rng: source of all random numbers.
    """
    shares = SHARES[task]
    # evenly spaced quantiles, so that small corpora have every attitude too
    quantiles = (np.arange(count) + 0.5) / count
    attitudes = rng.permutation(np.searchsorted(np.cumsum(shares), quantiles))
    told, heard, seen = (
        np.where(
            rng.random(count) < truthful, attitudes, rng.choice(len(shares), count, p=shares)
        )
        for _ in range(3)
    )
    audio, vision = (
        np.array(CUES[task])[shown] + rng.normal(scale=noise, size=(count, 2))
        for shown in (heard, seen)
    )
    if task == "emotion":
        labels = np.eye(len(EMOTIONS))[attitudes]
    else:
        scores = np.array(SIGNS)[attitudes] * rng.uniform(*strength, size=count)
        labels = (np.rint(scores / VOTE) * VOTE).round(1)[:, None]
    sentences = [_tell(task, attitude, longest, synonyms, rng) for attitude in told]
    return [
        Utterance(*parts)
        for parts in zip(
            *(sentences, labels.astype(np.float32), audio, vision),
            *(np.array(CUES[task])[attitudes],),
            strict=True,
        )
    ]


def _tell(task: str, attitude: int, longest: int, synonyms: int, rng: np.random.Generator) -> list[str]:
    while True:
        words = utter(task, longest, synonyms, rng)
        if task == "emotion":
            if read_emotion(words).argmax() == attitude:
                return words
        elif read_sentiment(words) * SIGNS[attitude] > 0:
            return words
