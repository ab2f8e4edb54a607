"""Outputs are known by their content: what no job has left here is found, and only that."""

import asyncio
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.io import IOFile
from snakemake.persistence import PersistenceBase
from snakemake.persistence.file import FilePersistence

from hycon.plan.job import Job
from hycon.plan.records import RECORDS, SEEN, modified, record, refresh
from hycon.plan.snakemake import remake
from hycon.plan.tasks import TinyTask

LONG = "results/" + "a-long-name/" * 20 + "b.md"


def job(*writes, name="a", kind="bert", **more):
    task = TinyTask(kind=kind, aligned=Path("data"), output=Path("out"))
    return Job(stage="tiny", name=name, phase="features", code=(), task=task, writes=writes, **more)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    later = time.time() + 10
    os.utime(path, (later, later))


@pytest.mark.parametrize("path", ["results/a.md", LONG])
def test_an_output_is_modified_until_its_own_content_is_back(path):
    made = job(path)
    assert modified([made]) == []  # it is not there
    write(path, "one")
    assert modified([made]) == [path]  # it is, but no job has left it
    record(made)
    assert modified([made]) == []
    write(path, "two")
    assert modified([made]) == [path]
    write(path, "one")
    assert modified([made]) == []


def test_sizes_and_times_are_remembered_only_when_asked_and_spare_a_second_reading(monkeypatch):
    made = job("a", "b")
    for path in made.writes:
        write(path, "one")
    record(made)
    assert modified([made]) == []
    assert not SEEN.exists()
    refresh([made])
    read = []
    monkeypatch.setattr("hycon.plan.records.sha256_of", lambda path: read.append(str(path)) or "?")
    assert modified([made]) == []
    assert read == []
    write("b", "other")
    assert modified([made]) == ["b"]
    assert read == ["b"]


def test_remembering_an_output_that_was_edited_does_not_make_it_what_was_made():
    made = job("a")
    write("a", "one")
    record(made)
    write("a", "two")
    refresh([made])
    assert modified([made]) == ["a"]


def test_kept_files_must_be_there():
    run = job("runs.json", keeps=("seed-1/run.json",))
    write("runs.json", "{}")
    record(run)
    assert modified([run]) == ["runs.json"]
    write("seed-1/run.json", "{}")
    assert modified([run]) == []


def test_disposable_files_must_be_there_only_where_they_are_asked_for_or_read():
    fetched = job("x.sha256", name="f", keeps=("x",), disposable=True)
    reader = job("aligned", name="r", reads=("x.sha256",))
    for made in (fetched, reader):
        write(made.writes[0], "text")
        record(made)
    assert modified([fetched, reader]) == []
    assert modified([fetched, reader], targets={"features"}) == ["x.sha256"]  # its phase
    assert modified([fetched, reader], targets={"x.sha256"}) == ["x.sha256"]
    other = job("aligned", name="r", kind="xlnet", reads=("x.sha256",))  # has to run again
    assert modified([fetched, other]) == ["x.sha256"]
    os.remove("aligned")
    assert modified([fetched, reader]) == ["x.sha256"]


@pytest.mark.parametrize("content", ["{", "[]", '{"outputs": 5}', '{"outputs": {"a": [1]}}'])
def test_damaged_records_break_nothing_and_are_not_believed(content):
    made = job("a")
    write("a", "one")
    record(made)
    write(RECORDS / "tiny/a.json", content)
    write(SEEN, content)
    assert modified([made]) == ["a"]
    record(made)
    assert modified([made]) == []


def test_snakemake_asks_which_outputs_are_incomplete_once_it_knows_its_jobs(monkeypatch):
    """The contract with Snakemake; tests/pipeline/test_reading.py has what comes of it."""
    monkeypatch.setattr(PersistenceBase, "incomplete", PersistenceBase.incomplete)
    asked = []
    remake(lambda targets: asked.append(targets) or ["b"])
    workflow = SimpleNamespace(dag_settings=SimpleNamespace(targets={"all"}))
    dag = SimpleNamespace(workflow=workflow)
    one = SimpleNamespace(output=[IOFile("a"), IOFile("b")], dag=dag)
    persistence = FilePersistence(nolock=True)
    assert [asyncio.run(persistence.incomplete(one)) for _ in range(2)] == [["b"], ["b"]]
    assert asked == [{"all"}]
