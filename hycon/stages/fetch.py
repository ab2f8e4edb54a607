"""Fetch one file of a corpus (rule `fetch`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.corpus.fetch import fetch
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--path", required=True, help="path on a server")
    options.add_argument("--corpus", required=True, help="its name")
    options.add_argument(
        "--servers",
        type=json.loads,
        required=True,
        help="JSON: {corpus: folders and addresses, in the order in which to ask them}",
    )
    options.add_argument("--sha256", help="digest that the file must have")
    options.add_argument("--output", type=Path, required=True)
    arguments = options.parse_args(argv)
    start(arguments)
    servers = arguments.servers[arguments.corpus]
    fetch(arguments.path, servers, arguments.output, arguments.sha256 or None, log.info)


if __name__ == "__main__":
    run(main)
