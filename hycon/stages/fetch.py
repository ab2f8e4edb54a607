"""Fetch one file of a corpus, or check the one that is there (rule `fetch`)."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.corpus.fetch import fetch
from hycon.files import atomic_file
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--corpus", required=True, help="its name")
    options.add_argument("--file", required=True, help="its name")
    options.add_argument(
        "--places",
        type=json.loads,
        required=True,
        help="JSON: {corpus: {file: addresses in the order in which to ask them}}",
    )
    options.add_argument("--sha256", help="digest that the file must have")
    options.add_argument("--size", type=int, help="bytes that it must have")
    options.add_argument(
        "--manifest",
        type=lambda text: Path(text) if text else None,
        help="what came earlier; none for made-up files",
    )
    options.add_argument(
        "--output", type=Path, required=True, help="FILE.sha256, a record beside the file"
    )
    arguments = options.parse_args(argv)
    start(arguments)
    target = arguments.output.with_suffix("")
    digest = fetch(
        target,
        arguments.places[arguments.corpus][arguments.file],
        sha256=arguments.sha256 or None,
        size=arguments.size or None,
        manifest=arguments.manifest,
        corpus=arguments.corpus,
        say=log.info,
    )
    with atomic_file(arguments.output) as temporary:
        temporary.write_text(
            f"{digest}  {target.name}\n", encoding="utf-8"
        )  # as sha256sum -c reads


if __name__ == "__main__":
    run(main)
