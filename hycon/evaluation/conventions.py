"""Every metric of the field under each convention, and known mistakes (method, section 10).

All functions of predictions and labels need numpy and scipy only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hycon.evaluation.metrics import accuracy, correlation, mean_absolute_error, mean_f1, rounded

# from predictions and labels to predicted and true classes
Decide = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Convention:
    """One way to compute a metric."""

    name: str
    """Such as `acc2_pos`; the metrics of `hycon.evaluation.metrics` have the same names there."""
    metric: str
    """What papers call it: acc2, acc3, acc5, acc7, f1, mae, corr, acc, ua."""
    definition: str
    compute: Callable[[np.ndarray, np.ndarray], float]
    """Of predictions and labels (N,); predictions of emotions are (N,) classes or (N, C) scores."""
    mistake: bool = False
    """Whether no paper would describe it so; it explains numbers that fit nothing else."""

    @property
    def percent(self) -> bool:
        """Whether papers give it in per cent."""
        return self.metric not in ("mae", "corr")


# how a score becomes one of two classes: definition, function, and whether it is a mistake
DECISIONS: dict[str, tuple[str, Decide, bool]] = {
    "nonneg": (
        "y >= 0 against y < 0, all utterances", lambda p, y: (p >= 0, y >= 0), False,
    ),
    "pos": (
        "y > 0 against y < 0, without labels of 0",
        lambda p, y: (p[y != 0] > 0, y[y != 0] > 0), False,
    ),
    "nonpos": (
        "y > 0 against y <= 0, all utterances", lambda p, y: (p > 0, y > 0), False,
    ),
    "nonneg_nonzero": (
        "y >= 0 against y < 0, without labels of 0",
        lambda p, y: (p[y != 0] >= 0, y[y != 0] >= 0), False,
    ),
    "mixed": (
        "predictions > 0 against labels >= 0, all utterances", lambda p, y: (p > 0, y >= 0), True,
    ),
    "rounded": (
        "y > 0 against y < 0, without labels that round to 0",
        lambda p, y: (p[np.round(y) != 0] > 0, y[np.round(y) != 0] > 0), True,
    ),
}  # fmt: skip


def sentiment(limit: int = 3) -> list[Convention]:
    """Return the conventions for sentiment scores in [-limit, limit]."""
    found = []
    for name, (definition, decide, mistake) in DECISIONS.items():
        found += _of_decision(f"_{name}", definition, decide, mistake)
    for classes in (7, 5, 3):
        most = classes // 2
        clipped = f"clipped to [-{most}, {most}]"
        for suffix, how, turn, mistake in (
            ("", f"{clipped}, rounded half to even", lambda x, m=most: rounded(x, m), False),
            ("_half_up", f"{clipped}, rounded half up",
             lambda x, m=most: np.floor(np.clip(x, -m, m) + 0.5), True),
            ("_truncated", f"{clipped}, towards 0",
             lambda x, m=most: np.trunc(np.clip(x, -m, m)), True),
            *([("_unclipped", "rounded without clipping", np.round, True)] if classes == 7 else []),
        ):  # fmt: skip
            found.append(
                Convention(
                    f"acc{classes}{suffix}", f"acc{classes}", f"{how}, all utterances",
                    lambda p, y, turn=turn: accuracy(turn(p), turn(y)), mistake,
                )
            )  # fmt: skip
    for metric, compute in (("mae", mean_absolute_error), ("corr", correlation)):
        found += _of_scores(metric, compute, limit)
    return found


def sims() -> list[Convention]:
    """Return the conventions for CH-SIMS, whose scores are in [-1, 1]; MMSA clips all to it."""
    found = []
    for classes, edges in (
        (2, [0.0]), (3, [-0.1, 0.1]), (5, [-0.7, -0.1, 0.1, 0.7]),
    ):  # fmt: skip
        # an edge belongs to the class below it; labels are multiples of 0.2 in float32
        def turn(x, edges=tuple(edges)):
            return np.digitize(np.clip(x, -1, 1), np.array(edges) + 1e-6, right=True)

        ranges = ", ".join(map(str, edges))
        words = f"{classes} classes with edges {ranges}, which belong to the class below"
        found.append(
            Convention(
                f"acc{classes}", f"acc{classes}", words,
                lambda p, y, turn=turn: accuracy(turn(p), turn(y)),
            )
        )  # fmt: skip
        if classes == 2:
            found += _f1(
                "_nonpos", "y > 0 against y <= 0, all utterances",
                lambda p, y, turn=turn: (turn(p) == 1, turn(y) == 1), False,
            )  # fmt: skip
    for name in ("nonneg", "pos"):
        definition, decide, _ = DECISIONS[name]
        found += _of_decision(f"_{name}", definition, decide, False)
    for metric, compute in (("mae", mean_absolute_error), ("corr", correlation)):
        found += _of_scores(metric, compute, 1)
    return found


def emotions(names: Sequence[str], scored: bool) -> list[Convention]:
    """Return the conventions for emotions.

    Args:
        names: of the C emotions, in the order of their numbers.
        scored: whether predictions are (N, C) scores, not classes.
    """

    def joint(p: np.ndarray) -> np.ndarray:
        return p.argmax(axis=1) if p.ndim == 2 else p

    every = "the emotion with the largest score, all emotions"
    found = [
        Convention("acc", "acc", every, lambda p, y: accuracy(joint(p), y)),
        Convention(
            "ua", "ua", "mean recall of the emotions",
            lambda p, y: float(np.mean([(joint(p)[y == c] == c).mean() for c in np.unique(y)])),
        ),
        *_f1("", every, lambda p, y: (joint(p), y), False, positive=False),
    ]  # fmt: skip
    decisions = [("", "the largest score", lambda p, c: joint(p) == c)]
    if scored:
        decisions.append(("_apart", "a score above 0", lambda p, c: p[:, c] > 0))
    for number, name in enumerate(names):
        for suffix, words, chosen in decisions:
            found += _of_decision(
                suffix, f"{name} against the others, where it has {words}",
                lambda p, y, c=number, chosen=chosen: (chosen(p, c), y == c), False,
                acc=f"acc_{name}", f1=f"f1_{name}",
            )  # fmt: skip
    return found


def _of_decision(
    suffix: str, definition: str, decide: Decide, mistake: bool, acc: str = "acc2", f1: str = "f1"
) -> list[Convention]:
    """Return the accuracy and every F1 of a decision between two classes."""
    return [
        Convention(
            f"{acc}{suffix}", acc, definition, lambda p, y: accuracy(*decide(p, y)), mistake
        ),
        *_f1(suffix, definition, decide, mistake, f1=f1),
    ]  # fmt: skip


def _f1(
    suffix: str,
    definition: str,
    decide: Decide,
    mistake: bool,
    positive: bool = True,
    f1: str = "f1",
) -> list[Convention]:
    """Return F1 of a decision: weighted, macro, of the positive class, and arguments swapped."""
    kinds = [
        ("", "weighted", lambda p, y: mean_f1(p, y, "weighted"), mistake),
        ("_macro", "macro", lambda p, y: mean_f1(p, y, "macro"), mistake),
        ("_swapped", "weighted by the predictions: arguments swapped",
         lambda p, y: mean_f1(y, p, "weighted"), True),
    ]  # fmt: skip
    if positive:
        kinds.insert(2, ("_binary", "of the positive class", _binary_f1, mistake))
    return [
        Convention(
            f"{f1}{suffix}{kind}", f1, f"{words}; {definition}",
            lambda p, y, compute=compute: compute(*decide(p, y)), wrong,
        )
        for kind, words, compute, wrong in kinds
    ]  # fmt: skip


def _binary_f1(predictions: np.ndarray, labels: np.ndarray) -> float:
    hits, named = (predictions & labels).sum(), predictions.sum() + labels.sum()
    return float(2 * hits / named) if named else 0.0


def _of_scores(metric: str, compute: Callable, limit: int) -> list[Convention]:
    name = {"mae": "mean absolute error", "corr": "Pearson's correlation"}[metric]
    return [
        Convention(f"{metric}_all", metric, f"{name}, all utterances", compute),
        Convention(
            f"{metric}_nonzero", metric, f"{name}, without labels of 0",
            lambda p, y: compute(p[y != 0], y[y != 0]),
        ),
        Convention(
            f"{metric}_clipped", metric, f"{name}, predictions clipped to [-{limit}, {limit}]",
            lambda p, y: compute(np.clip(p, -limit, limit), y),
        ),
        Convention(
            f"{metric}_rounded", metric, f"{name}, predictions and labels rounded",
            lambda p, y: compute(np.round(p), np.round(y)), True,
        ),
    ]  # fmt: skip
