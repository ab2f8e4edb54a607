"""Generate a sample corpus (rule `generate`)."""

from hycon.logs import log
from hycon.plan.tasks import GenerateTask
from hycon.sample.corpus import generate
from hycon.stages import Machine

LABELS = {"regression": "sentiment", "classification": "emotion"}


def main(task: GenerateTask, _: Machine) -> None:
    settings = task.generator
    generate(
        task.output,
        task=LABELS[task.task],
        videos=settings.videos,
        utterances_per_video=settings.utterances_per_video,
        seed=settings.seed,
        planted=settings.planted,
    )
    log.info("%s: generated %d videos", task.output, settings.videos)
