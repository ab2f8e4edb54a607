"""A miniature of the sample in a git repository with DVC, and operations on it."""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from hycon.params import merge

ROOT = Path(__file__).resolve().parents[2]
# everything that a run reads, and the files that DVC and git need
PARTS = ("Snakefile", "params.yaml", "corpora.yaml", "dvc.yaml", ".dvcignore", ".gitignore",
         "corpora.manifest.json", "workflow", "profiles", "hycon", "paper",
         "docs/rulegraph.svg", ".dvc/config", ".dvc/.gitignore")  # fmt: skip
SMALL = """
corpora: [sample]
seeds: [1, 2]
device: cpu
experiments:
  main: {encoders: [glove], variants: [hycon-v2, no-contrastive], tsne: null, controls: null}
  alpha: {encoders: [glove], variants: [alpha-05, hycon-v2], reference: hycon-v2}
complexity: null
per_corpus: {sample: {train: {epochs: 2}}}
"""
GENERATOR = {"videos": 10, "utterances_per_video": 5}


def make(folder):
    """Copy the project to a folder, with few rows and a small sample."""
    for name in PARTS:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    params = merge(yaml.safe_load((ROOT / "params.yaml").read_text()), yaml.safe_load(SMALL))
    kept = yaml.safe_load(SMALL)["experiments"]
    params["experiments"] = {name: params["experiments"][name] for name in kept}
    # those of the sample would hide edits of `train`
    del params["per_corpus"]["sample"]["train"]["lambdas"]
    write(folder / "params.yaml", params)
    corpora = yaml.safe_load((ROOT / "corpora.yaml").read_text())
    catalogue = corpora["catalogue"]
    corpora["catalogue"] = {name: catalogue[name] for name in ("sample", "sample-emotion")}
    corpora["catalogue"]["sample"]["generator"] |= GENERATOR
    write(folder / "corpora.yaml", corpora)
    return Repository(folder)


def write(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=False))


class Repository:
    """A folder in which commands run."""

    def __init__(self, folder):
        self.folder = folder

    def __truediv__(self, name):
        return self.folder / name

    def start(self, *command, **variables):
        """Start a command in its own process group, with its output in a pipe."""
        known = ("GIT_", "OMP_", "HF_")
        environment = {key: value for key, value in os.environ.items() if key[:4] not in known}
        environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        # commits have a fixed author, and git ignores the settings of the user of this machine
        for role in ("AUTHOR", "COMMITTER"):
            environment |= {f"GIT_{role}_NAME": "test", f"GIT_{role}_EMAIL": "test@example.org"}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        environment |= variables
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # whatever starts the tests may ignore it
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            text=True,
            start_new_session=True,
        )

    def tries(self, *command, **variables):
        """Run a command; return (exit code, output)."""
        process = self.start(*command, **variables)
        printed, _ = process.communicate(timeout=600)
        return process.returncode, printed

    def run(self, *command, **variables):
        """Run a command that must succeed; return its output."""
        code, printed = self.tries(*command, **variables)
        assert code == 0, printed
        return printed

    def cloned(self, folder, cache):
        """Return a clone in a folder, with data from a DVC cache."""
        self.git("clone", "--quiet", str(self.folder), str(folder))
        clone = Repository(folder)
        clone.dvc("config", "--local", "cache.dir", str(cache))
        clone.dvc("checkout", "--quiet")
        return clone

    def git(self, *arguments):
        return self.run("git", *arguments)

    def dvc(self, *arguments):
        return self.run("dvc", *arguments)

    def snakemake(self, *arguments):
        return self.run("snakemake", "--cores", "1", *arguments)

    def commit(self, message):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def set(self, old, new, name="params.yaml"):
        """Replace a text that occurs exactly once in a file."""
        text = (self / name).read_text()
        assert text.count(old) == 1, (old, text.count(old))
        (self / name).write_text(text.replace(old, new))

    def planned(self, *targets):
        """Return the number of jobs by rule that Snakemake would run."""
        printed = self.snakemake("--dry-run", *(targets or ("all",)))
        assert (jobs(printed) == {}) == ("Nothing to be done" in printed)
        return jobs(printed)

    def clean(self):
        """Assert that DVC reports no changes and Snakemake has nothing to do; return True."""
        status = self.dvc("status")
        assert "up to date" in status, status
        assert self.planned() == {}
        return True

    def contents(self, *names):
        """Return the bytes of every file below some folders, by path."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for name in names
            for path in sorted((self / name).rglob("*"))
            if path.is_file()
        }

    def stop(self, command, when, how, group=True):
        """Run a command, send a signal once a line of output matches, and return the output."""
        process = self.start(*command)
        printed = ""
        for line in process.stdout:
            printed += line
            if re.search(when, line):
                break
        if group:
            os.killpg(process.pid, how)
        else:
            process.send_signal(how)
        printed += process.stdout.read()
        process.wait(timeout=120)
        return printed


def jobs(printed):
    """Return the number of planned jobs by rule; `all` and phases do not count.

    A dry run prints Snakemake's table, a run a line (hycon/plan/console.py).
    """
    table = re.findall(r"^(\w+) +(\d+)$", printed.split("Reasons:")[0], flags=re.MULTILINE)
    if line := re.search(r"^\d+ jobs?\b[^:]*: (\w+ \d+.*)$", printed, re.MULTILINE):
        table = re.findall(r"(\w+) (\d+)", line[1])
    apart = ("total", "all", "raw", "features", "runs")
    return {rule: int(count) for rule, count in table if rule not in apart}


def phase(printed, name):
    """Return the output of a DVC stage."""
    return printed.split(f"Running stage '{name}'")[1].split("Running stage")[0]


# the outputs of a version, and the change from A to B
KEPT = ("data", "results", ".snakemake/metadata", ".snakemake/outputs")
TABLES = ("results/sample/tables", "results/plots")
B_LAMBDA = ("intra: 0.1", "intra: 0.3")
KILL, INTERRUPT = signal.SIGKILL, signal.SIGINT
