"""The page about a corpus of your own: its example, from a folder of files to tables."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.pipeline.repository import ROOT, make
from tests.test_docs import PAGES, commands, python_blocks

PAGE = "docs/own-corpus.md"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder in which the commands of the page have run."""
    repository = make(tmp_path_factory.mktemp("own"))
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, repository.folder)
    repository.set("seeds: [1, 2, 3]", "seeds: [1]")
    shutil.copytree(ROOT / "config", repository / "config")
    (example,) = python_blocks(PAGE)
    subprocess.run([sys.executable, "-c", example], cwd=repository.folder, check=True)
    first = re.search(r"```sh\n(.*?)```", PAGES[PAGE], re.DOTALL).group(0)
    printed = [repository.run(*shlex.split(command)) for command in commands(first)]
    return repository, printed


def test_the_commands_of_the_page_end_in_tables(project):
    repository, (added, _, shown) = project
    assert "added my-corpus: text, audio" in added
    assert "88 / 8 / 24 utterances in train, validation and test; 30 groups" in added
    assert "Control: Text" in shown
    table = (repository / "results/my-corpus/tables/main.md").read_text()
    lines = [line.split("|")[2].strip() for line in table.splitlines() if line.startswith("| Mini")]
    assert lines == [
        "HyCon", "HyCon-v2", "No contrastive learning",
        "Control: Text", "Control: Audio", "Control: Audio shuffled", "Control: Constant",
    ]  # fmt: skip
    table = (repository / "results/my-corpus/tables/modalities.md").read_text()
    assert (
        "Vision, Text and vision, Audio and vision, Vision shuffled (the corpus has no vis" in table
    )


def test_a_trained_run_predicts_what_it_has_predicted(project, tmp_path):
    repository, _ = project
    row, output = "results/runs/my-corpus/hycon-v2-minilm", tmp_path / "out.csv"
    given = ("--run", f"{row}/seed-1", "--output", str(output))
    printed = repository.run("hycon", "predict", *given, "--corpus", "my-corpus", "--fold", "test")
    found = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
    known = json.loads((repository / row / "scores.json").read_text())["seeds"]["1"]["test"]
    assert {name: found[name] for name in known} == pytest.approx(known, abs=1e-5)
    assert found["n"] == 24
    # the folder of files gives the same as the aligned corpus
    with output.open() as file:
        before = {line["name"]: float(line["prediction"]) for line in csv.DictReader(file)}
    table = ("--table", "my-corpus/utterances.csv", "--audio", "my-corpus/audio.npz")
    repository.run("hycon", "predict", *given, *table, "--label", "sentiment")
    with output.open() as file:
        after = {line["name"]: float(line["prediction"]) for line in csv.DictReader(file)}
    assert len(after) == 120
    assert {name: after[name] for name in before} == pytest.approx(before, abs=1e-5)
    code, said = repository.tries("hycon", "predict", *given, *table[:2])
    assert code == 2
    assert "my-corpus/utterances.csv: has no audio, which the run was trained on" in said
