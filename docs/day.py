"""Write docs/day.md: a session with the pipeline in a clone of this commit, with its output.

`make day`. Progress lines of Snakemake and DVC are left out.
"""

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the lines of a run's output that are shown
SHOWN = re.compile(r"Stage '|Running stage|^\d+ jobs? on |Nothing to be done|up to date")

WIDTH = 140  # characters of a line that are shown


class Session:
    """The text of the page, and the folder in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.text = folder, []

    def say(self, *paragraphs: str) -> None:
        self.text += [*paragraphs, ""]

    def type(self, *commands: str, brief: bool = False, most: int = 40) -> None:
        """Run commands in a shell, and add them to the text with their output.

        Args:
            commands: shell commands.
            brief: whether to show only the lines that match `SHOWN`.
            most: number of lines shown of one command.
        """
        self.text.append("```")
        for command in commands:
            print(f"$ {command}", flush=True)
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
            lines = [_short(line) for line in done.stdout.strip("\n").splitlines()]
            if brief:
                lines = [line for line in lines if SHOWN.search(line)] or ["..."]
            rest = [f"... ({len(lines) - most} more lines)"] if len(lines) > most else []
            self.text += [f"$ {command}", *lines[:most], *rest]
        self.text += ["```", ""]

    def write(self, path: Path) -> None:
        text = "\n".join(self.text).replace(str(self.folder.parent), "..")
        path.write_text(text.strip() + "\n", encoding="utf-8")


def _short(line: str) -> str:
    return (
        line.rstrip() if len(line) <= WIDTH or line[:1] == "|" else f"{line[:WIDTH].rstrip()} ..."
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "hycon"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        day = Session(clone)
        _first_run(day)
        _edits(day)
        _back(day)
        _elsewhere(day)
        _experiments(day)
        day.write(ROOT / "docs/day.md")


def _first_run(day: Session) -> None:
    day.say(
        "# A day with the pipeline",
        "",
        "`make day` (docs/day.py) ran these commands in a fresh clone, on the generated samples. "
        "All numbers are SAMPLE NUMBERS. The output of a run is shortened to the jobs it ran.",
        "",
        "## The first run",
        "",
        "`dvc repro` runs `snakemake --cores 1 all` in four phases, and records the versions of "
        "data, features, models and metrics:",
    )
    day.type("dvc dag")
    day.type("dvc repro", brief=True)
    day.type("git add --all && git commit --quiet --message 'First run'")
    day.say("A second run has nothing to do:")
    day.type("dvc repro", brief=True)


def _edits(day: Session) -> None:
    day.say(
        "## Change a parameter",
        "",
        "To add a value of alpha, add a variant, and its name to the experiment `alpha`. Only its "
        "runs are trained, on both corpora; tables and figures that show them are updated:",
    )
    variant = "  alpha-095: {label: alpha 0.95, of: hycon-v2, train: {alpha: 0.95}}"
    day.type(
        rf"sed -i 's/hycon-v2, alpha-09, without-margin/hycon-v2, alpha-09, alpha-095, "
        rf"without-margin/; /^  alpha-09:/a \{variant}' params.yaml && git diff --stat",
        "dvc params diff",
    )
    day.type("dvc repro", brief=True)
    day.type("dvc metrics diff", "git commit --quiet --all --message 'alpha 0.95'")
    day.say("A new colour redraws figures and trains nothing:")
    day.type("""sed -i 's/line: "#0072B2"/line: "#009E73"/' params.yaml""")
    day.type("dvc repro", brief=True)
    day.type("git commit --quiet --all --message Green")
    day.say(
        "You can also run Snakemake directly. Then `dvc status` lists what DVC has not recorded, "
        "and `dvc commit --force` records it (`make record` does both):"
    )
    day.type("""sed -i 's/line: "#009E73"/line: "#0072B2"/' params.yaml""")
    day.type("snakemake --cores 1 all", brief=True)
    day.type("dvc status", "dvc commit --force", "dvc status")
    day.type("git commit --quiet --all --message Blue")


def _back(day: Session) -> None:
    day.say(
        "## Go back",
        "",
        "Each commit has its data, features, models and results. After a checkout nothing needs to "
        "be rerun, and edits rerun what they affect:",
    )
    day.type(
        "git checkout --quiet HEAD~3 && dvc checkout",
        "dvc status",
        "snakemake --cores 1 --dry-run all 2>&1 | tail -1",
        "git checkout --quiet - && dvc checkout",
    )


def _elsewhere(day: Session) -> None:
    day.say(
        "## Use another machine",
        "",
        "A remote is a folder or object storage such as S3. Raw files are not pushed, because "
        "licences forbid redistribution: `--allow-missing` accepts that, and `dvc repro` fetches "
        "them again if a step needs them.",
    )
    day.type(
        "dvc remote add --default store ../store && git commit --quiet --all --message Remote",
        "dvc push",
    )
    day.type(
        "git clone --quiet . ../clone && cd ../clone && dvc pull --allow-missing 2>&1 | tail -1",
        "cd ../clone && snakemake --cores 1 --dry-run all 2>&1 | tail -1",
    )


def _experiments(day: Session) -> None:
    day.say(
        "## Run experiments without commits",
        "",
        "`dvc exp run` changes parameters for one run: in place, in a copy (`--temp`), or later "
        "(`--queue`). This example changes lambda1, the weight of IAMCL, in the variant HyCon, and "
        "retrains it and the variants that are based on it. (`--set-param train.lambdas.intra=0.2` "
        "would change every row that uses the loss.) DVC reformats params.yaml and keeps its "
        "comments.",
    )
    changed = "+variants.hycon.train.lambdas.intra=0.2"
    day.type(f"dvc exp run --name lambda1 --set-param {changed}", brief=True)
    day.say("The table of all changed numbers is wide; `make experiments` shows the main ones:")
    drop = r".*\.(peers|ablation|fusion|alpha|losses)\.|.*acc|(data|results|hycon|workflow)"
    day.type(f"dvc exp show --only-changed --no-pager --md --drop '{drop}'")
    day.say("Apply and commit the experiment:")
    day.type(
        "git checkout --quiet . && dvc checkout --quiet",
        "dvc exp apply lambda1",
        "dvc status",
        "git commit --quiet --all --message 'lambda1 0.2'",
    )


if __name__ == "__main__":
    main()
