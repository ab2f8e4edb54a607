"""Compare the rows of an experiment with its reference row (rule `compare`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.corpus.utterances import read_table
from hycon.evaluation.aggregation import check_made_of
from hycon.evidence.differences import Pair, differences, write
from hycon.params import Corpus
from hycon.stages import evidence_parser, log, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = evidence_parser(__doc__)
    options.add_argument("--title", required=True, help="what the experiment shows")
    options.add_argument("--reference", required=True, help="what the reference row is called")
    options.add_argument("--key", required=True, help="the corpus's name")
    options.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    options.add_argument("--aligned", type=Path, required=True, help="folder")
    options.add_argument(
        "--pairs",
        type=json.loads,
        required=True,
        help="JSON: a list of [model, text encoder, path of its scores, path of the reference's]",
    )
    options.add_argument("--output", type=Path, required=True, help="path without its ending")
    arguments = options.parse_args(argv)
    start(arguments)
    check_made_of(arguments.expected)
    pairs = [
        Pair(model, encoder, Path(scores), Path(reference))
        for model, encoder, scores, reference in arguments.pairs
    ]
    utterances = read_table(arguments.aligned / "utterances.csv")
    found = differences(pairs, arguments.corpus, utterances)
    write(
        found,
        arguments.title,
        arguments.reference,
        arguments.key,
        arguments.corpus,
        arguments.output,
    )
    log.info("%s.csv, .md, .tex, .html: written", arguments.output)


if __name__ == "__main__":
    run(main)
