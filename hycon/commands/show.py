"""Print the tables of the last run, and where results are."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from hycon.errors import HyConError
from hycon.params.base import NAME
from hycon.plan.console import table_lines
from hycon.untrusted.safe_json import read_json

PLACES = {
    "results/report.html": "everything on one page: open it in a browser",
    "results/claims.md": "the verdict on each claim of the paper, by corpus",
    "results/metrics.json": "means and spreads of every metric, for dvc metrics diff",
    "results/CORPUS/tables/": "each table as Markdown, CSV (full precision), LaTeX and HTML",
    "results/CORPUS/figures/": "each figure as SVG, PDF and PNG, with its caption",
    "results/runs/CORPUS/ROW/scores.json": "every metric of every seed, with its parameters",
    "results/runs/CORPUS/ROW/seed-N/": "weights, training curve, representations of one run",
    "data/": "files as fetched, aligned utterances, cached text states",
    "logs/": "the output of each job",
}


def main(argv: Sequence[str] | None = None) -> None:
    options = argparse.ArgumentParser(prog="hycon show", description=__doc__)
    options.add_argument("--results", type=Path, default=Path("results"), help="folder")
    arguments = options.parse_args(argv)
    path = arguments.results / "metrics.json"
    try:
        metrics = read_json(path)
        # names of the file become paths
        names = [(corpus, name) for corpus, names in metrics.items() for name in names]
        if strange := [name for pair in names for name in pair if not re.fullmatch(NAME, name)]:
            raise ValueError(f"{strange[0]!r} is no name of a corpus or an experiment")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); run snakemake --cores 1 all") from None
    tables = [
        *(
            arguments.results / corpus / "tables" / f"{experiment}.md"
            for corpus, experiment in names
        ),
        *arguments.results.glob("claims.md"),
    ]
    for table in tables:
        print(*table_lines(table)[:-1], sep="\n")
    width = max(map(len, PLACES))
    for place, what in PLACES.items():
        print(f"{place:<{width}}  {what}")
