"""Running a stage in this process, as its rule would."""

from importlib import import_module

from hycon.logs import copied_to
from hycon.stages import Machine


def run_stage(stage, task, **machine):
    """Run a stage on the CPU; what it says goes to stderr. Errors are raised as they are."""
    with copied_to(None):
        import_module(f"hycon.stages.{stage}").main(task, Machine("cpu", **machine))
