"""The interface between the workflow's rules and the plan."""

import json
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NoReturn

from hycon.errors import HyConError
from hycon.logs import USER_ERROR
from hycon.params import (
    load,
    load_claims,
    load_preregistrations,
    load_published,
    merge,
    read_texts,
    read_yaml,
)
from hycon.plan.planner import Plan
from hycon.plan.records import modified, refresh
from hycon.plan.snakemake import console, remake, unlimited
from hycon.stages import server

# parameters that change where a job runs or finds its files, but not its result
APART = ("mirror", "device", "features_in")


class Rules:
    """Load the plan once, and answer the rules' queries about single jobs.

    An error in the parameters prints one line and exits with code 2.

    Args:
        workflow: Snakemake's workflow object of the Snakefile being read.
        config: values of --configfile and --config, merged.
    """

    def __init__(self, workflow: Any, config: dict[str, Any]) -> None:
        self._workflow = workflow
        settings = workflow.config_settings
        try:
            # Snakemake has already read the overlays, but accepts duplicate keys and aliases
            for path in map(Path, settings.configfiles):
                if path.is_file():
                    read_yaml(path)
            given = read_texts(dict(settings.config or {}))
            params = load(overlay=merge(config, given))
            files = [_from_here(Path(path)) for path in settings.configfiles]
            options = _options(files, given)
            files = ["params.yaml", "corpora.yaml", *files]
            fixed = load_published(), load_claims(params), load_preregistrations()
            self.plan = Plan(params, *fixed, files, options)
        except HyConError as error:
            _stop(error)
        # skip this in the processes that Snakemake starts for single jobs
        self._console = None
        if workflow.is_main_process:
            self._console = console(workflow, self._shown)
            remake(self._modified)

    def _modified(self, targets: Collection[str]) -> list[str]:
        if changed := modified(self.plan.outputs_here(), targets):
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            note = "not made by a job here; regenerated if needed"
            print(f"{changed[0]}{more}: {note}", file=sys.stderr)
        return changed

    def _shown(self) -> dict[str, str]:
        """Return the main table of each corpus as Markdown, by the line of its job."""
        return {
            f"{job.stage} {job.name}": next(path for path in job.writes if path.endswith(".md"))
            for job in self.plan.main_tables()
        }

    def before_a_run(self) -> None:
        """Start the process in which jobs on this machine run."""
        if self._workflow.local_exec:
            unlimited(self._workflow)
            server.started()

    def after_a_run(self) -> None:
        """Cache the digests of all outputs, so that the next run need not read them."""
        if self._console:
            self._console.end()
        refresh(self.plan.outputs_here())
        # DVC requires its output folders to exist, even if a run writes nothing into them
        for folder in ("generated", "models", "features"):
            Path("data", folder).mkdir(parents=True, exist_ok=True)

    def files(self, phase: str) -> Callable[[Any], list[str]]:
        """Return an input function that gives the outputs of a phase."""
        return lambda _: self._ask(self.plan.files, phase)

    def reads(self, rule: str) -> Callable[[Any], list[str]]:
        """Return a rule's input function."""
        return lambda wildcards: list(self._job(rule, wildcards).reads)

    def given(self, rule: str) -> dict[str, Callable[..., str]]:
        """Return a rule's params: the key, whose change reruns the job, and the job itself.

        `job` depends on `threads` because Snakemake does not compare such params. So changing the
        mirror reruns nothing.
        """
        return {
            "key": lambda wildcards: self._job(rule, wildcards).key,
            "job": lambda wildcards, threads: self._job(rule, wildcards).document(),
        }

    def needs(self, rule: str) -> dict[str, Callable[..., int]]:
        """Return a rule's resources: memory (MB) and time (minutes), growing with each attempt."""

        def memory(wildcards: Any, input: Any, attempt: int) -> int:
            job = self._job(rule, wildcards)
            return job.memory(input.size_mb if job.memory_per_mb else 0, attempt)

        def runtime(wildcards: Any, attempt: int) -> int:
            return self._job(rule, wildcards).runtime(attempt)

        return {"mem_mb": memory, "runtime": runtime}

    def priority(self, rule: str) -> Callable[[Any], int]:
        """Return a rule's priority, which the plan has for each job."""
        return lambda wildcards: self._ask(self.plan.priority, rule, "/".join(wildcards))

    def _job(self, rule: str, wildcards: Any) -> Any:
        return self._ask(self.plan.job, rule, "/".join(wildcards))

    def _ask(self, question: Callable[..., Any], *about: str) -> Any:
        try:
            return question(*about)
        except HyConError as error:
            _stop(error)


def _stop(error: HyConError) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _options(files: list[str], given: dict[str, Any]) -> str:
    """Return the Snakemake options of this run that change results, quoted for the shell."""
    values = [f"{key}={json.dumps(value)}" for key, value in given.items() if key not in APART]
    options = [("--configfile", files), ("--config", values)]
    return " ".join(f"{name} {shlex.join(found)}" for name, found in options if found)
