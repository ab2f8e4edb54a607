"""Write one table in every format (rule `tables`)."""

import importlib

from hycon.logs import log
from hycon.plan.tasks import TABLE_CODE, TableTask
from hycon.stages import Machine


def main(task: TableTask, _: Machine) -> None:
    # imported here, so that a table depends only on the code of its own kind
    writer = importlib.import_module(TABLE_CODE[task.table.kind])
    writer.write(writer.make(task.table, task.key, task.corpus), task.output)
    log.info("%s.csv, .md, .tex, .html: written", task.output)
