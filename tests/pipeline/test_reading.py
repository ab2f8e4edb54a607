"""Reading the workflow changes nothing; what it finds is made again where it is needed."""

import json
import re
import shutil

import pytest

from tests.pipeline.repository import ROOT, Repository, jobs

# Snakemake's own notes of having been called
OWN = (".snakemake/log/", ".snakemake/iocache/", ".snakemake/locks/", ".snakemake/auxiliary/")
READING = (
    ("--list-rules",),
    ("--dry-run", "all"),
    ("--lint",),
    ("--dag", "all"),
    ("--rulegraph", "all"),
    ("--summary", "--", "all"),
    ("--list-input-changes", "--", "all"),
)


def tree(folder):
    """Return path, content and time of every file and folder."""
    return {
        name: (path.stat().st_mtime_ns if path.is_file() else None,
               path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
        if "__pycache__" not in (name := str(path.relative_to(folder)))
        and not f"{name}/".startswith(OWN)
    }  # fmt: skip


@pytest.fixture
def made(plain, tmp_path):
    """Return a finished run of its own."""
    shutil.copytree(plain.folder, tmp_path / "made", symlinks=True)
    return Repository(tmp_path / "made")


@pytest.mark.parametrize("options", READING, ids=" ".join)
def test_reading_changes_not_a_byte_even_of_a_folder_that_is_in_disorder(made, options):
    shutil.rmtree(made / "results/runs/sample/hycon-v2-glove/seed-2")
    (made / "data/raw/sample/audio.csd").unlink()
    (made / "results/sample/tables/main.md").write_text("edited")
    (made / "results/runs/sample/alpha-05-glove/runs-1.json").write_text("{")
    shutil.rmtree(made / "data/features")
    before = tree(made.folder)
    made.tries("snakemake", "--cores", "1", *options)
    assert tree(made.folder) == before


def test_an_output_that_was_edited_touched_or_restored_is_known_by_its_content(made):
    table = made / "results/sample/tables/main.md"
    whole = table.read_bytes()
    table.write_bytes(whole + b"A better number.\n")
    assert made.planned() == {"tables": 1, "report": 1}
    table.write_bytes(whole)
    assert made.planned() == {}


def test_a_seed_that_is_gone_is_trained_again_and_no_other(made):
    shutil.rmtree(made / "results/runs/sample/hycon-v2-glove/seed-2")
    assert made.planned()["train"] == 1
    made.snakemake("all")
    log = (made / "logs/train/sample/hycon-v2-glove-1.log").read_text()
    assert "sample/hycon-v2-glove: 1 of 2 seeds are trained already" in log
    assert made.planned() == {}


def test_a_fetched_file_that_is_gone_is_missed_only_where_it_is_read(made):
    (made / "data/raw/sample/audio.csd").unlink()
    assert made.planned("all") == {}
    raw = made.snakemake("--dry-run", "raw")
    assert jobs(raw) == {"fetch": 1}
    found = made.snakemake("--dry-run", "data/aligned/sample/report.json", "--config",
                           "align={epsilon: 0.05}")  # fmt: skip
    assert jobs(found) == {"fetch": 1, "align": 1}


def test_files_that_no_job_made_here_are_not_up_to_date(made):
    """The digests are gone, as in a folder whose .snakemake was deleted."""
    shutil.rmtree(made / ".snakemake")
    assert made.planned("results/sample/tables/main.md")["tables"] == 1
    assert made.planned("results/metrics.json")["collect"] == 1


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a fresh clone of this repository as it stands, committed results included."""
    folder = tmp_path_factory.mktemp("clone")
    source = Repository(ROOT)
    if not (ROOT / ".git").exists():
        pytest.skip("NOT TESTED: this is no git repository to be cloned")
    files = source.run("git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    repository = Repository(folder / "source")
    for name in files:
        if (ROOT / name).is_file():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, repository / name)
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("All")
    Repository(folder).git("clone", "--quiet", "source", "clone")
    return Repository(folder / "clone")


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("results/metrics.json", ("--configfile", "config/mosi-utterance.yaml")),
        ("results/metrics.json", ()),
        ("results/summary.json", ()),
        ("results/plots/curves.csv", ()),
        ("results/sample/tables/main.md", ()),
        ("results/sample/complexity.json", ()),
        ("results/sample/figures/alpha-curve-bert.svg", ()),
        ("results/mosi-utterance/tables/main.md", ()),  # of a corpus that is not asked for
        ("results/mosi-utterance/tables/tuned.md", ("--configfile", "config/mosi-utterance.yaml")),
    ],
)
def test_in_a_fresh_clone_what_git_brought_is_made_again(clone, target, options):
    assert (clone / target).exists()  # git brought it
    code, printed = clone.tries("snakemake", "--cores", "1", "--dry-run", *options, "--", target)
    assert code == 0, printed
    assert "Nothing to be done" not in printed
    planned = jobs(printed)
    assert {"train", "evaluate"} <= set(planned) or set(planned) >= {"complexity", "encode"}


def test_a_table_that_the_parameters_do_not_have_is_named_in_one_line(clone):
    target = "results/mosi-utterance/tables/tuned.md"
    code, printed = clone.tries("snakemake", "--cores", "1", "--dry-run", "--", target)
    assert code == 2
    (line,) = (line for line in printed.splitlines() if line.startswith("error: "))
    assert line.startswith("error: tables mosi-utterance/tuned: no such job")


SECOND = """
corpora: [sample-emotion]
seeds: [1]
catalogue: {sample-emotion: {generator: {videos: 8, utterances_per_video: 4}}}
per_corpus: {sample-emotion: {train: {epochs: 1}}}
"""


def test_each_corpus_keeps_its_metrics_and_those_of_all_are_never_a_leftover(made):
    corpora = made / "results/metrics.json"
    first = corpora.read_bytes()
    own = (made / "results/sample/metrics.json").read_bytes()
    assert json.loads(own) == json.loads(first)["sample"]
    (made / "second.yaml").write_text(SECOND)
    made.snakemake("results/metrics.json", "--configfile", "second.yaml")
    assert list(json.loads(corpora.read_text())) == ["sample-emotion"]
    assert (made / "results/sample/metrics.json").read_bytes() == own
    # back: asked for by name, and nothing but it is made again
    printed = made.snakemake("results/metrics.json")
    assert jobs(printed) == {"collect": 1}
    assert corpora.read_bytes() == first
    assert made.planned() == {}


def test_seeds_in_blocks_have_the_same_bits(made):
    kept = [
        name for name in made.contents("results/runs/sample")
        if name.endswith((".safetensors", "history.csv"))
    ]  # fmt: skip
    before = made.contents("results/runs/sample")
    shutil.rmtree(made / "results/runs")
    printed = made.snakemake("runs", "--config", "seeds_per_job=1")
    assert len(re.findall(r"%\] train ", printed)) == 6
    after = made.contents("results/runs/sample")
    assert [name for name in kept if after[name] != before[name]] == []
    assert {"results/runs/sample/hycon-v2-glove/runs-2.json"} <= set(after)
    # and another size of the blocks trains nothing again
    made.snakemake("runs")
    logs = [path.read_text() for path in (made / "logs/train/sample").glob("*-1.log")]
    assert sum("2 of 2 seeds are trained already" in text for text in logs) == 3
