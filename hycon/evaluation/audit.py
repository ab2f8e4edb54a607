"""What the same runs report under other protocols, such as epochs chosen on the test fold.

A run of E epochs has its predictions of the validation and the test fold after each epoch.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Metrics = Callable[[np.ndarray], Mapping[str, float]]


@dataclass(frozen=True)
class Epochs:
    """The predictions of one run after each of its E epochs."""

    valid: np.ndarray
    """(E, V), or (E, V, C) scores of emotions: of the validation fold."""
    test: np.ndarray
    """(E, T) or (E, T, C): of the test fold."""


@dataclass(frozen=True)
class Protocol:
    """A way to choose what is reported."""

    name: str
    words: str
    honest: bool
    """Whether the test fold chooses nothing."""


PROTOCOLS = (
    Protocol("validation", "epoch by validation loss", True),
    Protocol("last", "last epoch", True),
    Protocol("test", "best test epoch by the primary metric", False),
    Protocol("test-each", "best test epoch of each metric", False),
    Protocol("seed", "best of the seeds on the test fold, epoch by validation loss", False),
    Protocol("seed-each", "best test epoch and seed of each metric", False),
)
TUNED = (
    Protocol("tuned", "best of the rows by validation loss", True),
    Protocol("tuned-test", "best of the rows on the test fold", False),
    Protocol("tuned-each", "best row, test epoch and seed of each metric", False),
)


@dataclass(frozen=True)
class Audit:
    """What one system's runs report under each protocol."""

    runs: dict[str, dict[str, list[float]]]
    """By protocol and metric: the values that are averaged, one for each seed, or one."""
    validation: float
    """Mean over seeds of the lowest validation loss."""

    def mean(self, protocol: str, metric: str) -> float:
        """Return what a paper would report."""
        values = self.runs[protocol][metric]
        return math.fsum(values) / len(values)

    def std(self, protocol: str, metric: str) -> float | None:
        """Return the standard deviation over seeds (ddof 1), None of a single value."""
        values = self.runs[protocol][metric]
        return statistics.stdev(values) if len(values) > 1 else None


def audit(
    runs: Mapping[str, Epochs],
    valid_labels: Sequence[float] | Sequence[int],
    metrics: Metrics,
    primary: str,
) -> Audit:
    """Return what runs report under each of `PROTOCOLS`.

    Args:
        runs: by seed.
        valid_labels: (V,) scores, or numbers of the emotions.
        metrics: of predictions of the test fold, as of `hycon.evaluation.inference.scoring`.
        primary: the metric that chooses an epoch or a seed.

    Raises:
        ValueError: no run, no epoch, shapes that do not fit, or a number is not finite.
    """
    if not runs:
        raise ValueError("no run, expected at least one")
    truth = np.asarray(valid_labels)
    losses, tested = [], []
    for seed, run in runs.items():
        if run.valid.ndim not in (2, 3) or run.valid.shape[1] != len(truth) or not len(run.valid):
            raise ValueError(
                f"seed {seed}: validation predictions are {run.valid.shape}, expected (E, "
                f"{len(truth)})"
            )
        if run.test.ndim != run.valid.ndim or len(run.test) != len(run.valid):
            raise ValueError(
                f"seed {seed}: test predictions are {run.test.shape}, expected as many epochs as "
                f"validation, {len(run.valid)}"
            )
        if not (np.isfinite(run.valid).all() and np.isfinite(run.test).all()):
            raise ValueError(f"seed {seed}: found NaN or infinity, expected finite numbers")
        losses.append([_loss(each, truth) for each in run.valid])
        tested.append([dict(metrics(each)) for each in run.test])
    names = list(tested[0][0])
    if primary not in names:
        raise ValueError(f"metric {primary!r} is none of {', '.join(names)}")

    def best(rows: Sequence[Mapping[str, float]], metric: str) -> Mapping[str, float]:
        choose = min if metric.startswith("mae") else max
        return choose(rows, key=lambda row: row[metric])

    chosen = [rows[int(np.argmin(loss))] for rows, loss in zip(tested, losses, strict=True)]
    every = [row for rows in tested for row in rows]
    lucky = best(chosen, primary)
    picked = {
        "validation": {name: [row[name] for row in chosen] for name in names},
        "last": {name: [rows[-1][name] for rows in tested] for name in names},
        "test": {name: [best(rows, primary)[name] for rows in tested] for name in names},
        "test-each": {name: [best(rows, name)[name] for rows in tested] for name in names},
        "seed": {name: [lucky[name]] for name in names},
        "seed-each": {name: [best(every, name)[name]] for name in names},
    }
    return Audit(picked, float(np.mean([min(loss) for loss in losses])))


def tuned(audits: Mapping[str, Audit], primary: str) -> Audit:
    """Return what is reported if the rows are settings of one model, under each of `TUNED`.

    Args:
        audits: by row.
        primary: the metric that chooses a row.
    """
    sign = 1 if primary.startswith("mae") else -1
    found = list(audits.values())
    by_validation = min(found, key=lambda each: each.validation)
    by_test = min(found, key=lambda each: sign * each.mean("validation", primary))
    names = found[0].runs["validation"]
    each = {
        name: [(min if name.startswith("mae") else max)(
            audit.runs["seed-each"][name][0] for audit in found
        )]
        for name in names
    }  # fmt: skip
    picked = {
        "tuned": by_validation.runs["validation"],
        "tuned-test": by_test.runs["validation"],
        "tuned-each": each,
    }
    return Audit(picked, by_validation.validation)


def _loss(predictions: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean absolute error of scores (V,), or the cross-entropy of (V, C) scores."""
    if predictions.ndim == 1:
        return float(np.abs(predictions - truth).mean())
    shifted = predictions - predictions.max(axis=1, keepdims=True)
    logits = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-logits[np.arange(len(truth)), truth.astype(int)].mean())
