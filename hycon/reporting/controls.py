"""Whether modalities carry a signal on a corpus, and add to each other."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from hycon.evaluation.aggregation import read_runs, read_scores
from hycon.evaluation.inference import Comparison, Runs, compare, verdict
from hycon.params import Corpus, InferenceConfig, lower_is_better
from hycon.plan.tasks import ScoredRow, Scores
from hycon.reporting.captions import columns_of
from hycon.reporting.table_formats import effect, p_value

NOTE = (
    "Control rows: the network without contrastive learning on some of the modalities, with one "
    "modality shuffled among the utterances of its fold, or on none (a constant). A claim about "
    "several modalities can be tested only where all together are better than the best alone."
)
ONE_NOTE = "A row with one modality has no loss across modalities, only IAMCL."


class Condition(NamedTuple):
    """Something that must be true of a corpus for a claim to be testable on it."""

    words: str  # what is compared with what
    met: bool
    found: Comparison
    verdict: str


class Conditions(NamedTuple):
    """What the control rows of one text encoder show."""

    informative: list[Condition]  # each modality alone against a constant
    together: Condition | None  # all modalities against the best alone


def conditions(rows: Iterable[Scores], corpus: Corpus, inference: InferenceConfig) -> Conditions:
    """Compare the control rows of a corpus: rows without contrastive learning.

    Args:
        rows: with one text encoder; others than control rows are left out.
        corpus: entry of the corpus in the catalogue.
        inference: margins and primary metric.

    Returns:
        Empty where the rows that it needs are missing.

    Raises:
        HyConError: scores cannot be read.
    """
    metric = inference.primary_of(corpus.task)
    plain: dict[tuple[str, ...], Runs] = {}
    for row in rows:
        modalities = plain_modalities(read_scores(row.scores))
        if modalities is not None:
            plain[modalities] = read_runs(row.scores, [metric])
    whole, constant = plain.get(tuple(corpus.modalities)), plain.get(())
    alone = {each: plain[each,] for each in corpus.modalities if (each,) in plain}
    lower, margin = lower_is_better(metric), inference.margin(metric)

    def condition(words: str, better: Runs, reference: Runs) -> Condition:
        found = compare(better, reference, metric, margin)
        word = verdict(found, lower)
        return Condition(words, word == "better", found, word)

    informative = [
        condition(f"{name} alone against a constant", runs, constant)
        for name, runs in alone.items()
        if constant is not None
    ]
    if whole is None or not alone or len(corpus.modalities) < 2:
        return Conditions(informative, None)
    best = min(alone, key=lambda name: alone[name].values[metric].mean() * (1 if lower else -1))
    words = f"{_listed(corpus.modalities)} together against {best} alone"
    return Conditions(informative, condition(words, whole, alone[best]))


def warning(rows: Iterable[ScoredRow], corpus: Corpus, inference: InferenceConfig) -> str:
    """Return a warning unless all modalities are better than the best alone; "" if they are.

    Args:
        rows: all rows; control rows of the first text encoder that has them are compared.
        corpus, inference: see `conditions`.

    Returns:
        Two sentences; "" also if there are no such rows.
    """
    by_encoder: dict[str, list[ScoredRow]] = {}
    for row in rows:
        by_encoder.setdefault(row.encoder, []).append(row)
    for members in by_encoder.values():
        found = conditions(members, corpus, inference).together
        if found is not None:
            return "" if found.met else _sentences(found, corpus, inference)
    return ""


def _sentences(condition: Condition, corpus: Corpus, inference: InferenceConfig) -> str:
    heading, factor = columns_of(corpus)[inference.primary_of(corpus.task)]
    found = condition.found
    shown = f"{heading} {effect(found, factor)}"
    p = "" if found.p is None else f", p {p_value(found.p)}"
    return (
        f"WARNING: {condition.words}: {condition.verdict}, not better ({shown}, {found.n} "
        f"seed{'s' * (found.n > 1)}{p}). With these features, this corpus cannot show what the "
        "fusion of modalities, or a loss across them, adds."
    )


def has_one_modality(scores: dict[str, Any]) -> bool:
    """Return whether a row has a contrastive loss, but only one modality."""
    return len(_setting(scores, "model", "modalities") or ()) == 1 and _contrasts(scores)


def plain_modalities(scores: dict[str, Any]) -> tuple[str, ...] | None:
    """Return what a row reads; None of a peer, with contrastive learning or anything shuffled."""
    found = _setting(scores, "model", "modalities")
    if found is None or _contrasts(scores) or _setting(scores, "train", "shuffled"):
        return None
    return tuple(found)


def _contrasts(scores: dict[str, Any]) -> bool:
    return any((_setting(scores, "train", "lambdas") or {}).values())


def _setting(scores: dict[str, Any], *keys: str) -> Any:
    """Return a setting of a row; None if it has none, as those of another version may."""
    found: Any = scores.get("settings")
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]])
