"""Digests of outputs, which show whether an output is unchanged since its job finished.

Snakemake records the parameters and code of each output, but not its content. It accepts a file
that git, DVC or a person has replaced, and one that no job has made here. So every job leaves the
SHA-256 of its outputs in .snakemake/outputs, and `modified` finds outputs without a record, or with
another content.
"""

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from hycon.atomic_io import sha256_of, write_json
from hycon.plan.job import Job, JobDocument
from hycon.progress import progress
from hycon.untrusted.safe_json import read_json

# DVC keeps the first with Snakemake's records. The second belongs to this machine: size and time of
# files whose digest is known, so that they are not read again
RECORDS, SEEN = Path(".snakemake/outputs"), Path(".snakemake/seen.json")


def record(job: Job | JobDocument) -> None:
    """Keep the key of a job that has succeeded, and the digest of each of its outputs."""
    outputs = {path: sha256_of(Path(path)) for path in job.writes}
    write_json(_path(job), {"key": job.key, "outputs": outputs})


def digests(*stages: str) -> dict[str, Any]:
    """Return the digest of each output as its job has left it, of all jobs of some stages."""
    found: dict[str, Any] = {}
    for stage in stages:
        for path in sorted((RECORDS / stage).rglob("*.json")):
            outputs = _read(path).get("outputs")
            found |= outputs if isinstance(outputs, dict) else {}
    return found


def modified(jobs: Collection[Job], targets: Collection[str] = ()) -> list[str]:
    """Return the existing outputs that were modified after their job finished. Writes nothing.

    This includes the outputs of a job whose `keeps` are missing; for a `disposable` job only if
    they are targets, or a job that reads them has to run.

    Args:
        jobs: all jobs of the plan.
        targets: the targets of this Snakemake run.
    """
    seen, found = _read(SEEN), []
    for job in progress(_present(jobs), "checking outputs", unit="jobs"):
        known = _outputs(job)
        here = [path for path in job.writes if os.path.isfile(path)]
        changed = [path for path in here if _entry(path, seen)[2] != known.get(path)]
        if not all(map(os.path.exists, job.keeps)) and (
            not job.disposable
            or {job.phase, *job.writes} & set(targets)
            or any(not _is_current(each) for each in jobs if set(job.writes) & set(each.reads))
        ):
            changed = here
        found += changed
    return found


def refresh(jobs: Collection[Job]) -> None:
    """Remember size, time and digest of every output, so that `modified` need not read it."""
    before = _read(SEEN)
    present = progress(_present(jobs), "remembering outputs", unit="jobs")
    here = [path for job in present for path in job.writes if os.path.isfile(path)]
    write_json(SEEN, {path: _entry(path, before) for path in here})


def _present(jobs: Collection[Job]) -> list[Job]:
    return [job for job in jobs if any(map(os.path.isfile, job.writes))]


def _is_current(job: Job) -> bool:
    """Return whether a job has made all its outputs with the present parameters and code."""
    return _read(_path(job)).get("key") == job.key and all(map(os.path.exists, job.writes))


def _outputs(job: Job) -> dict[str, Any]:
    """Return the digest of each output as the job has left it."""
    outputs = _read(_path(job)).get("outputs")
    return outputs if isinstance(outputs, dict) else {}


def _path(job: Job | JobDocument) -> Path:
    return RECORDS / job.stage / f"{job.name or 'all'}.json"


def _entry(path: str, seen: dict[str, Any]) -> list[Any]:
    """Return an output's size, time and SHA-256; it is read only if size or time have changed."""
    status = os.stat(path)
    now, before = [status.st_size, status.st_mtime_ns], seen.get(path)
    if (
        isinstance(before, list)
        and before[:2] == now
        and len(before) == 3
        and isinstance(before[2], str)
    ):
        return before
    return [*now, sha256_of(Path(path))]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
