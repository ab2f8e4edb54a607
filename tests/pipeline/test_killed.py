"""Killed anywhere, asked to end, or without room: every step ends with the bytes of one left alone.

The jobs are those that Snakemake runs; what they leave is compared with what they left under
Snakemake in another folder, with two jobs at a time, on a busy machine.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys

import pytest
import yaml
from safetensors import safe_open

from hycon.logs import TRY_AGAIN, USER_ERROR
from hycon.params import load, load_claims, load_published
from hycon.plan.planner import Plan
from tests.pipeline.processes import Stage
from tests.pipeline.repository import ROOT, make

OVERLAY = """
seeds: [1]
experiments:
  main:
    encoders: [bert]
    variants: [hycon-v2, no-contrastive]
    tsne: [hycon-v2, no-contrastive]
  alpha: null
catalogue: {sample: {generator: {videos: 14}}}
per_corpus: {sample: {train: {epochs: 30, patience: 30}}}
tuning: {trials: 4, folds: 0}
"""
# times, the repository that it was, and the digest of a file that holds these
APART = ("started", "ended", "seconds", "resumed", "commit", "clean", "run")
ROW = "results/runs/sample/hycon-v2-bert"
CHECKPOINT = "seed-1.checkpoint/state.safetensors"
KILLS_OF_A_STEP, KILLS_OF_TRAINING = 1, 10


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Return (a folder in which all has run under Snakemake, its jobs in order, as JSON)."""
    repository = make(tmp_path_factory.mktemp("reference"))
    (repository / "killed.yaml").write_text(OVERLAY)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        repository.run(
            "snakemake", "--cores", "2", "--configfile", "killed.yaml", "--", "all", "tune",
            OMP_NUM_THREADS="3",
        )  # fmt: skip
    finally:
        busy.kill()
        busy.wait()
    with contextlib.chdir(repository.folder):
        params = load(overlay=yaml.safe_load(OVERLAY))
        plan = Plan(params, load_published(), load_claims(params))
        jobs = [*plan.jobs.values(), plan.job("tune_row", "sample/hycon-v2-bert")]
        return repository.folder, [(job.stage, job.document()) for job in jobs]


@pytest.fixture
def folder(tmp_path, reference):
    """Return an empty folder, but for what the page shows of the workflow."""
    (tmp_path / "docs").mkdir()
    shutil.copy(reference[0] / "docs/rulegraph.svg", tmp_path / "docs")
    return tmp_path


@pytest.fixture
def trained(folder, reference):
    """Return (a folder in which all is there that a training needs, its job as JSON)."""
    shutil.copytree(reference[0] / "data", folder / "data")
    return folder, next(job for name, job in reference[1] if name == "train" and ROW in job)


def essence(path):
    """Return what a file says, but for times and commits; some files speak of these throughout."""
    if path.name in ("report.html", "runs-1.json"):
        return None
    if path.suffix != ".json":
        return path.read_bytes()
    return json.loads(
        path.read_text(),
        object_pairs_hook=lambda pairs: {key: value for key, value in pairs if key not in APART},
    )


def contents(folder, *apart):
    """Return the essence of every file of data and results by path, journals of studies apart."""
    return {
        str(path.relative_to(folder)): essence(path)
        for part in ("data", "results")
        for path in sorted((folder / part).rglob("*"))
        if path.is_file() and ".journal" not in path.name and path.suffix not in apart
    }


def assert_same(folder, reference):
    found, expected = contents(folder), contents(reference)
    assert found.keys() == expected.keys()
    assert [name for name, content in expected.items() if found[name] != content] == []


def test_every_step_killed_at_any_moment_ends_with_the_same_bytes_and_leaves_no_litter(
    folder, reference, tmp_path_factory
):
    alone = tmp_path_factory.mktemp("alone")
    shutil.copytree(folder, alone, dirs_exist_ok=True)
    moments, killed = random.Random(7), 0
    for name, job in reference[1]:
        seconds, _ = Stage(alone, name, job).wait()
        for _ in range(KILLS_OF_A_STEP):
            killed += Stage(folder, name, job).signal(moments.uniform(0, seconds))
        Stage(folder, name, job).wait()
    assert killed > len(reference[1]) / 2  # others had ended before
    assert_same(alone, reference[0])
    assert_same(folder, reference[0])


@pytest.mark.parametrize("threads", ["1", "5"])
def test_threads_of_the_environment_change_no_bit(trained, reference, threads):
    folder, job = trained
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **dict.fromkeys(names, threads)}
    command = [sys.executable, "-m", "hycon.stages", "train", "--device", "cpu"]
    subprocess.run(command, cwd=folder, env=environment, input=job, text=True, check=True)
    assert _resumed(folder, reference[0]) == 0


def test_training_killed_at_ten_moments_ends_with_the_same_bytes(trained, reference):
    folder, job = trained
    seconds, _ = Stage(folder, "train", job, at_once=True).wait()
    _resumed(folder, reference[0])
    moments, killed, resumed, starts = random.Random(11), 0, 0, 0
    # how many kills leave a checkpoint depends on the machine
    while killed < KILLS_OF_TRAINING or resumed < 3:
        starts += 1
        assert starts < 100
        if not (folder / ROW / CHECKPOINT).exists():
            # it came to its end, or not to a checkpoint: once more from the beginning
            shutil.rmtree(folder / ROW, ignore_errors=True)
        stage = Stage(folder, "train", job, at_once=True)
        killed += stage.signal(moments.uniform(0, seconds))
        if (folder / ROW / "runs-1.json").exists():
            resumed += _resumed(folder, reference[0])
    Stage(folder, "train", job, at_once=True).wait()
    _resumed(folder, reference[0])


def _resumed(folder, reference):
    """Check a row's run against the reference; return how often it was resumed."""
    found = {path.name: essence(path) for path in (folder / ROW / "seed-1").iterdir()}
    expected = {path.name: essence(path) for path in (reference / ROW / "seed-1").iterdir()}
    assert found == expected
    assert sorted(path.name for path in (folder / ROW).iterdir()) == ["runs-1.json", "seed-1"]
    return json.loads((folder / ROW / "seed-1/run.json").read_text())["resumed"]


def test_asked_to_end_a_training_keeps_its_run_and_says_so_with_a_code_for_trying_again(
    trained, reference
):
    folder, job = trained
    path = folder / ROW / CHECKPOINT
    for sitting in range(3):
        before = path.stat().st_mtime_ns if sitting else None
        stage = Stage(folder, "train", job, at_once=True)
        stage.signal_once(
            lambda before=before: path.exists() and path.stat().st_mtime_ns != before,
            signal.SIGTERM,
        )
        _, printed = stage.wait(TRY_AGAIN)
        last = printed.splitlines()[-1]
        assert last.startswith(f"warning: asked to end (SIGTERM): {ROW}/{CHECKPOINT}: kept")
        assert os.listdir(folder / ROW) == ["seed-1.checkpoint"]
    Stage(folder, "train", job).wait()
    assert _resumed(folder, reference[0]) == 3


def test_a_damaged_checkpoint_and_one_of_other_parameters_start_over_with_a_warning(
    trained, reference
):
    folder, job = trained
    path = folder / ROW / CHECKPOINT
    Stage(folder, "train", job, at_once=True).signal_once(path.exists)
    with safe_open(path, "np") as file:
        provenance = json.loads(file.metadata()["provenance"])
    assert provenance.keys() == {
        *("seed", "corpus", "encoder", "settings", "code", "inputs"),
        *("device", "threads", "versions"),
    }
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    _, printed = Stage(folder, "train", job).wait()
    warning = rf"^warning: {ROW}/{CHECKPOINT}: damaged \(.*; training starts over$"
    assert re.search(warning, printed, re.MULTILINE)
    assert _resumed(folder, reference[0]) == 0

    path.parent.mkdir()
    path.write_bytes(content)
    shutil.rmtree(folder / ROW / "seed-1")
    other = job.replace('"alpha": 0.8', '"alpha": 0.7')
    assert other != job
    _, printed = Stage(folder, "train", other).wait()
    assert f"warning: {path.relative_to(folder)}: of other settings; training starts over" in (
        printed.splitlines()
    )


def test_of_two_processes_that_train_a_row_one_waits_and_takes_its_seeds(trained, reference):
    folder, job = trained
    both = [Stage(folder, "train", job) for _ in range(2)]
    printed = [stage.wait()[1] for stage in both]
    (waited,) = (text for text in printed if "waits for another process" in text)
    assert "trained by another process" in waited
    assert _resumed(folder, reference[0]) == 0


def _stop_every_step(folder, reference, when, **limits):
    """Have every step fail, and then succeed; yield its name and what it said."""
    whole = contents(reference[0])
    for name, job in reference[1]:
        before = contents(folder)
        with when(folder):
            _, printed = Stage(folder, name, job, **limits).wait(USER_ERROR)
        assert "Traceback" not in printed
        (line,) = (line for line in printed.splitlines() if line.startswith("error:"))
        assert line == printed.splitlines()[-1]
        # of several files some may be written: whole ones
        for path, content in contents(folder).items():
            assert content == before.get(path, whole.get(path, "half-written")), (name, path)
        yield name, line
        Stage(folder, name, job).wait()


@contextlib.contextmanager
def _as_it_is(_):
    yield


@contextlib.contextmanager
def _read_only(folder):
    """Take away the right to write into data and results."""
    for part in ("data", "results"):
        (folder / part).mkdir(exist_ok=True)
    places = [path for part in ("data", "results") for path in (folder / part).rglob("*")]
    folders = [path for path in places if path.is_dir()] + [folder / "data", folder / "results"]
    for path in folders:
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o755)


def test_without_room_every_step_is_one_line_and_writes_nothing(folder, reference):
    for name, line in _stop_every_step(folder, reference, _as_it_is, largest=16):
        assert re.search(r"File too large|Os \{ code: 27", line), (name, line)
        assert re.match(r"error: \S*(data|results)/", line), (name, line)
    assert_same(folder, reference[0])


def test_without_permission_every_step_is_one_line_and_writes_nothing(folder, reference):
    for name, line in _stop_every_step(folder, reference, _read_only, permitted=True):
        assert "Permission denied" in line, (name, line)
        assert re.match(r"error: \S*(data|results)/", line), (name, line)
    assert_same(folder, reference[0])
