"""Write one experiment's table in every form (rule `tables`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.evaluation.aggregation import check_made_of
from hycon.evidence.tables import Row, make_table, write
from hycon.params import Corpus
from hycon.stages import evidence_parser, log, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument("--experiment", required=True, help="its name")
    options.add_argument("--title", required=True, help="what the table shows")
    options.add_argument("--key", required=True, help="the corpus's name")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument(
        "--rows",
        type=json.loads,
        required=True,
        help="JSON: a list of [model, text encoder, path of the scores]",
    )
    options.add_argument("--left-out", default="", help="which rows are not here, and why")
    options.add_argument("--note", default="", help="what else the caption says of the rows")
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    check_made_of(arguments.expected)
    rows = [Row(model, encoder, Path(path)) for model, encoder, path in arguments.rows]
    table = make_table(
        arguments.experiment,
        arguments.title,
        arguments.key,
        arguments.corpus,
        rows,
        arguments.left_out,
        arguments.note,
    )
    write(table, arguments.output)
    log.info("%s.csv, .md, .tex, .html: written", arguments.output)


if __name__ == "__main__":
    run(main)
