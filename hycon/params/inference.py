"""Parameters of the tests between rows: margins and primary metrics."""

from typing import Literal

from hycon.params.base import Positive, Strict

SentimentMetric = Literal[
    "mae_all", "mae_nonzero", "corr_all", "corr_nonzero", "acc7", "acc5", "acc2_nonneg", "acc2_pos",
    "f1_nonneg", "f1_pos",
]  # fmt: skip


class Margins(Strict):
    """Largest differences that count as none, by kind of metric."""

    mae: Positive
    """Mean absolute error, in units of the score."""
    corr: Positive
    """Correlation."""
    acc: Positive
    """Accuracies, as fractions: 0.01 is one point."""
    f1: Positive
    """F1, as a fraction."""


class PrimaryMetrics(Strict):
    """The metric that decides, by task."""

    regression: SentimentMetric
    """Of corpora with scores."""
    classification: Literal["acc", "f1"]
    """Of corpora with emotions."""


class InferenceConfig(Strict):
    """Tests between rows."""

    margins: Margins
    """Largest differences that count as none."""
    primary: PrimaryMetrics
    """The metric that decides."""

    def margin(self, metric: str) -> float:
        """Return the margin of a metric, such as 0.02 of `mae_all`."""
        return next(value for kind, value in self.margins if metric.startswith(kind))

    def primary_of(self, task: str) -> str:
        """Return the metric that decides on corpora of a task."""
        return getattr(self.primary, task)


def lower_is_better(metric: str) -> bool:
    """Return whether a lower value of a metric is better."""
    return metric.startswith("mae")
