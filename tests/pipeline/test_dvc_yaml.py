"""dvc.yaml says of outputs and parameters what the Snakefile says."""

import pytest
import yaml

from hycon.params import merge
from tests.pipeline.repository import ROOT, Repository, write

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES = DVC["stages"]
TARGETS = {name: stage["cmd"].split()[-1] for name, stage in STAGES.items()}
TRAIN = {"sample": {"train": {"epochs": 3}}}
ALPHA = {"title": "Another title"}
# what a key changes, so that each part of the pipeline that reads it is reached
CHANGES = [
    ("corpora", {"corpora": ["sample", "sample-emotion"]}),
    ("catalogue", {"catalogue": {"sample": {"generator": {"seed": 77}}}}),
    ("catalogue", {"catalogue": {"sample": {"cut_boundaries": 0.5}}}),
    ("catalogue", {"catalogue": {"sample": {"title": "Another title"}}}),
    ("align", {"align": {"epsilon": 0.01}}),
    ("experiments", {"experiments": {"main": {"encoders": ["glove", "bert"]}}}),
    ("experiments", {"experiments": {"main": {"variants": ["hycon-v2"]}}}),
    ("experiments", {"experiments": {"alpha": ALPHA}}),
    ("encoders", {"encoders": {"glove": {"kind": "transformer", "model": "tiny:bert"}}}),
    ("variants", {"variants": {"alpha-05": {"train": {"alpha": 0.4}}}}),
    ("variants", {"variants": {"alpha-05": {"label": "Another label"}}}),
    ("seeds", {"seeds": [1, 2, 3]}),
    ("seeds_per_job", {"seeds_per_job": 1}),
    ("per_corpus", {"per_corpus": TRAIN}),
    ("per_encoder", {"per_encoder": {"glove": {"train": {"clip_norm": 2.0}}}}),
    ("model", {"model": {"feature_dropout": 0.2}}),
    ("train", {"train": {"clip_norm": 2.0}}),
    ("metrics", {"metrics": {"f1": "macro"}}),
    ("inference", {"inference": {"margins": {"mae": 0.05}}}),
    ("complexity", {"complexity": {"repeats": 1}}),
    ("figures", {"figures": {"line": "#009E73"}}),
]
# these change where and how a step runs, or are of `snakemake tune`
APART = [("mirror", {"mirror": "elsewhere"}), ("device", {"device": "auto"}),
         ("features_in", {"features_in": "files"}),
         ("tuning", {"tuning": {"trials": 3}})]  # fmt: skip


def keys_of(stage):
    """Return the parameters that a stage of dvc.yaml names."""
    keys = []
    for entry in STAGES[stage]["params"]:
        keys += entry["corpora.yaml"] if isinstance(entry, dict) else [entry]
    return keys


def outs_of(stage):
    """Return the paths that a stage of dvc.yaml has as outputs."""
    entries = [*STAGES[stage]["outs"], *STAGES[stage].get("metrics", [])]
    return {path: options for entry in entries for path, options in entry.items()}


@pytest.fixture(scope="module")
def made(plain, tmp_path_factory):
    """Return a finished run of its own, whose parameters may be changed."""
    repository = Repository(tmp_path_factory.mktemp("made") / "copy")
    plain.run("cp", "-r", str(plain.folder), str(repository.folder))
    return repository


@pytest.fixture(scope="module")
def outputs(made):
    """Return the outputs of each stage's target."""
    found = {}
    for stage, target in TARGETS.items():
        lines = made.snakemake("--summary", "--", target).splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("output_file"))
        found[stage] = {line.split("\t")[0] for line in lines[start + 1 :] if "\t" in line}
    return found


def test_every_output_is_kept_by_dvc_or_by_git_and_by_one_of_them(outputs):
    made, owned = set(), {}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    for stage, paths in outputs.items():
        owned |= {path: options or {} for path, options in outs_of(stage).items()}
        for path in paths - made:
            keepers = [out for out in owned if path == out or path.startswith(f"{out}/")]
            in_git = not any(f"/{path}".startswith(f"{line}") for line in ignored if line[0] == "/")
            cached = [out for out in keepers if owned[out].get("cache", True)]
            assert bool(cached) != in_git, (stage, path, keepers)
        made |= paths
    for path, options in owned.items():
        assert options["persist"], path  # or DVC would delete what Snakemake has made
        if not path.startswith(".snakemake/"):
            empty = path == "data/models"  # no tiny model in this miniature
            assert empty or any(each.startswith(path) for each in made), path


def test_a_stage_depends_on_what_the_stages_before_it_make():
    assert list(STAGES) == ["raw", "features", "runs", "evidence"]
    assert "data/raw" in STAGES["features"]["deps"]
    assert {"data/aligned", "data/features", "data/models"} <= set(STAGES["runs"]["deps"])
    assert {"results/runs", "data/aligned"} <= set(STAGES["evidence"]["deps"])
    for stage in STAGES.values():
        assert {"Snakefile", "workflow", "hycon"} <= set(stage["deps"])


def test_what_licences_forbid_to_pass_on_is_not_pushed():
    pushed = {
        path: (options or {}).get("push", True)
        for stage in STAGES
        for path, options in outs_of(stage).items()
    }
    assert [path for path, yes in pushed.items() if not yes] == ["data/raw"]


def test_the_parameters_that_stages_name_are_all_that_there_are():
    named = {key for stage in STAGES for key in keys_of(stage)}
    files = ("params.yaml", "corpora.yaml")
    known = {key for name in files for key in yaml.safe_load((ROOT / name).read_text())}
    assert named == known - {key for key, _ in APART}
    assert named == {key for key, _ in CHANGES}


def test_the_first_stage_that_a_change_reaches_names_its_key(made, outputs):
    texts = {name: (made / name).read_text() for name in ("params.yaml", "corpora.yaml")}
    reached = {}
    try:
        for key, change in [*CHANGES, *APART]:
            for name, text in texts.items():
                content = yaml.safe_load(text)
                changed = merge(content, change) if key in content else content
                write(made / name, changed)
            found = made.planned()
            rules = {
                "raw": {"generate", "fetch"},
                "features": {"align", "encode", "tiny"},
                "runs": {"train", "evaluate"},
            }
            stages = [stage for stage, those in rules.items() if those & set(found)]
            if set(found) - set().union(*rules.values()):
                stages.append("evidence")
            if (key, change) in APART:
                assert stages == [], key
                continue
            assert stages, key
            assert key in keys_of(stages[0]), (key, change, stages)
            for stage in stages:
                reached.setdefault(stage, set()).add(key)
    finally:
        for name, text in texts.items():
            (made / name).write_text(text)
    # and none is named for nothing
    for stage in STAGES:
        assert set(keys_of(stage)) <= reached[stage], stage
