"""Write the table of claims over corpora in every format (rule `claims`)."""

from hycon.logs import log
from hycon.plan.tasks import ClaimsTask
from hycon.reporting.claims_overview import read, write
from hycon.stages import Machine


def main(task: ClaimsTask, _: Machine) -> None:
    write([read(path, key, task.corpora[key]) for key, path in task.tables.items()], task.output)
    log.info("%s.csv, .md, .tex, .html: written", task.output)
