"""Whether a verdict was preregistered: fixed in a commit before its runs were made."""

import functools
import subprocess
from typing import Any, NamedTuple

from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_scores
from hycon.params import InferenceConfig, Preregistration, load_preregistrations
from hycon.params.claims import PREREGISTRATION
from hycon.params.loading import parse_yaml
from hycon.plan.tasks import PlannedClaim
from hycon.provenance import git


class Status(NamedTuple):
    """Whether a claim's verdict was preregistered."""

    words: str  # yes, or no and why
    looks: int  # among which the level is divided; 1 if it was not preregistered


def status(
    planned: PlannedClaim,
    metric: str,
    inference: InferenceConfig,
    entries: list[Preregistration],
) -> Status:
    """Return whether a claim's verdict was preregistered.

    It was if an entry names the claim, the text encoder, the metric, the margin and the seeds, and
    the same entry was in the commit of every run. Seeds may be those of one of its looks. With
    several entries for a claim, the reason is that of the last.

    Args:
        planned: the claim with its rows.
        metric: the primary metric.
        inference: margins.
        entries: those of the corpus.

    Raises:
        HyConError: scores cannot be read.
    """
    found = [
        each for each in entries
        if planned.claim.name in each.claims and each.encoder == planned.encoder
    ]  # fmt: skip
    if not found:
        return Status("no", 1)
    words = [_words(planned, metric, inference, entry) for entry in found]
    if "yes" in words:
        return Status("yes", len(found[words.index("yes")].looks))
    return Status(words[-1], 1)


def _words(
    planned: PlannedClaim, metric: str, inference: InferenceConfig, entry: Preregistration
) -> str:
    """Return whether the runs are those of an entry: yes, or no and why."""
    margin = inference.margin(metric)
    if (entry.metric, entry.margin) != (metric, margin):
        return f"no: fixed for {entry.metric}, margin {entry.margin:g}; found {metric}, {margin:g}"
    for row in {
        row.row: row for pair in planned.pairs for row in (pair.row, pair.reference)
    }.values():
        runs = read_scores(row.scores)["seeds"]
        seeds = set(map(int, runs))
        if not any(seeds == set(entry.seeds[:look]) for look in entry.looks):
            return f"no: the seeds of {row.model} are not those that were fixed"
        for seed, run in runs.items():
            if problem := _problem(run, entry):
                return f"no: {row.model}, seed {seed} {problem}"
    return "yes"


def _problem(run: dict[str, Any], entry: Preregistration) -> str | None:
    commit = run.get("commit")
    if not isinstance(commit, str) or not run.get("clean"):
        return "ran without a commit, or with uncommitted changes"
    if entry not in _entries(commit):
        return f"ran at commit {commit[:7]}, which lacks the entry"
    return None


@functools.cache
def _entries(commit: str) -> tuple[Preregistration, ...]:
    """Return what the file had at a commit; nothing if it, or git, is not there."""
    if not commit.isalnum():
        return ()
    try:
        text = git("show", f"{commit}:{PREREGISTRATION.as_posix()}")
        return tuple(load_preregistrations(parse_yaml(text.encode(), PREREGISTRATION)))
    except (OSError, subprocess.CalledProcessError, HyConError):
        return ()
