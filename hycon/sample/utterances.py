"""The labels of the sample corpora, and what each modality shows of them.

Every utterance has an attitude, which is a sign (scores) or an emotion. Words, audio and vision
show it; audio and vision with noise of their own. No modality shows the size of a score.
"""

from typing import NamedTuple

import numpy as np

from hycon.params import Planted
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
    """A sentence, its label (C,) float32, and the cues (2,) of audio and of vision."""

    words: list[str]
    label: np.ndarray
    audio: np.ndarray
    vision: np.ndarray


def draw(task: str, count: int, planted: Planted, rng: np.random.Generator) -> list[Utterance]:
    """Draw `count` utterances of `task`, in random order."""
    # evenly spaced quantiles, so that small corpora have every attitude too
    quantiles = (np.arange(count) + 0.5) / count
    attitudes = rng.permutation(np.searchsorted(np.cumsum(SHARES[task]), quantiles))
    audio, vision = np.array(CUES[task])[attitudes] + rng.normal(
        scale=planted.noise, size=(2, count, 2)
    )
    if task == "emotion":
        labels = np.eye(len(EMOTIONS))[attitudes]
    else:
        scores = np.array(SIGNS)[attitudes] * rng.uniform(*planted.strength, size=count)
        labels = (np.rint(scores / VOTE) * VOTE)[:, None]
    sentences = [_tell(task, attitude, planted, rng) for attitude in attitudes]
    return [
        Utterance(*parts)
        for parts in zip(sentences, labels.astype(np.float32), audio, vision, strict=True)
    ]


def _tell(task: str, attitude: int, planted: Planted, rng: np.random.Generator) -> list[str]:
    while True:
        words = utter(task, planted.longest, planted.synonyms, rng)
        if task == "emotion":
            if read_emotion(words).argmax() == attitude:
                return words
        elif read_sentiment(words) * SIGNS[attitude] > 0:
            return words
