"""Bring the scores of all variants together in metrics.json (rule `aggregate`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.evaluation.aggregation import over_seeds
from hycon.files import write_json
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument(
        "--plan",
        type=json.loads,
        required=True,
        help="JSON: {corpus: {experiment: {variant: path of its scores}}}",
    )
    options.add_argument("--output", type=Path, required=True)
    arguments = options.parse_args(argv)
    start(arguments)
    metrics = {
        corpus: {
            experiment: {variant: over_seeds(Path(path)) for variant, path in rows.items()}
            for experiment, rows in experiments.items()
        }
        for corpus, experiments in arguments.plan.items()
    }
    write_json(arguments.output, metrics)
    log.info("%s: written", arguments.output)


if __name__ == "__main__":
    run(main)
