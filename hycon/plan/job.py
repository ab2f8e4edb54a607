"""A job: one run of a stage, with its task, inputs, outputs and resources."""

import functools
import json
from typing import Any, Literal

from pydantic import ValidationError

from hycon.errors import HyConError
from hycon.params.base import Strict
from hycon.params.messages import explain
from hycon.plan.tasks import TASKS
from hycon.provenance import code_digest, parameters_digest

# excluded from a job's key: the file is the same whatever its address
UNTRACKED = {"fetch": {"sources"}}


class Job(Strict):
    """One run of a stage.

    Args:
        stage: name of the stage, a module of `hycon.stages`.
        name: name of the job within its stage, such as sample/hycon-bert.
        phase: the target that the job belongs to.
        task: the stage's arguments, a type of `hycon.plan.tasks`.
        reads: input files, in order.
        writes: outputs that Snakemake knows; it deletes them before the job runs.
        keeps: outputs that Snakemake does not know, so they survive a rerun.
        disposable: whether the files in `keeps` may be deleted once the jobs that read them are
            done.
        memory_mb: memory in MB, independent of the input size.
        memory_per_mb: additional memory in MB for each MB of input.
        minutes: time limit.
        resumes: whether an interrupted job resumes, so that a retry needs no more time.
        code: modules that the result depends on, together with everything that they import.
        data: files of the package that the result depends on.
    """

    stage: str
    name: str
    phase: Literal["raw", "features", "runs", "evidence", "tune"]
    task: Any
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...]
    keeps: tuple[str, ...] = ()
    disposable: bool = False
    memory_mb: int = 500
    memory_per_mb: float = 0.0
    minutes: int = 10
    resumes: bool = False
    code: tuple[str, ...]
    data: tuple[str, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        """A digest of the parameters and the code that the result depends on, but not its input."""
        task = self.task.model_dump(mode="json", exclude=UNTRACKED.get(self.stage))
        return parameters_digest([task, *(code_digest(each, self.data) for each in self.code)])

    def document(self) -> str:
        """Return the job as one line of JSON, which its stage reads from standard input."""
        found = {name: getattr(self, name) for name in ("stage", "name", "key", "writes")}
        return json.dumps({**found, "task": self.task.model_dump(mode="json")}, allow_nan=False)

    def memory(self, input_mb: float, attempt: int = 1) -> int:
        """Return the memory to request in MB; it grows with each attempt, up to fourfold."""
        return min(attempt, 4) * int(self.memory_mb + self.memory_per_mb * input_mb)

    def runtime(self, attempt: int = 1) -> int:
        """Return the time to request in minutes; it grows with each attempt unless `resumes`."""
        return self.minutes * (1 if self.resumes else min(attempt, 4))


class JobDocument(Strict):
    """The part of a job that its stage reads; `task` has the stage's type."""

    stage: str
    name: str
    key: str
    writes: list[str]
    task: Any


def read_document(text: str | bytes, stage: str) -> JobDocument:
    """Parse and validate the job that a stage receives.

    Args:
        text: output of `Job.document`.
        stage: name of the stage that runs.

    Returns:
        The job, with a task of the stage's type.

    Raises:
        HyConError: the text is not a job of this stage.
    """
    try:
        document = JobDocument.model_validate_json(text)
        if document.stage != stage:
            raise ValueError(f"found a job of stage {document.stage[:40]}")
        task = TASKS[stage].model_validate_json(json.dumps(document.task))
    except ValueError as error:
        problem = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            kind = JobDocument if error.title == JobDocument.__name__ else TASKS[stage]
            problem = explain(kind, first) if first["loc"] else first["msg"]
        raise HyConError(
            f"standard input: not a job of stage {stage} as JSON ({problem}); "
            "snakemake --dry-run -p prints the command of each job"
        ) from None
    return document.model_copy(update={"task": task})
