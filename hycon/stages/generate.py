"""Make a made-up corpus (rule `generate`)."""

from collections.abc import Sequence
from pathlib import Path

from hycon.corpus import sample
from hycon.params import Generator
from hycon.stages import log, parser, run, start

TASKS = {"regression": "sentiment", "classification": "emotion"}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--task", choices=TASKS, required=True)
    options.add_argument("--generator", type=Generator.model_validate_json, required=True)
    options.add_argument("--output", type=Path, required=True, help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    settings = arguments.generator
    sample.generate(
        arguments.output,
        task=TASKS[arguments.task],
        videos=settings.videos,
        utterances_per_video=settings.utterances_per_video,
        seed=settings.seed,
    )
    log.info("%s: made up %d videos", arguments.output, settings.videos)


if __name__ == "__main__":
    run(main)
