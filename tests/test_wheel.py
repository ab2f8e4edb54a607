"""The built wheel, installed without extras in an empty environment."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.test_docs import python_blocks
from tests.test_params import ROOT
from tests.test_small_install import METRICS


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Return the Python of an environment that has the wheel, and nothing else that is ours."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "hycon", source / "hycon")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, source], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "empty"], check=True)
    python = folder / "empty/bin/python"
    options = ["install", "-c", ROOT / "constraints.txt", wheel]
    # with PYTHONPATH, pip would find this checkout and install nothing
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([*pip, "--python", python, *options], check=True, env=environment)
    return python


@pytest.mark.parametrize("code", [*python_blocks("README.md"), METRICS])
def test_the_wheel_works_in_an_empty_environment(python, tmp_path, code):
    done = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_small_install_is_small(python):
    code = "from importlib.metadata import distributions; print(*[d.name for d in distributions()])"
    found = subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True
    ).stdout.split()
    assert {"hycon", "numpy", "scipy", "torch"} <= set(found)
    assert not {"transformers", "snakemake", "dvc", "pandas", "pydantic", "matplotlib"} & set(found)
