"""One thin entry module per rule: a task in, files out.

A stage is a module with `main(task, machine)`, where the task is of its type in `hycon.plan.tasks`.
It is run as `python -m hycon.stages NAME`, with the job as JSON on standard input:
`snakemake --dry-run -p` prints the command of every job.
"""

from typing import NamedTuple


class Machine(NamedTuple):
    """Where a stage runs; it changes no result."""

    device: str = "auto"
    threads: int = 1
