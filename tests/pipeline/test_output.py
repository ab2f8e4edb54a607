"""What a real run prints."""

import os
import re
import shutil

import pytest

from tests.pipeline.repository import Repository, jobs

COUNTED_TIMERS = """
import threading
threading.Timer.start = lambda timer: open("timers", "a").close()
"""
TARGETS = ("results/sample/tables/alpha.md", "results/sample/tables/main.md")


@pytest.fixture
def made(plain, tmp_path):
    """Return a finished run of its own."""
    shutil.copytree(plain.folder, tmp_path / "made", symlinks=True)
    return Repository(tmp_path / "made")


def test_a_run_prints_its_plan_a_line_a_job_and_its_end(plain):
    lines = plain.printed.splitlines()
    (plan,) = (n for n, line in enumerate(lines) if re.match(r"\d+ jobs on 1 core: ", line))
    number = sum(jobs(plain.printed).values())
    *done, end = lines[plan + 1 :]
    assert re.fullmatch(rf"{number} jobs in [\d minsh.]+", end)
    # the main table, before anything that it does not need
    path = "results/sample/tables/main.md"
    table = ["", path, "", *(plain / path).read_text().splitlines(), ""]
    at = next(n for n, line in enumerate(done) if "] tables sample/main " in line) + 1
    assert done[at : at + len(table)] == table
    del done[at : at + len(table)]
    assert all("alpha" not in line for line in done[:at])
    pattern = rf"\[ ?(\d+)/{number} +\d+%\] (\w+) ?(\S*)  [\d minsh.]+"
    found = [each for line in done if (each := re.fullmatch(pattern, line))]
    assert [int(each[1]) for each in found] == list(range(1, number + 1))
    assert ("tables", "sample/main") in [each.group(2, 3) for each in found]
    # on a busy machine, what jobs of more than ten seconds say
    others = [line for line in done if not re.fullmatch(pattern, line)]
    assert {line.split()[0].rstrip(":") for line in others} <= set(jobs(plain.printed))
    # what came before it
    assert plan == 3
    assert "\x1b" not in plain.printed


def test_a_failure_is_the_jobs_error_a_line_with_its_log_and_the_end(made):
    path = made / "results/runs/sample/alpha-05-glove/scores.json"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    other = f'"parameters digest": "{"0" * 16}"'
    path.write_text(re.sub(r'"parameters digest": "\w+"', other, path.read_text()))
    os.utime(path, ns=times)  # as old and as long as it was: not made again
    code, printed = made.tries(
        "snakemake", "--cores", "1", "--keep-going", "--forcerun", "tables", "--", *TARGETS
    )
    assert code == 1
    lines = printed.splitlines()
    failed = lines.index("failed: tables sample/alpha: exit status 2; log: "
                         "logs/tables/sample/alpha.log")  # fmt: skip
    assert "made with other parameters" in lines[failed - 1]
    assert re.fullmatch(r"1 of 2 jobs in .*; failed: tables sample/alpha", lines[-1])
    assert sum(line.startswith("[") for line in lines) == 1  # the other table
    assert "CalledProcessError" not in printed


@pytest.mark.parametrize("option", [("--quiet", "host"), ("--verbose",)])
def test_one_option_gives_snakemakes_own_output(made, option):
    printed = made.snakemake("--forcerun", "tables", *option, "--", TARGETS[0])
    assert "Finished jobid: 0 (Rule: tables)" in printed
    assert "results/sample/tables/alpha.csv, .md, .tex, .html: written" in printed
    assert "1 job in" not in printed


def test_quiet_prints_nothing_about_jobs(made):
    printed = made.snakemake("--forcerun", "tables", "--quiet", "--", TARGETS[0])
    assert printed.splitlines()[-1].startswith("Building DAG")


def test_no_timers_wake_the_scheduler_after_each_job(made):
    hidden = made / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(COUNTED_TIMERS)
    command = ("snakemake", "--cores", "1", "--forcerun", "tables", "--", *TARGETS)
    assert "2 jobs in" in made.run(*command, PYTHONPATH=str(hidden))
    assert not (made / "timers").exists()
