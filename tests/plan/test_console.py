"""What a run prints, from the messages that Snakemake logs."""

import fcntl
import io
import logging
import os
import pty
import re
import struct
import termios
import time
from types import SimpleNamespace

import pytest

from hycon.logs import QUIET
from hycon.plan.console import Console, _duration, _last

LOG = """2026-01-01 10:00:00,000 DEBUG stage train, job sample/a
2026-01-01 10:00:01,000 INFO sample/a seed 1: epoch 3, validation 0.7
2026-01-01 10:00:02,000 ERROR no room\x1b[31m
"""
NOW = 1e9  # before the logs are written
PLAN = {"train": 2, "tables": 1, "all": 1, "total": 4}


class Run:
    """A console that is told what happens in a run."""

    def __init__(self, stream, **options):
        own = logging.StreamHandler(stream)
        options = {"about_jobs": True, "targets": lambda: ["all"], **options}
        self.console = Console(own, **options)
        self.tell("started", event="workflow_started")
        self.tell("Provided cores: 2", event="resources_info", cores=2)
        self.tell("Job stats: ...", event="run_info", stats=PLAN)

    def tell(self, message, level=logging.INFO, **more):
        record = logging.makeLogRecord({"msg": message, "levelno": level, **more})
        record.levelname = logging.getLevelName(level)
        self.console.handle(record)

    def start(self, number, rule, *wildcards, log="", created=100.0):
        given = {"rule_name": rule, "wildcards": dict(enumerate(wildcards)), "log": [log]}
        self.tell(None, event="job_info", jobid=number, created=created, **given)

    def finish(self, number, created=100.4):
        self.tell("Finished jobid", event="job_finished", job_id=number, created=created)

    def fail(self, number, rule, log, how):
        command = f"Command 'exec python --log {log} <<'END'\n{{}}\nEND' {how}."
        self.tell(f"RuleException:\n{command}", logging.ERROR, event="error")
        given = {"rule_name": rule, "jobid": number, "log": [log], "indent": False}
        self.tell("Error in rule", logging.ERROR, event="job_error", **given)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv(QUIET, "")
    monkeypatch.setenv("TERM", "xterm")
    clock = SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic)
    monkeypatch.setattr("hycon.plan.console.time", clock)


def test_a_run_is_its_plan_a_line_a_job_and_its_end():
    stream = io.StringIO()
    run = Run(stream)
    run.tell("Select jobs to execute...")
    run.start(1, "train", "sample", "a")
    run.finish(1)
    run.tell("Snakemake warns", logging.WARNING)
    run.start(2, "train", "sample", "b")
    run.finish(2, created=195.0)
    run.start(3, "tables", "sample", "main")
    run.finish(3, created=7420.0)
    run.start(0, "all")
    run.finish(0)
    run.console.end()
    run.console.close()
    assert stream.getvalue().splitlines() == [
        "3 jobs on 2 cores: train 2, tables 1",
        "[1/3  33%] train sample/a  0.4 s",
        "Snakemake warns",
        "[2/3  66%] train sample/b  1 min 35 s",
        "[3/3 100%] tables sample/main  2 h 2 min",
        "3 jobs in 0.0 s",
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("returned non-zero exit status 2", "exit status 2"),
        ("died with <Signals.SIGKILL: 9>", "SIGKILL"),
    ],
)
def test_a_failed_job_is_one_line_with_its_log_and_named_at_the_end(how, said):
    stream = io.StringIO()
    run = Run(stream)
    run.start(1, "train", "sample", "a", log="logs/a.log")
    run.fail(1, "train", "logs/a.log", how)
    run.tell("Exiting because a job execution failed. Look above", logging.ERROR)
    run.console.end()
    assert stream.getvalue().splitlines()[1:] == [
        f"failed: train sample/a: {said}; log: logs/a.log",
        "0 of 3 jobs in 0.0 s; failed: train sample/a",
    ]


def test_a_job_that_succeeds_when_tried_again_has_not_failed():
    stream = io.StringIO()
    run = Run(stream)
    run.start(1, "train", "sample", "a", log="logs/a.log")
    run.fail(1, "train", "logs/a.log", "returned non-zero exit status 75")
    run.tell("Trying to restart job 1.")
    run.start(1, "train", "sample", "a", log="logs/a.log")
    run.finish(1)
    run.console.end()
    assert stream.getvalue().splitlines()[2:] == [
        "Trying to restart job 1.",
        "[1/3  33%] train sample/a  0.4 s",
        "1 of 3 jobs in 0.0 s; stopped, the same command resumes",
    ]


def test_an_interrupt_is_no_failure():
    stream = io.StringIO()
    run = Run(stream)
    run.start(1, "train", "sample", "a", log="logs/a.log")
    run.fail(1, "train", "logs/a.log", "returned non-zero exit status 130")
    run.console.end()
    assert "failed" not in stream.getvalue()


def test_a_group_on_a_cluster_fails_in_one_line_with_the_error_of_its_log(tmp_path):
    stream = io.StringIO()
    run = Run(stream)
    run.tell("Provided remote nodes", event="resources_info", nodes=100)
    log = tmp_path / "a.log"
    log.write_text(LOG)
    run.start(1, "train", "sample", "a", log=str(log))
    run.start(2, "evaluate", "sample", "a", log=str(tmp_path / "b.log"))
    jobs = [{"jobid": 1, "log": [str(log)]}]
    given = {"groupid": "row", "job_error_info": jobs, "aux_logs": ["slurm.log"]}
    run.tell("Error in group", logging.ERROR, event="group_error", **given)
    given = {"rule_name": "train", "jobid": 1, "log": [str(log)], "indent": True}
    run.tell("Error in rule", logging.ERROR, event="job_error", **given)
    assert stream.getvalue().splitlines()[1:] == [
        f"failed: train sample/a: no room?[31m; log: {log}, slurm.log"
    ]


def test_a_main_table_is_printed_when_its_job_has_finished(tmp_path):
    path = tmp_path / "main.md"
    stream = io.StringIO()
    run = Run(stream, shown=lambda: {"tables sample/main": str(path)})
    for number, name in enumerate(("alpha", "main"), start=1):
        run.start(number, "tables", "sample", name)
        path.write_text("| Model |\n|:--|\n\nCaption\x1b[31m.\n")
        run.finish(number)
    assert stream.getvalue().splitlines()[1:] == [
        "[1/3  33%] tables sample/alpha  0.4 s",
        "[2/3  66%] tables sample/main  0.4 s",
        *["", str(path), "", "| Model |", "|:--|", "", "Caption?[31m.", ""],
    ]


def test_quiet_about_progress_leaves_warnings_and_failures():
    stream = io.StringIO()
    run = Run(stream, about_jobs=False, shown=lambda: {"train sample/b": "nowhere"})
    run.start(2, "train", "sample", "b")
    run.finish(2)
    run.start(1, "train", "sample", "a", log="logs/a.log")
    run.tell("Snakemake warns", logging.WARNING)
    run.fail(1, "train", "logs/a.log", "returned non-zero exit status 2")
    run.console.end()
    assert stream.getvalue().splitlines() == [
        "Snakemake warns",
        "failed: train sample/a: exit status 2; log: logs/a.log",
    ]


def shown(written):
    """Return the lines that a terminal shows."""
    return [re.split("\r\x1b\\[K", line)[-1].strip("\r") for line in written.split("\n")]


def until(descriptor, text):
    """Return what a terminal gets until a bar or a line with a text is whole."""
    found = ""
    while not re.search(f"{text}[^\r]*\r", found):
        found += os.read(descriptor, 10_000).decode()
    return found


def test_on_a_terminal_a_bar_with_the_latest_line_of_a_log_stays_below(tmp_path):
    log = tmp_path / "a.log"
    log.write_text(LOG)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with open(slave, "w") as stream:
        run = Run(stream)
        began = run.console._began = NOW - 60
        run.start(1, "train", "sample", "a", log=str(log), created=began)
        run.start(2, "train", "sample", "b", created=began)
        run.finish(2, created=began + 30)
        running = until(master, "1: epoch")
        run.console.end()
        ended = until(master, "resumes")
    os.close(master)
    *lines, bar = shown(running)
    assert lines == ["3 jobs on 2 cores: train 2, tables 1", "[1/3  33%] train sample/b  30 s"]
    # two jobs at a time: one of 30 s is nearly done, and one of no known time is left
    assert re.match(r"#{6}\.{14} 1/3  33%  about 20 s left  train sample/a seed 1: epoch", bar)
    assert len(bar) == 79
    end = "1 of 3 jobs in 1 min 0 s; stopped, the same command resumes"
    assert shown(running + ended)[-2:] == [end, ""]


def test_without_a_terminal_a_silent_job_shows_the_new_lines_of_its_log(tmp_path, monkeypatch):
    monkeypatch.setattr("hycon.plan.console.SECONDS_BETWEEN_LINES", 0.05)
    stream, log = io.StringIO(), tmp_path / "a.log"
    log.write_text(LOG)
    run = Run(stream)
    run.start(1, "train", "sample", "a", log=str(log), created=NOW - 60)
    limit = time.monotonic() + 30
    while stream.getvalue().count("\n") < 2 and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.2)  # nothing is said twice
    log.write_text("sample/a: 3 of 10 rows\n")
    while stream.getvalue().count("\n") < 3 and time.monotonic() < limit:
        time.sleep(0.01)
    run.console.end()
    assert stream.getvalue().splitlines()[1:-1] == [
        "train sample/a seed 1: epoch 3, validation 0.7",
        "train sample/a: 3 of 10 rows",
    ]


def test_the_log_of_an_earlier_run_is_not_that_of_a_job(tmp_path):
    log = tmp_path / "a.log"
    log.write_text(LOG)
    os.utime(log, (0, 0))
    run = Run(io.StringIO())
    run.start(1, "train", "sample", "a", log=str(log))
    assert run.console._latest() == "train sample/a"


def test_the_last_line_of_a_level_is_found_and_a_missing_log_has_none(tmp_path):
    log = tmp_path / "a.log"
    log.write_text(LOG)
    assert _last(str(log)) == "sample/a seed 1: epoch 3, validation 0.7"
    assert _last(str(log), ("ERROR",)) == "no room?[31m"
    assert _last(str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("seconds", "said"), [(9.94, "9.9 s"), (12, "12 s"), (3599.9, "1 h 0 min"), (65, "1 min 5 s")]
)
def test_durations(seconds, said):
    assert _duration(seconds) == said
