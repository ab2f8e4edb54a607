"""What several tests of the pipeline start from."""

import pytest

from tests.pipeline.repository import make


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Return a folder without git and DVC in which plain Snakemake has run."""
    folder = make(tmp_path_factory.mktemp("plain"))
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['dvc'] = None\n")
    folder.run("snakemake", "--cores", "1", "all", PYTHONPATH=str(hidden))
    return folder
