"""`hycon corpora` says what is here, what is missing and what is wrong."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hycon.commands import corpora
from hycon.errors import HyConError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(project, corpus, name, content):
    path = project / "data/raw" / corpus / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def line(capsys, corpus):
    """Return what the list says of a corpus, in columns."""
    corpora.main([])
    found = next(row for row in capsys.readouterr().out.splitlines() if row.startswith(corpus))
    return [part.strip() for part in found.split("  ") if part.strip()]


def test_a_corpus_is_missing_partly_here_verified_or_different(project, capsys):
    assert line(capsys, "mosei ") == ["mosei", "scores", "sequences", "0 of 5", "missing"]
    digest = put(project, "mosei", "CMU_MOSEI_COVAREP.csd", b"a" * 2_500_000)
    assert line(capsys, "mosei ")[3:] == ["1 of 5", "2.5 MB", "4 missing, 1 not checked"]
    manifest = {"CMU_MOSEI_COVAREP.csd": {"sha256": digest, "size": 2_500_000, "source": "x"}}
    (project / "corpora.manifest.json").write_text(json.dumps({"mosei": manifest}))
    assert line(capsys, "mosei ")[3:] == ["1 of 5", "2.5 MB", "4 missing, 1 verified"]
    put(project, "mosei", "CMU_MOSEI_COVAREP.csd", b"b" * 2_500_000)
    assert line(capsys, "mosei ")[3:] == ["1 of 5", "2.5 MB", "1 differs, 4 missing"]


def test_one_corpus_is_described_with_both_digests_addresses_licence_and_where_to_put_files(
    project, capsys
):
    digest = put(project, "mosi", "CMU_MOSI_TimestampedWords.csd", b"other")
    corpora.main(["mosi"])
    said = capsys.readouterr().out
    assert f"sha256 {digest}, expected 181272eb" in said
    assert "data/raw/mosi/CMU_MOSI_COVAREP.csd" in said
    for path in ("CMU_MOSI_VisualFacet_4.1.csd", "CMU_MOSI_Visual_Facet_41.csd"):
        assert f"from http://immortal.multicomp.cs.cmu.edu/CMU-MOSI/visual/{path}" in said
    assert "Academic use only" in said
    assert "IEEE Intelligent Systems" in said


def test_an_unknown_corpus_is_refused_with_those_there_are(project):
    with pytest.raises(HyConError, match=r"mosy: no such corpus; corpora\.yaml has sample, "):
        corpora.main(["mosy"])


def test_the_command_says_what_it_can_do_and_refuses_the_rest(project):
    def hycon(*arguments):
        command = [sys.executable, "-m", "hycon", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "corpora" in hycon("--help").stdout
    refused = hycon("corpus")
    assert refused.returncode == 2
    assert "error: unknown command corpus" in refused.stderr
    refused = hycon("corpora", "mosy")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: mosy: no such corpus; corpora.yaml has sample, ")
    assert refused.stderr.count("\n") == 1
    (project / "params.yaml").unlink()
    refused = hycon("corpora")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: params.yaml: not found; run hycon in ")
