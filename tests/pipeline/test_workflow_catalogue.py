"""The workflow catalogue finds the files that its standardised usage needs."""

import subprocess
import sys

import yaml

from tests.test_params import ROOT


def test_the_catalogue_s_snakefile_has_the_rules_of_ours():
    run = [sys.executable, "-m", "snakemake", "--list-rules"]
    plain, catalogue = (
        subprocess.run([*run, *options], cwd=ROOT, capture_output=True, text=True).stdout
        for options in ([], ["--snakefile", "workflow/Snakefile"])
    )
    assert "train" in plain.split()
    assert catalogue == plain


def test_its_description_and_a_page_on_the_configuration_are_there():
    assert "usage" in yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())
    page = (ROOT / "config/README.md").read_text()
    for overlay in (ROOT / "config").glob("*.yaml"):
        assert f"`{overlay.name}`" in page
