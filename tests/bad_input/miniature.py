"""A miniature of the pipeline's folders, whole until a test breaks something in it."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest

from hycon.encoders.tiny import build_bert
from hycon.logs import USER_ERROR, copied_to, ending_well
from hycon.params import load
from hycon.plan import tasks
from hycon.plan.paths import RESAMPLED
from hycon.plan.rows import scores_digest
from hycon.sample import corpus as sample
from tests.running import run_stage

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"per_corpus": {"sample": {"train": {"epochs": 1}, "model": {"layers": 0}}}}
PARAMS = load(ROOT, SMALL)
CORPUS = PARAMS.catalogue["sample"]
GLOVE, BERT = PARAMS.encoders["glove"], PARAMS.encoders["bert"]
SETTINGS = PARAMS.settings("sample", "hycon", "glove")


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
        "aggregate": "metrics.json",
    }
    for stage, output in outputs.items():
        place.start(stage)
        (folder / "out").rename(folder / output)
        if stage == "evaluate":
            (folder / RESAMPLED).rename(folder / "runs" / RESAMPLED)
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

    def start(self, name):
        """Run a stage by its name, or by the kind of its table; its output goes to `out`."""
        if name == "params":
            load(self.folder, self.overlay)
        else:
            task = self._tasks()[name]
            run_stage("tables" if isinstance(task, tasks.TableTask) else name, task)

    def refused(self, name, capsys):
        """Run a stage that must stop with exit code 2; return what it printed as its error."""
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped, copied_to(None), ending_well():
            self.start(name)
        assert stopped.value.code == USER_ERROR == 2
        printed = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        assert len(printed) == 1, printed
        return printed[0]

    def report(self):
        return json.loads((self / "out/report.json").read_text())

    def _tasks(self):
        corpus, encoder = self.corpus.as_input(), self.encoder.as_input()
        given = {
            "name": "sample/hycon-glove",
            "corpus": corpus,
            "encoder": encoder,
            "settings": self.settings,
            "aligned": self / "aligned",
        }
        row = tasks.ScoredRow(
            row="hycon-glove", model="M", encoder="E", scores=self / "runs/scores.json",
            parameters_digest=scores_digest(corpus, encoder, self.settings, PARAMS.metrics, [1]),
        )  # fmt: skip
        out, aligned = self / "out", self / "aligned"
        tables = (
            tasks.ScoreTable(
                experiment="main", title="t", rows=[row], left_out="", note="",
                inference=PARAMS.inference,
            ),
            tasks.DifferenceTable(
                title="t", reference="R", pairs=[tasks.RowPair(row=row, reference=row)],
                inference=PARAMS.inference,
            ),
        )  # fmt: skip
        return {
            "fetch": tasks.FetchTask(
                corpus="sample", file="words.csd", sources=[str(self / "raw/words.csd")],
                sha256=None, size=None, manifest=self / "manifest.json",
                output=out / "words.csd.sha256",
            ),
            "align": tasks.AlignTask(
                corpus=corpus, settings=PARAMS.align, raw=self / "raw", output=out
            ),
            "encode": tasks.EncodeTask(
                encoder=encoder, aligned=aligned, tiny=self / "bert", output=out
            ),
            "train": tasks.TrainTask(
                **given, states=self / "states", tiny=None, inputs=[self / "states/states.npy"],
                seeds=[1], output=out, record=out / "runs-1.json",
            ),
            "evaluate": tasks.EvaluateTask(
                **given, metrics=PARAMS.metrics, seeds=[1], runs=self / "runs", output=out
            ),
            **{
                table.kind: tasks.TableTask(
                    key="sample", corpus=self.corpus, table=table, output=out / "table"
                )
                for table in tables
            },
            "aggregate": tasks.AggregateTask(
                corpus="sample", experiments={"main": [row.unlabelled()]}, output=out
            ),
            "collect": tasks.CollectTask(
                metrics={"sample": self / "metrics.json"}, summary={"sample": ["mae_all"]},
                curves=[tasks.CurvePoint(panel="p", x=1.0, metric="mae_all", row=row)],
                training=[], confusion=[], output=out,
            ),
        }  # fmt: skip
