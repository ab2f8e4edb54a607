"""Show what the same runs report under other protocols, such as epochs chosen on the test fold.

FILE is a row of this project that was trained with train.every_epoch (results/runs/CORPUS/ROW), or
an .npz file with `valid` (S, E, V) and `test` (S, E, T), the predictions of S seeds after each of E
epochs, and `valid_labels` (V,) and `test_labels` (T,). Emotions are numbers, with a last dimension
of C scores.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hycon.commands.prediction_files import check, read_archive
from hycon.commands.predictions import aligned_of, named_paths
from hycon.commands.score import printable_lines
from hycon.errors import HyConError
from hycon.evaluation.aggregation import read_scores
from hycon.evaluation.audit import Audit, Epochs, audit, tuned
from hycon.evaluation.inference import scoring

COLUMNS = {
    "acc7": ("Acc7", 100), "acc2_nonneg": ("Acc2 nonneg", 100), "acc2_pos": ("Acc2 pos", 100),
    "f1_pos": ("F1 pos", 100), "mae_all": ("MAE all", 1), "corr_all": ("Corr all", 1),
}  # fmt: skip
DRAWN = ("mae_all", "acc2_pos", "acc", "f1")  # metrics of the figure


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(
        prog="hycon audit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    options.add_argument("rows", nargs="+", metavar="[NAME=]FILE")
    options.add_argument("--format", choices=("table", "json", "csv", "latex"), default="table")
    options.add_argument("--figure", type=Path, metavar="PATH", help="PATH.svg, .pdf, .png, .txt")
    arguments = options.parse_args(argv)
    from hycon.reporting.protocols import NOTE, display, draw, numbers
    from hycon.reporting.table_formats import latex, markdown

    paths = named_paths(arguments.rows, "rows")
    found = {name: _audited(path) for name, path in paths.items()}
    audits = {name: each for name, (each, _, _) in found.items()}
    primaries = {primary for _, primary, _ in found.values()}
    if len(primaries) > 1:
        raise HyConError(f"{arguments.rows[-1]}: is of another task than {arguments.rows[0]}")
    primary, seeds = primaries.pop(), sorted({n for _, _, n in found.values()})
    columns = COLUMNS if primary == "mae_all" else {"acc": ("Acc", 100), "f1": ("F1", 100)}
    best = tuned(audits, primary) if len(audits) > 1 else None
    caption = (
        f"Test fold, mean ± standard deviation (ddof 1) over n = {', '.join(map(str, seeds))} "
        f"seeds. {NOTE}"
    )
    if arguments.figure:
        from hycon.reporting.figures import COLOURS

        chosen = {name: columns[name] for name in columns if name in DRAWN}
        draw(audits, chosen, caption, arguments.figure, COLOURS)
    if arguments.format == "csv":
        print(numbers(audits, best).to_csv(index=False, lineterminator="\n"), end="")
        return
    if arguments.format == "json":
        both = {**audits, **({} if best is None else {"any of the above": best})}
        print(json.dumps({name: each.runs for name, each in both.items()}, indent=1))
        return
    named = {(name,): each for name, each in audits.items()}
    sheet = display(named, best, columns, primary, caption, "protocols", ("Row",))
    print(latex(sheet) if arguments.format == "latex" else printable_lines(markdown(sheet)), end="")


def _audited(path: Path) -> tuple[Audit, str, int]:
    """Return a row's audit, its primary metric and its number of seeds."""
    if path.is_dir():
        runs, labels = _ours(path)
    else:
        runs, labels = _archive(path)
    valid, test = labels
    scored = next(iter(runs.values())).test.ndim == 3
    primary = "acc" if scored else "mae_all"
    try:
        if scored:
            names = list(map(str, range(next(iter(runs.values())).test.shape[2])))
            metrics = scoring([str(int(label)) for label in test], names)
        else:
            metrics = scoring(list(map(str, test)))
        return audit(runs, valid, metrics, primary), primary, len(runs)
    except ValueError as error:
        raise HyConError(f"{path}: {error}") from None


def _ours(folder: Path) -> tuple[dict[str, Epochs], list[np.ndarray]]:
    from hycon.corpus.utterances import read_table
    from hycon.plan.tasks import ScoredRow
    from hycon.reporting.protocols import read_epochs

    scores = read_scores(folder / "scores.json")
    row = ScoredRow(
        row=folder.name, model="", encoder="", scores=folder / "scores.json", parameters_digest=""
    )
    runs = {seed: read_epochs(row, seed) for seed in scores["seeds"]}
    table = aligned_of(folder)
    utterances = read_table(table / "utterances.csv")
    emotions = scores["corpus"].get("emotions")
    texts = [[each.label for each in utterances if each.fold == fold] for fold in ("valid", "test")]
    try:
        return runs, [
            np.array([float(text) if emotions is None else emotions.index(text) for text in each])
            for each in texts
        ]
    except ValueError as error:
        raise HyConError(f"{table}: {error}; align it again") from None


def _archive(path: Path) -> tuple[dict[str, Epochs], list[np.ndarray]]:
    check(path)
    if path.suffix.lower() != ".npz":
        raise HyConError(f"{path}: expected an .npz file, or the folder of a row")
    content = read_archive(path)
    wanted = ("valid", "test", "valid_labels", "test_labels")
    if missing := [name for name in wanted if name not in content]:
        raise HyConError(
            f"{path}: lacks {', '.join(missing)}; found {', '.join(content)[:200]}, expected "
            f"{', '.join(wanted)}"
        )
    arrays = {name: content[name] for name in wanted}
    for name, each in arrays.items():
        if each.dtype.kind not in "fiu":
            raise HyConError(f"{path}: {name} is {each.dtype}, expected numbers")
    valid, test = arrays["valid"].astype(np.float64), arrays["test"].astype(np.float64)
    if valid.ndim not in (3, 4) or test.ndim != valid.ndim or len(valid) != len(test):
        raise HyConError(
            f"{path}: valid is {valid.shape}, test {test.shape}, expected (S, E, V) and (S, E, T)"
        )
    runs = {str(seed): Epochs(*each) for seed, each in enumerate(zip(valid, test, strict=True), 1)}
    return runs, [arrays["valid_labels"], arrays["test_labels"]]
