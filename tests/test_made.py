"""What Snakemake made is told from what another hand put in its place, by content."""

import json
import os
import time

import pytest
from snakemake.persistence.file import FilePersistence

from hycon.made import Outputs


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Return a function that writes an output as a job would, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        records = FilePersistence(nolock=True)
        record = {"rule": "a", "endtime": os.stat(path).st_mtime}
        records._io_write(records._metadata_path, record, path)

    return write


def later(path, text=None):
    """Touch a file, or write another text, as a checkout does."""
    if text is not None:
        path.write_text(text)
    os.utime(path, (time.time() + 10, time.time() + 10))


def marked(path):
    return bool(FilePersistence(nolock=True)._filter_incomplete_keys([path]))


LONG = "results/" + "a-long-name/" * 20 + "b.md"


@pytest.mark.parametrize("path", ["results/a.md", LONG])
def test_a_stranger_is_marked_until_its_own_content_is_back(made, tmp_path, path):
    made(path, "one")
    assert Outputs().check() == []
    Outputs().remember()
    assert list(json.loads((tmp_path / ".snakemake/outputs.json").read_text())) == [path]
    later(tmp_path / path)  # a mere touch, or a checkout of the same
    assert Outputs().check() == []
    later(tmp_path / path, "two")
    assert Outputs().check() == [path]
    assert marked(path)
    later(tmp_path / path, "one")
    assert Outputs().check() == []
    assert not marked(path)


def test_what_a_job_made_since_is_no_stranger(made):
    made("a.md", "one")
    Outputs().remember()
    made("a.md", "two")  # by a run that was killed before it could remember
    assert Outputs().check() == []
    Outputs().remember()
    assert len(Outputs().kept) == 1


def test_a_stranger_is_not_remembered_as_made(made, tmp_path):
    made("a.md", "one")
    Outputs().remember()
    kept = Outputs().kept
    later(tmp_path / "a.md", "two")
    Outputs().remember()
    assert Outputs().kept == kept
    assert Outputs().check() == ["a.md"]


def test_without_records_or_with_damaged_ones_nothing_breaks(made, tmp_path):
    assert Outputs().check() == []
    made("a.md", "one")
    (tmp_path / ".snakemake/metadata/no base 64").write_text("?")
    (tmp_path / ".snakemake/outputs.json").write_text("{")
    (tmp_path / ".snakemake/seen.json").write_text("[]")
    assert Outputs().check() == []
    later(tmp_path / "a.md")  # of which no digest is known
    assert Outputs().check() == ["a.md"]
    (tmp_path / "a.md").unlink()
    assert Outputs().check() == []
