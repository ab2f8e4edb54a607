"""What a cluster is asked for: by rule, by device, and with more on each attempt."""

import functools
import re

import pytest
import yaml

from tests.pipeline.repository import ROOT, make


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return make(tmp_path_factory.mktemp("resources"))


@functools.cache
def resources(project, *options):
    """Return what a run's first job of each rule would ask for, by rule, as {name: value}."""
    printed = project.snakemake("--dry-run", "all", "--workflow-profile", "none", *options)
    found = {}
    # jobs of a group are indented
    rules = re.findall(r"^( *)(?:local)?rule (\w+):\n((?:\1 {4}.*\n)+)", printed, re.MULTILINE)
    for _, rule, block in rules:
        if asked := re.search(r"resources: (.*)", block):
            found.setdefault(rule, dict(each.split("=") for each in asked[1].split(", ")))
    return found


def test_a_gpu_is_asked_for_where_the_device_says_so_and_a_model_runs(project):
    cpu = resources(project)
    assert cpu["train"]["gpu"] == cpu["encode"]["gpu"] == "0"
    cuda = resources(project, "--config", "device=cuda:1")
    assert {rule for rule, asked in cuda.items() if asked.get("gpu") == "1"} == {"train", "encode"}


def test_a_row_s_time_grows_with_its_seeds_up_to_a_day(project):
    assert resources(project)["train"]["runtime"] == "120"
    seeds = list(range(1, 101))
    assert resources(project, "--config", f"seeds={seeds}")["train"]["runtime"] == "1440"


def test_every_job_on_a_cluster_says_its_memory_and_time(project):
    asked = resources(project)
    assert {"generate", "align", "encode", "train", "evaluate", "tables", "report"} <= set(asked)
    apart = {"fetch", "all"}  # where Snakemake itself runs
    for rule in asked.keys() - apart:
        assert {"mem_mb", "runtime"} <= set(asked[rule]), rule


def test_more_memory_is_asked_for_on_each_attempt_up_to_four_times_as_much(project):
    memory = [
        int(resources(project, "--attempt", str(attempt))["align"]["mem_mb"]) for attempt in (2, 6)
    ]
    assert memory == [2000, 4000]
    assert resources(project)["align"]["mem_mb"] == "1000"


def test_the_profile_asks_for_time_to_write_a_checkpoint():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert profile["executor"] == "slurm"
    assert re.search(r"--signal=TERM@\d+", profile["default-resources"]["slurm_extra"])


def test_a_row_is_one_job_of_a_cluster_unless_its_seeds_are_spread(project):
    def groups(*options):
        printed = project.snakemake("--dry-run", "all", "--workflow-profile", "none", *options)
        return re.findall(r"Group job row ", printed)

    assert len(groups()) == 3  # rows
    assert groups("--config", "seeds_per_job=1") == []
