"""What `pip install hycon` brings without extras is enough for the losses and the metrics."""

import re
import subprocess
import sys
import tomllib

from tests.test_params import ROOT

# as if only these were installed, and what torch and scipy bring along themselves
REFUSE = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refuse())
"""
METRICS = """
import numpy as np
from hycon.evaluation.inference import compare, resample, scoring
from hycon.evaluation.metrics import sentiment_metrics

found = sentiment_metrics(np.array([1.0, -2.0, 0.5]), np.array([1.0, -1.0, -0.5]))
assert found["mae_all"] == (0 + 1 + 1) / 3
ours, theirs = (
    resample({"1": np.array(first), "2": np.array(second)}, ["a", "b", "b"], scoring("012"))
    for first, second in (([0.0, 1, 2], [0.0, 1, 3]), ([1.0, 1, 2], [1.0, 1, 3]))
)
assert compare(ours, theirs, "mae_all", 0.02).difference == -1 / 3

from hycon.evaluation import compare, published, score

labels = np.array([1.0, -1.0, 0.0, 2.0])
runs = {"1": labels + 0.25, "2": labels + 0.5}
assert score(runs, labels)["mae_all"].values == {"1": 0.25, "2": 0.5}
assert published(runs, labels, {"mae": ".375"})[0].fits[0].convention.name == "mae_all"
(row,) = compare({"a": runs, "b": runs}, labels).rows
assert row.verdict == "equivalent"
"""


def run(code):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", each)[0] for each in project["optional-dependencies"]["pipeline"]}
    modules = {"cmu-multimodal-sdk": "mmsdk", "scikit-learn": "sklearn", "pyyaml": "yaml"}
    refused = {modules.get(name, name.replace("-", "_")) for name in names}
    # torch itself looks for these where they are
    refused -= {"jinja2", "tqdm", "filelock", "yaml"}
    assert {"pydantic", "pandas", "snakemake", "safetensors", "mmsdk"} <= refused
    script = REFUSE.format(refused=sorted(refused)) + code
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)


def test_the_readme_s_loss_runs_with_the_small_install():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = run(example)
    assert done.returncode == 0, done.stderr


def test_metrics_and_comparisons_run_with_the_small_install():
    done = run(METRICS)
    assert done.returncode == 0, done.stderr


def test_a_command_of_the_pipeline_says_what_to_install():
    done = run("sys.argv = ['hycon', 'corpora']\nfrom hycon.__main__ import main\nmain()")
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: hycon corpora needs the package \w+: pip install 'hycon\[pipeline\]'\n",
        done.stderr,
    )
