"""Build a tiny text encoder of a corpus (rule `tiny`)."""

from collections.abc import Sequence
from pathlib import Path

from hycon.corpus.utterances import read_table
from hycon.encoders.tiny import BUILDERS
from hycon.files import atomic_folder
from hycon.stages import log, parser, run, start


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--kind", choices=BUILDERS, required=True)
    options.add_argument("--aligned", type=Path, required=True, help="folder")
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    utterances = read_table(arguments.aligned / "utterances.csv")
    with atomic_folder(arguments.output) as folder:
        build = BUILDERS[arguments.kind]
        build([u.text for u in utterances if u.fold == "train"], folder)
    log.info("%s: built", arguments.output)


if __name__ == "__main__":
    run(main)
