"""`hycon verify`: a run's numbers and those of a commit, in words and as an exit code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hycon.commands import verify
from hycon.errors import HyConError
from hycon.plan.job import JobDocument
from hycon.plan.records import record

MAIN, METRICS = "results/sample/tables/main.csv", "results/sample/metrics.json"
OTHER = "results/mosi/tables/main.csv"
MEASURED = [
    f"results/sample/tables/{name}-measured.csv" for name in ("complexity", "complexity-peers")
]
SCORES = "corpus,model,n,mae_mean,mae_std\nsample,HyCon,3,0.8,0.1\nsample,Plain,3,0.5,0.1\n"
VALUES = '{"main": {"a-bert": {"mae": {"mean": 0.8, "std": 0.1, "n": 3}}}}'


def git(*arguments):
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *author, *arguments], check=True, capture_output=True)


def made(path, text):
    """Write a file as a job does, which leaves its digest."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    stage = "tables" if path.suffix == ".csv" else "aggregate"
    name = f"{path.parts[1]}/{path.stem}"
    record(JobDocument(stage=stage, name=name, key="k", writes=[str(path)], task={}))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a clone with committed results of two corpora, one of which was run here."""
    monkeypatch.chdir(tmp_path)
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    made(MAIN, SCORES)
    made(METRICS, VALUES)
    # neither is compared: times differ, and the other corpus was not run
    for name in MEASURED:
        made(name, "label,seconds\nA,1.5\n")
    Path(OTHER).parent.mkdir(parents=True)
    Path(OTHER).write_text(SCORES)
    git("init", "--quiet")
    git("add", "results")
    git("commit", "--quiet", "--message", "Results")
    for name in MEASURED:
        made(name, "label,seconds\nA,9.5\n")
    return tmp_path


def said(capsys, *given):
    """Return the exit code and what is printed."""
    try:
        verify.main(given)
        code = 0
    except SystemExit as end:
        code = end.code
    return code, capsys.readouterr().out


def test_a_run_that_met_every_number_ends_with_0(project, capsys):
    code, printed = said(capsys)
    assert code == 0
    # main.csv has 3 numbers in each of 2 rows, metrics.json 3
    assert (
        "  sample: 9 exact, 0 within rounding, 0 within the spread, 0 not met (0 not judged)\n"
        "  not run here: mosi\n"
    ) in printed
    assert "Not met" not in printed


def test_rounding_and_the_spread_are_met_and_told_apart(project, capsys):
    made(MAIN, SCORES.replace("HyCon,3,0.8", "HyCon,3,0.8000001").replace("0.5,0.1", "0.45,0.12"))
    code, printed = said(capsys)
    assert code == 0
    assert "6 exact, 1 within rounding, 1 within the spread, 0 not met (1 not judged)" in printed


def test_what_was_not_met_is_listed_the_farthest_first_and_ends_with_1(project, capsys):
    made(MAIN, SCORES.replace("HyCon,3,0.8", "HyCon,3,0.95").replace("Plain,3,0.5", "Plain,3,0.9"))
    made(METRICS, VALUES.replace('"n": 3', '"n": 2'))
    code, printed = said(capsys, "--json", "differences.json")
    assert code == 1
    listed = printed.split("farthest first:\n")[1].splitlines()
    assert listed[:3] == [
        f"  {MAIN}: sample, Plain: mae_mean: committed 0.5, found 0.9",
        f"  {MAIN}: sample, HyCon: mae_mean: committed 0.8, found 0.95",
        f"  {METRICS}: main, a-bert, mae: n: committed 3, found 2",
    ]
    written = json.loads((project / "differences.json").read_text())
    assert written["files"][MAIN]["not met"] == 2
    assert [each["found"] for each in written["differing"]] == [2, 0.95, 0.9]


def test_ten_are_listed_and_a_row_of_two_tables_once(project, capsys):
    rows = "".join(f"sample,Row {number},3,{number}.5,0.1\n" for number in range(15))
    again = "results/sample/tables/again.csv"
    made(MAIN, SCORES + rows)
    made(again, SCORES + rows)
    git("add", "results")
    git("commit", "--quiet", "--message", "More")
    made(MAIN, SCORES + rows.replace(".5,", ".9,"))
    made(again, SCORES + rows.replace(".5,", ".9,"))
    code, printed = said(capsys)
    assert code == 1
    assert "30 not met" in printed
    assert printed.count(": committed ") == 10
    assert "  and 5 more\n" in printed


def test_a_missing_file_is_not_met_and_one_that_no_commit_has_is_named(project, capsys):
    Path(MAIN).unlink()
    made("results/sample/tables/new.csv", SCORES)
    code, printed = said(capsys)
    assert code == 1
    assert f"  {MAIN}: 6 numbers missing\n" in printed
    assert "  made here and not committed: results/sample/tables/new.csv\n" in printed


def test_what_was_changed_after_a_job_made_it_is_not_of_the_run(project, capsys):
    Path(MAIN).write_text(SCORES.replace("0.8", "0.9"))
    code, printed = said(capsys)
    assert code == 0
    assert "  sample: 3 exact" in printed
    assert f"  not run here: mosi\n  not made by a job here: {MAIN}\n" in printed


def test_another_commit_and_one_corpus_can_be_named(project, capsys):
    made(MAIN, SCORES.replace("0.8", "0.95"))
    git("add", "results")
    git("commit", "--quiet", "--message", "Another run")
    assert said(capsys)[0] == 0
    assert said(capsys, "--against", "HEAD~1")[0] == 1
    assert said(capsys, "--against", "HEAD~1", "--corpus", "sample")[0] == 1


def remove(project):
    shutil.rmtree(project / ".git")


def empty(project):
    shutil.rmtree(project / ".snakemake")


def break_it(project):
    made(MAIN, "model,mae\nA,0.5,0.6\n")


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        (remove, (), "git: fatal: not a git repository"),
        (empty, (), "results: no committed file was made by a job here; run snakemake --cores 1"),
        (break_it, (), f"{MAIN}: cannot be read (a row has more or fewer cells than the header); "),
        (None, ("--against", "no-such"), "--against no-such: no such commit"),
        (None, ("--corpus", "nothing"), "--corpus nothing: no committed numbers; HEAD has mosi, s"),
        (None, ("--corpus", "mosi"), "results: no committed file was made by a job here"),
    ],
)
def test_what_cannot_be_compared_is_one_line(project, capsys, change, given, message):
    if change:
        change(project)
    with pytest.raises(HyConError) as caught:
        verify.main(given)
    assert str(caught.value).startswith(message)


def test_without_git_the_line_says_so(project, monkeypatch):
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(HyConError, match="git: not found"):
        verify.main(())


def test_the_command_ends_with_2_where_nothing_can_be_compared(project):
    (project / "params.yaml").touch()
    remove(project)
    command = [sys.executable, "-m", "hycon", "verify"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: git: fatal: not a git repository")
    assert len(done.stderr.splitlines()) == 1
