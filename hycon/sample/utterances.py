"""The labels of the sample corpus, and the signal in each modality.

Every utterance has a sentence and, for audio and for vision, three cues of about unit size:

- leak: the sentiment of the text plus noise, so that both modalities repeat part of the text,
- own: a part of the label that only this modality shows,
- coin: a fair coin of ±1; one coin has no information, and the product of both shifts the label.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from hycon.sample.language import EMOTIONS, read_emotion, read_sentiment, utter

TASKS = ("sentiment", "emotion")
CANDIDATES = 5  # number of sentences to choose from: the speaker says the closest to the opinion

# a score is a sum of parts with these weights, in units of the label scale
OPINION = NormalDist(mu=0.2, sigma=1.4)
SAID, MEANT, OWN_AUDIO, OWN_VISION, IRONY = 0.55, 0.2, 0.25, 0.3, 0.5
TASTE = 0.45  # standard deviation of the part that no modality shows
LEAK_NOISE = {"audio": 2.0, "vision": 1.5}
ANNOTATORS, DISAGREEMENT = 5, 0.9

# all in the order of EMOTIONS: shares about as in IEMOCAP, means of the cues leak and own, and
# how often the two coins agree
SHARES = (0.18, 0.23, 0.23, 0.36)
TOLD = 0.55  # how often the words are those of the emotion
CUES = {
    "audio": ((0.8, -0.9, 1.0, -0.5), (0.6, 0.3, 0.3, -0.7)),
    "vision": ((1.2, -0.7, -0.9, 0.3), (0.1, 1.0, -0.9, -0.1)),
}
COINS_AGREE = (0.85, 0.85, 0.15, 0.15)
CUE_NOISE = {"audio": 1.2, "vision": 1.1}


class Utterance(NamedTuple):
    """A sentence, its label (C,) float32, and the cues (leak, own, coin) (3,) of each modality."""

    words: list[str]
    label: np.ndarray
    audio: np.ndarray
    vision: np.ndarray


def draw(task: str, count: int, rng: np.random.Generator) -> list[Utterance]:
    """Draw `count` utterances of `task`, in random order."""
    if task == "sentiment":
        return _draw_sentiment(count, rng)
    return _draw_emotion(count, rng)


def _draw_sentiment(count: int, rng: np.random.Generator) -> list[Utterance]:
    # evenly spaced quantiles, so that small corpora have both signs too
    quantiles = (np.arange(count) + 0.5) / count
    opinions = rng.permutation([OPINION.inv_cdf(quantile) for quantile in quantiles])
    own = rng.normal(size=(2, count))
    coins = rng.choice((-1.0, 1.0), size=(2, count))
    sentences = [_express(opinion, rng) for opinion in opinions]
    said = np.array([read_sentiment(words) for words in sentences])
    scores = SAID * said + MEANT * opinions + IRONY * coins[0] * coins[1]
    scores += OWN_AUDIO * own[0] + OWN_VISION * own[1]
    scores += rng.normal(scale=TASTE, size=count)
    votes = scores + rng.normal(scale=DISAGREEMENT, size=(ANNOTATORS, count))
    labels = np.clip(np.rint(votes), -3, 3).mean(axis=0)
    meant = opinions / OPINION.stdev
    audio, vision = (
        np.stack([meant + rng.normal(scale=noise, size=count), own[row], coins[row]], axis=1)
        for row, noise in enumerate(LEAK_NOISE.values())
    )
    return [
        Utterance(words, np.array([label], np.float32), heard, seen)
        for words, label, heard, seen in zip(sentences, labels, audio, vision, strict=True)
    ]


def _express(opinion: float, rng: np.random.Generator) -> list[str]:
    candidates = [utter("sentiment", rng) for _ in range(CANDIDATES)]
    return min(candidates, key=lambda words: abs(read_sentiment(words) - opinion))


def _draw_emotion(count: int, rng: np.random.Generator) -> list[Utterance]:
    bounds = np.cumsum(SHARES)
    emotions = rng.permutation(np.searchsorted(bounds, (np.arange(count) + 0.5) / count))
    told = np.where(rng.random(count) < TOLD, emotions, rng.choice(4, size=count, p=SHARES))
    coins = rng.choice((-1.0, 1.0), size=(2, count))
    agree = rng.random(count) < np.array(COINS_AGREE)[emotions]
    coins[1] = np.where(agree, coins[0], -coins[0])
    cues = {}
    for coin, (modality, means) in zip(coins, CUES.items(), strict=True):
        noise = rng.normal(scale=CUE_NOISE[modality], size=(count, 2))
        cues[modality] = np.column_stack([np.array(means).T[emotions] + noise, coin])
    labels = np.eye(len(EMOTIONS), dtype=np.float32)[emotions]
    return [
        Utterance(_tell(emotion, rng), *rest)
        for emotion, *rest in zip(told, labels, cues["audio"], cues["vision"], strict=True)
    ]


def _tell(emotion: int, rng: np.random.Generator) -> list[str]:
    while True:
        words = utter("emotion", rng)
        if read_emotion(words).argmax() == emotion:
            return words
