"""Whether all modalities of a corpus together are better than the best of them alone."""

import math
from collections.abc import Iterable
from typing import Any

from hycon.evaluation.comparison import paired
from hycon.params import Corpus

NOTE = (
    "Control rows: the network without contrastive learning on some of the modalities, with one "
    "modality shuffled among the utterances of its fold, or on none (a constant). A claim about "
    "several modalities can be tested only where all together are better than the best alone."
)
ONE_NOTE = "A row with one modality has no loss across modalities, only IAMCL."


def warning(scores: Iterable[dict[str, Any]], corpus: Corpus) -> str:
    """Return a warning unless all modalities are better than the best alone; "" if they are.

    It compares rows without contrastive learning with the same text encoder by a paired two-sided
    t-test over seeds (p < 0.05), on the test fold, by MAE or accuracy over all utterances.

    Args:
        scores: contents of scores.json of the rows.
        corpus: entry of the corpus in the catalogue.

    Returns:
        One or two sentences; "" also if there are no such rows.
    """
    metric, name = ("mae_all", "MAE") if corpus.emotions is None else ("acc", "accuracy")
    sign = -1 if corpus.emotions is None else 1
    plain: dict[tuple[str, ...], dict[str, float]] = {}
    for each in scores:
        modalities = plain_modalities(each)
        if modalities and (len(modalities) == 1 or list(modalities) == corpus.modalities):
            runs = {seed: run["test"][metric] for seed, run in each["seeds"].items()}
            plain.setdefault(modalities, runs)
    whole = plain.get(tuple(corpus.modalities))
    alone = {each: runs for each, runs in plain.items() if len(each) == 1}
    if whole is None or not alone or len(corpus.modalities) < 2:
        return ""
    best = max(alone, key=lambda each: sign * _mean(alone[each]))
    tested = paired(whole, alone[best])
    if sign * tested.difference > 0 and tested.t_test is not None and tested.t_test < 0.05:
        return ""
    p = "" if tested.t_test is None else f", p = {tested.t_test:.2g}"
    verdict = "are not better" if sign * tested.difference <= 0 else "are not shown to be better"
    together = " and ".join([", ".join(corpus.modalities[:-1]), corpus.modalities[-1]])
    return (
        f"WARNING: {together} together ({name} {_mean(whole):.3f}) {verdict} than {best[0]} alone "
        f"({_mean(alone[best]):.3f}; {tested.n} seed{'s' * (tested.n > 1)}{p}). With these "
        "features, this corpus cannot show what the fusion of modalities, or a loss across them, "
        "adds."
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


def _mean(runs: dict[str, float]) -> float:
    return math.fsum(runs.values()) / len(runs)
