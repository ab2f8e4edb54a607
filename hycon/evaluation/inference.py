"""Whether two systems differ: one inference over seeds and groups of utterances.

A system's runs are scored on the test fold and on resamples of it that draw whole groups of
utterances (videos, dialogues) with replacement. The error of a difference has two parts: other
seeds would give other runs, and other utterances other scores. One t distribution with the sum of
both gives the interval, the test and the equivalence test, so that they agree.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from hycon.evaluation.metrics import emotion_metrics, sentiment_metrics

RESAMPLES = 1000
LEVEL = 0.05
POWER = 0.8
# of each end of the sorted runs that the robust mean leaves out: the interquartile mean
TRIMMED = 0.25
# what differs by no more than this is equal but for rounding
TIED = 1e-9
# more seeds than this are no plan
MOST_SEEDS = 100_000
# numbers of a matrix of resampling weights that are in memory at a time
BLOCK = 2**24
Metrics = Callable[..., Mapping[str, float | np.ndarray]]


class Runs(NamedTuple):
    """The metrics of a system's runs, on the test fold and on resamples of it."""

    seeds: tuple[str, ...]  # n names; runs of two systems with the same name are paired
    values: dict[str, np.ndarray]  # (n,) by metric
    resampled: dict[str, np.ndarray]  # (n, B) by metric; NaN where a resample has no value
    groups: int  # that were drawn


@dataclass(frozen=True)
class Comparison:
    """The difference of two systems in one metric: system minus reference, mean over seeds.

    Errors, interval and p values are None with one run, which says nothing about other seeds.
    """

    difference: float
    n: int
    """Runs of the system that were compared."""
    paired: bool
    """Whether runs of the same seed were compared with each other."""
    margin: float
    """Largest difference that counts as none, in the metric's unit."""
    groups: int
    """Groups of utterances in the test fold."""
    trimmed: float
    """Interquartile mean of the differences, which single runs cannot move far."""
    seed_error: float | None = None
    """Standard error from the choice of seeds."""
    utterance_error: float | None = None
    """Standard error from the choice of utterances."""
    degrees: float | None = None
    """Degrees of freedom of the t distribution (Welch and Satterthwaite)."""
    run_variance: float = 0.0
    """What one run adds to the variance: seed_error**2 * n."""

    @property
    def error(self) -> float | None:
        """Standard error from both."""
        return (
            None if self.seed_error is None else math.hypot(self.seed_error, self.utterance_error)
        )

    def interval(self, coverage: float = 1 - LEVEL) -> tuple[float, float] | None:
        """Return the interval of the difference that covers the true one with this probability."""
        if self.error is None:
            return None
        half = float(stats.t.ppf((1 + coverage) / 2, self.degrees)) * self.error
        return self.difference - half, self.difference + half

    @property
    def p(self) -> float | None:
        """Two-sided p of no difference. It is below 0.05 where the 95% interval excludes 0."""
        return None if self.error is None else min(1.0, 2 * self._above(abs(self.difference)))

    @property
    def p_equivalent(self) -> float | None:
        """P of a difference of at least the margin: the larger of two one-sided tests.

        It is below 0.05 where the 90% interval lies within the margin.
        """
        if self.error is None:
            return None
        return self._above(self.margin - abs(self.difference))

    def p_lower(self, bound: float) -> float | None:
        """Return the one-sided p of a true difference of at most `bound`."""
        return None if self.error is None else self._above(self.difference - bound)

    def _above(self, distance: float) -> float:
        """Return the probability of a t variable above distance / error."""
        if self.error == 0:
            return 0.5 if distance == 0 else float(distance < 0)
        return float(stats.t.sf(distance / self.error, self.degrees))


def resample(
    predictions: Mapping[str, np.ndarray],
    groups: Sequence[str],
    metrics: Metrics,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Runs:
    """Score runs on the test fold and on resamples of its groups.

    All systems that are scored with the same groups and seed have the same resamples.

    Args:
        predictions: (N,) or (N, C) by the run's seed, of the test fold.
        groups: N names; utterances of one group are drawn together. Different names for each
            utterance draw single ones.
        metrics: returns the metrics of predictions, and with weights (B, N) float64 as second
            argument those of B resamples, as those of `scoring` do.
        resamples: B.
        seed: of the random numbers.

    Raises:
        ValueError: no run, lengths that differ, or predictions that the metrics refuse.
    """
    if not predictions:
        raise ValueError("no run, expected at least one")
    for name, each in predictions.items():
        if len(each) != len(groups):
            raise ValueError(f"run {name} has {len(each)} predictions, expected {len(groups)}")
    numbers, count = np.unique(np.asarray(groups), return_inverse=True)[1], len(set(groups))
    draw, chance = np.random.default_rng(seed), np.full(count, 1 / count)
    size = max(1, BLOCK // len(groups))
    parts: dict[str, list[dict]] = {name: [] for name in predictions}
    for start in range(0, resamples, size):
        draws = draw.multinomial(count, chance, min(size, resamples - start))
        weights = draws[:, numbers].astype(np.float64)
        for name, each in predictions.items():
            parts[name].append(metrics(each, weights))
    whole = [metrics(each) for each in predictions.values()]
    return Runs(
        tuple(predictions),
        {name: np.array([one[name] for one in whole]) for name in whole[0]},
        {
            name: np.stack([np.concatenate([one[name] for one in run]) for run in parts.values()])
            for name in whole[0]
        },
        count,
    )


def scoring(
    labels: Sequence[str],
    emotions: Sequence[str] | None = None,
    emotion_decision: str | None = None,
    f1: str = "weighted",
) -> Metrics:
    """Return the metrics of labels as a function of predictions, and of weights for resamples.

    Args:
        labels: N scores or names of emotions.
        emotions: names of the C emotions, or None for scores.
        emotion_decision: "one-against-rest" or "joint", see `emotion_metrics`.
        f1: see `hycon.evaluation.metrics.mean_f1`.

    Raises:
        ValueError: a label is none.
    """
    if emotions is None:
        scores = np.array([float(label) for label in labels])
        return lambda predictions, weights=None: sentiment_metrics(predictions, scores, f1, weights)
    numbers = np.array([list(emotions).index(label) for label in labels], dtype=np.int64)
    apart = emotion_decision == "one-against-rest"
    return lambda predictions, weights=None: emotion_metrics(
        predictions, numbers, emotions, apart, f1, weights
    )


def compare(row: Runs, reference: Runs, metric: str, margin: float) -> Comparison:
    """Compare one metric of two systems.

    Runs are paired if both systems have at least two seeds in common; then only those count.

    Args:
        row, reference: of `resample`, with the same groups.
        metric: its name.
        margin: largest difference that counts as none, in the metric's unit.

    Raises:
        ValueError: the resamples differ in number of groups or resamples.
    """
    sides = row, reference
    if row.groups != reference.groups or (
        row.resampled[metric].shape[1] != reference.resampled[metric].shape[1]
    ):
        raise ValueError("the two have other resamples; score both with the same utterances")
    common = [seed for seed in row.seeds if seed in reference.seeds]
    paired = len(common) > 1
    if not paired:
        values = [side.values[metric] for side in sides]
        resampled = [side.resampled[metric] for side in sides]
        trimmed = float(np.subtract(*map(interquartile_mean, values)))
        signs = 1, -1
    else:
        chosen = [[side.seeds.index(seed) for seed in common] for side in sides]
        picked = [(side.values[metric][k], side.resampled[metric][k])
                  for side, k in zip(sides, chosen, strict=True)]  # fmt: skip
        values, resampled = ([mine - theirs] for mine, theirs in zip(*picked, strict=True))
        trimmed = interquartile_mean(values[0])
        signs = (1,)
    difference = math.fsum(s * math.fsum(v) / len(v) for s, v in zip(signs, values, strict=True))
    counts = [len(each) for each in values]
    plain = difference, counts[0], paired, margin, row.groups, trimmed
    if min(counts) < 2:
        return Comparison(*plain)
    total = sum(s * each.mean(axis=0) for s, each in zip(signs, resampled, strict=True))
    # part of the spread over resamples is the runs' own: each run errs on other utterances. It
    # falls with n, and the spread over seeds has it already, unless discrete scores tie in all runs
    own = [_own_spread(each) for each in resampled]
    of_seeds = [
        spread if np.ptp(v) <= TIED else float(v.var(ddof=1)) / len(v)
        for v, spread in zip(values, own, strict=True)
    ]
    scale = row.groups / max(row.groups - 1, 1)
    of_utterances = scale * max(0.0, float(np.nanvar(total, ddof=1)) - sum(own))
    variance = sum(of_seeds) + of_utterances
    degrees = sum(v**2 / (n - 1) for v, n in zip(of_seeds, counts, strict=True))
    degrees += of_utterances**2 / max(row.groups - 1, 1)
    return Comparison(
        *plain,
        seed_error=math.sqrt(sum(of_seeds)),
        utterance_error=math.sqrt(of_utterances),
        degrees=variance**2 / degrees if degrees else float(min(counts) - 1),
        run_variance=sum(of_seeds) * counts[0],
    )


def interquartile_mean(values: np.ndarray) -> float:
    """Return the mean (n,) without a quarter of the values at each end."""
    return float(stats.trim_mean(values, TRIMMED))


def _own_spread(resampled: np.ndarray) -> float:
    """Return the variance over resamples of a mean of runs that is the single runs' own."""
    each = np.nanvar(resampled, axis=1, ddof=1).mean()
    together = np.nanvar(resampled.mean(axis=0), ddof=1)
    own = each - together
    return float(own / (len(resampled) - 1)) if own > TIED * each else 0.0


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected for their number by Holm's method; None stays None."""
    known = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    found: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, number) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        found[number] = largest
    return found


def false_discovery(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values corrected for the false discovery rate (Benjamini and Hochberg)."""
    known = [number for number, p in enumerate(p_values) if p is not None]
    found: list[float | None] = [None] * len(p_values)
    if known:
        corrected = stats.false_discovery_control([p_values[number] for number in known])
        for number, p in zip(known, corrected, strict=True):
            found[number] = float(p)
    return found


def power(effect: float, degrees: float, level: float = LEVEL) -> float:
    """Return the power of the two-sided t-test.

    Args:
        effect: true difference divided by its standard error.
        degrees: of freedom.
        level: of the test.
    """
    bound = stats.t.ppf(1 - level / 2, degrees)
    # the lower tail as the upper one of -effect: scipy's nct.cdf is NaN far below the effect
    return float(stats.nct.sf(bound, degrees, effect) + stats.nct.sf(bound, degrees, -effect))


def equivalence_power(margin: float, degrees: float, level: float = LEVEL) -> float:
    """Return the probability that two equal systems are found equivalent.

    Args:
        margin: divided by the standard error.
        degrees: of freedom.
        level: of each of the two one-sided tests.
    """
    room = margin - stats.t.ppf(1 - level, degrees)
    return max(0.0, float(2 * stats.t.cdf(room, degrees) - 1)) if room > 0 else 0.0


def smallest_detectable(found: Comparison, level: float = LEVEL) -> float | None:
    """Return the smallest true difference that the test finds with a probability of 80%."""
    return None if found.error is None else _effect(found.degrees, level) * found.error


@functools.lru_cache(maxsize=4096)
def _effect(degrees: float, level: float) -> float:
    """Return the effect that the test finds with a probability of 80%, in standard errors."""
    low, high = 0.0, 2 * float(stats.t.ppf(1 - level / 2, degrees) + stats.t.ppf(POWER, degrees))
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, degrees, level) < POWER else (low, middle)
    return high


def chances(found: Comparison, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Return what n seeds would show: two probabilities.

    Args:
        found: of `compare`, with two runs or more.
        n: seeds, at least 2.
        level: of the tests.

    Returns:
        of finding a difference of the margin; of finding two equal systems equivalent.
    """
    of_seeds, fixed = found.run_variance / n, found.utterance_error**2
    variance = of_seeds + fixed
    if variance == 0:
        return 1.0, 1.0
    degrees = variance**2 / (of_seeds**2 / (n - 1) + fixed**2 / max(found.groups - 1, 1))
    ratio = found.margin / math.sqrt(variance)
    return power(ratio, degrees, level), equivalence_power(ratio, degrees, level)


def seeds_to_decide(found: Comparison, level: float = LEVEL) -> float | None:
    """Return the number of seeds that would decide, inf if no number would.

    With them a true difference of the margin is found with a probability of 80%, and two equal
    systems are found equivalent with the same. It is inf if the test fold has too few utterances.

    Args:
        found: of `compare`.
        level: of the tests.
    """
    if found.error is None:
        return None

    def decides(n: int) -> bool:
        return min(chances(found, n, level)) >= POWER

    if not decides(MOST_SEEDS):
        return math.inf
    low, high = 1, 2
    while not decides(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def probability_better(
    row: Sequence[float], reference: Sequence[float], lower: bool
) -> tuple[float, float, float] | None:
    """Return the probability that a run is better than a run of the reference, and its interval.

    Runs are drawn independently, on the same test fold; ties count half. The 95% interval is
    Brunner and Munzel's. None with fewer than two runs on a side.

    Args:
        row, reference: a metric of each run.
        lower: whether lower is better.
    """
    mine, theirs = np.asarray(row, dtype=float), np.asarray(reference, dtype=float)
    if min(len(mine), len(theirs)) < 2:
        return None
    if lower:
        mine, theirs = -mine, -theirs
    wins = (mine[:, None] > theirs).astype(float) + 0.5 * (mine[:, None] == theirs)  # (n, m)
    probability = float(wins.mean())
    parts = [wins.mean(axis=axis).var(ddof=1) / wins.shape[1 - axis] for axis in (1, 0)]
    variance = float(sum(parts))
    if variance == 0:
        return probability, probability, probability
    counts = len(mine) - 1, len(theirs) - 1
    degrees = variance**2 / sum(v**2 / n for v, n in zip(parts, counts, strict=True))
    half = float(stats.t.ppf(1 - LEVEL / 2, degrees)) * math.sqrt(variance)
    return probability, max(0.0, probability - half), min(1.0, probability + half)


VERDICTS = {
    "better": "different, and the better one",
    "worse": "different, and the worse one",
    "equivalent": "not different, and any difference is within the margin",
    "negligible": "different, but within the margin",
    "undecided": "neither a difference nor equivalence is shown",
}


def verdict(
    found: Comparison,
    lower: bool,
    p: float | None = None,
    p_equivalent: float | None = None,
    level: float = LEVEL,
) -> str:
    """Return one of `VERDICTS`, the word for a comparison.

    Args:
        found: of `compare`.
        lower: whether lower is better.
        p, p_equivalent: corrected for the number of tests; those of the comparison if None.
        level: below which a p counts.
    """
    if found.error is None:
        return "undecided"
    different = (found.p if p is None else p) < level
    equivalent = (found.p_equivalent if p_equivalent is None else p_equivalent) < level
    if equivalent:
        return "negligible" if different else "equivalent"
    if not different:
        return "undecided"
    return "better" if (found.difference < 0) == lower else "worse"
