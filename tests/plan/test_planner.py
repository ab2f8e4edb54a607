"""The plan and the rules agree, and both scale to many rows."""

import contextlib
import json

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from hycon.corpus.utterances import read_table
from hycon.errors import HyConError
from hycon.params import load, load_claims, load_published
from hycon.plan.planner import Plan
from hycon.plan.records import record
from tests.pipeline.repository import ROOT, jobs, make
from tests.running import run_stage

SEEDS, ROWS = (1, 2), 300  # the seeds of the miniature


def rows_of(count, **train):
    """Return an overlay with many variants in one experiment."""
    variants = {
        f"v-{number}": {"label": f"V {number}", "train": {"alpha": number / count} | train}
        for number in range(count)
    }
    experiment = {"title": "Many rows", "variants": list(variants), "reference": "v-0"}
    return variants, experiment


@pytest.mark.parametrize(
    ("where", "expected"), [("memory", 61_000), ("auto", 1000 + 3 * 8589), ("files", 3000)]
)
def test_memory_of_training_grows_with_features_that_are_in_memory(where, expected):
    def memory(input_mb):
        plan = Plan(load(ROOT, {"features_in": where}), load_published(ROOT))
        return plan.job("train", "sample/hycon-bert/1").memory(input_mb)

    assert memory(20_000) == pytest.approx(expected, abs=3)
    assert memory(100) == (1010 if where == "files" else 1300)


def test_where_features_are_changes_no_key():
    plans = [Plan(load(ROOT, {"features_in": each}), load_published(ROOT)) for each in
             ("memory", "files")]  # fmt: skip
    first, second = ({name: job.key for name, job in plan.jobs.items()} for plan in plans)
    assert first == second


@pytest.mark.parametrize("block", [None, 50])
def test_hundreds_of_rows_with_200_seeds_are_planned(block):
    variants, experiment = rows_of(200)
    overlay = {
        "corpora": ["sample"],
        "seeds": list(range(200)),
        "seeds_per_job": block,
        "variants": variants,
        "experiments": {
            **dict.fromkeys(yaml.safe_load((ROOT / "params.yaml").read_text())["experiments"]),
            "many": {**experiment, "encoders": ["glove", "bert"], "curve": "train.alpha"},
        },
        "tuning": {"variants": ["v-0"]},
    }
    params = load(ROOT, overlay)
    plan = Plan(params, load_published(ROOT))
    documents = [(job.key, job.document()) for job in plan.jobs.values()]
    stages = [stage for stage, _ in plan.jobs]
    blocks = 1 if block is None else -(-200 // block)
    assert stages.count("train") == 400 * blocks
    assert stages.count("evaluate") == 400
    trained = [plan.job("train", f"sample/v-3-bert/{number}").task.seeds for number in plan.blocks]
    assert [seed for seeds in trained for seed in seeds] == list(range(200))
    assert len({key for key, _ in documents}) == len(documents)


def test_a_variant_with_fewer_seeds_is_trained_and_scored_with_the_first_of_them():
    overlay = {
        "corpora": ["sample"],
        "seeds": [5, 6, 7, 8, 9],
        "seeds_per_job": 2,
        "variants": {"hycon": {"seeds": 3}},
    }
    plan = Plan(load(ROOT, overlay), load_published(ROOT))
    trained = {
        name: [job.task.seeds for job in plan.jobs.values()
               if job.stage == "train" and f"/{name}-bert/" in job.name]
        for name in ("hycon", "hycon-v2")
    }  # fmt: skip
    assert trained == {"hycon": [[5, 6], [7]], "hycon-v2": [[5, 6], [7, 8], [9]]}
    scored = plan.job("evaluate", "sample/hycon-bert")
    assert scored.task.seeds == [5, 6, 7]
    assert [path for path in scored.reads if "runs-" in path] == plan.records(
        "sample", "hycon-bert"
    )
    assert len(plan.records("sample", "hycon-bert")) == 2


def test_the_rules_make_what_the_plan_says(tmp_path):
    repository = make(tmp_path)
    printed = repository.snakemake("--summary", "--", "all")
    lines = printed.split("output_file\t")[1].splitlines()[1:]
    found = {tuple(line.split("\t")[index] for index in (0, 2)) for line in lines if "\t" in line}
    params = load(tmp_path)
    plan = Plan(params, load_published(tmp_path), load_claims(params, tmp_path))
    assert found == {(path, job.stage) for job in plan.jobs.values() for path in job.writes}


def test_300_rows_run_from_their_scores_to_the_page(tmp_path):
    """This test writes the files of the training runs; Snakemake runs everything else."""
    repository = make(tmp_path)
    variants, experiment = rows_of(ROWS // 2, batch_size=8)
    overlay = {
        "variants": variants,
        "experiments": {
            "main": None,
            "alpha": None,
            "many": {**experiment, "encoders": ["glove", "bert"], "curve": "train.alpha"},
        },
        "model": {"layers": 0, "dimension": 8, "heads": 1},
        "tuning": {"variants": ["v-0"]},
    }
    (repository / "many.yaml").write_text(yaml.safe_dump(overlay))
    options = ("--configfile", "many.yaml", "--")
    repository.snakemake(*options, "features")
    plan = train_by_hand(repository, overlay)
    printed = repository.snakemake("--dry-run", *options, "all")
    assert set(jobs(printed)) == {
        "aggregate",
        "collect",
        "claims",
        "tables",
        "figures",
        "report",
    }
    repository.snakemake(*options, "all")
    assert "Nothing to be done" in repository.snakemake("--dry-run", *options, "all")
    results = repository / "results"
    metrics = json.loads((results / "metrics.json").read_text())["sample"]["many"]
    assert len(metrics) == ROWS
    for name, lines in (("many", ROWS), ("many-differences", ROWS - 2)):
        table = (results / f"sample/tables/{name}.md").read_text().splitlines()
        assert len([line for line in table if line.startswith("| ")]) == lines + 1
    page = (results / "report.html").read_text()
    assert f"V {ROWS // 2 - 1}" in page
    longest = max(len(job.document()) for job in plan.jobs.values())
    assert longest > 131_072  # the limit of one command-line argument


def train_by_hand(repository, overlay):
    """Write and record the outputs of training and scoring for every row; return the plan."""
    generator = np.random.default_rng(1)
    with contextlib.chdir(repository.folder):
        params = load(overlay=overlay)
        plan = Plan(params, load_published(), load_claims(params))
        count = len(read_table(repository / "data/aligned/sample/utterances.csv"))
        for job in plan.jobs.values():
            if job.stage == "train":
                for seed in SEEDS:
                    write_run(job.task.output / f"seed-{seed}", job.task, seed, count, generator)
                job.task.record.write_text("{}")
            elif job.stage == "evaluate":
                run_stage("evaluate", job.task)
            else:
                continue
            record(job)
    return plan


def write_run(folder, task, seed, count, generator):
    folder.mkdir(parents=True)
    predictions = generator.normal(size=count).astype(np.float32)
    save_file({"prediction": predictions}, folder / "representations.safetensors")
    (folder / "history.csv").write_text("epoch,validation\n1,1.5\n2,1.25\n")
    given = {name: getattr(task, name).model_dump(mode="json")
             for name in ("corpus", "encoder", "settings")}  # fmt: skip
    run = {
        "seed": seed, **given, "selection": {"epoch": 2, "epochs": 2, "value": 1.25},
        "parameters": {"all": 100}, "device": "cpu", "threads": 1, "versions": {},
        "commit": None, "clean": None, "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run))


def test_a_corpus_without_text_has_rows_without_a_text_encoder():
    columns = {"group": "video", "label": "score"}
    files = {name: {"path": f"{name}.csv" if name == "table" else f"{name}.npy"}
             for name in ("table", "audio", "vision")}  # fmt: skip
    entry = {"title": "Silent", "task": "regression", "format": "table", "columns": columns,
             "files": files}  # fmt: skip
    params = load(ROOT, {"corpora": ["silent"], "catalogue": {"silent": entry}})
    plan = Plan(params)
    assert plan.rows_of("silent", "main") == [
        "hycon-no-text", "hycon-v2-no-text", "no-contrastive-no-text",
    ]  # fmt: skip
    assert plan.rows_of("silent", "modalities") == [
        "no-contrastive-no-text", "audio-only-no-text", "vision-only-no-text",
        "shuffled-audio-no-text", "shuffled-vision-no-text", "constant-no-text",
    ]  # fmt: skip
    assert not [job for job in plan.jobs.values() if job.stage in ("encode", "tiny")]
    task = plan.job("train", "silent/hycon-v2-no-text/1").task
    assert (task.settings.model.modalities, task.states) == (["audio", "vision"], None)
    assert not any("features" in str(path) for path in task.inputs)
    assert plan.settings("silent", "audio-only-no-text").train.lambdas.inter == 0
    table = plan.job("tables", "silent/main").task.table
    assert "bert needs words, and silent has no text" in table.left_out
    assert table.show_controls
    assert [row.model for row in table.controls][:2] == ["Audio", "Vision"]


def test_peers_and_controls_of_a_missing_modality_are_left_out_with_the_reason():
    plan = Plan(load(ROOT, {"corpora": ["iemocap-utterance"]}))
    params = plan.params
    assert params.lacking("iemocap-utterance", "misa") is None  # it reads a zero as vision
    assert params.lacking("iemocap-utterance", "self-mm") == "for scores only"
    assert params.lacking("iemocap-utterance", "shuffled-vision") == "the corpus has no vision"
    assert params.lacking("iemocap-utterance", "text-audio") == "all that the corpus has"
    assert params.lacking("sample", "text-audio") is None
    left_out = plan.job("tables", "iemocap-utterance/peers").task.table.left_out
    assert "Self-MM (for scores only)" in left_out
    assert "MISA" not in left_out
    with pytest.raises(HyConError, match="iemocap-utterance-loso tests every group"):
        Plan(load(ROOT)).job("tune_row", "iemocap-utterance-loso/hycon-v2-bert")


def test_peers_written_anew_need_no_package_and_are_named_apart(monkeypatch):
    monkeypatch.setattr("hycon.params.schema.installed", lambda: False)
    plan = Plan(load(ROOT, {"corpora": ["iemocap-utterance"]}))
    shown = plan.params.variants_of("peers", "iemocap-utterance")
    assert shown == ["almt", "confede", "hycon", "hycon-v2"]
    settings = plan.settings("iemocap-utterance", "almt-bert")
    assert settings.reads(plan.params.catalogue["iemocap-utterance"]) == ["text", "audio"]
    note = plan.job("tables", "iemocap-utterance/peers").task.table.note
    assert note.startswith("Reimplemented in this project: ALMT (text states come from")
    assert "; ConFEDE (text states come from this project's encoder, and no encoder is" in note


def test_a_network_of_ones_own_reads_what_a_corpus_has_or_is_left_out_if_it_names_more():
    own = {"network": "own", "name": "mine"}
    named = {**own, "reads": ["vision", "text"]}
    variants = {"all": {"label": "A", "peer": own}, "named": {"label": "N", "peer": named}}
    networks = {"mine": "tests/own_network/toy.py:Toy"}
    params = load(ROOT, {"networks": networks, "variants": variants})
    assert params.lacking("iemocap-utterance", "all") is None
    assert params.lacking("iemocap-utterance", "named") == "the corpus has no vision"
    for corpus, variant, reads in (
        ("iemocap-utterance", "all", ["text", "audio"]),
        ("sample", "all", ["text", "audio", "vision"]),
        ("sample", "named", ["text", "vision"]),
    ):
        settings = params.settings(corpus, variant, "bert")
        assert settings.model.reads == settings.reads(params.catalogue[corpus]) == reads
        assert not any(dict(settings.train.lambdas).values())
        assert not settings.is_control()


def test_a_row_is_left_out_and_never_a_constant_where_its_modalities_are_missing():
    parent = {"label": "P", "model": {"modalities": ["vision"]}}
    child = {"label": "C", "of": "parent", "train": {"epochs": 1}}
    both = {"modalities": ["text", "audio"], "rank": 2}
    tuned = {"label": "T", "of": "no-contrastive", "model": both}
    params = load(ROOT, {"variants": {"parent": parent, "child": child, "tuned": tuned}})
    assert params.lacking("iemocap-utterance", "child") == "the corpus has no vision"
    assert params.lacking("iemocap-utterance", "tuned") is None  # not only the parent again
    whole = {"shuffled-audio": {"train": {"shuffled": []}}}
    overlay = {"model": {"modalities": ["vision"]}, "variants": whole}
    params = load(ROOT, {**overlay, "experiments": {"alpha": None}})
    assert params.lacking("iemocap-utterance", "hycon") == "the corpus has no vision"
    assert params.lacking("iemocap-utterance", "text-only") is None
    assert params.lacking("iemocap-utterance", "constant") is None
