"""The pipeline on a real Slurm: a miniature, disturbed, gives what it gives here, bit for bit.

`make test-slurm` runs this: some minutes, and Slurm's daemons have to be installed.
"""

import json
import os
import re
import signal

import pytest
import yaml

from tests.pipeline.repository import B_LAMBDA, jobs, make, phase, write
from tests.slurm.cluster import Cluster, missing, wait_for

pytestmark = pytest.mark.skipif(
    "HYCON_TEST_SLURM" not in os.environ, reason="a Slurm is started by `make test-slurm` only"
)
# a seed of a row trains long enough to be caught at it
EPOCHS = 1000
ROWS = ("hycon-v2-glove", "no-contrastive-glove")
# there is no accounting, and jobs are short
POLLING = {"slurm-status-command": "squeue", "slurm-init-seconds-before-status-checks": 1}
# what differs from run to run
PASSING = ("started", "ended", "seconds", "resumed", "commit", "clean", "run")


@pytest.fixture(scope="module")
def cluster():
    if lacking := missing():
        pytest.fail(f"{', '.join(lacking)}: not found; on Debian: apt-get install slurm-wlm munge")
    with Cluster() as started:
        yield started


def miniature(folder):
    """Lay the project out with two rows, and a profile that suits this Slurm."""
    made = make(folder)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["experiments"] = {"main": params["experiments"]["main"]}
    params["per_corpus"]["sample"]["train"] |= {"epochs": EPOCHS, "patience": EPOCHS}
    write(folder / "params.yaml", params)
    profile = folder / "profiles/slurm/config.yaml"
    write(profile, yaml.safe_load(profile.read_text()) | POLLING)
    return made


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return what the miniature gives without Slurm."""
    folder = miniature(tmp_path_factory.mktemp("local"))
    folder.snakemake("all")
    return outcome(folder)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the same, not run yet, as a repository."""
    folder = miniature(tmp_path_factory.mktemp("cluster"))
    folder.git("init", "--quiet", "--initial-branch", "main")
    folder.commit("Project")
    return folder


def outcome(folder):
    """Return all that a run gives which should be the same from run to run."""
    found = folder.contents("data", "results/sample/tables", "results/plots")
    found["results/metrics.json"] = (folder / "results/metrics.json").read_bytes()
    runs = folder.contents("results/runs")
    kinds = (".safetensors", "history.csv")
    found |= {name: content for name, content in runs.items() if name.endswith(kinds)}
    for row in ROWS:
        scores = json.loads(runs[f"results/runs/sample/{row}/scores.json"])
        for seed in scores["seeds"].values():
            for key in PASSING:
                seed.pop(key, None)
        found[row] = scores
    return found


def same(found, expected):
    """Return whether two runs gave the same, which is all there is."""
    apart = [name for name in expected if found.get(name) != expected[name]]
    assert (apart, set(found) - set(expected)) == ([], set())
    weights = [name for name in found if name.endswith("model.safetensors")]
    assert len(weights) == 4
    return True


def stop(process):
    """End a Snakemake that is still there after a failure; it cancels its jobs."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)


def training(project, cluster, before=None):
    """Wait until a row has one of its two seeds, and trains the other; return the jobs that run.

    Args:
        before: the record of an older run of the first seed.
    """
    folder = project / "results/runs/sample/hycon-v2-glove"
    first, second = folder / "seed-1/run.json", folder / "seed-2/run.json"
    older = second.read_bytes() if second.exists() else None
    wait_for(lambda: first.exists() and first.read_bytes() != before)
    running = [number for number, state in cluster.jobs().items() if state == "RUNNING"]
    assert (second.read_bytes() if second.exists() else None) == older
    return running


def test_dvc_repro_spreads_over_slurm_and_survives_a_preemption(cluster, project, local):
    process = project.start(
        "dvc", "repro", SNAKEMAKE_PROFILE="profiles/slurm", **cluster.environment()
    )
    try:
        running = training(project, cluster)
        assert len(running) == len(ROWS)
        cluster.preempt()
        wait_for(lambda: {cluster.jobs().get(number) for number in running} == {"PENDING"})
        assert {cluster.job(number)["Restarts"] for number in running} == {"1"}
        for number in running:
            # Slurm would let what it puts back wait for two minutes
            cluster.run("scontrol", "update", f"jobid={number}", "starttime=now")
        printed, _ = process.communicate(timeout=400)
    finally:
        stop(process)
    assert process.returncode == 0, printed
    # both rows, each in one job, and none was tried anew by Snakemake
    assert jobs(phase(printed, "runs")) == {"train": 2, "evaluate": 2}
    assert "Trying to restart" not in printed
    assert "1 of 2 seeds are trained already" in logged(project)
    assert resumed(project) == 1
    assert same(outcome(project), local)
    assert project.clean()


def test_a_row_whose_time_is_nearly_up_is_submitted_anew_with_more_memory(
    cluster, project, tmp_path
):
    if "1 of 2 seeds are trained already" not in logged(project):
        pytest.skip("the miniature has not run on Slurm")
    other = miniature(tmp_path)
    for folder in (project, other):
        folder.set(*B_LAMBDA)
    before = (project / "results/runs/sample/hycon-v2-glove/seed-1/run.json").read_bytes()
    command = ("snakemake", "--profile", "profiles/slurm", "all")
    process = project.start(*command, **cluster.environment())
    try:
        (number,) = training(project, cluster, before)
        memory = asked(cluster, number)
        # what Slurm sends as `slurm_extra` in the profile says
        cluster.run("scancel", "--signal=TERM", number)
        (again,) = wait_for(lambda: set(cluster.jobs()) - {number})
        assert asked(cluster, again) == 2 * memory
        printed, _ = process.communicate(timeout=400)
    finally:
        stop(process)
    assert process.returncode == 0, printed
    assert jobs(printed)["train"] == 1
    assert printed.count("Trying to restart") == 1
    assert "1 of 2 seeds are trained already" in logged(project)
    assert resumed(project) == 1
    other.snakemake("all")
    assert same(outcome(project), outcome(other))
    assert project.planned() == {}


def test_a_cluster_leaves_nothing_behind():
    with Cluster() as started:
        script = started.folder / "job.sh"
        script.write_text("#!/bin/sh\necho $$ > pid\nexec sleep 600\n")
        started.run("sbatch", f"--chdir={started.folder}", "--output=/dev/null", str(script))
        wait_for((started.folder / "pid").exists)
        sleeping = int((started.folder / "pid").read_text())
        processes = started.started
        os.kill(sleeping, 0)
    assert not started.folder.exists()
    assert len(processes) == 3
    assert None not in [process.poll() for process in processes]
    with pytest.raises(ProcessLookupError):
        os.kill(sleeping, 0)


def logged(project):
    """Return the log of a row's training."""
    return (project / "logs/train/sample/hycon-v2-glove.log").read_text()


def resumed(project):
    """Return how often the second seed of a row was resumed from a checkpoint."""
    record = project / "results/runs/sample/hycon-v2-glove/seed-2/run.json"
    return json.loads(record.read_text())["resumed"]


def asked(cluster, number):
    """Return the memory that a job asked for, in MB."""
    return int(re.search(r"mem=(\d+)M", cluster.job(number)["TRES"])[1])
