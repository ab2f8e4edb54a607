"""Build a tiny text encoder for a corpus (rule `tiny`)."""

from hycon.atomic_io import atomic_folder
from hycon.corpus.utterances import read_table
from hycon.encoders.tiny import BUILDERS
from hycon.logs import log
from hycon.plan.tasks import TinyTask
from hycon.stages import Machine


def main(task: TinyTask, _: Machine) -> None:
    utterances = read_table(task.aligned / "utterances.csv")
    with atomic_folder(task.output) as folder:
        build = BUILDERS[task.kind]
        build([u.text for u in utterances if u.fold == "train"], folder)
    log.info("%s: built", task.output)
