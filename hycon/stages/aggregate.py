"""Aggregate the scores of a corpus's rows in metrics.json (rule `aggregate`)."""

from hycon.atomic_io import write_json
from hycon.evaluation.aggregation import check_parameters, over_seeds
from hycon.logs import log
from hycon.plan.tasks import AggregateTask, digests
from hycon.progress import progress
from hycon.stages import Machine


def main(task: AggregateTask, _: Machine) -> None:
    rows = {row.row: row for each in task.experiments.values() for row in each}
    check_parameters(digests(rows.values()))
    found = {
        name: over_seeds(row.scores)
        for name, row in progress(rows.items(), "aggregate", total=len(rows), unit="rows")
    }
    metrics = {
        experiment: {row.row: found[row.row] for row in each}
        for experiment, each in task.experiments.items()
    }
    write_json(task.output, metrics)
    log.info("%s: written", task.output)
