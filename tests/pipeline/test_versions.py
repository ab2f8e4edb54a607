"""A version's data and results are its own: whatever is checked out, edited or broken off."""

import os
import re

import pytest

from tests.pipeline.repository import B_LAMBDA, INTERRUPT, KEPT, KILL, TABLES, Repository, jobs


def test_going_back_restores_every_byte_and_leaves_nothing_to_do(origin, clone):
    assert clone.contents(*KEPT) == origin.made["B"]
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout")
    found = clone.contents(*KEPT)
    assert found == origin.made["A"]
    assert clone.clean()


@pytest.mark.parametrize("with_dvc", [True, False])
def test_old_results_are_never_taken_for_those_of_new_parameters(origin, clone, with_dvc):
    clone.git("checkout", "--quiet", "A")
    if with_dvc:
        clone.dvc("checkout", "--quiet")
        assert clone.planned() == {}
    clone.set(*B_LAMBDA)  # by hand what B had
    if with_dvc:
        clone.dvc("repro")
    else:  # nor if the data of B was left there, and Snakemake's record says that all is made
        assert "not made by a job here; regenerated if needed" in clone.snakemake("all")
    for name, content in clone.contents(*TABLES).items():
        assert content == origin.made["B"][name], name
    for name in ("results/metrics.json", "results/summary.json"):
        assert (clone / name).read_bytes() == origin.made["B"][name]


def test_results_of_other_code_or_another_look_are_not_taken_for_todays(clone):
    metrics, mean = "hycon/evaluation/metrics.py", "_mean(np.abs(predictions - labels), weights)"
    clone.set(mean, f"2 * {mean}", metrics)
    clone.set("line: '#0072B2'", "line: '#009E73'")
    clone.dvc("repro")
    clone.commit("C")
    new = clone.contents("results")
    # results of B, and then by hand the code and the colour of C
    clone.git("checkout", "--quiet", "B")
    clone.set(mean, f"2 * {mean}", metrics)
    clone.set("line: '#0072B2'", "line: '#009E73'")
    clone.snakemake("all")
    found = clone.contents("results")
    apart = {name for name in new if found[name] != new[name]}
    assert apart <= {"results/report.html"}  # which says the commit
    assert clone.planned() == {}


def test_data_of_another_version_are_regenerated(origin, clone):
    """A version of which the first phases alone were recorded, and then back by hand."""
    generator = "videos: 10"
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout", "--quiet")
    text = (clone / "corpora.yaml").read_text()
    (clone / "corpora.yaml").write_text(text.replace(generator, "videos: 12", 1))
    clone.dvc("repro", "features")
    clone.commit("Half of another version")
    other = clone.cloned(clone.folder.parent / "other", origin / ".dvc/cache")
    (other / "corpora.yaml").write_text(text)
    other.dvc("repro")
    assert other.clean()
    for name, content in other.contents("data", *TABLES).items():
        assert content == origin.made["A"][name], name


def test_an_edited_result_is_regenerated(origin, clone):
    path = clone / "results/summary.json"
    whole = path.read_bytes()
    path.write_text(re.sub(r'"mae_all": [\d.]+', '"mae_all": 0.0001', path.read_text()))
    with (clone / "results/sample/tables/main.md").open("a") as file:
        file.write("A better number.\n")
    assert clone.planned() == {"collect": 1, "tables": 1, "report": 1}
    clone.dvc("repro")
    assert path.read_bytes() == whole
    assert b"A better" not in (clone / "results/sample/tables/main.md").read_bytes()
    assert clone.clean()


def test_interrupted_phases_are_rerun(origin, clone):
    """Runs that were recorded without their evidence, and another value by hand."""
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout", "--quiet")
    clone.set("intra: 0.1", "intra: 0.4")
    clone.dvc("repro", "runs")
    clone.commit("Runs alone")
    other = clone.cloned(clone.folder.parent / "other", origin / ".dvc/cache")
    other.set("intra: 0.4", "intra: 0.1")
    other.dvc("repro")
    assert other.clean()
    summary = "results/summary.json"
    assert (other / summary).read_bytes() == origin.made["A"][summary]


def test_a_damaged_record_of_runs_is_no_record(clone):
    for text in ("", "{}"):
        (clone / "results/runs/sample/alpha-05-glove/runs-1.json").write_text(text)
        assert clone.planned()["train"] == 1


@pytest.mark.parametrize(
    ("what", "old", "new", "asked", "said"),
    [
        ("scores.json", r'"parameters digest": "\w+"', f'"parameters digest": "{"0" * 16}"',
         "tables -- results/sample/tables/alpha.md",
         f"made with other parameters (digest {'0' * 16}) than the present ones"),
        ("seed-1/run.json", '"alpha": 0.5', '"alpha": 0.25',
         "evaluate -- results/runs/sample/alpha-05-glove/scores.json",
         "made with other parameters (settings.train.alpha 0.25, expected 0.5)"),
    ],
)  # fmt: skip
def test_results_of_other_parameters_are_refused_by_name(clone, what, old, new, asked, said):
    # as old as it was, so that nobody notices by its time
    row = "results/runs/sample/alpha-05-glove"
    clone.snakemake("--forcerun", "evaluate", "--", f"{row}/scores.json")
    path = clone / row / what
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_text(re.sub(old, new, path.read_text()))
    os.utime(path, ns=times)
    code, printed = clone.tries("snakemake", "--cores", "1", "--forcerun", *asked.split())
    assert code != 0
    assert f"{row}/{what}: {said}" in printed


def test_a_fresh_clone_needs_no_training(origin, tmp_path):
    repository = Repository(tmp_path / "fresh")
    origin.git("clone", "--quiet", str(origin.folder), str(repository.folder))
    repository.dvc("pull", "--allow-missing")
    assert repository.planned() == {}
    # what licences forbid to pass on was not pushed: it is fetched again, and nothing else is done
    assert not (repository / "data/raw").exists()
    printed = repository.dvc("repro")
    assert jobs(printed) == {"fetch": 6}
    assert repository.clean()
    assert repository.contents("results/runs") == origin.contents("results/runs")


@pytest.mark.parametrize(("tool", "when", "how"), [
    ("snakemake", r"%\] evaluate ", KILL),
    ("dvc", r"%\] train ", INTERRUPT),
])  # fmt: skip
def test_an_interrupted_run_resumes(clone, origin, tool, when, how):
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout", "--quiet")
    clone.set(*B_LAMBDA)
    command = ["dvc", "repro"] if tool == "dvc" else ["snakemake", "--cores", "1", "all"]
    printed = clone.stop(command, when, how)
    assert "%] report" not in printed  # it was interrupted
    done = {
        name: content
        for name, content in clone.contents("results/runs").items()
        if name.endswith("run.json") and b'"intra": 0.3' in content
    }
    assert done
    code, printed = clone.tries(*command)
    if code != 0:  # a killed Snakemake leaves a lock, unless it was between two phases
        assert how is KILL
        assert "It can be removed with the --unlock argument" in printed
        clone.run("snakemake", "--cores", "1", "--unlock")
        clone.run(*command)
    assert clone.planned() == {}
    for name in ("results/metrics.json", "results/sample/tables/main.csv"):
        assert (clone / name).read_bytes() == origin.made["B"][name]
    # finished runs are unchanged
    for name, content in done.items():
        assert (clone / name).read_bytes() == content
