"""The only module that uses a private part of Snakemake's interface."""

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

from snakemake.logging import logger
from snakemake.persistence import PersistenceBase

from hycon.plan.console import Console

_incomplete = PersistenceBase.incomplete


def remake(find: Callable[[Collection[str]], Collection[str]]) -> None:
    """Make Snakemake in this process regenerate certain outputs if it needs them.

    Snakemake then treats them as incomplete, but no marker is written to disk. No option does this
    for an existing output without a record: --forcerun would turn all of them into targets.

    Args:
        find: returns the outputs to regenerate, given the targets; called once, when the jobs are
            known.
    """
    found: set[str] | None = None

    async def incomplete(self: PersistenceBase, job: Any) -> list[Any]:
        nonlocal found
        if found is None:
            found = set(find(job.dag.workflow.dag_settings.targets))
        files = await _incomplete(self, job)
        return [*files, *(file for file in job.output if file in found and file not in files)]

    PersistenceBase.incomplete = incomplete


def unlimited(workflow: Any) -> None:
    """Let Snakemake start any number of jobs per second; called when a run on this machine starts.

    The limit, which is for clusters, cannot be turned off by an option. With it, each finished job
    adds a timer that wakes the scheduler every second until the end.

    Args:
        workflow: Snakemake's workflow object.
    """
    workflow.scheduler.job_rate_limiter = None


def console(workflow: Any, shown: Callable[[], Mapping[str, str]]) -> Console | None:
    """Print a line a job in place of Snakemake's output, if the profile's `quiet: rules` holds.

    A plugin for loggers would have to be installed before Snakemake reads the profile. Options that
    ask for more of Snakemake's output leave it as it is.

    Args:
        workflow: Snakemake's workflow object.
        shown: of `Console`.
    """
    # of Snakemake about itself
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    settings = workflow.output_settings
    quiet = {each.name for each in settings.quiet or ()}
    more = settings.verbose or settings.debug_dag or settings.printshellcmds or settings.dryrun
    own = next((each for each in logger.handlers if each.name == "DefaultStreamHandler"), None)
    if more or own is None or not quiet & {"RULES", "ALL"}:
        return None
    found = Console(
        own,
        about_jobs=not quiet & {"PROGRESS", "ALL"},
        targets=lambda: [rule.name for rule in workflow.rules if not rule.shellcmd],
        shown=shown,
    )
    logger.removeHandler(own)
    logger.addHandler(found)
    return found
