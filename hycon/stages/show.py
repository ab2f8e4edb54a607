"""Print the tables that `all` left behind, and where everything lies."""

import json
from collections.abc import Sequence
from pathlib import Path

from hycon.errors import HyConError
from hycon.stages import parser, run, start

PLACES = {
    "results/report.html": "everything on one page: open it in a browser",
    "results/metrics.json": "means and spreads of every metric, for dvc metrics diff",
    "results/CORPUS/tables/": "each table as Markdown, CSV (full precision), LaTeX and HTML",
    "results/CORPUS/figures/": "each figure as SVG, PDF and PNG, with its caption",
    "results/runs/CORPUS/ROW/scores.json": "every metric of every seed, with its parameters",
    "results/runs/CORPUS/ROW/seed-N/": "weights, training curve, representations of one run",
    "data/": "files as fetched, aligned utterances, cached text states",
    "logs/": "what each step said",
}


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--results", type=Path, default=Path("results"), help="folder")
    arguments = options.parse_args(argv)
    start(arguments)
    path = arguments.results / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); run snakemake --cores 1 all") from None
    for corpus, experiments in metrics.items():
        for experiment in experiments:
            table = arguments.results / corpus / "tables" / f"{experiment}.md"
            print(f"\n{table}\n\n{table.read_text(encoding='utf-8')}")
    width = max(map(len, PLACES))
    for place, what in PLACES.items():
        print(f"{place:<{width}}  {what}")


if __name__ == "__main__":
    run(main)
