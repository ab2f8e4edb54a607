"""A copy of the project to plan in."""

import shutil
import subprocess
import sys

from tests.test_params import ROOT


def copy_project(folder):
    for name in ("hycon", "workflow", "paper", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("Snakefile", "params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)


def plan(folder, *options):
    """Return what Snakemake says of its plan, every command with it."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--dry-run", "--printshellcmds"]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)
