"""The recipes of containers: they install what constraints.txt pins, and take no data along."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCKER = (ROOT / "containers/Dockerfile").read_text()
APPTAINER = (ROOT / "containers/Apptainer.def").read_text()
INSTALL = (
    "pip install --no-cache-dir --constraint constraints.txt --editable '.[pipeline,minilm,peers]'"
)


def instructions():
    """Return the Dockerfile's instructions as (name, rest), continued lines joined."""
    lines = re.sub(r"^#.*\n", "", DOCKER, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def copied():
    """Return what each recipe takes from the project, by recipe."""
    docker = [
        name
        for kind, rest in instructions()
        if kind == "COPY"
        for name in shlex.split(rest)[:-1]
    ]  # fmt: skip
    section = APPTAINER.split("%files\n")[1].split("\n\n")[0]
    return {"docker": docker, "apptainer": [line.split()[0] for line in section.splitlines()]}


def test_both_install_what_constraints_pin_on_the_same_python():
    assert ("RUN", INSTALL) in instructions()
    assert INSTALL in APPTAINER
    bases = re.findall(r"^FROM (\S+)|^From: (\S+)", f"{DOCKER}\n{APPTAINER}", flags=re.MULTILINE)
    (base,) = {one or other for one, other in bases}
    assert len(bases) == 2
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", base)


@pytest.mark.parametrize("recipe", ["docker", "apptainer"])
def test_only_files_of_the_project_are_taken_along(recipe):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not listed:
        pytest.skip("no git, which says what the project's files are")
    names = copied()[recipe]
    assert {"constraints.txt", "pyproject.toml"} <= set(names)
    for name in names:
        assert (ROOT / name).exists()
        assert name.split("/")[0] not in ("data", "results", "logs", ".", ".git")
        assert any(file == name or file.startswith(f"{name}/") for file in listed), name


def test_the_container_has_all_that_a_run_reads():
    from tests.pipeline.repository import PARTS

    needed = {part for part in PARTS if not part.startswith(".")}
    assert needed <= set(copied()["docker"])


def test_docker_s_container_is_no_root_s_and_runs_everything():
    kinds = dict(instructions())
    assert kinds["USER"] == "1000"
    assert kinds["CMD"] == '["snakemake", "--cores", "all", "all"]'
