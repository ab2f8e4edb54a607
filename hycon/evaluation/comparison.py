"""Whether two rows differ: paired over seeds, and over utterances drawn anew (bootstrap)."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hycon.evaluation.metrics import rounded

RESAMPLES = 2000
COVERAGE = 0.95
Resampled = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]


class Paired(NamedTuple):
    """A row against another over common seeds; p is None where it cannot be had."""

    difference: float  # mean of row minus reference
    n: int
    t_test: float | None  # two-sided p
    wilcoxon: float | None  # two-sided p of the signed-rank test


def paired(row: Mapping[str, float], reference: Mapping[str, float]) -> Paired:
    """Compare one metric of two rows over the seeds that both have.

    Args:
        row, reference: the metric by seed.

    Raises:
        ValueError: no seed in common.
    """
    from scipy import stats

    seeds = [seed for seed in row if seed in reference]
    if not seeds:
        raise ValueError("no seed in common")
    apart = np.array([row[seed] - reference[seed] for seed in seeds])
    difference = math.fsum(apart) / len(apart)
    if len(apart) < 2 or not apart.any():
        return Paired(difference, len(apart), None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of differences that are all alike; p is exact then
        t_test = float(stats.ttest_1samp(apart, 0.0).pvalue)
        wilcoxon = float(stats.wilcoxon(apart).pvalue)
    return Paired(difference, len(apart), t_test, wilcoxon)


def bootstrap(
    row: tuple[Sequence[np.ndarray], Resampled],
    reference: tuple[Sequence[np.ndarray], Resampled],
    utterances: int,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, tuple[float, float]]:
    """Return an interval of row minus reference for each metric, over utterances drawn anew.

    Every resample draws the utterances with replacement, the same for all runs of both rows; the
    metrics are means over the runs. The interval is that of the percentiles, and holds 95%.

    Args:
        row, reference: each run's predictions (N,) or (N, C), and the metrics of one of them for
            weights (B, N).
        utterances: N.
        seed: of the drawing.
        resamples: B.
    """
    chances = np.full(utterances, 1 / utterances)
    draws = np.random.default_rng(seed).multinomial(utterances, chances, resamples)
    weights = draws.astype(np.float64)
    sides = []
    for runs, metrics in (row, reference):
        each = [metrics(predictions, weights) for predictions in runs]
        sides.append({name: np.mean([one[name] for one in each], axis=0) for name in each[0]})
    tail = 100 * (1 - COVERAGE) / 2
    return {
        name: tuple(
            float(bound)
            for bound in np.nanpercentile(sides[0][name] - sides[1][name], [tail, 100 - tail])
        )
        for name in sides[0]
    }


def resampled_sentiment(labels: np.ndarray, f1: str = "weighted") -> Resampled:
    """Return `hycon.evaluation.metrics.sentiment_metrics` for utterances that count several times.

    What it returns takes predictions (N,) and weights (B, N), and gives each metric as (B,).
    """
    labels = np.asarray(labels, dtype=np.float64)
    polar = labels != 0

    def metrics(predictions: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        predictions = np.asarray(predictions, dtype=np.float64)
        error, some = np.abs(predictions - labels), weights * polar
        nonneg, pos = (predictions >= 0, labels >= 0), (predictions > 0, labels > 0)
        return {
            "acc2_nonneg": _mean(nonneg[0] == nonneg[1], weights),
            "f1_nonneg": _f1_score(*nonneg, weights, f1),
            "acc2_pos": _mean(pos[0] == pos[1], some),
            "f1_pos": _f1_score(*pos, some, f1),
            "acc7": _mean(rounded(predictions, 3) == rounded(labels, 3), weights),
            "acc5": _mean(rounded(predictions, 2) == rounded(labels, 2), weights),
            "mae_all": _mean(error, weights),
            "corr_all": _correlation(predictions, labels, weights),
            "mae_nonzero": _mean(error, some),
            "corr_nonzero": _correlation(predictions, labels, some),
        }

    return metrics


def resampled_emotions(
    labels: np.ndarray, emotions: Sequence[str], one_against_rest: bool, f1: str = "weighted"
) -> Resampled:
    """Return `hycon.evaluation.metrics.emotion_metrics` for utterances that count several times.

    Args:
        labels: (N,) class numbers.
        emotions: names of the C classes.
        one_against_rest: how a single emotion is decided.
        f1: how classes are averaged.

    What it returns takes scores (N, C) and weights (B, N), and gives each metric as (B,).
    """
    labels = np.asarray(labels)

    def metrics(scores: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        chosen = scores.argmax(axis=1)
        found: dict[str, np.ndarray] = {}
        for number, emotion in enumerate(emotions):
            yes = scores[:, number] > 0 if one_against_rest else chosen == number
            found[f"acc_{emotion}"] = _mean(yes == (labels == number), weights)
            found[f"f1_{emotion}"] = _f1_score(yes, labels == number, weights, f1)
        found["acc"] = _mean(chosen == labels, weights)
        found["f1"] = _f1_score(chosen, labels, weights, f1)
        return found

    return metrics


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return weights @ values.astype(np.float64) / weights.sum(axis=1)


def _f1_score(
    predictions: np.ndarray, labels: np.ndarray, weights: np.ndarray, average: str
) -> np.ndarray:
    total, all_weights = np.zeros((2, len(weights)))
    for value in np.union1d(labels, predictions):
        support = weights @ (labels == value).astype(np.float64)
        named = weights @ (predictions == value).astype(np.float64)
        hits = weights @ ((predictions == value) & (labels == value)).astype(np.float64)
        # of a class that a resample does not have nothing is averaged
        weight = support if average == "weighted" else (support + named > 0).astype(np.float64)
        total += weight * 2 * hits / np.maximum(support + named, 1)
        all_weights += weight
    with np.errstate(invalid="ignore"):
        return total / all_weights


def _correlation(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(), b - b.mean()  # the same whatever is taken off; so rounding stays small
    mean_a, mean_b = _mean(a, weights), _mean(b, weights)
    covariance = _mean(a * b, weights) - mean_a * mean_b
    scale = (_mean(a * a, weights) - mean_a**2) * (_mean(b * b, weights) - mean_b**2)
    steady = scale > 1e-24
    return np.where(steady, covariance / np.sqrt(np.where(steady, scale, 1.0)), 0.0)


def distinguishable(best: dict[str, float], others: Sequence[dict[str, float]]) -> bool:
    """Return whether a row differs from each of the others: paired t-test over seeds, p < 0.05.

    Args:
        best, others: the metric by seed.
    """
    tests: list[Any] = [paired(best, other).t_test for other in others]
    return bool(tests) and all(p is not None and p < 0.05 for p in tests)
