"""DVC and Snakemake as one: real git, dvc and snakemake on a miniature of the sample."""

import json
import re
import time

import pytest
import yaml

from tests.pipeline.repository import INTERRUPT, KILL, Repository, jobs, make, phase

KEPT = ("data", "results", ".snakemake/metadata")
TABLES = ("results/sample/tables", "results/plots")


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """Return a repository with two versions that DVC made: tag A and, with another lambda1, B."""
    repository = make(tmp_path_factory.mktemp("origin"))
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("Project")
    repository.dvc("repro")
    repository.commit("A")
    repository.git("tag", "A")
    repository.made = {"A": repository.contents(*KEPT)}
    repository.set("intra: 0.1", "intra: 0.3")
    printed = repository.dvc("repro")
    # of three rows one has no contrastive term
    assert jobs(phase(printed, "runs")) == {"train": 2, "evaluate": 2}
    repository.commit("B")
    repository.git("tag", "B")
    repository.made["B"] = repository.contents(*KEPT)
    repository.dvc("remote", "add", "--quiet", "--default", "store",
                   str(tmp_path_factory.mktemp("store")))  # fmt: skip
    repository.commit("Remote")
    repository.dvc("push", "--quiet")
    return repository


@pytest.fixture
def clone(origin, tmp_path):
    """Return a clone at B, its data taken from the origin's cache."""
    repository = Repository(tmp_path / "clone")
    origin.git("clone", "--quiet", str(origin.folder), str(repository.folder))
    repository.dvc("config", "--local", "cache.dir", str(origin / ".dvc/cache"))
    repository.dvc("checkout", "--quiet")
    return repository


def summary(repository):
    found = json.loads((repository / "results/summary.json").read_text())["sample"]
    assert list(found) == ["main", "alpha"]
    return found["main"] | found["alpha"]


def test_dvc_makes_what_plain_snakemake_makes_without_git_and_dvc(plain, origin):
    expected = plain.contents(*TABLES)
    assert len(expected) == 4 * 4 + 3
    for name, content in {**expected, **plain.contents("data/aligned", "data/features")}.items():
        assert origin.made["A"][name] == content, name
    metrics = "results/metrics.json"
    assert origin.made["A"][metrics] == (plain / metrics).read_bytes()
    record = json.loads((plain / "results/runs/sample/hycon-v2-glove/seed-1/run.json").read_text())
    assert (record["commit"], record["clean"]) == (None, None)
    assert plain.planned() == {}


def test_a_second_repro_changes_nothing_and_is_quick(clone):
    before, started = clone.contents(*KEPT, ".dvc/config"), time.monotonic()
    printed = clone.dvc("repro")
    assert time.monotonic() - started < 15  # the promise; it takes about one second
    assert printed.count("didn't change, skipping") == 4
    assert clone.contents(*KEPT, ".dvc/config") == before
    assert clone.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("params.yaml", "line: '#0072B2'", "line: '#009E73'", {"figures": 1, "report": 1}),
        ("params.yaml", "f1: weighted", "f1: macro",
         {"evaluate": 3, "aggregate": 1, "tables": 2, "compare": 2, "figures": 1, "report": 1}),
        # a row for another alpha, and its name in the experiment
        ("params.yaml", "    - alpha-05\n", "    - alpha-05\n    - alpha-07\n",
         {"train": 1, "evaluate": 1, "aggregate": 1, "tables": 1, "compare": 1, "figures": 1,
          "report": 1}),
        ("params.yaml", "- 1\n- 2\n", "- 1\n- 2\n- 5\n",
         {"train": 3, "evaluate": 3, "aggregate": 1, "tables": 2, "compare": 2, "figures": 1,
          "report": 1}),
        # not the row without contrastive terms, and nothing is encoded again
        ("params.yaml", "intra: 0.3", "intra: 0.2",
         {"train": 2, "evaluate": 2, "aggregate": 1, "tables": 2, "compare": 2, "figures": 1,
          "report": 1}),
        ("params.yaml", "  alpha: 0.8\n", "  alpha: 0.6\n",
         {"train": 1, "evaluate": 1, "aggregate": 1, "tables": 2, "compare": 2, "figures": 1,
          "report": 1}),
        ("params.yaml", "seeds:", "# a comment\nseeds:", {}),
        ("params.yaml", "corpora:\n- sample\nseeds:\n- 1\n- 2\n",
         "seeds:\n- 1\n- 2\ncorpora:\n- sample\n", {}),
        # code: what it is used in, and not its comments
        ("hycon/losses/semi.py", "\ndef semi_term", "\n# a comment\ndef semi_term", {}),
        ("hycon/losses/semi.py", '"""', '"""Another docstring. ', {}),
        ("hycon/losses/semi.py", "\ndef semi_term", "\nANOTHER = 1\n\n\ndef semi_term",
         {"train": 3, "evaluate": 3, "aggregate": 1, "tables": 2, "compare": 2, "figures": 1,
          "report": 1}),
        ("hycon/evidence/figures.py", "\nNEIGHBOURS", "\nANOTHER = 1\nNEIGHBOURS",
         {"figures": 1, "report": 1}),
    ],
)  # fmt: skip
def test_an_edit_reruns_what_depends_on_it_and_nothing_else(clone, name, old, new, expected):
    text = (clone / name).read_text()
    assert old in text
    (clone / name).write_text(text.replace(old, new, 1))
    assert clone.planned() == expected


def test_dvc_reruns_what_snakemake_would(clone):
    clone.set("line: '#0072B2'", "line: '#009E73'")
    old = clone.contents("results")
    printed = clone.dvc("repro")
    assert "Stage 'runs' didn't change, skipping" in printed
    new = clone.contents("results")
    apart = {name for name in new if new[name] != old[name]}
    drawn = "results/sample/figures/alpha-curve-glove"
    assert apart == {f"{drawn}.{form}" for form in ("svg", "pdf", "png")} | {"results/report.html"}
    # a seed more trains that seed: the others' files are the same
    clone.set("- 1\n- 2\n", "- 1\n- 2\n- 5\n")
    runs = clone.contents("results/runs")
    printed = clone.dvc("repro")
    assert printed.count("2 of 3 seeds stand already") == 3
    found = clone.contents("results/runs")
    assert all(found[name] == content for name, content in runs.items() if "/seed-" in name)
    assert any("/seed-5/" in name for name in found)
    assert clone.clean()


def test_differences_between_commits_are_readable(clone):
    found = clone.dvc("metrics", "diff", "A", "B")
    rows = [line.split() for line in found.splitlines()[1:]]
    # MAE moves in the rows that have the loss, at most four places, and nothing is said of others
    names = {row[1] for row in rows}
    assert {"sample.main.hycon-v2-glove.mae_all", "sample.alpha.alpha-05-glove.mae_all"} <= names
    assert len(rows) <= 4
    assert not [name for name in names if "no-contrastive" in name or "seed" in name]
    for row in rows:
        assert all(re.fullmatch(r"-?\d+(\.\d{1,4})?", number) for number in row[2:]), row
        old, new, change = map(float, row[2:])
        assert change == pytest.approx(new - old, abs=1e-9)
    assert clone.dvc("params", "diff", "A", "B").splitlines()[1:] == [
        "params.yaml  train.lambdas.intra  0.1  0.3"
    ]


def test_the_workspace_is_compared_with_head(clone):
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout", "--quiet")
    assert clone.dvc("metrics", "diff").strip() == ""
    content = json.loads((clone / "results/summary.json").read_text())
    content["sample"]["main"]["hycon-v2-glove"]["mae_all"] += 0.5
    (clone / "results/summary.json").write_text(json.dumps(content))
    (row,) = clone.dvc("metrics", "diff").splitlines()[1:]
    assert row.split()[1] == "sample.main.hycon-v2-glove.mae_all"
    assert float(row.split()[-1]) == pytest.approx(0.5)


def test_plots_show_both_versions_of_curves_training_and_confusion(clone):
    clone.dvc("plots", "diff", "A", "B", "--out", "plots")
    page = (clone / "plots/index.html").read_text()
    specs = [json.loads(text) for text in re.findall(r"var spec = (\{.*?\});", page, re.DOTALL)]
    assert [spec["title"]["text"] for spec in specs] == [
        "Test metrics over a parameter, mean over seeds",
        "Validation score by epoch, mean over seeds",
        "Test fold, utterances of all seeds",
    ]
    for spec in specs:
        values = spec["data"]["values"]
        assert {value["rev"] for value in values} == {"A", "B"}
    assert {value["x"] for value in specs[0]["data"]["values"]} == {"0.5", "0.8"}
    assert {value["epoch"] for value in specs[1]["data"]["values"]} == {"1", "2"}
    # every utterance of the test fold, once a seed
    table = (clone / "data/aligned/sample/utterances.csv").read_text()
    for rev in "AB":
        counts = [int(v["count"]) for v in specs[2]["data"]["values"] if v["rev"] == rev]
        assert sum(counts) == 2 * len(re.findall(r",test,", table))


def test_going_back_restores_every_byte_and_leaves_nothing_to_do(origin, clone):
    assert clone.contents(*KEPT) == {
        name: content for name, content in origin.made["B"].items() if name in clone.contents(*KEPT)
    }
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout")
    found = clone.contents(*KEPT)
    assert found == origin.made["A"]
    assert clone.clean()


@pytest.mark.parametrize("with_dvc", [True, False])
def test_old_results_never_pass_for_those_of_new_parameters(origin, clone, with_dvc):
    clone.git("checkout", "--quiet", "A")
    if with_dvc:
        clone.dvc("checkout", "--quiet")
        assert clone.planned() == {}
    clone.set("intra: 0.1", "intra: 0.3")  # by hand what B had
    if with_dvc:
        clone.dvc("repro")
    else:  # nor if the data of B was left there, and Snakemake's record says that all is made
        assert "not made of the runs here" in clone.snakemake("all")
    for name, content in clone.contents(*TABLES).items():
        assert content == origin.made["B"][name], name
    for name in ("results/metrics.json", "results/summary.json"):
        assert (clone / name).read_bytes() == origin.made["B"][name]


@pytest.mark.parametrize("what", ["scores.json", "seed-1/run.json"])
def test_results_of_other_parameters_are_refused_by_name(clone, what):
    path = clone / "results/runs/sample/alpha-05-glove" / what
    text = path.read_text()
    if what == "scores.json":
        path.write_text(re.sub(r'"parameters digest": "\w+"', '"parameters digest": "0"', text))
        target, asked = "results/sample/tables/alpha.md", "tables"
        said = "made of other parameters (digest 0) than those now set"
    else:
        path.write_text(text.replace('"alpha": 0.5', '"alpha": 0.25'))
        target, asked = "results/runs/sample/alpha-05-glove/scores.json", "evaluate"
        said = "made with other parameters (settings.train.alpha 0.25, expected 0.5)"
    code, printed = clone.tries("snakemake", "--cores", "1", "--forcerun", asked, "--", target)
    assert code != 0
    assert f"results/runs/sample/alpha-05-glove/{what}: {said}" in printed


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


def test_experiments_run_in_place_apart_and_queued(clone):
    head = summary(clone)
    clone.dvc("exp", "run", "--name", "in-place", "-S", "train.lambdas.intra=0.2")
    assert clone.clean()
    in_place = summary(clone)
    clone.git("checkout", "--quiet", "--force", ".")
    clone.dvc("checkout", "--quiet", "--force")
    printed = clone.dvc("exp", "run", "--temp", "--name", "apart", "-S", "train.alpha=0.6")
    # only the one row whose alpha is the common one
    assert jobs(phase(printed, "runs")) == {"train": 1, "evaluate": 1}
    assert summary(clone) == head
    assert clone.clean()
    clone.dvc("exp", "run", "--queue", "--name", "queued", "-S", "train.lambdas.semi=0.5")
    clone.dvc("exp", "run", "--run-all")
    shown = clone.dvc("exp", "show", "--no-pager", "--only-changed", "--md")
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2 + 3  # heading, workspace and HEAD, three experiments
    assert len(lines[0].split("|")) <= 12
    clone.dvc("exp", "apply", "apart")
    assert clone.clean()
    assert yaml.safe_load((clone / "params.yaml").read_text())["train"]["alpha"] == 0.6
    assert summary(clone)["alpha-05-glove"] == head["alpha-05-glove"]
    clone.git("checkout", "--quiet", "--force", ".")
    clone.dvc("exp", "apply", "in-place")
    assert summary(clone) == in_place != head
    assert clone.planned() == {}


def test_after_plain_snakemake_one_command_settles_what_dvc_says(clone):
    clone.set("intra: 0.3", "intra: 0.25")
    clone.snakemake("all")
    status = clone.dvc("status")
    assert "modified:           results/runs" in status
    assert "modified:           train" in status
    clone.dvc("commit", "--force")
    assert clone.clean()


@pytest.mark.parametrize(("tool", "when", "how"), [
    ("snakemake", "^train ", INTERRUPT),
    ("snakemake", "^train ", KILL),
    ("dvc", "^train ", INTERRUPT),
    ("dvc", "Finished jobid.*evaluate", KILL),
])  # fmt: skip
def test_a_run_that_was_broken_off_goes_on(clone, origin, tool, when, how):
    clone.git("checkout", "--quiet", "A")
    clone.dvc("checkout", "--quiet")
    clone.set("intra: 0.1", "intra: 0.3")
    command = ["dvc", "repro"] if tool == "dvc" else ["snakemake", "--cores", "1", "all"]
    printed = clone.stop(command, when, how)
    assert "Rule: report" not in printed  # it was broken off before its end
    done = clone.contents("results/runs")
    code, printed = clone.tries(*command)
    if code != 0:  # a killed Snakemake leaves a lock, unless it was between two phases
        assert how is KILL
        assert "It can be removed with the --unlock argument" in printed
        clone.run("snakemake", "--cores", "1", "--unlock")
        clone.run(*command)
    assert clone.planned() == {}
    for name in ("results/metrics.json", "results/sample/tables/main.csv"):
        assert (clone / name).read_bytes() == origin.made["B"][name]
    # what was finished is as it was left
    for name, content in done.items():
        if name.endswith("run.json") and b'"intra": 0.3' in content:
            assert (clone / name).read_bytes() == content


def test_dvc_works_without_git(plain, tmp_path):
    repository = Repository(tmp_path / "no-git")
    plain.run("cp", "-r", str(plain.folder), str(repository.folder))
    repository.run("dvc", "init", "--no-scm", "--force")
    repository.dvc("commit", "--force")
    assert repository.clean()
    repository.set("intra: 0.1", "intra: 0.3")
    printed = repository.dvc("repro")
    assert jobs(phase(printed, "runs")) == {"train": 2, "evaluate": 2}
    assert repository.clean()
