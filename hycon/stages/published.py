"""Set published numbers beside ours (rule `published`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.evaluation.aggregation import check_made_of
from hycon.evidence.published import lines, write
from hycon.params import Corpus, Published
from hycon.stages import evidence_parser, log, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument("--key", required=True, help="the corpus's name")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--published", type=json.loads, required=True, help="JSON: published rows")
    options.add_argument("--scores", type=json.loads, required=True, help="JSON: {row: path}")
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    check_made_of(arguments.expected)
    published = [Published.model_validate(each) for each in arguments.published]
    scores = {row: Path(path) for row, path in arguments.scores.items()}
    found = lines(published, scores)
    write(found, arguments.key, arguments.corpus, arguments.output)
    log.info("%s.csv, .md, .tex, .html: written", arguments.output)


if __name__ == "__main__":
    run(main)
