"""Write one page of everything that a run left behind (rule `report`)."""

from collections.abc import Sequence
from pathlib import Path

from hycon.evaluation.aggregation import check_made_of
from hycon.evidence.report import Plan, write
from hycon.stages import evidence_parser, log, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument(
        "--plan", type=Plan.model_validate_json, required=True, help="JSON: what the page has"
    )
    options.add_argument("--results", type=Path, default=Path("results"), help="folder")
    options.add_argument("--graph", type=Path, help="drawing of the rules, if there is one")
    options.add_argument("--output", type=Path, required=True)
    arguments = options.parse_args(argv)
    start(arguments)
    check_made_of(arguments.expected)
    write(arguments.plan, arguments.results, arguments.graph, arguments.output)
    log.info("%s: written, %.1f MB", arguments.output, arguments.output.stat().st_size / 1e6)


if __name__ == "__main__":
    run(main)
