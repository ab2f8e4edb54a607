"""Bring the scores of all rows together: in full, in short, and as `dvc plots` draws them.

Rule `aggregate`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.evaluation.aggregation import check_made_of, over_seeds
from hycon.evidence.plotted import confusion, curves, training
from hycon.files import atomic_file, write_json
from hycon.stages import evidence_parser, log, run, start

PLACES = 4
PLOTTED = {"curves": curves, "training": training, "confusion": confusion}


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument(
        "--plan",
        type=json.loads,
        required=True,
        help="JSON: {corpus: {experiment: {variant: path of its scores}}}",
    )
    options.add_argument(
        "--shown", type=json.loads, required=True, help="JSON: {corpus: metrics of the summary}"
    )
    options.add_argument("--output", type=Path, required=True, help="of the whole")
    options.add_argument("--summary", type=Path, required=True, help="of means of a few metrics")
    options.add_argument(
        "--plotted", type=json.loads, required=True, help="JSON: {kind of plot: what it shows}"
    )
    options.add_argument("--plots", type=Path, required=True, help="folder of their tables")
    arguments = options.parse_args(argv)
    start(arguments)
    check_made_of(arguments.expected)
    for kind, table in PLOTTED.items():
        with atomic_file(arguments.plots / f"{kind}.csv") as temporary:
            table(arguments.plotted[kind]).to_csv(temporary, index=False, lineterminator="\n")
    metrics = {
        corpus: {
            experiment: {variant: over_seeds(Path(path)) for variant, path in rows.items()}
            for experiment, rows in experiments.items()
        }
        for corpus, experiments in arguments.plan.items()
    }
    write_json(arguments.summary, _summary(metrics, arguments.shown))
    write_json(arguments.output, metrics)
    log.info("%s: written", arguments.output)


def _summary(metrics: dict, shown: dict[str, list[str]]) -> dict:
    """Return the means of a few metrics, for eyes that compare two runs.

    Each row stands once, in the first experiment that has it.
    """
    summary: dict[str, dict] = {}
    for corpus, experiments in metrics.items():
        seen: set[str] = set()
        for experiment, rows in experiments.items():
            new = {
                row: {name: round(found[name]["mean"], PLACES) for name in shown[corpus]}
                for row, found in rows.items()
                if row not in seen
            }
            seen |= set(new)
            if new:
                summary.setdefault(corpus, {})[experiment] = new
    return summary


if __name__ == "__main__":
    run(main)
