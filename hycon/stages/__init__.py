"""One thin entry module per rule, which takes a task and writes files.

A stage is a module with `main(task, machine)`. `hycon.plan.tasks` defines the type of its task.
`python -m hycon.stages NAME` runs it, with the job as JSON on standard input;
`snakemake --dry-run -p` prints the command of every job.
"""

from typing import NamedTuple


class Machine(NamedTuple):
    """Where a stage runs; results do not depend on it.

    Args:
        device: auto, cpu, cuda or cuda:N.
        threads: number of CPU threads.
        features_in: memory, files or auto, see `hycon.training.batches.load_data`.
    """

    device: str = "auto"
    threads: int = 1
    features_in: str = "auto"
