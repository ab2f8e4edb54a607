"""Write the table of what each row costs (rule `costs`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.evidence.costs import read_costs, write
from hycon.params import Corpus
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--key", required=True, help="the corpus's name")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--measured", type=Path, required=True, help="file of `complexity`")
    options.add_argument(
        "--labels", type=json.loads, required=True, help="JSON: {row: [model, text encoder]}"
    )
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    record = read_costs(arguments.measured, arguments.labels)
    write(record, arguments.key, arguments.corpus, arguments.output)
    log.info("%s.csv, .md, .tex, .html: written", arguments.output)


if __name__ == "__main__":
    run(main)
