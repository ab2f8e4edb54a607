"""Score and compare predictions of any origin, under every convention of the field.

`from hycon.evaluation import compare, score` needs the small install only.
"""

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hycon.evaluation import conventions, inference
from hycon.evaluation.conventions import Convention
from hycon.evaluation.inference import Comparison, Runs

# largest differences that count as none, if none is given: as in params.yaml
MARGINS = {"mae": 0.02, "corr": 0.02, "acc": 0.01, "f1": 0.01, "ua": 0.01}
# batch sizes for which a dropped last batch, and a mean of batch means, are tried
BATCHES = (8, 16, 20, 24, 32, 48, 50, 64, 100, 128)
PLACES = 4  # to which frameworks round the metrics of a run before they average
TASKS = ("sentiment", "sims", "emotions")
Predictions = Mapping[str, np.ndarray] | np.ndarray


@dataclass(frozen=True)
class Score:
    """One metric under one convention."""

    convention: Convention
    values: dict[str, float]
    """By seed; fractions, or units of the score."""

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return math.fsum(self.values.values()) / len(self.values)

    @property
    def std(self) -> float | None:
        """Standard deviation over seeds (ddof 1); None for one."""
        return statistics.stdev(self.values.values()) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Scores:
    """Every metric of a system's runs."""

    task: str
    utterances: int
    scores: tuple[Score, ...]
    notes: tuple[str, ...] = ()
    """What was guessed, and what is odd about the predictions."""

    def __getitem__(self, name: str) -> Score:
        """Return the score of a convention by its name, such as `acc2_pos`."""
        return next(each for each in self.scores if each.convention.name == name)

    @property
    def seeds(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(self.scores[0].values)


@dataclass(frozen=True)
class Fit:
    """One convention that gives a published number."""

    convention: Convention
    how: str
    """How the runs become one number: such as `mean over seeds`."""
    value: float
    mistake: bool
    """Whether the convention is a mistake, or `how` is: rounding, one seed alone, batches."""


@dataclass(frozen=True)
class Published:
    """What fits one published number."""

    metric: str
    text: str
    fits: tuple[Fit, ...]
    nearest: Fit
    """The convention whose mean over seeds is nearest, whether it fits or not."""
    possible: bool | None
    """Whether some count of right utterances gives this accuracy; None for other metrics."""


@dataclass(frozen=True)
class Compared:
    """A system against the reference."""

    system: str
    reference: str
    metric: str
    found: Comparison
    p: float | None
    """Corrected by Holm's method for the number of systems."""
    p_equivalent: float | None
    verdict: str
    """One of `hycon.evaluation.inference.VERDICTS`."""
    seeds_to_decide: float | None
    """Seeds that would decide; inf if no number would; None with one seed."""
    sentence: str
    """For a paper: verdict, difference, interval, p, margin and method."""


@dataclass(frozen=True)
class Comparisons:
    """Systems compared in one metric."""

    metric: str
    lower: bool
    """Whether lower is better."""
    margin: float
    rows: tuple[Compared, ...]
    runs: dict[str, Runs] = field(repr=False)
    """By system."""


def score(
    predictions: Predictions,
    labels: Sequence[float] | Sequence[str] | np.ndarray,
    task: str | None = None,
    emotions: Sequence[str] | None = None,
) -> Scores:
    """Return every metric under every convention.

    Args:
        predictions: (N,) float scores, (N,) names of emotions or (N, C) scores of them; or a
            mapping from the name of a seed to such an array.
        labels: (N,) scores, or names of emotions.
        task: `sentiment` (scores in [-3, 3]), `sims` (in [-1, 1]) or `emotions`; guessed if None.
        emotions: names of the C emotions in the order of the scores; else those of the labels,
            sorted.

    Raises:
        ValueError: lengths differ, a number is not finite, a label is out of range or unknown.
    """
    runs, truth, task, names, notes = _checked(predictions, labels, task, emotions)
    found = [
        Score(each, {seed: each.compute(run, truth) for seed, run in runs.items()})
        for each in _conventions(task, names, next(iter(runs.values())))
    ]
    return Scores(task, len(truth), tuple(found), tuple(notes))


def published(
    predictions: Predictions,
    labels: Sequence[float] | Sequence[str] | np.ndarray,
    numbers: Mapping[str, str],
    task: str | None = None,
    emotions: Sequence[str] | None = None,
) -> list[Published]:
    """Say which conventions give published numbers.

    Tried are all conventions; the mean over seeds, a mean of rounded values, the best and every
    single seed; and dropped last batches and means of batch means, in the order given.

    Args:
        predictions, labels, task, emotions: as for `score`.
        numbers: by metric (`acc2`, `f1`, `acc7`, `mae`, `corr`, ...), as printed: the number of
            digits says how exact each is. Of accuracies and F1, above 1 is per cent.

    Raises:
        ValueError: see `score`; or a metric is unknown, or a text is no number.
    """
    runs, truth, task, names, _ = _checked(predictions, labels, task, emotions)
    every = _conventions(task, names, next(iter(runs.values())))
    return [_published(metric, text, every, runs, truth) for metric, text in numbers.items()]


def compare(
    systems: Mapping[str, Predictions],
    labels: Sequence[float] | Sequence[str] | np.ndarray,
    groups: Sequence[str] | None = None,
    metric: str | None = None,
    margin: float | None = None,
    reference: str | None = None,
    task: str | None = None,
    emotions: Sequence[str] | None = None,
    resamples: int = inference.RESAMPLES,
) -> Comparisons:
    """Compare systems with a reference in one metric, over seeds and groups of utterances.

    Args:
        systems: predictions by name, as for `score`, of the same utterances in the same order.
            Runs whose seeds have the same name are paired.
        labels, task, emotions: as for `score`.
        groups: (N,) name of the video or dialogue of each utterance, drawn together; without it
            utterances are drawn singly, which makes intervals too narrow if those of a video
            resemble each other.
        metric: `mae_all`, `corr_all`, `acc7`, `acc5`, `acc2_nonneg`, `acc2_pos`, `f1_nonneg`,
            `f1_pos`, `mae_nonzero`, `corr_nonzero`; of emotions `acc`, `f1`. Default: `mae_all` or
            `acc`.
        margin: largest difference that counts as none; default: 0.02 of MAE and
            correlation, 0.01 (one point) of others.
        reference: one of the systems; default: the first.
        resamples: of the utterances.

    Raises:
        ValueError: see `score`; or fewer than two systems, or an unknown metric or reference.
    """
    if len(systems) < 2:
        raise ValueError(f"found {len(systems)} system, expected two or more")
    reference = next(iter(systems)) if reference is None else reference
    if reference not in systems:
        raise ValueError(f"reference {reference!r} is none of {', '.join(systems)}")
    checked = {name: _checked(each, labels, task, emotions) for name, each in systems.items()}
    _, truth, task, names, _ = checked[reference]
    metric = metric or ("acc" if task == "emotions" else "mae_all")
    texts = [names[number] for number in truth] if task == "emotions" else truth
    metrics = inference.scoring(texts, names if task == "emotions" else None)
    drawn = f"{len(truth)} utterances drawn singly"
    if groups is not None:
        drawn = f"{len(set(groups))} groups of utterances drawn together"
    groups = list(map(str, range(len(truth)))) if groups is None else list(groups)
    runs = {
        name: inference.resample(each[0], groups, metrics, resamples)
        for name, each in checked.items()
    }
    if metric not in (known := runs[reference].values):
        raise ValueError(f"metric {metric!r} is none of {', '.join(known)}")
    kind = metric.partition("_")[0].rstrip("0123456789")
    margin = MARGINS[kind] if margin is None else margin
    others = [name for name in systems if name != reference]
    found = [inference.compare(runs[name], runs[reference], metric, margin) for name in others]
    p = inference.holm([each.p for each in found])
    p_equivalent = inference.holm([each.p_equivalent for each in found])
    rows = []
    for name, each, *corrected in zip(others, found, p, p_equivalent, strict=True):
        word = inference.verdict(each, kind == "mae", *corrected)
        sentence = _sentence(name, reference, metric, each, drawn, word, *corrected, len(others))
        rows.append(
            Compared(
                name, reference, metric, each, *corrected, word, inference.seeds_to_decide(each),
                sentence,
            )
        )  # fmt: skip
    return Comparisons(metric, kind == "mae", margin, tuple(rows), runs)


def _checked(predictions, labels, task, emotions):
    """Return runs by seed, labels (N,), task, names of emotions, and notes."""
    runs = dict(predictions) if isinstance(predictions, Mapping) else {"1": predictions}
    if not runs:
        raise ValueError("no run, expected at least one")
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels are {labels.shape}, expected (N,), N > 0")
    runs = {str(seed): np.asarray(run) for seed, run in runs.items()}
    for seed, run in runs.items():
        if len(run) != len(labels):
            raise ValueError(f"seed {seed}: found {len(run)} predictions, {len(labels)} labels")
        if run.dtype.kind not in "fiuUOT":
            raise ValueError(f"seed {seed}: predictions are {run.dtype}, expected numbers or names")
        if run.dtype.kind in "fiu" and not np.isfinite(run).all():
            raise ValueError(f"seed {seed}: found NaN or infinity, expected finite numbers")
    notes = []
    if task is None:
        task = _guess(labels, next(iter(runs.values())))
        notes.append(f"task: {task}, guessed from the labels")
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    if task == "emotions":
        names = sorted(set(map(str, labels))) if emotions is None else list(emotions)
        return _emotions(runs, labels, names, notes)
    truth = labels.astype(np.float64)
    limit = 3 if task == "sentiment" else 1
    if not np.isfinite(truth).all() or abs(truth).max() > limit * (1 + 1e-6):
        worst = truth[~np.isfinite(truth)] if not np.isfinite(truth).all() else [abs(truth).max()]
        raise ValueError(f"labels: found {worst[0]:g}, expected scores in [-{limit}, {limit}]")
    if not (truth != 0).any():
        raise ValueError("labels: all are 0, expected negative and positive ones")
    found = {}
    for seed, run in runs.items():
        run = run[:, 0] if run.ndim == 2 and run.shape[1] == 1 else run
        if run.ndim != 1 or run.dtype.kind not in "fiu":
            raise ValueError(f"seed {seed}: predictions are {run.shape} {run.dtype}, expected (N,)")
        found[seed] = run.astype(np.float64)
    return found, truth, task, [], notes + _oddities(found, truth, limit)


def _emotions(runs, labels, names, notes):
    numbers = {name: number for number, name in enumerate(names)}

    def classes(values: np.ndarray, what: str) -> np.ndarray:
        texts = list(map(str, values.tolist()))
        if strange := [text for text in texts if text not in numbers]:
            known = ", ".join(names)
            raise ValueError(f"{what}: found {strange[0][:40]!r}, expected one of {known}")
        return np.array([numbers[text] for text in texts])

    truth, found = classes(labels, "labels"), {}
    for seed, run in runs.items():
        if run.ndim == 2 and run.shape[1] == len(names) and run.dtype.kind == "f":
            found[seed] = run.astype(np.float64)
        elif run.ndim == 1:
            found[seed] = classes(run, f"seed {seed}")
        else:
            raise ValueError(
                f"seed {seed}: predictions are {run.shape} {run.dtype}, expected (N,) names or "
                f"(N, {len(names)}) scores"
            )
    return found, truth, "emotions", names, notes


def _guess(labels: np.ndarray, run: np.ndarray) -> str:
    if labels.dtype.kind not in "fiu" or (run.ndim == 2 and run.shape[1] > 1):
        return "emotions"
    # CH-SIMS has multiples of 0.2 in [-1, 1], and no score beyond
    values = np.unique(np.abs(labels))
    return "sims" if values.max() <= 1 + 1e-6 and len(values) > 2 else "sentiment"


def _oddities(runs: Mapping[str, np.ndarray], truth: np.ndarray, limit: int) -> list[str]:
    notes = []
    for seed, run in runs.items():
        if len(np.unique(run)) == 1:
            notes.append(f"seed {seed}: all predictions are {run[0]:g}")
        if (beyond := int((abs(run) > limit).sum())) > len(run) // 10:
            notes.append(f"seed {seed}: {beyond} of {len(run)} predictions beyond ±{limit}")
    for first, second in itertools.combinations(runs, 2):
        if np.array_equal(runs[first], runs[second]):
            notes.append(f"seeds {first} and {second} have the same predictions")
    if not (truth == 0).any():
        notes.append("no label is 0: neutral utterances may have been left out")
    return notes


def _conventions(task: str, names: Sequence[str], run: np.ndarray) -> list[Convention]:
    if task == "emotions":
        return conventions.emotions(names, scored=run.ndim == 2)
    return conventions.sentiment() if task == "sentiment" else conventions.sims()


def _published(metric, text, every, runs, truth) -> Published:
    chosen = [each for each in every if each.metric == metric]
    if not chosen:
        known = ", ".join(dict.fromkeys(each.metric for each in every))
        raise ValueError(f"published {metric[:40]!r} is none of {known}")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"published {metric}: found {text[:40]!r}, expected a number") from None
    factor = 100 if chosen[0].percent and number > 1 else 1
    half = 0.5 * 10.0 ** -len(text.partition(".")[2]) / factor + 1e-9
    target, plain = number / factor, []
    for convention in chosen:
        values = {seed: convention.compute(run, truth) for seed, run in runs.items()}
        for how, value, mistake in _summaries(values, convention, factor):
            plain.append(Fit(convention, how, value, convention.mistake or mistake))
        for how, value in _in_batches(convention, runs, truth):
            if abs(value - plain[0].value) > 0:
                plain.append(Fit(convention, how, value, True))
    fits = [each for each in plain if abs(each.value - target) <= half]
    # what is usual first
    fits.sort(key=lambda each: (each.mistake, abs(each.value - target)))
    means = [each for each in plain if each.how in ("mean over seeds", "the run")]
    nearest = min(means, key=lambda each: abs(each.value - target))
    counted = [each for each in chosen if each.metric.startswith("acc")]
    possible = None
    if counted:
        sizes = {len(truth), *([int((truth != 0).sum())] if metric == "acc2" else [])}
        counts = [round(target * size) / size for size in sizes]
        possible = bool(fits) or any(abs(each - target) <= half for each in counts)
    return Published(metric, text, tuple(fits), nearest, possible)


def _summaries(
    values: Mapping[str, float], convention: Convention, factor: int
) -> Iterator[tuple[str, float, bool]]:
    """Yield ways to make one number of a metric's runs: name, value, whether it is a mistake."""
    if len(values) == 1:
        yield "the run", *values.values(), False
        return
    found = list(values.values())
    yield "mean over seeds", math.fsum(found) / len(found), False
    for places in {PLACES, 1 if factor == 100 else 3}:
        digits = places + (2 if factor == 100 and places != PLACES else 0)
        rounded = [round(value, digits) for value in found]
        yield f"mean of values rounded to {places} places", sum(rounded) / len(rounded), True
    best = min(found) if convention.metric == "mae" else max(found)
    for seed, value in values.items():
        yield f"seed {seed} alone{', the best' if value == best else ''}", value, True


def _in_batches(
    convention: Convention, runs: Mapping[str, np.ndarray], truth: np.ndarray
) -> Iterator[tuple[str, float]]:
    """Yield means over seeds if the last batch is dropped, or batches are averaged."""
    for size in BATCHES:
        whole = len(truth) // size * size
        if whole in (0, len(truth)):
            continue
        kept = [convention.compute(run[:whole], truth[:whole]) for run in runs.values()]
        yield f"last batch of {size} dropped", math.fsum(kept) / len(kept)
        if convention.metric == "mae":
            starts = range(0, len(truth), size)
            means = [
                float(np.mean([convention.compute(run[s : s + size], truth[s : s + size])
                               for s in starts]))
                for run in runs.values()
            ]  # fmt: skip
            yield f"mean of batches of {size}", math.fsum(means) / len(means)


WORDS = {
    "better": "{system} is better than {reference} in {metric}",
    "worse": "{system} is worse than {reference} in {metric}",
    "equivalent": "{system} and {reference} are equivalent in {metric} within a margin of {margin}",
    "negligible": "{system} and {reference} differ in {metric}, but by less than the margin of "
    "{margin}",
    "undecided": "Neither a difference between {system} and {reference} in {metric} nor "
    "equivalence within {margin} is shown",
}


def _sentence(system, reference, metric, found, drawn, word, p, p_equivalent, tests) -> str:
    said = WORDS[word].format(
        system=system, reference=reference, metric=metric, margin=f"{found.margin:g}"
    )
    if found.error is None:
        return f"{said}: one seed each gives no test (difference {found.difference:+.4f})."
    low, high = found.interval()
    corrected = f", corrected for {tests} systems by Holm's method" if tests > 1 else ""
    shown = {"p": p, "p of equivalence": p_equivalent}
    values = ", ".join(
        f"{name} {'< .001' if value < 0.001 else f'= {value:.3f}'}" for name, value in shown.items()
    )
    return (
        f"{said}: difference {found.difference:+.4f}, 95% interval [{low:+.4f}, {high:+.4f}], "
        f"{values}{corrected}; mean over {found.n} {'paired ' * found.paired}seeds, t test whose "
        f"error is from seeds and from {drawn}."
    )
