"""Fixtures that several tests of the pipeline share."""

import pytest

from tests.pipeline.repository import B_LAMBDA, KEPT, jobs, make, phase


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Return a folder without git or DVC in which Snakemake has run, with what it `printed`."""
    folder = make(tmp_path_factory.mktemp("plain"))
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['dvc'] = None\n")
    folder.printed = folder.run("snakemake", "--cores", "1", "all", PYTHONPATH=str(hidden))
    return folder


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    """Return a repository with two versions made by DVC, tag A and, with another lambda1, tag B."""
    repository = make(tmp_path_factory.mktemp("origin"))
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("Project")
    repository.dvc("repro")
    repository.commit("A")
    repository.git("tag", "A")
    repository.made = {"A": repository.contents(*KEPT)}
    repository.set(*B_LAMBDA)
    printed = repository.dvc("repro")
    # one of the three rows has no contrastive term
    assert jobs(phase(printed, "runs")) == {"train": 2, "evaluate": 2}
    repository.commit("B")
    repository.git("tag", "B")
    repository.made["B"] = repository.contents(*KEPT)
    repository.dvc("remote", "add", "--quiet", "--default", "store",
                   str(tmp_path_factory.mktemp("store")))  # fmt: skip
    repository.commit("Remote")
    repository.dvc("push", "--quiet")
    return repository


@pytest.fixture
def clone(origin, tmp_path):
    """Return a clone at B, with data from the origin's cache."""
    return origin.cloned(tmp_path / "clone", origin / ".dvc/cache")
