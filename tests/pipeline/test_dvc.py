"""DVC and Snakemake as one: real git, dvc and snakemake on a miniature of the sample."""

import json
import re

import pytest
import yaml

from tests.pipeline.repository import B_LAMBDA, KEPT, TABLES, Repository, jobs, phase


def summary(repository):
    found = json.loads((repository / "results/summary.json").read_text())["sample"]
    assert list(found) == ["main", "alpha"]
    return found["main"] | found["alpha"]


def test_dvc_makes_what_plain_snakemake_makes_without_git_and_dvc(plain, origin):
    expected = plain.contents(*TABLES)
    assert len(expected) == 5 * 4 + 3
    for name, content in {**expected, **plain.contents("data/aligned", "data/features")}.items():
        assert origin.made["A"][name] == content, name
    metrics = "results/metrics.json"
    assert origin.made["A"][metrics] == (plain / metrics).read_bytes()
    record = json.loads((plain / "results/runs/sample/hycon-v2-glove/seed-1/run.json").read_text())
    assert (record["commit"], record["clean"]) == (None, None)
    assert plain.planned() == {}


def test_a_second_repro_changes_nothing_and_runs_no_phase(clone):
    before = clone.contents(*KEPT, ".dvc/config")
    printed = clone.dvc("repro")
    assert printed.count("didn't change, skipping") == 4
    assert clone.contents(*KEPT, ".dvc/config") == before
    assert clone.git("status", "--porcelain") == ""


# what follows from other scores: each corpus's metrics and those of all; two tables, their
# differences and the claims; the curve and two pictures of each differences; the page
SHOWN = {"aggregate": 1, "collect": 1, "tables": 5, "claims": 1, "figures": 5, "report": 1}


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("params.yaml", "line: '#0072B2'", "line: '#009E73'", {"figures": 5, "report": 1}),
        ("params.yaml", "f1: weighted", "f1: macro", {"evaluate": 3} | SHOWN),
        # a row for another alpha, and its name in the experiment
        ("params.yaml", "    - alpha-05\n", "    - alpha-05\n    - alpha-07\n",
         {"train": 1, "evaluate": 1, "aggregate": 1, "collect": 1, "tables": 2, "figures": 3,
          "report": 1}),
        ("params.yaml", "- 1\n- 2\n", "- 1\n- 2\n- 5\n", {"train": 3, "evaluate": 3} | SHOWN),
        # not the row without contrastive terms, and nothing is encoded again
        ("params.yaml", "intra: 0.3", "intra: 0.2", {"train": 2, "evaluate": 2} | SHOWN),
        ("params.yaml", "  alpha: 0.8\n", "  alpha: 0.6\n", {"train": 1, "evaluate": 1} | SHOWN),
        ("params.yaml", "seeds:", "# a comment\nseeds:", {}),
        ("params.yaml", "corpora:\n- sample\nseeds:\n- 1\n- 2\n",
         "seeds:\n- 1\n- 2\ncorpora:\n- sample\n", {}),
        # code: what it is used in, and not its comments
        ("hycon/losses/semi.py", "\ndef semi_term", "\n# a comment\ndef semi_term", {}),
        ("hycon/losses/semi.py", '"""', '"""Another docstring. ', {}),
        ("hycon/losses/semi.py", "\ndef semi_term", "\nANOTHER = 1\n\n\ndef semi_term",
         {"train": 3, "evaluate": 3} | SHOWN),
        ("hycon/reporting/figures.py", "\nNEIGHBOURS", "\nANOTHER = 1\nNEIGHBOURS",
         {"figures": 5, "report": 1}),
        # a table depends on the code of its own kind only
        ("hycon/reporting/differences.py", "\nSHOWN", "\nANOTHER = 1\nSHOWN",
         {"tables": 2, "figures": 5, "report": 1}),
        # how jobs are planned changes nothing of what they make
        ("hycon/plan/planner.py", "\nDAY = ", "\nANOTHER = 1\nDAY = ", {}),
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
    drawn = {
        f"results/sample/figures/{name}-glove.{form}"
        for name in ("alpha-curve", "alpha-forest", "alpha-seeds", "main-forest", "main-seeds")
        for form in ("svg", "pdf", "png")
    }
    assert apart == drawn | {"results/report.html"}
    # adding a seed trains only that seed: the others' files are the same
    clone.set("- 1\n- 2\n", "- 1\n- 2\n- 5\n")
    runs = clone.contents("results/runs")
    printed = clone.dvc("repro")
    assert jobs(phase(printed, "runs")) == {"train": 3, "evaluate": 3}
    logs = [path.read_text() for path in (clone / "logs/train/sample").glob("*.log")]
    assert sum("2 of 3 seeds are trained already" in text for text in logs) == 3
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


def test_experiments_run_in_place_and_apart(clone):
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
    # --queue runs as --temp does, later
    shown = clone.dvc("exp", "show", "--no-pager", "--only-changed", "--md")
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 2 + 2  # heading, workspace and HEAD, two experiments
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


def test_dvc_works_without_git(plain, tmp_path):
    repository = Repository(tmp_path / "no-git")
    plain.run("cp", "-r", str(plain.folder), str(repository.folder))
    repository.run("dvc", "init", "--no-scm", "--force")
    repository.dvc("commit", "--force")
    assert repository.clean()
    repository.set(*B_LAMBDA)
    printed = repository.dvc("repro")
    assert jobs(phase(printed, "runs")) == {"train": 2, "evaluate": 2}
    assert repository.clean()
