"""Fetch one file of a corpus, or check the existing one (rule `fetch`)."""

from hycon.atomic_io import atomic_file
from hycon.corpus.fetch import fetch
from hycon.logs import log
from hycon.plan.tasks import FetchTask
from hycon.stages import Machine


def main(task: FetchTask, _: Machine) -> None:
    target = task.output.with_suffix("")
    digest = fetch(
        target,
        task.sources,
        sha256=task.sha256,
        size=task.size,
        manifest=task.manifest,
        corpus=task.corpus,
        say=log.info,
    )
    with atomic_file(task.output) as temporary:
        line = f"{digest}  {target.name}\n"  # the format of sha256sum -c
        temporary.write_text(line, encoding="utf-8")
