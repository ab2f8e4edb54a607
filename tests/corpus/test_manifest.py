"""The manifest remembers what came, readable for people, and parallel jobs lose nothing of it."""

import json
import subprocess
import sys
import threading

import pytest

from hycon.atomic_io import exclusive
from hycon.corpus.manifest import Known, record, recorded
from hycon.errors import HyConError

KNOWN = Known("a" * 64, 123, "http://example.org/b.csd")


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "manifest.json"


def test_nothing_is_recorded_where_there_is_no_manifest(manifest):
    assert recorded(manifest, "mosi", "b.csd") is None
    assert not manifest.exists()


def test_what_was_recorded_is_found_by_corpus_and_name(manifest):
    record(manifest, "mosi", "b.csd", KNOWN)
    assert recorded(manifest, "mosi", "b.csd") == KNOWN
    assert recorded(manifest, "mosi", "a.csd") is None
    assert recorded(manifest, "mosei", "b.csd") is None


def test_the_file_is_sorted_and_reads_well(manifest):
    record(manifest, "mosi", "b.csd", KNOWN)
    record(manifest, "mosei", "c.csd", Known("b" * 64, None, "placed manually"))
    record(manifest, "mosi", "a.csd", KNOWN)
    entry = {"sha256": "a" * 64, "size": 123, "source": "http://example.org/b.csd"}
    other = {"sha256": "b" * 64, "size": None, "source": "placed manually"}
    expected = {"mosei": {"c.csd": other}, "mosi": {"a.csd": entry, "b.csd": entry}}
    assert manifest.read_text() == json.dumps(expected, indent=1) + "\n"
    assert [path.name for path in manifest.parent.iterdir()] == [manifest.name]


def test_an_equal_entry_is_not_written_again_and_another_one_replaces_it(manifest):
    record(manifest, "mosi", "b.csd", KNOWN)
    written = manifest.stat()
    record(manifest, "mosi", "b.csd", KNOWN)
    assert (manifest.stat().st_ino, manifest.stat().st_mtime_ns) == (
        written.st_ino,
        written.st_mtime_ns,
    )
    record(manifest, "mosi", "b.csd", Known("b" * 64, 5, "elsewhere"))
    assert recorded(manifest, "mosi", "b.csd") == Known("b" * 64, 5, "elsewhere")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON"),
        ("<<<<<<< HEAD\n{}", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"mosi": {}, "mosi": {}}', "duplicate key 'mosi'"),
        ("[]", "found no corpora"),
        ('{"mosi": []}', "mosi: found no files"),
        ('{"mosi": {"b.csd": "a"}}', "mosi: b.csd: expected sha256, size and source"),
        ('{"mosi": {"b.csd": {"sha256": "A", "size": 1, "source": ""}}}', "sha256 is 'A'"),
        (
            json.dumps({"mosi": {"b.csd": {"sha256": "a" * 64, "size": True, "source": ""}}}),
            "size is True",
        ),
        (
            json.dumps({"mosi": {"b.csd": {"sha256": "a" * 64, "size": 1, "source": None}}}),
            "source is None",
        ),
    ],
)
def test_a_malformed_manifest_is_named_and_left_alone(manifest, text, problem):
    manifest.write_text(text)
    for use in (
        lambda: recorded(manifest, "mosi", "b.csd"),
        lambda: record(manifest, "mosi", "c.csd", KNOWN),
    ):
        with pytest.raises(HyConError) as caught:
            use()
        message = str(caught.value)
        assert message.startswith(f"{manifest}: ")
        assert problem in message
        assert message.endswith("put it right, or restore it from git")
    assert manifest.read_text() == text


WRITER = """
import sys, threading
from pathlib import Path
from hycon.corpus.manifest import Known, record

def write(thread):
    for number in range(8):
        name = f"{sys.argv[2]}-{thread}-{number}.csd"
        record(Path(sys.argv[1]), f"corpus-{number % 2}", name, Known("a" * 64, number, name))

threads = [threading.Thread(target=write, args=(thread,)) for thread in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_parallel_processes_with_threads_lose_nothing_and_leave_no_lock(manifest):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(manifest), str(process)])
        for process in range(4)
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    names = {
        f"{process}-{thread}-{number}.csd"
        for process in range(4)
        for thread in range(3)
        for number in range(8)
    }
    content = json.loads(manifest.read_text())
    assert {name for files in content.values() for name in files} == names
    assert [path.name for path in manifest.parent.iterdir()] == [manifest.name]


def test_one_at_a_time_holds_a_lock_and_who_waits_says_so(tmp_path):
    inside, said = [], []

    def enter():
        with exclusive(tmp_path / "x", lambda: said.append("waiting")):
            inside.append("second")

    with exclusive(tmp_path / "x"):
        other = threading.Thread(target=enter)
        other.start()
        other.join(0.2)
        assert said == ["waiting"]
        assert inside == []
    other.join(5)
    assert inside == ["second"]
    assert not list(tmp_path.iterdir())
