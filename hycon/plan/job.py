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

# not part of a job's key, because another address gives the same file
UNTRACKED = {"fetch": {"sources"}}


class Job(Strict):
    """One run of a stage.

    Args:
        stage: its name, a module of `hycon.stages`.
        name: the job's name within its stage, such as sample/hycon-bert.
        phase: the target that the job belongs to.
        task: the stage's arguments, a type of `hycon.plan.tasks`.
        reads: files, in order.
        writes: outputs known to Snakemake, which deletes them before the job runs.
        keeps: outputs unknown to Snakemake, which stay when the job reruns.
        disposable: whether the kept files may be deleted once their readers are done.
        memory_mb: memory in MB that does not depend on the input.
        memory_per_mb: memory in MB for each MB of input.
        most_input_mb: input in MB above which memory does not grow; None for none.
        minutes: time limit.
        resumes: whether an interrupted job resumes, so that a retry needs no more time.
        code: modules that the result depends on, with everything that they import.
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
    most_input_mb: float | None = None
    minutes: int = 10
    resumes: bool = False
    code: tuple[str, ...]
    data: tuple[str, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        """A digest of all that the result depends on besides its input: parameters and code."""
        task = self.task.model_dump(mode="json", exclude=UNTRACKED.get(self.stage))
        return parameters_digest([task, *(code_digest(each, self.data) for each in self.code)])

    def document(self) -> str:
        """Return the job as its stage reads it from standard input: one line of JSON."""
        found = {name: getattr(self, name) for name in ("stage", "name", "key", "writes")}
        return json.dumps({**found, "task": self.task.model_dump(mode="json")}, allow_nan=False)

    def memory(self, input_mb: float, attempt: int = 1) -> int:
        """Return the memory to ask for, in MB: more on each attempt, up to four times as much."""
        if self.most_input_mb is not None:
            input_mb = min(input_mb, self.most_input_mb)
        return min(attempt, 4) * int(self.memory_mb + self.memory_per_mb * input_mb)

    def runtime(self, attempt: int = 1) -> int:
        """Return the time to ask for, in minutes."""
        return self.minutes * (1 if self.resumes else min(attempt, 4))


class JobDocument(Strict):
    """What a stage reads of its job: `task` is of the stage's type."""

    stage: str
    name: str
    key: str
    writes: list[str]
    task: Any


def read_document(text: str | bytes, stage: str) -> JobDocument:
    """Return the job that a stage was given.

    Args:
        text: of `Job.document`.
        stage: the stage that runs.

    Raises:
        HyConError: it is no job of this stage.
    """
    try:
        document = JobDocument.model_validate_json(text)
        if document.stage != stage:
            raise ValueError(f"found one of stage {document.stage[:40]}")
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
