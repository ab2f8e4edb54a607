"""Collect all corpora: metrics, a summary, and data for `dvc plots` (rule `collect`)."""

from pathlib import Path
from typing import Any

from hycon.atomic_io import atomic_file, write_json
from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters
from hycon.logs import log
from hycon.plan.tasks import CollectTask, digests
from hycon.reporting.dvc_plots import confusion, curves, training
from hycon.stages import Machine
from hycon.untrusted.safe_json import read_json

PLACES = 4


def main(task: CollectTask, _: Machine) -> None:
    check_parameters(digests(point.row for point in task.curves))
    tables = {
        "curves": curves(task.curves),
        "training": training(task.training),
        "confusion": confusion(task.confusion),
    }
    metrics = {corpus: _read(path, task.summary[corpus]) for corpus, path in task.metrics.items()}
    for name, table in tables.items():
        with atomic_file(task.output / "plots" / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    write_json(task.output / "summary.json", _summary(metrics, task.summary))
    write_json(task.output / "metrics.json", metrics)
    log.info("%s: metrics.json, summary.json and plots written", task.output)


def _read(path: Path, shown: list[str]) -> dict[str, Any]:
    """Return the metrics of a corpus, refusing those without a mean that the summary shows."""
    try:
        metrics = read_json(path)
        means = [
            row[name]["mean"]
            for rows in metrics.values()
            for row in rows.values()
            for name in shown
        ]
        if not all(isinstance(mean, (int, float)) for mean in means):
            raise ValueError("a mean is no number")
        return metrics
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def _summary(metrics: dict, shown: dict[str, list[str]]) -> dict:
    """Return the means of a few metrics, to compare two runs at a glance.

    Each row appears once, in the first experiment that has it.
    """
    summary: dict[str, dict] = {}
    for corpus, experiments in metrics.items():
        seen: set[str] = set()
        for experiment, rows in experiments.items():
            new = {
                row: {name: round(found[name]["mean"], PLACES) for name in shown[corpus]}
                for row, found in rows.items()
                if row not in seen
            }
            seen |= set(new)
            if new:
                summary.setdefault(corpus, {})[experiment] = new
    return summary
