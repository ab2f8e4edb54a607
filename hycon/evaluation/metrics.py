"""The field's metrics, each under a name that says its convention (method, section 10)."""

from collections.abc import Sequence

import numpy as np

EMOTIONS = ("happy", "sad", "angry", "neutral")


def sentiment_metrics(
    predictions: np.ndarray, labels: np.ndarray, f1: str = "weighted"
) -> dict[str, float]:
    """Return every metric of sentiment scores, as fractions and in units of the score.

    `acc2_nonneg`, `f1_nonneg`: y >= 0 against y < 0, every utterance. `acc2_pos`, `f1_pos`: y > 0
    against y < 0, neutral utterances left out. `acc7`, `acc5`: clipped to [-3, 3] or [-2, 2] and
    rounded half to even. `mae_*`, `corr_*`: over every utterance (`all`) or over the non-neutral
    ones (`nonzero`). A correlation with a constant is 0.

    Args:
        predictions: (N,) scores.
        labels: (N,) scores in [-3, 3].
        f1: how classes are averaged, see `mean_f1`.

    Raises:
        ValueError: the shapes differ, there is nothing to compare, or a number is not finite.
    """
    predictions, labels = _pair(predictions, labels, np.float64)
    if not (np.isfinite(predictions).all() and np.isfinite(labels).all()):
        raise ValueError("predictions and labels must be finite")
    polar = labels != 0
    if not polar.any():
        raise ValueError("every label is neutral; there is nothing to tell apart")
    nonneg = predictions >= 0, labels >= 0
    pos = predictions[polar] > 0, labels[polar] > 0
    return {
        "acc2_nonneg": _accuracy(*nonneg),
        "f1_nonneg": mean_f1(*nonneg, f1),
        "acc2_pos": _accuracy(*pos),
        "f1_pos": mean_f1(*pos, f1),
        "acc7": _accuracy(rounded(predictions, 3), rounded(labels, 3)),
        "acc5": _accuracy(rounded(predictions, 2), rounded(labels, 2)),
        "mae_all": float(np.abs(predictions - labels).mean()),
        "corr_all": _correlation(predictions, labels),
        "mae_nonzero": float(np.abs(predictions[polar] - labels[polar]).mean()),
        "corr_nonzero": _correlation(predictions[polar], labels[polar]),
    }


def emotion_metrics(
    predictions: np.ndarray,
    labels: np.ndarray,
    emotions: Sequence[str] = EMOTIONS,
    one_against_rest: bool = False,
    f1: str = "weighted",
) -> dict[str, float]:
    """Return accuracy and F1 of each emotion against the rest, and of all, as fractions.

    Args:
        predictions: (N,) class numbers, or (N, C) scores whose largest decides among all.
        labels: (N,) class numbers.
        emotions: names of the C classes, in the order of their numbers.
        one_against_rest: whether the decision for one emotion is that its score is positive, each
            by itself, and not that it is the largest; needs scores.
        f1: how classes are averaged, see `mean_f1`.

    Returns:
        `acc_NAME` and `f1_NAME` by emotion; `acc` and `f1` of the C-class decision.

    Raises:
        ValueError: the shapes differ, there is nothing to compare, or a class has no name.
    """
    scores = predictions = np.asarray(predictions)
    if one_against_rest and scores.ndim != 2:
        raise ValueError(f"one against the rest needs (N, C) scores, found {scores.shape}")
    if predictions.ndim == 2:
        if predictions.shape[1] != len(emotions):
            raise ValueError(f"{predictions.shape[1]} scores, but {len(emotions)} emotions")
        if not np.isfinite(predictions).all():
            raise ValueError("scores must be finite")
        predictions = predictions.argmax(axis=1)
    for name, values in (("predictions", predictions), ("labels", np.asarray(labels))):
        if values.dtype.kind not in "iu":
            raise ValueError(f"{name} must be class numbers, found {values.dtype}")
    predictions, labels = _pair(predictions, labels, np.int64)
    numbers = np.concatenate([predictions, labels])
    if numbers.min() < 0 or numbers.max() >= len(emotions):
        raise ValueError(
            f"classes run from {numbers.min()} to {numbers.max()}, "
            f"expected 0 to {len(emotions) - 1}"
        )
    metrics = {}
    for number, emotion in enumerate(emotions):
        yes = scores[:, number] > 0 if one_against_rest else predictions == number
        decisions = yes, labels == number
        metrics[f"acc_{emotion}"] = _accuracy(*decisions)
        metrics[f"f1_{emotion}"] = mean_f1(*decisions, f1)
    metrics["acc"] = _accuracy(predictions, labels)
    metrics["f1"] = mean_f1(predictions, labels, f1)
    return metrics


def mean_f1(predictions: np.ndarray, labels: np.ndarray, average: str) -> float:
    """Return the mean F1 of the classes, as scikit-learn averages it.

    Args:
        predictions: (N,) decisions.
        labels: (N,) of the same kind.
        average: `weighted`, each class by how many labels it has; or `macro`, all alike that are
            among labels or decisions.
    """
    total = weights = 0.0
    for value in np.union1d(labels, predictions):
        support = np.count_nonzero(labels == value)
        hits = np.count_nonzero((predictions == value) & (labels == value))
        named = np.count_nonzero(predictions == value)
        weight = support if average == "weighted" else 1
        total += weight * 2 * hits / (support + named)
        weights += weight
    return float(total / weights)


def _pair(predictions, labels, dtype) -> tuple[np.ndarray, np.ndarray]:
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"predictions {predictions.shape} and labels {labels.shape}, expected (N,) twice, N > 0"
        )
    return predictions.astype(dtype), labels.astype(dtype)


def _accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    return float((predictions == labels).mean())


def rounded(scores: np.ndarray, limit: int) -> np.ndarray:
    """Return scores clipped to [-limit, limit] and rounded half to even."""
    return np.round(np.clip(scores, -limit, limit))


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation; 0 where one of the two does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    # what is left of a constant after subtracting its mean is rounding
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 1e-12 * len(a) else 0.0
