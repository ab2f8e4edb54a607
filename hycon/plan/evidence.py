"""The jobs that produce the evidence, besides tables and figures: metrics, claims, the report."""

from collections.abc import Iterator

from hycon.params import get_path
from hycon.plan import tasks
from hycon.plan.figures import figures
from hycon.plan.job import Job
from hycon.plan.paths import GRAPH, MEASURED, RESULTS, aligned, runs, unique, with_formats
from hycon.plan.rows import Rows
from hycon.plan.tables import (
    headline,
    measured_rows,
    robust_rows,
    robustness_file,
    scores_of,
    tables,
)
from hycon.plan.tasks import TABLE_FORMATS
from hycon.provenance import ROOT


def aggregate(plan: Rows, corpus: str) -> Job:
    """Return the job that aggregates the scores of a corpus's rows."""
    rows = {
        name: [plan.scored(corpus, row).unlabelled() for row in plan.rows_of(corpus, name)]
        for name in plan.experiments_of(corpus)
    }
    target = RESULTS / corpus / "metrics.json"
    return Job(
        stage="aggregate", name=corpus, phase="evidence", code=("hycon.stages.aggregate",),
        task=tasks.AggregateTask(corpus=corpus, experiments=rows, output=target),
        reads=scores_of(row for each in rows.values() for row in each),
        writes=(str(target),),
    )  # fmt: skip


def collect(plan: Rows) -> Job:
    """Return the job that collects all corpora: metrics, a summary, DVC's plots."""
    corpora = plan.params.corpora
    metrics = {corpus: RESULTS / corpus / "metrics.json" for corpus in corpora}
    # training curves show all rows of the first experiment; the confusion plot shows its first row
    first = {name: plan.rows_of(name, plan.experiments_of(name)[0]) for name in corpora}
    training = [_plotted(plan, corpus, row) for corpus in corpora for row in first[corpus]]
    curves = [point for corpus in corpora for point in _curve_points(plan, corpus)]
    records = [
        path for corpus in corpora for row in first[corpus] for path in plan.records(corpus, row)
    ]
    tables = [f"{aligned(corpus)}/utterances.csv" for corpus in corpora]
    scores = scores_of(point.row for point in curves)
    plots = [RESULTS / "plots" / f"{kind}.csv" for kind in ("curves", "training", "confusion")]
    return Job(
        stage="collect", name="", phase="evidence", code=("hycon.stages.collect",),
        task=tasks.CollectTask(
            metrics=metrics, summary={corpus: headline(plan, corpus) for corpus in corpora},
            curves=curves, training=training, output=RESULTS,
            confusion=[_plotted(plan, corpus, first[corpus][0]) for corpus in corpora],
        ),
        reads=unique([*map(str, metrics.values()), *scores, *records, *tables]),
        writes=(f"{RESULTS}/metrics.json", f"{RESULTS}/summary.json", *map(str, plots)),
    )  # fmt: skip


def claims(plan: Rows) -> Iterator[Job]:
    """Yield the job that writes the table of claims over corpora; nothing without claims."""
    if not plan.claims:
        return
    corpora = plan.params.corpora
    name = f"{plan.params.claims_table}.csv"
    tables = {corpus: RESULTS / corpus / "tables" / name for corpus in corpora}
    stem = RESULTS / "claims"
    yield Job(
        stage="claims", name="", phase="evidence", code=("hycon.stages.claims",),
        task=tasks.ClaimsTask(
            tables=tables, corpora={corpus: plan.params.catalogue[corpus] for corpus in corpora},
            output=stem,
        ),
        reads=tuple(map(str, tables.values())), writes=with_formats(stem, TABLE_FORMATS),
    )  # fmt: skip


def _plotted(plan: Rows, corpus: str, row: str) -> tasks.PlottedRuns:
    labels = plan.scored(corpus, row)
    return tasks.PlottedRuns(
        panel=f"{corpus}: {labels.model}, {labels.encoder}",
        runs=runs(corpus, row),
        seeds=plan.seeds_of(row),
        corpus=plan.corpora[corpus],
        aligned=aligned(corpus),
    )


def _curve_points(plan: Rows, corpus: str) -> list[tasks.CurvePoint]:
    points = []
    for name in plan.experiments_of(corpus):
        key = plan.params.experiments[name].curve
        for row in plan.rows_of(corpus, name) if key else []:
            labels = plan.scored(corpus, row)
            x = get_path(plan.settings(corpus, row), key)
            points += [
                tasks.CurvePoint(
                    panel=f"{corpus}: {metric} over {key}, {labels.encoder}",
                    x=x,
                    metric=metric,
                    row=labels,
                )
                for metric in headline(plan, corpus)
            ]
    return sorted(points, key=lambda point: (point.panel, point.x))


def robustness(plan: Rows, corpus: str) -> Iterator[Job]:
    """Yield the jobs that score trained networks on incomplete input."""
    for name in plan.experiments_of(corpus):
        rows = robust_rows(plan, corpus, name)
        if not rows:
            continue
        chosen, target = plan.params.experiments[name].robustness, robustness_file(corpus, name)
        given = {row: plan.given(corpus, row) for row in rows}
        records = [path for row in rows for path in plan.records(corpus, row)]
        yield Job(
            stage="robustness", name=f"{corpus}/{name}", phase="evidence",
            code=("hycon.stages.robustness",),
            task=tasks.RobustnessTask(
                name=f"{corpus}/{name}", corpus=plan.corpora[corpus], aligned=aligned(corpus),
                rows=[
                    tasks.RobustRow(
                        row=row, settings=each["settings"], encoder=each["encoder"],
                        states=each["states"], runs=runs(corpus, row),
                    )
                    for row, each in given.items()
                ],
                seeds=min(map(plan.seeds_of, rows), key=len),
                missing=chosen.missing, noise=chosen.noise, metrics=plan.params.metrics,
                output=target,
            ),
            reads=unique([*(str(path) for each in given.values() for path in each["inputs"]),
                          *records]),
            writes=(str(target),), memory_mb=1000, memory_per_mb=3, minutes=120,
        )  # fmt: skip


def complexity(plan: Rows, corpus: str) -> Iterator[Job]:
    """Yield the job that measures complexity; nothing if no row is measured."""
    names = measured_rows(plan, corpus)
    if not names:
        return
    target = RESULTS / corpus / "complexity.json"
    given = {row: plan.given(corpus, row) for row in names}
    yield Job(
        stage="complexity", name=corpus, phase="evidence", code=("hycon.stages.complexity",),
        task=tasks.ComplexityTask(
            corpus=plan.corpora[corpus],
            rows=[
                tasks.MeasuredRow(
                    row=row, encoder_name=plan.rows[row][1],
                    settings=each["settings"].as_cost(),
                    encoder=each["encoder"], states=each["states"], tiny=each["tiny"],
                )
                for row, each in given.items()
            ],
            aligned=aligned(corpus), repeats=plan.params.complexity_of(corpus).repeats,
            output=target,
        ),
        reads=unique(str(path) for each in given.values() for path in each["inputs"]),
        writes=(str(target),), memory_mb=1000, memory_per_mb=3, minutes=60,
    )  # fmt: skip


def report(plan: Rows) -> Job:
    """Return the job that writes the report."""
    corpora = [_page_corpus(plan, corpus) for corpus in plan.params.corpora]
    graph = GRAPH if GRAPH.exists() else None
    reads = [str(graph)] if graph else []
    for page in corpora:
        folder = RESULTS / page.key
        for item in page.tables:
            reads += with_formats(folder / "tables" / item.name, ("csv", "html"))
        for item in page.figures:
            reads += with_formats(folder / "figures" / item.name, ("svg", "txt"))
        reads += scores_of(each.row for each in page.rows)
        reads += [path for each in page.rows for path in plan.records(page.key, each.row.row)]
    target = RESULTS / "report.html"
    page_folder = ROOT / "reporting/page"
    return Job(
        stage="report", name="", phase="evidence", code=("hycon.stages.report",),
        data=tuple(sorted(str(path.relative_to(ROOT)) for path in page_folder.iterdir())),
        task=tasks.ReportTask(
            corpora=corpora, seeds=plan.params.seeds, files=plan.parameter_files,
            options=plan.options, graph=graph, results=RESULTS, output=target,
        ),
        reads=unique(reads), writes=(str(target),),
    )  # fmt: skip


def _page_corpus(plan: Rows, corpus: str) -> tasks.PageCorpus:
    titles = {
        plan.params.claims_table: "The paper's claims",
        "published": "Published numbers and ours",
    }
    if costs := plan.params.complexity_of(corpus):
        titles[costs.table] = "Complexity"
        titles[costs.table + MEASURED] = "Complexity: times and memory"
    items = []
    for name, table in tables(plan, corpus).items():
        more = (
            f": {table.kind}"
            if table.kind in ("differences", "robustness", "protocols", "representations")
            else ""
        )
        title = titles.get(name) or table.title + more
        items.append(tasks.PageItem(name=name, kind=table.kind, title=title))
    rows: dict[str, tasks.PageRow] = {}
    for name in plan.experiments_of(corpus):
        title = plan.params.experiments[name].title
        for row in plan.rows_of(corpus, name):
            labels = plan.scored(corpus, row)
            rows.setdefault(row, tasks.PageRow(row=labels, experiment=title))
    drawn = [
        tasks.PageItem(name=name, kind=figure.kind, title="")
        for name, figure in figures(plan, corpus).items()
    ]
    return tasks.PageCorpus(
        key=corpus,
        corpus=plan.params.catalogue[corpus],
        tables=items,
        figures=drawn,
        rows=list(rows.values()),
    )
