"""What a user can cause ends in one line and exit code 2; the traceback is in the log file."""

import pytest

from hycon.errors import HyConError
from hycon.stages import parser, run, start


def stage(problem, path):
    def main(_):
        start(parser("a stage").parse_args(["--log", str(path)]))
        raise problem

    return main


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (HyConError("data/x.csd: is empty;\nfetch it again"), "data/x.csd: is empty; fetch it"),
        (
            OSError(28, "No space left on device", "data/x.npy"),
            "data/x.npy: No space left on device",
        ),
        (PermissionError(13, "Permission denied", "data"), "data: Permission denied; make room or"),
    ],
)
def test_a_users_problem_is_one_line_and_exit_code_2(problem, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run(stage(problem, tmp_path / "a.log"))
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert printed.startswith(f"error: {said}")
    assert printed.count("\n") == 1
    assert said in (tmp_path / "a.log").read_text()


def test_the_log_file_holds_the_traceback_of_a_system_error(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run(stage(OSError(28, "No space left on device", "x"), tmp_path / "a.log"))
    assert "Traceback" in (tmp_path / "a.log").read_text()
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_not_dressed_up_as_a_users_problem(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run(stage(ZeroDivisionError(), tmp_path / "a.log"))
