"""What a user can cause ends in one line and exit code 2; the traceback is in the log file.

`python -m hycon.stages` is run in processes of its own, with a stand-in for one stage.
"""

import errno
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from tqdm import tqdm

from hycon.errors import HyConError, Terminated
from hycon.logs import CLEAR, QUIET, TRY_AGAIN, USER_ERROR, copied_to, ending_well, explained, log
from hycon.plan.job import Job
from hycon.plan.tasks import TinyTask
from tests.test_params import ROOT


def fail(problem, path):
    """Run a stage that raises something, with a log file."""
    with copied_to(path), ending_well():
        raise problem


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (HyConError("data/x.csd: is empty;\nfetch it again"), "data/x.csd: is empty; fetch it"),
        (
            OSError(errno.ENOSPC, "No space left on device", "data/x.npy"),
            "data/x.npy: No space left on device; free some disk space",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "data"),
            "data: Permission denied; give access to it",
        ),
    ],
)
def test_a_users_problem_is_one_line_and_exit_code_2(problem, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        fail(problem, tmp_path / "a.log")
    printed = capsys.readouterr().err
    assert stopped.value.code == USER_ERROR == 2
    assert printed.startswith(f"error: {said}")
    assert printed.count("\n") == 1
    assert said in (tmp_path / "a.log").read_text()


def test_the_log_file_holds_the_traceback_of_a_system_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        fail(OSError(errno.ENOSPC, "No space left on device", "x"), tmp_path / "a.log")
    assert "Traceback" in (tmp_path / "a.log").read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_not_dressed_up_as_a_users_problem(tmp_path, capsys):
    with pytest.raises(ZeroDivisionError):
        fail(ZeroDivisionError(), tmp_path / "a.log")
    assert "Traceback" in (tmp_path / "a.log").read_text()
    assert capsys.readouterr().err == ""  # Python prints it, once


@pytest.mark.parametrize(
    ("request_", "code"), [(Terminated("kept"), TRY_AGAIN), (KeyboardInterrupt(), 130)]
)
def test_a_request_to_end_has_an_exit_code_of_its_own(tmp_path, request_, code):
    with pytest.raises(SystemExit) as stopped:
        fail(request_, tmp_path / "a.log")
    assert stopped.value.code == code


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOENT, "make it, or correct the path"),
        (errno.EACCES, "give access to it"),
        (errno.ENOSPC, "free some disk space"),
        (errno.ENOTDIR, "correct the path: a part of it is a file"),
        (errno.EMFILE, "raise the limit on open files (ulimit -n)"),
        (errno.EPIPE, None),  # nothing is known that would help
        (99_999, None),
    ],
)
def test_the_remedy_fits_the_error_of_the_system(number, remedy):
    words = os.strerror(number)
    said = explained(OSError(number, words, "data/x"))
    assert said == (f"data/x: {words}; {remedy}" if remedy else f"data/x: {words}")
    if number != errno.ENOSPC:
        assert "room" not in said
        assert "space" not in said


def test_an_error_of_the_system_without_a_path_or_a_number_is_still_one_line():
    assert explained(OSError("no more of it")) == "system: no more of it"
    assert explained(OSError(errno.ENOMEM, "Cannot allocate memory")) == (
        "system: Cannot allocate memory; give the job more memory"
    )


def test_a_log_file_that_cannot_be_written_is_a_users_problem(tmp_path, capsys):
    (tmp_path / "logs").write_text("")
    with pytest.raises(SystemExit) as stopped, copied_to(tmp_path / "logs/a.log"):
        pass
    assert stopped.value.code == USER_ERROR
    assert capsys.readouterr().err.startswith(f"error: {tmp_path / 'logs'}: File exists; ")


def test_messages_are_printable_on_the_terminal_and_whole_and_dated_in_the_log(tmp_path, capsys):
    with copied_to(tmp_path / "a.log"):
        log.info("a server said \x1b[31m")
        log.warning("careful")
        print("printed", file=sys.stderr)
    printed = capsys.readouterr().err
    assert printed == "a server said ?[31m\nwarning: careful\nprinted\n"
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert [line.split(maxsplit=2)[-1] for line in lines[:2]] == [
        "INFO a server said \x1b[31m",
        "WARNING careful",
    ]
    assert lines[2] == "printed"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_quiet_job_prints_warnings_and_errors_only_and_logs_all(
    tmp_path, capsys, monkeypatch, terminal
):
    monkeypatch.setenv(QUIET, "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    with copied_to(tmp_path / "a.log"):
        log.info("done")
        print("printed", file=sys.stderr)
        assert not sys.stderr.isatty()  # nothing draws a bar of its own
        log.warning("careful")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", stacklevel=1)
    *lines, rest = capsys.readouterr().err.split("\n")
    begins = CLEAR if terminal else ""
    assert lines[0] == f"{begins}warning: careful"
    assert re.fullmatch(r"warning: \S+test_run.py:\d+: UserWarning: old", lines[1][len(begins) :])
    assert (len(lines), rest) == (2, "")
    logged = (tmp_path / "a.log").read_text()
    for part in ("INFO done", "printed", "WARNING careful", "UserWarning: old"):
        assert part in logged


def test_progress_that_a_terminal_writes_over_is_not_in_the_log(tmp_path, capsys):
    with copied_to(tmp_path / "a.log"):
        list(tqdm(range(3), file=sys.stderr, mininterval=0, leave=False))
        print("after it", file=sys.stderr)
    assert "3/3" in capsys.readouterr().err
    assert (tmp_path / "a.log").read_text() == "after it\n"


# in a process

STAND_IN = """
import sys, warnings
warnings.warn("an import warns")
print("an import prints", file=sys.stderr)


def main(task, machine):
    print("the stage prints", file=sys.stderr)
    warnings.warn("the stage warns")
    {ends}
"""
START = """
import hycon.stages
hycon.stages.__path__.insert(0, ".")
from hycon.stages.__main__ import main
main()
"""


def start(folder, document, ends="task.output.touch()"):
    """Run a stand-in for the stage `tiny`; return how it went, and what is in its log."""
    (folder / "tiny.py").write_text(STAND_IN.format(ends=ends))
    done = subprocess.run(
        [sys.executable, "-c", START, "tiny", "--device", "cpu", "--log", "logs/a.log"],
        input=document,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done, (folder / "logs/a.log").read_text()


@pytest.fixture
def document():
    task = TinyTask(kind="bert", aligned=Path("data"), output=Path("out"))
    job = Job(stage="tiny", name="a", phase="features", task=task, writes=("out",), code=())
    return job.document()


def test_what_a_stage_prints_and_warns_from_its_import_on_is_in_the_log(tmp_path, document):
    done, logged = start(tmp_path, document)
    assert done.returncode == 0, done.stderr
    for part in (
        "UserWarning: an import warns",
        "an import prints",
        "the stage prints",
        "UserWarning: the stage warns",
    ):
        assert part in done.stderr
        assert part in logged
    recorded = json.loads((tmp_path / ".snakemake/outputs/tiny/a.json").read_text())
    assert recorded["key"] == json.loads(document)["key"]
    assert list(recorded["outputs"]) == ["out"]


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [
        ("open('nowhere/x')", USER_ERROR, "error: nowhere/x: No such file or directory; make it"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_stage_that_fails_says_so_once_and_leaves_its_traceback_in_the_log(
    tmp_path, document, ends, code, said
):
    done, logged = start(tmp_path, document, ends)
    assert done.returncode == code
    assert done.stderr.count(said) == 1
    assert done.stderr.count("Traceback") == (0 if code == USER_ERROR else 1)
    assert logged.count("Traceback") == 1
    assert said.removeprefix("error: ") in logged
    assert not (tmp_path / ".snakemake").exists()  # of what it left nothing is known


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: "", "Invalid JSON: EOF"),
        (lambda job: "{", "Invalid JSON: EOF"),
        (lambda job: "[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        (lambda job: "[1]", "Input should be an object"),
        (lambda job: json.dumps(job["task"]), "stage: missing"),
        (lambda job: json.dumps(job | {"stage": "encode\x1b"}), "found one of stage encode?)"),
        (lambda job: json.dumps(job | {"task": {}}), "kind: missing"),
        (
            lambda job: json.dumps(job | {"task": job["task"] | {"kind": "gpt"}}),
            "kind: found \"gpt\" (text), expected 'bert' or 'xlnet'",
        ),
        (lambda job: json.dumps(job | {"task": job["task"] | {"more": 1}}), "more: unknown key"),
        (lambda job: json.dumps(job | {"writes": "out"}), 'writes: found "out" (text)'),
    ],
)
def test_what_is_no_job_of_the_stage_is_one_line_exit_code_2_and_in_the_log(
    tmp_path, document, change, said
):
    done, logged = start(tmp_path, change(json.loads(document)))
    assert done.returncode == USER_ERROR
    (line,) = (line for line in done.stderr.splitlines() if "error: " in line)
    assert line.startswith("error: standard input: not a job of stage tiny as JSON (")
    assert said in line
    assert "Traceback" not in done.stderr
    assert line.removeprefix("error: ") in logged
    assert not (tmp_path / "out").exists()
