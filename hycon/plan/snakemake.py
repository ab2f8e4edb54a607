"""The only module that uses a private part of Snakemake's interface."""

from collections.abc import Callable, Collection
from typing import Any

from snakemake.persistence import PersistenceBase

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
