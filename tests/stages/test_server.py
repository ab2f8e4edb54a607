"""Jobs run in forks of a server as they do in processes of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = """
import os, sys, time
from pathlib import Path

NUMBER = os.getpid()


def main(task, machine):
    with open("ran", "a") as file:
        print(os.getppid(), NUMBER == os.getpid(), os.environ.get("GIVEN"), file=file)
    print("printed", file=sys.stderr)
    {ends}
"""
PARENT = """
import os, signal, sys
from hycon.stages import server
signal.signal(signal.SIGINT, signal.SIG_DFL)  # whatever starts the tests may ignore it
server.started()
print(os.environ[server.ADDRESS], flush=True)
sys.stdin.read()
"""


class Project:
    """A copy of the package with a stand-in for one stage, and a server in it."""

    def __init__(self, folder, ends="task.output.touch()"):
        self.folder = folder
        shutil.copytree(ROOT / "hycon", folder / "hycon", ignore=shutil.ignore_patterns("*.pyc"))
        (folder / "hycon/stages/tiny.py").write_text(STAND_IN.format(ends=ends))
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        self.parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
            env=self.environment,
        )
        self.address = Path(self.parent.stdout.readline().strip())
        document = {"stage": "tiny", "name": "a", "key": "k", "writes": ["out"]}
        task = {"kind": "bert", "aligned": "data", "output": "out"}
        (folder / "job").write_text(json.dumps({**document, "task": task}))

    def start(self, **variables):
        return subprocess.Popen(
            [sys.executable, "-m", "hycon.stages", "tiny", "--device", "cpu", "--log", "a.log"],
            stdin=(self.folder / "job").open(),
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environment, "HYCON_STAGES": str(self.address), **variables},
        )

    def ran(self):
        """Return for each job so far: its parent, whether it imported the stage, and GIVEN."""
        file = self.folder / "ran"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for(self, condition):
        limit = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < limit
            time.sleep(0.01)


@pytest.fixture
def project(tmp_path, request):
    made = Project(tmp_path, **getattr(request, "param", {}))
    yield made
    made.parent.stdin.close()
    made.parent.wait(timeout=60)
    made.wait_for(lambda: not made.address.exists())


def ends(text):
    return pytest.mark.parametrize("project", [{"ends": text}], indirect=True)


def test_a_job_has_its_own_environment_and_streams_and_the_imports_of_the_server(project):
    for given in ("1", "2"):
        job = project.start(GIVEN=given)
        assert "printed" in job.communicate(timeout=60)[1]
        assert job.returncode == 0
    assert (project.folder / "out").exists()
    assert (project.folder / ".snakemake/outputs/tiny/a.json").exists()
    assert "printed" in (project.folder / "a.log").read_text()
    (first, *one), (second, *two) = project.ran()
    assert first == second != str(os.getpid())  # the server
    assert (one, two) == (["False", "1"], ["False", "2"])


def test_without_a_server_or_after_its_end_a_job_runs_by_itself(project):
    for address in ("", "/nowhere/socket"):
        job = project.start(HYCON_STAGES=address)
        assert job.wait(timeout=60) == 0
    assert [row[:2] for row in project.ran()] == [[str(os.getpid()), "True"]] * 2


def test_a_job_whose_code_has_changed_since_the_import_runs_the_new_code_by_itself(project):
    assert project.start().wait(timeout=60) == 0
    with (project.folder / "hycon/stages/tiny.py").open("a") as file:
        file.write("\n\nNUMBER = 0\n")
    job = project.start()
    job.communicate(timeout=60)  # ends only if the server does not hold the stream
    assert job.returncode == 0
    assert [row[0] == str(os.getpid()) for row in project.ran()] == [False, True]
    assert project.ran()[1][1] == "False"  # the new NUMBER


def test_a_job_runs_by_itself_after_an_edit_of_a_module_that_is_not_imported(project):
    assert project.start().wait(timeout=60) == 0
    with (project.folder / "hycon/networks/fusion.py").open("a") as file:
        file.write("\n\nADDED = 0\n")
    assert project.start().wait(timeout=60) == 0
    assert [row[0] == str(os.getpid()) for row in project.ran()] == [False, True]


@ends(
    "import of_another_package; print(of_another_package.NUMBER, file=open('number', 'w')); "
    "task.output.touch()"
)
def test_a_job_runs_the_new_code_of_a_module_of_another_package(project):
    module, number = project.folder / "of_another_package.py", project.folder / "number"
    module.write_text("NUMBER = 1\n")
    for _ in range(2):  # the server imports the module after the first
        assert project.start().wait(timeout=60) == 0
    assert number.read_text() == "1\n"
    module.write_text("NUMBER = 22\n")
    assert project.start().wait(timeout=60) == 0
    assert number.read_text() == "22\n"


@pytest.mark.parametrize(
    ("project", "code", "said"),
    [
        ({"ends": "open('nowhere/x')"}, 2, "error: nowhere/x: No such file or directory"),
        ({"ends": "1 / 0"}, 1, "ZeroDivisionError: division by zero"),
        ({"ends": "sys.exit(75)"}, 75, ""),
        ({"ends": "os.kill(os.getpid(), 9)"}, 137, ""),
    ],
    indirect=["project"],
)
def test_the_exit_code_of_a_job_that_fails_reaches_snakemake(project, code, said):
    job = project.start()
    printed = job.communicate(timeout=60)[1]
    assert job.returncode == code
    assert said in printed
    assert not (project.folder / ".snakemake").exists()


@ends("time.sleep(60)")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_the_job(project, number, code):
    job = project.start()
    project.wait_for(project.ran)
    job.send_signal(number)
    assert job.wait(timeout=30) == code


@ends("Path('number').write_text(str(os.getpid())); time.sleep(60)")
def test_a_job_ends_with_the_process_that_asked_for_it(project):
    job = project.start()
    file = project.folder / "number"
    project.wait_for(lambda: file.exists() and file.read_text())
    job.kill()
    running = Path("/proc", file.read_text())
    project.wait_for(lambda: not running.exists())


@ends("time.sleep(1); task.output.touch()")
def test_a_job_that_runs_when_snakemake_ends_is_finished(project):
    job = project.start()
    project.wait_for(project.ran)
    project.parent.kill()
    assert job.wait(timeout=30) == 0
    assert (project.folder / "out").exists()
