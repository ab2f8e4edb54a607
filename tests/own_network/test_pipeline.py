"""A custom network goes through the whole pipeline beside HyCon, in the project that has it."""

import copy
import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from hycon.atomic_io import sha256_of
from hycon.commands import predict
from hycon.errors import HyConError
from hycon.params import load, merge
from hycon.plan.planner import Plan
from hycon.reporting.controls import plain_modalities
from tests.running import run_stage
from tests.test_params import OTHERS, ROOT

OVERLAY = {
    "corpora": ["sample"],
    "seeds": [1, 2],
    "device": "cpu",
    "networks": {"toy": "models/toy.py:Toy"},
    "variants": {
        "toy": {
            "label": "Toy",
            "peer": {"network": "own", "name": "toy", "settings": {"hidden": 3}},
        },
        "toy-text": {
            "label": "Toy, text",
            "peer": {"network": "own", "name": "toy", "reads": ["text"]},
        },
    },
    "experiments": {
        **OTHERS,
        "main": {
            "encoders": ["glove"], "variants": ["toy", "toy-text", "hycon"], "reference": "hycon",
            "tsne": None, "controls": None, "robustness": {"missing": [0, 0.5]},
        },
    },
    "complexity": {"repeats": 1},
    "tuning": {
        "variants": ["toy", "hycon"], "encoder": "glove", "trials": 2, "folds": 0, "seeds": [1],
        "space": {"model.settings.hidden": [2, 5], "model.dimension": [10, 20],
                  "train.learning_rate": [0.1, 0.01]},
    },
    "per_corpus": {"sample": {"train": {"epochs": 2}}},
    "catalogue": {"sample": {"generator": {"videos": 8, "utterances_per_video": 4}}},
}  # fmt: skip


class Project:
    """A folder with the parameters and the file of a network, in which stages run."""

    def __init__(self, folder, overlay=OVERLAY):
        self.folder, self.model, self.overlay = folder, folder / "models/toy.py", overlay
        for name in ("params.yaml", "corpora.yaml"):
            shutil.copy(ROOT / name, folder)
        self.model.parent.mkdir()
        shutil.copy(Path(__file__).with_name("toy.py"), self.model)
        (folder / "mine.yaml").write_text(yaml.safe_dump(overlay))

    def plan(self):
        return Plan(load(self.folder, self.overlay))

    def keys(self):
        return {name: job.key for name, job in self.plan().jobs.items()}

    def run(self, *stages):
        for (stage, _), job in self.plan().jobs.items():
            if stage in stages:
                run_stage(stage, job.task)

    def predicted(self, run, *arguments):
        predict.main(["--run", str(run), "--corpus", "sample", "--output", "out.csv",
                      "--device", "cpu", *arguments])  # fmt: skip
        with open("out.csv") as file:
            return [float(row["prediction"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a project in which the tables have been made."""
    project = Project(tmp_path_factory.mktemp("project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder)
        project.run("generate", "fetch", "align", "encode", "train", "evaluate", "complexity",
                    "robustness", "aggregate", "tables")  # fmt: skip
    return project


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """Return a copy of that project, and go to its folder."""
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    monkeypatch.chdir(folder)
    copied = copy.copy(made)
    copied.folder, copied.model = folder, folder / "models/toy.py"
    return copied


def table(project, name):
    with (project.folder / f"results/sample/tables/{name}.csv").open() as file:
        return [(row.get("model") or row["label"], row) for row in csv.DictReader(file)]


RUNS = Path("results/runs/sample")


def test_it_has_scores_differences_verdicts_robustness_and_costs_beside_hycon(project):
    rows = ["Toy", "Toy, text", "HyCon"]
    assert [model for model, _ in table(project, "main")] == rows
    assert [model for model, _ in table(project, "complexity")] == rows
    found = dict(table(project, "main-differences"))
    assert list(found) == rows[:2]
    assert {row["verdict"] for row in found.values()} <= {
        "better", "worse", "equivalent", "negligible", "undecided"
    }  # fmt: skip
    assert set(rows) == {model for model, _ in table(project, "main-robustness")}
    note = "Not networks of this project: Toy (models/toy.py:Toy); Toy, text (models/toy.py:Toy)."
    assert note in (project.folder / "results/sample/tables/main.md").read_text()


def test_its_runs_are_on_the_folds_of_the_others_and_say_which_code_made_them(project):
    digest = sha256_of(project.model)
    for row in ("toy-glove", "toy-text-glove"):
        record = json.loads((RUNS / row / "seed-1/run.json").read_text())
        model = record["settings"]["model"]
        assert (model["source"], model["sha256"]) == ("models/toy.py:Toy", digest)
        output = load_file(RUNS / row / "seed-1/representations.safetensors")
        reads = ["text"] if "text" in row else ["text", "audio", "vision"]
        assert model["reads"] == reads
        assert set(output) == {*reads, "fused", "prediction"}
        scores = json.loads((RUNS / row / "scores.json").read_text())
        assert plain_modalities(scores) is None  # no control of the modalities
    inputs = [
        json.loads((RUNS / row / "seed-1/run.json").read_text())["inputs"]
        for row in ("toy-glove", "hycon-glove")
    ]
    assert inputs[0] == inputs[1]


def test_an_edit_of_the_network_reruns_its_rows_and_no_other(project, capsys):
    before = project.keys()
    project.model.write_text(project.model.read_text().replace("relu()", "tanh()"))
    after = project.keys()
    changed = {name for name in before if before[name] != after[name]}
    trained = {name for stage, name in changed if stage in ("train", "evaluate")}
    assert trained == {"sample/toy-glove/1", "sample/toy-text-glove/1", "sample/toy-glove",
                       "sample/toy-text-glove"}  # fmt: skip
    assert not {stage for stage, _ in changed} & {"generate", "fetch", "align", "encode"}
    old = json.loads((RUNS / "toy-glove/seed-1/run.json").read_text())
    capsys.readouterr()
    project.run("train")
    said = capsys.readouterr().err
    assert "sample/hycon-glove: 2 of 2 seeds are trained already" in said
    assert "sample/toy-glove seed 1: epoch" in said
    new = json.loads((RUNS / "toy-glove/seed-1/run.json").read_text())
    assert new["settings"]["model"]["sha256"] == sha256_of(project.model)
    assert new["selection"]["value"] != old["selection"]["value"]


def test_settings_are_tuned_and_those_of_another_network_left_alone(project):
    plan = project.plan()
    for row, key in (("toy", "model.settings.hidden"), ("hycon", "model.dimension")):
        task = plan.job("tune_row", f"sample/{row}-glove").task
        found = {each for each in task.tuning.space if each.startswith("model.")}
        assert found - {"model.dropout"} == {key}  # HyCon's, in params.yaml
    run_stage("tune_row", plan.job("tune_row", "sample/toy-glove").task)
    found = yaml.safe_load(Path("results/sample/tuning/toy-glove.yaml").read_text())
    hidden = found["variants"]["toy"]["peer"]["settings"]["hidden"]
    params = load(project.folder, merge(OVERLAY, found))
    assert params.settings("sample", "toy", "glove").model.settings == {"hidden": hidden}


def test_it_predicts_with_an_overlay_or_parameters_that_name_it(project):
    run = RUNS / "toy-glove/seed-2"
    expected = load_file(run / "representations.safetensors")["prediction"]
    found = project.predicted(run, "--configfile", "mine.yaml")
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    with Path("params.yaml").open("a") as file:
        file.write("\nnetworks: {toy: elsewhere/a.py:Toy}\n")
    Path("elsewhere").mkdir()
    project.model.rename("elsewhere/a.py")
    assert project.predicted(run) == found


def test_code_of_another_digest_is_not_run_by_a_prediction(project):
    text = project.model.read_text()
    project.model.write_text(f"open('ran', 'w')\n{text}")
    with pytest.raises(HyConError, match=r"run\.json: found models/toy\.py:Toy with digest .{12}"):
        project.predicted(RUNS / "toy-glove/seed-1", "--configfile", "mine.yaml")
    assert not Path("ran").exists()


@pytest.mark.parametrize("named", [False, True])
def test_a_run_of_a_stranger_never_says_which_code_to_import(project, named):
    run = RUNS / "toy-glove/seed-1"
    evil = run / "evil.py"
    evil.write_text("open('ran', 'w')\n" + project.model.read_text())
    record = json.loads((run / "run.json").read_text())
    code = {"source": f"{evil}:Toy", "sha256": sha256_of(evil)}
    record["settings"]["model"] |= {"name": "toy" if named else "other", **code}
    (run / "run.json").write_text(json.dumps(record))
    said = "with digest" if named else r"needs the network other; networks: unknown name 'other'"
    with pytest.raises(HyConError, match=said):
        project.predicted(run, "--configfile", "mine.yaml")
    assert not Path("ran").exists()


def test_the_example_of_the_page_stands_in_tables_beside_hycon(tmp_path, monkeypatch):
    page = (ROOT / "docs/peers.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (overlay,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    keys = ("corpora", "seeds", "device", "per_corpus", "catalogue")
    small = {**{key: OVERLAY[key] for key in keys}, "complexity": None}
    small["experiments"] = dict.fromkeys((*OTHERS, "main"))
    project = Project(tmp_path, merge(small, yaml.safe_load(overlay)))
    (tmp_path / "models/mine.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    project.run("generate", "fetch", "align", "encode", "train", "evaluate", "tables")
    assert [name for name, _ in table(project, "mine")] == ["Mine", "Mine, text", "HyCon-v2"]
    assert list(dict(table(project, "mine-differences"))) == ["Mine", "Mine, text"]
    settings = load(tmp_path, project.overlay).settings("sample", "mine", "glove")
    assert settings.model.settings == {"hidden": 16}
