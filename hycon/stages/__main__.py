"""Run a stage: `python -m hycon.stages NAME < JOB`, with the job as JSON on standard input."""

import sys

from hycon.stages.client import ask


def main(argv: list[str] | None = None) -> None:
    """Run the stage on the command line; exit codes are those of `hycon.logs.ending_well`."""
    # these take half a second, which a job that the server runs need not wait for
    import argparse
    import importlib
    from pathlib import Path

    from hycon.logs import copied_to, ending_well, log
    from hycon.plan.job import read_document
    from hycon.plan.records import record
    from hycon.plan.tasks import TASKS
    from hycon.stages import Machine

    options = argparse.ArgumentParser(prog="python -m hycon.stages", description=__doc__)
    options.add_argument("stage", choices=TASKS)
    options.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument(
        "--features-in",
        default="auto",
        choices=("auto", "memory", "files"),
        help="where training has features",
    )
    options.add_argument("--log", type=Path, help="a file that receives the messages too")
    arguments = options.parse_args(argv)
    # before the stage is imported, so that the log has what imports print
    with copied_to(arguments.log), ending_well():
        stage = importlib.import_module(f"hycon.stages.{arguments.stage}")
        job = read_document(sys.stdin.buffer.read(), arguments.stage)
        log.debug("stage %s, job %s", job.stage, job.name)
        machine = Machine(arguments.device, arguments.threads, arguments.features_in)
        stage.main(job.task, machine)
        record(job)


if __name__ == "__main__":
    try:
        code = ask(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    if code is not None:
        sys.exit(code)
    main()
