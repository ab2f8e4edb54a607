"""Write docs/day.md: a day with the pipeline, typed into a clone of this commit, with what it said.

`make day`. Lines that Snakemake and DVC print on the way are left out where `...` stands.
"""

import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# of what is printed while a run goes on, only these lines say what it does
TOLD = re.compile(
    r"Stage '|Running stage|^(generate|fetch|align|tiny|encode|train|evaluate|aggregate|collect|"
    r"tables|figures|complexity|report) +\d+$|Nothing to be done|up to date"
)

WIDTH = 140  # characters of a line that are shown


class Day:
    """What was said and typed, and a folder to type in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.text = folder, []

    def say(self, *paragraphs: str) -> None:
        self.text += [*paragraphs, ""]

    def type(self, *commands: str, told: bool = False, most: int = 40) -> None:
        """Run commands in a shell, and show them with what they print.

        Args:
            commands: shell commands.
            told: whether to show only the lines that say what a run does.
            most: lines shown of one command.
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
            if told:
                lines = [line for line in lines if TOLD.search(line)] or ["..."]
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
        day = Day(clone)
        _first_run(day)
        _edits(day)
        _back(day)
        _elsewhere(day)
        _experiments(day)
        day.write(ROOT / "docs/day.md")


def _first_run(day: Day) -> None:
    day.say(
        "# A day with the pipeline",
        "",
        "What follows was typed into a fresh clone by `make day` (docs/day.py), on the built-in "
        "samples: its numbers are SAMPLE NUMBERS. Of a run only those lines are shown that say "
        "what is done.",
        "",
        "## The first run",
        "",
        "`dvc repro` does what `snakemake --cores 1 all` does, in four phases, and remembers which "
        "version of data, features, models and metrics came of it:",
    )
    day.type("dvc dag")
    day.type("dvc repro", told=True)
    day.type("git add --all && git commit --quiet --message 'First run'")
    day.say("A second one has nothing to do:")
    day.type("dvc repro", told=True)


def _edits(day: Day) -> None:
    day.say(
        "## A parameter is changed",
        "",
        "Another value of alpha is a line in `variants` and a name in the experiment `alpha`. Only "
        "its runs are trained, on both corpora, and what shows them is made again:",
    )
    variant = "  alpha-095: {label: alpha 0.95, of: hycon-v2, train: {alpha: 0.95}}"
    day.type(
        rf"sed -i 's/hycon-v2, alpha-09, without-margin/hycon-v2, alpha-09, alpha-095, "
        rf"without-margin/; /^  alpha-09:/a \{variant}' params.yaml && git diff --stat",
        "dvc params diff",
    )
    day.type("dvc repro", told=True)
    day.type("dvc metrics diff", "git commit --quiet --all --message 'alpha 0.95'")
    day.say("A figure's colour redraws a figure, and trains nothing:")
    day.type("""sed -i 's/line: "#0072B2"/line: "#009E73"/' params.yaml""")
    day.type("dvc repro", told=True)
    day.type("git commit --quiet --all --message Green")
    day.say(
        "Snakemake can be used by itself, too. Then DVC says what it has not recorded yet, and "
        "`dvc commit --force` settles it (`make record` does both):"
    )
    day.type("""sed -i 's/line: "#009E73"/line: "#0072B2"/' params.yaml""")
    day.type("snakemake --cores 1 all", told=True)
    day.type("dvc status", "dvc commit --force", "dvc status")
    day.type("git commit --quiet --all --message Blue")


def _back(day: Day) -> None:
    day.say(
        "## Back to this morning",
        "",
        "A commit has its data, features, models and results. Nothing has to be made again, and "
        "edits from there rerun what they touch:",
    )
    day.type(
        "git checkout --quiet HEAD~3 && dvc checkout",
        "dvc status",
        "snakemake --cores 1 --dry-run all 2>&1 | tail -1",
        "git checkout --quiet - && dvc checkout",
    )


def _elsewhere(day: Day) -> None:
    day.say(
        "## On another machine",
        "",
        "A remote may be a folder, or object storage (S3 and others). Raw files are not pushed, "
        "since licences forbid passing them on: `--allow-missing` says that this is meant, and "
        "`dvc repro` fetches them again where a step needs them.",
    )
    day.type(
        "dvc remote add --default store ../store && git commit --quiet --all --message Remote",
        "dvc push",
    )
    day.type(
        "git clone --quiet . ../clone && cd ../clone && dvc pull --allow-missing 2>&1 | tail -1",
        "cd ../clone && snakemake --cores 1 --dry-run all 2>&1 | tail -1",
    )


def _experiments(day: Day) -> None:
    day.say(
        "## Experiments without commits",
        "",
        "`dvc exp run` changes parameters for one run, in place, in a copy (`--temp`), or later "
        "(`--queue`). Here lambda1, the weight of IAMCL, in the variant HyCon: it and those that "
        "are made from it are trained again (`--set-param train.lambdas.intra=0.2` would change it "
        "for every row that has the loss). DVC lays params.yaml out anew, and keeps its comments.",
    )
    changed = "+variants.hycon.train.lambdas.intra=0.2"
    day.type(f"dvc exp run --name lambda1 --set-param {changed}", told=True)
    day.say(
        "All changed numbers are a wide table; `make experiments` shows those of the main table:"
    )
    drop = r".*\.(peers|ablation|fusion|alpha|losses)\.|.*acc|(data|results|hycon|workflow)"
    day.type(f"dvc exp show --only-changed --no-pager --md --drop '{drop}'")
    day.say("One that was worth it is applied and committed, or else given up:")
    day.type(
        "git checkout --quiet . && dvc checkout --quiet",
        "dvc exp apply lambda1",
        "dvc status",
        "git commit --quiet --all --message 'lambda1 0.2'",
    )


if __name__ == "__main__":
    main()
