"""The whole road, run by Snakemake itself on a miniature of the sample corpora."""

import csv
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

from hycon.params import merge
from tests.pipeline.repository import jobs

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = """
seeds: [1, 2]
device: cpu
experiments:
  main: {encoders: [glove, bert], variants: [hycon-v2]}
  peers: null
  modalities: null
  ablation: null
  fusion: null
  alpha: null
  losses: null
complexity: {repeats: 1}
train: {epochs: 2}
per_corpus: {sample: {train: {epochs: 2}}, sample-emotion: {train: {epochs: 2}}}
catalogue:
  sample: {generator: {videos: 8, utterances_per_video: 4, seed: 1}}
  sample-emotion: {generator: {videos: 8, utterances_per_video: 4, seed: 2}}
"""


def snakemake(folder, *arguments, **variables):
    """Run Snakemake in a folder; return (exit code, what it printed)."""
    command = ["snakemake", *arguments, "--cores", "1", "--configfile", "mini.yaml"]
    return run(folder, command, **variables)


def run(folder, command, **variables):
    """Run a command in a folder; return (exit code, what it printed)."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout


def copy(folder):
    for name in ("Snakefile", "params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "profiles", "paper"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "mini.yaml").write_text(OVERLAY)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder in which `all` has run once."""
    folder = copy(tmp_path_factory.mktemp("project"))
    code, printed = snakemake(folder, "all")
    assert code == 0, printed
    return folder


def test_all_ends_in_tables_that_say_they_are_samples(project):
    for corpus, column in (("sample", "MAE all"), ("sample-emotion", "Acc happy")):
        folder = project / "results" / corpus / "tables"
        markdown = (folder / "main.md").read_text()
        assert column in markdown
        assert "SAMPLE NUMBERS" in markdown
        assert "seeds 1, 2 (n = 2)" in markdown
        assert r"\toprule" in (folder / "main.tex").read_text()
        with (folder / "main.csv").open() as file:
            assert [row["text_encoder"] for row in csv.DictReader(file)] == ["GloVe", "tiny BERT"]


def test_metrics_lie_by_corpus_experiment_variant_and_metric(project):
    metrics = json.loads((project / "results/metrics.json").read_text())
    assert list(metrics) == ["sample", "sample-emotion"]
    assert list(metrics["sample"]["main"]) == ["hycon-v2-glove", "hycon-v2-bert"]
    assert set(metrics["sample"]["main"]["hycon-v2-bert"]["mae_all"]) == {"mean", "std", "n"}
    assert metrics["sample"]["main"]["hycon-v2-bert"]["mae_all"]["n"] == 2


def test_scores_of_every_seed_stand_beside_their_parameters_versions_and_commit(project):
    scores = json.loads((project / "results/runs/sample/hycon-v2-bert/scores.json").read_text())
    assert scores["settings"]["train"]["epochs"] == 2
    assert scores["settings"]["train"]["selection"]["beta"] == 0.5
    assert scores["generated"] is True
    for seed in ("1", "2"):
        run = scores["seeds"][seed]
        assert {"commit", "versions", "selection", "device", "threads", "started"} <= set(run)
        folder = project / f"results/runs/sample/hycon-v2-bert/seed-{seed}"
        record = json.loads((folder / "run.json").read_text())
        assert {"settings", "seed", "commit", "clean", "code", "versions", "device", "threads",
                "started", "ended"} <= set(record)  # fmt: skip
        assert {Path(name).name for name in record["inputs"]} >= {"audio.npy", "states.npy"}
        assert set(run["test"]) == set(run["valid"])


def test_representations_of_every_utterance_are_left_for_figures(project):
    from safetensors.numpy import load_file

    folder = project / "results/runs/sample/hycon-v2-glove/seed-1"
    found = load_file(folder / "representations.safetensors")
    with (project / "data/aligned/sample/utterances.csv").open() as file:
        count = len(list(csv.DictReader(file)))
    assert {name: value.shape for name, value in found.items()} == {
        **dict.fromkeys(("text", "audio", "vision", "fused"), (count, 50)),
        "prediction": (count,),
    }


def test_the_page_has_every_table_and_a_command_that_makes_it_again_and_nothing_else(project):
    page = (project / "results/report.html").read_text()
    commands = [html.unescape(each) for each in re.findall(r"(snakemake --cores 1 [^\n<]+)", page)]
    tables = list(project.glob("results/*/tables/*.csv"))
    assert len(tables) == 8
    # the tables', and three that make all, the claims of both corpora and the page
    assert len(commands) == len(tables) + 3
    for command in commands:
        name, *options, target = shlex.split(command)
        code, printed = run(project, [name, "--dry-run", *options, target])
        assert code == 0, printed
        if target == "all":
            assert "Nothing to be done" in printed
            continue
        assert (project / target).is_file()
        assert jobs(printed) == {options[options.index("--forcerun") + 1]: 1}


def test_snakemake_s_own_report_has_tables_and_page_with_captions(project):
    code, printed = snakemake(project, "--report", "report.zip")
    if code != 0 and re.search(r"download|urlopen|Name or service|resolution", printed):
        pytest.skip("this Snakemake fetches what its report is made of, and there is no network")
    assert code == 0, printed
    with zipfile.ZipFile(project / "report.zip") as archive:
        names = archive.namelist()
        text = "".join(
            archive.read(name).decode() for name in names if name.endswith("report.html")
        )
    (project / "report.zip").unlink()
    assert len([name for name in names if name.endswith("/main.html")]) == 2
    assert "table main. Its caption says what it" in " ".join(text.split())


def test_the_documented_way_to_read_an_aligned_corpus_works(project):
    examples = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/corpora.md").read_text(), flags=re.DOTALL
    )
    (example,) = (text for text in examples if "read_split" in text)
    code = f"{example}\nassert len(first) == max(1, utterances[0].words)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=project, env=environment, check=True)


def test_a_second_run_has_nothing_to_do_even_with_another_mirror_or_device(project):
    assert "Nothing to be done" in snakemake(project, "all")[1]
    code, printed = snakemake(project, "all", "--config", "mirror=../elsewhere", "device=auto")
    assert code == 0
    assert "Nothing to be done" in printed


# what follows from other scores, and from other costs
SHOWN = {"aggregate": 2, "collect": 1, "tables": 2, "report": 1}
# claims too: one is about times, the others about rows that are not run here
MEASURED = {"complexity": 2, "tables": 8, "claims": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("seeds: [1, 2]", "seeds: [1, 2, 3]"),
         {"train": 4, "evaluate": 4} | SHOWN),
        (("train: {epochs: 2}", "train: {epochs: 2, alpha: 0.5}"),
         {"train": 4, "evaluate": 4} | SHOWN),
        # of a network's size its costs depend, unlike of the weight of a loss
        (("device: cpu", "device: cpu\nmodel: {heads: 1}"),
         {"train": 4, "evaluate": 4} | SHOWN | MEASURED),
        (("main: {", "main: {title: Another, "), {"tables": 2, "report": 1}),
        (("variants: [hycon-v2]", "variants: [hycon-v2, hycon]"),
         {"train": 4, "evaluate": 4} | SHOWN | MEASURED),
        # a reference among its variants makes an experiment compare them
        (("variants: [hycon-v2]", "reference: hycon-v2, variants: [hycon-v2, without-semi]"),
         {"train": 4, "evaluate": 4, "figures": 8} | SHOWN | MEASURED | {"tables": 10}),
        (("device: cpu", "device: cpu\nencoders: {bert: {label: Another}}"),
         {"collect": 1, "tables": 6, "report": 1}),
        (("sample: {generator", "sample: {note: Another, generator"),
         {"tables": 4, "claims": 1, "report": 1}),
        (("device: cpu", "# a comment\ndevice: cpu"), {}),
    ],
)  # fmt: skip
def test_an_edit_reruns_what_depends_on_it(project, change, expected):
    overlay = project / "mini.yaml"
    assert change[0] in OVERLAY
    overlay.write_text(OVERLAY.replace(*change))
    try:
        code, printed = snakemake(project, "all", "--dry-run")
    finally:
        overlay.write_text(OVERLAY)
    assert code == 0
    assert jobs(printed) == expected


def test_after_a_failure_the_next_run_makes_what_is_missing_and_all_that_follows(project):
    raw = project / "data/raw/sample/audio.csd"
    whole = raw.read_bytes()
    (project / "mini.yaml").write_text(OVERLAY + "align: {epsilon: 0.01}\n")
    try:
        raw.write_bytes(b"")
        # one corpus: the other might be trained before this one fails
        code, printed = snakemake(project, "results/sample/tables/main.md")
        assert code != 0
        assert "changed after it was fetched" in printed
        raw.write_bytes(whole)
        _, printed = snakemake(project, "all", "--dry-run")
        assert (jobs(printed)["align"], jobs(printed)["train"]) == (2, 4)
    finally:
        raw.write_bytes(whole)
        (project / "mini.yaml").write_text(OVERLAY)


MORE = """
corpora: [sample]
seeds: [1]
encoders: {bert-tuned: {label: Tuned, kind: transformer, model: tiny:bert, finetune: true}}
per_encoder: {bert-tuned: {model: {text_layers: 0, text_pooling: first, network: lstm}}}
experiments:
  main: {encoders: [xlnet, bert-tuned], variants: [graph, supcon], reference: supcon,
         tsne: [graph, supcon]}
  peers: {encoders: [xlnet], variants: [lf-dnn, supcon], reference: supcon}
  modalities: null
  ablation: null
  fusion: null
  alpha: null
  losses: null
tuning: {variants: [graph], encoder: bert-tuned, trials: 2, folds: 2}
variants: {graph: {train: {every_epoch: true}}}
"""


WITHOUT_MMSA = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "MMSA" else find(name, *rest)
"""


def test_xlnet_fine_tuning_another_fusion_another_loss_and_tuning_run_through(project, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    overlay = yaml.safe_load(OVERLAY) | yaml.safe_load(MORE)
    overlay["catalogue"]["sample"]["generator"]["videos"] = 16  # t-SNE wants 12 to test on
    (folder / "mini.yaml").write_text(yaml.safe_dump(overlay))
    code, printed = snakemake(folder, "all", "tune")
    assert code == 0, printed
    assert not (folder / "data/features/sample/bert-tuned").exists()
    metrics = json.loads((folder / "results/metrics.json").read_text())["sample"]["main"]
    assert list(metrics) == [
        f"{variant}-{encoder}"
        for encoder in ("xlnet", "bert-tuned")
        for variant in ("graph", "supcon")
    ]
    assert len({row["mae_all"]["mean"] for row in metrics.values()}) == 4
    scores = json.loads((folder / "results/runs/sample/graph-bert-tuned/scores.json").read_text())
    assert scores["seeds"]["1"]["parameters"]["language model"] > 10_000
    protocols = (folder / "results/sample/tables/main-protocols.md").read_text()
    assert protocols.count(" best test epoch of each metric ") == 2
    epochs = load_file(folder / "results/runs/sample/graph-xlnet/seed-1/epochs.safetensors")
    assert {fold: len(each) for fold, each in epochs.items()} == {"valid": 2, "test": 2}
    compared = (folder / "results/sample/tables/main-differences.md").read_text()
    assert "Reference: SupCon loss," in compared
    assert compared.count("| Graph fusion ") == 2
    figures = {path.name for path in (folder / "results/sample/figures").iterdir()}
    names = [
        f"main-{kind}-{encoder}"
        for encoder in ("xlnet", "bert-tuned")
        for kind in ("forest", "protocols", "seeds", "tsne")
    ]
    names += ["peers-forest-xlnet", "peers-seeds-xlnet"]
    assert figures == {f"{name}.{form}" for name in names for form in ("svg", "pdf", "png", "txt")}
    assert "SAMPLE NUMBERS" in (folder / "results/sample/figures/main-tsne-xlnet.txt").read_text()
    peers = (folder / "results/sample/tables/peers.md").read_text()
    assert "| LF-DNN " in peers
    assert "Adapted: LF-DNN: audio and vision are means over the steps" in peers
    assert "LF-DNN" in (folder / "results/sample/tables/complexity.md").read_text()
    # without the package the row is left out, and the table says how to get it
    hidden = folder / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(WITHOUT_MMSA)
    code, printed = snakemake(folder, "results/sample/tables/peers.md", PYTHONPATH=str(hidden))
    assert code == 0, printed
    peers = (folder / "results/sample/tables/peers.md").read_text()
    assert "| LF-DNN " not in peers
    assert "LF-DNN (the package MMSA is not installed: pip install" in peers
    # what tuning found is an overlay that a run accepts
    found = (folder / "results/sample/tuning/graph-bert-tuned.yaml").read_text()
    assert "# Budget: 2 trials" in found
    (folder / "mini.yaml").write_text(yaml.safe_dump(merge(overlay, yaml.safe_load(found))))
    code, printed = snakemake(folder, "all", "--dry-run")
    assert code == 0, printed
    with (folder / "results/sample/tuning/graph-bert-tuned.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["1", "2"]


def test_numbers_in_lists_and_mappings_can_be_given_on_the_command_line(tmp_path):
    folder = copy(tmp_path)
    given = ("seeds=[7]", "train={alpha: 0.5, refinement: false}")
    code, printed = snakemake(folder, "all", "--dry-run", "--config", *given)
    assert code == 0, printed
    assert jobs(printed)["train"] == 4


def test_a_mistake_in_the_parameters_is_one_line_and_exit_code_2_and_starts_nothing(tmp_path):
    folder = copy(tmp_path)
    with (folder / "params.yaml").open("a") as file:
        file.write("\nlearning_rate: 1\n")
    code, printed = snakemake(folder, "all")
    said = [line for line in printed.splitlines() if "error" in line.lower()]
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith("error: params.yaml: learning_rate: unknown key")
    assert not (folder / "data").exists()
    assert not (folder / "results").exists()


def test_a_file_that_no_place_has_stops_with_its_name_and_where_to_put_it(tmp_path):
    folder = copy(tmp_path)
    code, printed = snakemake(
        folder, "data/raw/mosi-utterance/CMU_MOSI_COVAREP_utterance.csd.sha256",
        "--config", f"mirror={tmp_path}/nowhere",
    )  # fmt: skip
    assert code != 0
    assert "could not be fetched" in printed
    assert "Put the file there" in printed
    assert not list((folder / "data/raw").rglob("*.csd"))
