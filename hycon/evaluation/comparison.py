"""Whether two rows of a table differ: tests paired over seeds, bootstrap over utterances."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics

RESAMPLES = 2000
COVERAGE = 0.95
Resampled = Callable[[np.ndarray, np.ndarray], dict[str, np.ndarray]]


class Paired(NamedTuple):
    """A row compared with a reference row. p is None for one seed, or if no seed differs."""

    difference: float  # mean over seeds of row minus reference
    n: int  # number of seeds
    t_test: float | None  # p, two-sided
    wilcoxon: float | None  # p of the signed-rank test, two-sided


def paired(row: Mapping[str, float], reference: Mapping[str, float]) -> Paired:
    """Compare one metric of two rows over the seeds that both have.

    Args:
        row, reference: the metric by seed.

    Raises:
        ValueError: they have no seed in common.
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
        warnings.simplefilter("ignore")  # about equal differences; p is exact then
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
    """Return the 95% percentile interval of row minus reference for each metric.

    Each resample draws N utterances with replacement. All runs of both rows use the same
    resamples. A row's metric in a resample is the mean over its runs.

    Args:
        row, reference: the predictions of each run, (N,) or (N, C), and the function that returns
            their metrics, each (B,), given predictions and weights (B, N) float64.
        utterances: N.
        seed: of the random numbers.
        resamples: B.

    Returns:
        Lower and upper bound by metric. Resamples in which a metric is NaN are left out.

    Raises:
        ValueError: the metrics refuse the predictions.
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
    """Return `sentiment_metrics` as a function of predictions (N,) and weights (B, N)."""
    return lambda predictions, weights: sentiment_metrics(predictions, labels, f1, weights)


def resampled_emotions(
    labels: np.ndarray, emotions: Sequence[str], one_against_rest: bool, f1: str = "weighted"
) -> Resampled:
    """Return `emotion_metrics` as a function of predictions (N, C) and weights (B, N)."""
    return lambda predictions, weights: emotion_metrics(
        predictions, labels, emotions, one_against_rest, f1, weights
    )


def distinguishable(best: dict[str, float], others: Sequence[dict[str, float]]) -> bool:
    """Return whether a row differs from each of the others; False if there are none.

    Two rows differ if the paired t-test over their common seeds has p < 0.05.

    Args:
        best, others: the metric by seed.

    Raises:
        ValueError: two rows have no seed in common.
    """
    tests: list[Any] = [paired(best, other).t_test for other in others]
    return bool(tests) and all(p is not None and p < 0.05 for p in tests)
