"""A miniature of the pipeline's folders, whole until a test breaks something in it."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest

from hycon.corpus import sample
from hycon.encoders.tiny import build_bert
from hycon.params import load
from hycon.provenance import parameters_digest
from hycon.stages import aggregate, align, compare, encode, evaluate, fetch, log, run, tables, train

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"per_corpus": {"sample": {"train": {"epochs": 1}, "model": {"layers": 0}}}}
PARAMS = load(ROOT, SMALL)
CORPUS = PARAMS.catalogue["sample"]
GLOVE, BERT = PARAMS.encoders["glove"], PARAMS.encoders["bert"]
SETTINGS = PARAMS.settings("sample", "hycon", "glove")
STAGES = {
    "aggregate": aggregate,
    "align": align,
    "compare": compare,
    "encode": encode,
    "evaluate": evaluate,
    "fetch": fetch,
    "tables": tables,
    "train": train,
}


def make(folder):
    """Make a corpus, and go with it from its raw files to scores."""
    sample.generate(folder / "raw", task="sentiment", videos=8, utterances_per_video=6, seed=0)
    for name in ("params.yaml", "corpora.yaml"):
        shutil.copy(ROOT / name, folder)
    build_bert(["a good film", "it was bad"], folder / "bert")
    place = Place(folder)
    outputs = {
        "align": "aligned",
        "encode": "states",
        "train": "runs",
        "evaluate": "runs/scores.json",
    }
    for stage, output in outputs.items():
        place.start(stage)
        (folder / "out").rename(folder / output)
    return place


class Place:
    """Folders of one corpus: raw, aligned, states, and runs with their scores."""

    def __init__(self, folder):
        self.folder = folder
        self.overlay = {}
        self.encoder, self.corpus, self.settings = GLOVE, CORPUS, SETTINGS

    def __truediv__(self, name):
        return self.folder / name

    def linked(self, folder):
        """Return a place in another folder whose files are these, until they are replaced."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                target = folder / path.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)
        return Place(folder)

    def own(self, name):
        """Return the path of a file of this place's own, which may be edited."""
        path = self / name
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        return path

    @contextmanager
    def sequence(self, name):
        """Open a computational sequence to edit it: what holds its videos."""
        with h5py.File(self.own(f"raw/{name}.csd"), "r+") as file:
            yield next(iter(file.values()))["data"]

    def videos(self, fold="train"):
        return json.loads((self / "raw/folds.json").read_text())[fold]

    def files(self):
        """Return the content of every file below, hidden ones and half-written ones included."""
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    def start(self, stage):
        """Run a stage as Snakemake does; its output goes to `out`."""
        if stage == "params":
            load(self.folder, self.overlay)
        else:
            STAGES[stage].main([str(part) for pair in self._options(stage) for part in pair])

    def refused(self, stage, capsys):
        """Run a stage that must stop with exit code 2; return what it printed as its error."""
        log.handlers = []
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            run(lambda _: self.start(stage))
        assert stopped.value.code == 2
        printed = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        assert len(printed) == 1, printed
        return printed[0]

    def report(self):
        return json.loads((self / "out/report.json").read_text())

    def _options(self, stage):
        row = [
            ("--name", "sample/hycon-glove"),
            ("--corpus", self.corpus.as_input()),
            ("--encoder", self.encoder.as_input()),
            ("--settings", self.settings.as_json()),
            ("--aligned", self / "aligned"),
        ]
        scores = str(self / "runs/scores.json")
        digest = parameters_digest(
            {
                "corpus": json.loads(self.corpus.as_input()),
                "encoder": json.loads(self.encoder.as_input()),
                "settings": json.loads(self.settings.as_json()),
                "metrics": json.loads(PARAMS.metrics.as_json()),
                "seeds": [1],
            }
        )
        shown = [
            ("--expected", json.dumps({scores: digest})),
            ("--key", "sample"),
            ("--title", "t"),
            ("--corpus", self.corpus.as_input()),
        ]
        options = {
            "align": [
                ("--corpus", self.corpus.as_input()),
                ("--settings", PARAMS.align.as_json()),
                ("--raw", self / "raw"),
            ],
            "encode": [*row[2:3], row[4], ("--tiny", self / "bert"), ("--device", "cpu")],
            "train": [
                *row,
                ("--states", self / "states"),
                ("--device", "cpu"),
                ("--inputs", self / "states/states.npy"),
                ("--seeds", 1),
            ],
            "evaluate": [
                *row, ("--metrics", PARAMS.metrics.as_json()), ("--runs", self / "runs/seed-1"),
            ],
            "tables": [
                *shown,
                ("--experiment", "main"),
                ("--rows", json.dumps([["M", "E", scores]])),
            ],
            "compare": [
                *shown,
                ("--reference", "R"),
                ("--aligned", self / "aligned"),
                ("--pairs", json.dumps([["M", "E", scores, scores]])),
            ],
            "aggregate": [
                shown[0],
                ("--plan", json.dumps({"sample": {"main": {"hycon-glove": scores}}})),
                ("--shown", json.dumps({"sample": ["mae_all"]})),
                ("--plotted", json.dumps({"curves": [], "training": [], "confusion": []})),
                ("--summary", self / "out/summary.json"),
                ("--plots", self / "out/plots"),
            ],
            "fetch": [
                ("--corpus", "sample"),
                ("--file", "words.csd"),
                ("--places", json.dumps({"sample": {"words.csd": [str(self / "raw/words.csd")]}})),
                ("--manifest", self / "manifest.json"),
            ],
        }  # fmt: skip
        output = {
            "fetch": "out/words.csd.sha256",
            "aggregate": "out/metrics.json",
            "tables": "out/table",
            "compare": "out/table",
        }
        return [*options[stage], ("--output", self / output.get(stage, "out"))]
