"""The paper's set as a user types it, on miniatures of the servers' trees served over HTTP."""

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from benchmarks import standin_pickles, standins
from hycon.encoders.tiny import BUILDERS
from hycon.params import load

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "snakemake --cores 1 all --configfile config/paper.yaml"
CMU = "http://immortal.multicomp.cs.cmu.edu"
# what transformers finds in its cache under these names
MODELS = {"bert-base-uncased": "bert", "xlnet-base-cased": "xlnet"}
COMMIT = "0" * 40
# variants of each experiment but `main`: all of them would take half an hour
FEWER = {
    "modalities": ["no-contrastive", "text-only"],
    "peers": ["lmf", "misa", "hycon"],
    "ablation": ["hycon-v2", "no-contrastive"],
    "fusion": ["hycon-v2", "tensor"],
    "alpha": ["alpha-07", "hycon-v2"],
    "losses": ["triplet", "hycon"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return the address of a server with the three corpora's files, and what it was asked for."""
    tree = tmp_path_factory.mktemp("server")
    for corpus in ("mosi", "mosei"):
        standins.write(corpus, tree, videos=9, segments=90, seed=1)
    pickle = tree / "raw_datasets/processed_data/iemocap/seq_length_50/iemocap_data.pkl"
    standin_pickles.write_mult(pickle, "iemocap", utterances=(24, 8, 16), seed=1)
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=tree)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


@pytest.fixture(scope="module")
def project(server, tmp_path_factory):
    """Return a clone whose corpora lie on that server, with one seed, one epoch and fewer rows."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "params.yaml"):
        shutil.copy(ROOT / name, folder)
    for name in ("workflow", "profiles", "config", "paper"):
        shutil.copytree(ROOT / name, folder / name)
    catalogue = yaml.safe_load((ROOT / "corpora.yaml").read_text().replace(CMU, server[0]))
    for file in catalogue["catalogue"]["mosi"]["files"].values():
        file.pop("sha256", None)
        file.pop("size", None)
    (folder / "corpora.yaml").write_text(yaml.safe_dump(catalogue, sort_keys=False))
    overlay = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    (folder / "config/paper.yaml").write_text(yaml.safe_dump({**overlay, "seeds": [1]}))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["train"]["epochs"] = params["complexity"]["repeats"] = 1
    params["model"].update(layers=1, text_layers=1)
    for name, variants in FEWER.items():
        params["experiments"][name]["variants"] = variants
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for name, kind in MODELS.items():
        model = folder / f"cache/hub/models--{name}"
        (model / "refs").mkdir(parents=True)
        (model / "refs/main").write_text(COMMIT)
        BUILDERS[kind](["the film was good", "it was not bad"], model / "snapshots" / COMMIT)
    return folder


def run(folder, command):
    """Run what a user types; return (exit code, what it printed)."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HOME": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        command.split(),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_papers_set_runs_through_from_the_servers_files_to_every_table(server, project):
    assert COMMAND in (ROOT / "docs/corpora.md").read_text()
    code, printed = run(project, f"{COMMAND} --until align")
    assert code == 0, printed[-4000:]
    # CMU-MOSEI is trained as CMU-MOSI is
    overlay = project / "config/paper.yaml"
    whole = overlay.read_text()
    overlay.write_text(whole.replace("- mosei\n", ""))
    code, printed = run(project, COMMAND)
    assert code == 0, printed[-4000:]
    overlay.write_text(whole)
    results = project / "results"
    for corpus in ("mosi",):
        tables = {path.stem for path in (results / corpus / "tables").glob("*.md")}
        experiments = {"main", *FEWER}
        differences = {f"{name}-differences" for name in experiments}
        assert tables == experiments | differences | {
            "claims",
            "published",
            "complexity",
            "complexity-measured",
        }
        published = (results / corpus / "tables/published.md").read_text()
        assert "(n = 1)" in published
        assert "MMSA, result-stat.md" in published
        main = (results / corpus / "tables/main.md").read_text()
        # three rows each, and a control
        assert [main.count(f"| {name} ") for name in ("GloVe", "BERT", "XLNet")] == [3, 4, 3]
        figures = {path.stem for path in (results / corpus / "figures").glob("*.svg")}
        pairs = {f"main-tsne-{encoder}" for encoder in ("glove", "bert", "xlnet")}
        compared = {
            f"{name}-{kind}-{encoder}"
            for name in experiments
            for kind in ("forest", "seeds")
            for encoder in (("glove", "bert", "xlnet") if name == "main" else ("bert",))
        }
        assert figures == {"alpha-curve-bert", *pairs, *compared}
        alpha = (results / corpus / "tables/alpha.md").read_text()
        assert alpha.index("alpha 0.7") < alpha.index("HyCon-v2")
        peers = (results / corpus / "tables/peers.md").read_text()
        assert "| BERT           | LMF " in peers
        assert "Adapted: LMF: audio and vision are means" in peers
        costs = (results / corpus / "tables/complexity.md").read_text()
        assert all(name in costs for name in ("MISA", "Tensor fusion", "Triplet loss"))
        assert "alpha 0.7" not in costs
    tables = {path.stem for path in (results / "iemocap/tables").glob("*.md")}
    assert tables == {*experiments, *differences, "claims", "complexity", "complexity-measured"}
    assert "| GloVe " in (results / "iemocap/tables/ablation.md").read_text()
    emotions = (results / "iemocap/tables/main.md").read_text()
    assert "Left out: bert needs words, and iemocap has only vectors; xlnet needs" in emotions
    assert "Acc sad" in emotions
    metrics = json.loads((results / "metrics.json").read_text())
    assert {corpus: len(tables) for corpus, tables in metrics.items()} == {
        "mosi": 7,
        "iemocap": 7,
    }
    # what came is remembered, and asked for no more
    manifest = json.loads((project / "corpora.manifest.json").read_text())
    assert {corpus: len(files) for corpus, files in manifest.items()} == {
        "mosi": 5,
        "mosei": 5,
        "iemocap": 1,
    }
    count = len(server[1])
    shutil.rmtree(project / "data/aligned")
    code, printed = run(project, f"{COMMAND} --until align")
    assert code == 0, printed[-4000:]
    assert len(server[1]) == count


def test_the_papers_set_as_it_is_has_all_rows_of_the_paper_and_the_peers():
    params = load(ROOT, yaml.safe_load((ROOT / "config/paper.yaml").read_text()))
    rows = {
        corpus: {row for name in params.experiments for row in params.rows(name, corpus)}
        for corpus in params.corpora
    }
    variants = {name: set(each.variants) for name, each in params.experiments.items()}
    peers = {name for name, each in params.variants.items() if each.peer}
    assert len(variants["peers"] & peers) >= 8
    assert variants["peers"] - peers == {"hycon", "hycon-v2"}
    assert {name: len(each) for name, each in variants.items() if name != "peers"} == {
        "main": 3, "modalities": 10, "ablation": 9, "fusion": 6, "alpha": 11, "losses": 5,
    }  # fmt: skip
    # three text encoders for those of the main table, one for all others; IEMOCAP has one, and
    # no Self-MM
    alone = len(set().union(*variants.values()))
    more = 2 * len(variants["main"])
    assert {corpus: len(found) for corpus, found in rows.items()} == {
        "mosi": alone + more, "mosei": alone + more, "iemocap": alone - 1,
    }  # fmt: skip
