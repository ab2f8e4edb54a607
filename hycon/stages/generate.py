"""Generate a sample corpus (rule `generate`)."""

from hycon.logs import log
from hycon.plan.tasks import GenerateTask
from hycon.sample.corpus import generate
from hycon.stages import Machine

LABELS = {"regression": "sentiment", "classification": "emotion"}


def main(task: GenerateTask, _: Machine) -> None:
    generate(task.output, task=LABELS[task.task], **task.generator.model_dump())
    log.info("%s: generated %d videos", task.output, task.generator.videos)
