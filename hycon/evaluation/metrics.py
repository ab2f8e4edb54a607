"""The metrics of both tasks, for all utterances or for bootstrap resamples of them.

Functions with an argument `weights` return a float without it. With it they return one value for
each resample: weights[b, n] is the number of times that resample b contains utterance n, and the
result is (B,) float64. A mean over a resample without any relevant utterance is NaN.
"""

from collections.abc import Sequence

import numpy as np

EMOTIONS = ("happy", "sad", "angry", "neutral")
Metric = float | np.ndarray
# relative spread of what varies by rounding errors of float32 only
CONSTANT = 1e-6


def sentiment_metrics(
    predictions: np.ndarray,
    labels: np.ndarray,
    f1: str = "weighted",
    weights: np.ndarray | None = None,
) -> dict[str, Metric]:
    """Return all metrics of sentiment scores. Accuracies and F1 are fractions.

    `acc2_nonneg`, `f1_nonneg`: y >= 0 against y < 0, all utterances. `acc2_pos`, `f1_pos`: y > 0
    against y < 0, without utterances whose label is 0. `acc7`, `acc5`: clipped to [-3, 3] or
    [-2, 2] and rounded half to even. `mae_all`, `corr_all`: all utterances. `mae_nonzero`,
    `corr_nonzero`: without utterances whose label is 0.

    Args:
        predictions: (N,) scores; computed in float64.
        labels: (N,) scores in [-3, 3]; computed in float64.
        f1: average over classes, see `mean_f1`.
        weights: (B, N) float64, see the module.

    Raises:
        ValueError: the shapes differ, N is 0, a number is not finite, or every label is 0.
    """
    predictions, labels = _pair(predictions, labels, np.float64)
    if not (np.isfinite(predictions).all() and np.isfinite(labels).all()):
        raise ValueError("predictions and labels must be finite")
    polar = labels != 0
    if not polar.any():
        raise ValueError("every label is neutral, expected positive or negative ones")
    everything = predictions, labels, weights
    if weights is None:
        nonzero = predictions[polar], labels[polar], None
    else:
        nonzero = predictions, labels, weights * polar
    nonneg = predictions >= 0, labels >= 0
    pos = nonzero[0] > 0, nonzero[1] > 0
    return {
        "acc2_nonneg": accuracy(*nonneg, weights),
        "f1_nonneg": mean_f1(*nonneg, f1, weights),
        "acc2_pos": accuracy(*pos, nonzero[2]),
        "f1_pos": mean_f1(*pos, f1, nonzero[2]),
        "acc7": accuracy(rounded(predictions, 3), rounded(labels, 3), weights),
        "acc5": accuracy(rounded(predictions, 2), rounded(labels, 2), weights),
        "mae_all": mean_absolute_error(*everything),
        "corr_all": correlation(*everything),
        "mae_nonzero": mean_absolute_error(*nonzero),
        "corr_nonzero": correlation(*nonzero),
    }


def emotion_metrics(
    predictions: np.ndarray,
    labels: np.ndarray,
    emotions: Sequence[str] = EMOTIONS,
    one_against_rest: bool = False,
    f1: str = "weighted",
    weights: np.ndarray | None = None,
) -> dict[str, Metric]:
    """Return accuracy and F1 of each emotion against the others, and of all classes.

    Args:
        predictions: (N,) integer class numbers, or (N, C) scores. The class with the largest
            score is the predicted one.
        labels: (N,) integer class numbers.
        emotions: names of the C classes, in the order of their numbers.
        one_against_rest: for the metrics of a single emotion, predict it where its score is
            positive, not where it is the largest. Needs (N, C) scores.
        f1: how the classes are averaged, see `mean_f1`.
        weights: (B, N) float64, see the module.

    Returns:
        `acc_NAME` and `f1_NAME` for each emotion; `acc` and `f1` of the C classes. All are
        fractions.

    Raises:
        ValueError: the shapes differ, N is 0, a score is not finite, class numbers are not
            integers or not in [0, C), or `one_against_rest` is set without scores.
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
        predicted = scores[:, number] > 0 if one_against_rest else predictions == number
        metrics[f"acc_{emotion}"] = accuracy(predicted, labels == number, weights)
        metrics[f"f1_{emotion}"] = mean_f1(predicted, labels == number, f1, weights)
    metrics["acc"] = accuracy(predictions, labels, weights)
    metrics["f1"] = mean_f1(predictions, labels, f1, weights)
    return metrics


def label_metrics(
    predictions: np.ndarray,
    labels: Sequence[str],
    emotions: Sequence[str] | None,
    emotion_decision: str | None = None,
    f1: str = "weighted",
) -> dict[str, float]:
    """Return the metrics of predictions, given labels as text.

    Args:
        predictions: (N,) scores, or (N, C) scores of the emotions.
        labels: N scores or names of emotions.
        emotions: names of the C emotions, or None for scores.
        emotion_decision: "one-against-rest" or "joint", see `emotion_metrics`.
        f1: see `mean_f1`.

    Raises:
        ValueError: see `sentiment_metrics` and `emotion_metrics`, or a label is none.
    """
    if emotions is None:
        return sentiment_metrics(predictions, np.array([float(label) for label in labels]), f1)
    numbers = np.array([list(emotions).index(label) for label in labels], dtype=np.int64)
    apart = emotion_decision == "one-against-rest"
    return emotion_metrics(predictions, numbers, emotions, apart, f1)


def accuracy(
    predictions: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> Metric:
    """Return the fraction of predicted classes (N,) that equal the labels (N,)."""
    return _mean(predictions == labels, weights)


def mean_absolute_error(
    predictions: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> Metric:
    """Return the mean of abs(prediction - label) over scores (N,) float64."""
    return _mean(np.abs(predictions - labels), weights)


def mean_f1(
    predictions: np.ndarray, labels: np.ndarray, average: str, weights: np.ndarray | None = None
) -> Metric:
    """Return the mean F1 of the classes, as scikit-learn averages it.

    Args:
        predictions: (N,) classes.
        labels: (N,) of the same dtype.
        average: `weighted`, each class counts by its number of labels; or `macro`, each class
            counts once if there is a label or prediction of it.
        weights: (B, N) float64, see the module.
    """
    total = counted = np.float64(0)
    for value in np.union1d(labels, predictions):
        is_label, is_predicted = labels == value, predictions == value
        support, named = _sum(is_label, weights), _sum(is_predicted, weights)
        hits = _sum(is_label & is_predicted, weights)
        # a resample can lack a class altogether
        weight = support if average == "weighted" else support + named > 0
        total = total + weight * 2 * hits / np.maximum(support + named, 1)
        counted = counted + weight
    return _ratio(total, counted)


def correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> Metric:
    """Return Pearson's correlation of a and b, (N,) float64; 0 if one of them is constant.

    A number is constant if it varies by rounding errors of float32 only.
    """
    least = CONSTANT * abs(a.mean()), CONSTANT * abs(b.mean())
    a, b = a - a.mean(), b - b.mean()
    if any(np.sqrt(x @ x / len(x)) <= bound for x, bound in zip((a, b), least, strict=True)):
        return 0.0 if weights is None else np.zeros(len(weights))
    # a constant minus its mean may leave rounding errors, so scale is compared with more than 0
    if weights is None:
        scale = float(np.sqrt((a @ a) * (b @ b)))
        return float(np.clip(a @ b / scale, -1, 1)) if scale > 1e-12 * len(a) else 0.0
    # these means are not those of a resample; subtracting them only keeps rounding errors small
    mean_a, mean_b = _mean(a, weights), _mean(b, weights)
    covariance = _mean(a * b, weights) - mean_a * mean_b
    scale = (_mean(a * a, weights) - mean_a**2) * (_mean(b * b, weights) - mean_b**2)
    varies = scale > 1e-24
    return np.where(varies, covariance / np.sqrt(np.where(varies, scale, 1.0)), 0.0)


def rounded(scores: np.ndarray, limit: int) -> np.ndarray:
    """Return scores clipped to [-limit, limit] and rounded half to even."""
    return np.round(np.clip(scores, -limit, limit))


def _pair(predictions, labels, dtype) -> tuple[np.ndarray, np.ndarray]:
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"predictions {predictions.shape} and labels {labels.shape}, expected (N,) twice, N > 0"
        )
    return predictions.astype(dtype), labels.astype(dtype)


def _sum(values: np.ndarray, weights: np.ndarray | None) -> np.number | np.ndarray:
    return values.sum() if weights is None else weights @ values.astype(np.float64)


def _mean(values: np.ndarray, weights: np.ndarray | None) -> Metric:
    count = len(values) if weights is None else weights.sum(axis=1)
    return _ratio(_sum(values, weights), count)


def _ratio(total: np.number | np.ndarray, count: int | np.number | np.ndarray) -> Metric:
    with np.errstate(invalid="ignore"):
        ratio = total / count
    return ratio if ratio.ndim else float(ratio)
