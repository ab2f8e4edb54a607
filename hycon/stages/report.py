"""Write the report, one page with all results (rule `report`)."""

from hycon.evaluation.aggregation import check_parameters
from hycon.logs import log
from hycon.plan.tasks import ReportTask, digests
from hycon.reporting.report import write
from hycon.stages import Machine


def main(task: ReportTask, _: Machine) -> None:
    check_parameters(digests(each.row for corpus in task.corpora for each in corpus.rows))
    write(task)
    log.info("%s: written, %.1f MB", task.output, task.output.stat().st_size / 1e6)
