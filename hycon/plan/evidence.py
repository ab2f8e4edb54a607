"""The jobs that produce the evidence: metrics, tables, figures and the report."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hycon.params import ADAPTED, Claim, get_path
from hycon.plan import tasks
from hycon.plan.job import Job
from hycon.plan.paths import (
    GRAPH,
    MEASURED_TABLE,
    RESAMPLED,
    RESULTS,
    aligned,
    runs,
    unique,
    with_formats,
)
from hycon.plan.rows import Rows
from hycon.plan.tasks import FIGURE_FORMATS, TABLE_CODE, TABLE_FORMATS, Scores
from hycon.provenance import ROOT

# figures of comparisons with a reference, and what their titles begin with
COMPARED = {
    "forest": "Differences from the reference",
    "seeds": "Scores of single seeds, and the chances of a finding",
}


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


def headline(plan: Rows, corpus: str) -> list[str]:
    """Return the two headline metrics of a corpus."""
    emotions = plan.params.catalogue[corpus].emotions
    return ["acc", "f1"] if emotions else ["mae_all", "acc2_pos"]


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
    tables = {corpus: RESULTS / corpus / "tables" / "claims.csv" for corpus in corpora}
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


def tables(plan: Rows, corpus: str) -> dict[str, Any]:
    """Return the tables of a corpus by name, in the order of the report."""
    found: dict[str, Any] = {}
    if plan.claims:
        found["claims"] = _claims_table(plan, corpus)
    for name in plan.experiments_of(corpus):
        found[name] = _score_table(plan, corpus, name)
        if pairs := _pairs(plan, corpus, name):
            experiment = plan.params.experiments[name]
            found[f"{name}-differences"] = tasks.DifferenceTable(
                title=experiment.title,
                reference=plan.params.variants[experiment.reference].label,
                pairs=pairs,
                inference=plan.params.inference,
            )
        if robust := robust_rows(plan, corpus, name):
            found[f"{name}-robustness"] = tasks.RobustnessTable(
                title=plan.params.experiments[name].title,
                measured=_robustness_file(corpus, name),
                rows=[plan.scored(corpus, row) for row in robust],
                metrics=headline(plan, corpus),
            )
        if kept := _kept(plan, corpus, name):
            found[f"{name}-protocols"] = tasks.ProtocolTable(**_protocols(plan, corpus, name, kept))
    if published := [each for each in plan.published if each.corpus == corpus]:
        here = set(plan.rows_of(corpus))
        rows = [plan.scored(corpus, each.row) for each in published if each.row in here]
        found["published"] = tasks.PublishedTable(
            published=published, rows=list(unique(rows)), inference=plan.params.inference
        )
    if measured := measured_rows(plan, corpus):
        rows = [plan.scored(corpus, row) for row in measured]
        for name, part in (("complexity", "counted"), (MEASURED_TABLE, "measured")):
            found[name] = tasks.CostTable(
                part=part,
                measured=RESULTS / corpus / "complexity.json",
                labels={row.row: (row.model, row.encoder) for row in rows},
            )
    return found


def _kept(plan: Rows, corpus: str, experiment: str) -> list[str]:
    """Return the rows of an experiment that keep the predictions of every epoch."""
    rows = plan.rows_of(corpus, experiment)
    return [row for row in rows if plan.settings(corpus, row).train.every_epoch]


def _protocols(plan: Rows, corpus: str, experiment: str, rows: list[str]) -> dict[str, Any]:
    return {
        "title": plan.params.experiments[experiment].title,
        "rows": [plan.scored(corpus, row) for row in rows],
        "aligned": aligned(corpus),
        "inference": plan.params.inference,
    }


def _claims_table(plan: Rows, corpus: str) -> tasks.ClaimsTable:
    here = plan.rows_of(corpus)
    measured = RESULTS / corpus / "complexity.json" if measured_rows(plan, corpus) else None
    controls: dict[str, list[tasks.ScoredRow]] = {}
    for row in here:
        if plan.settings(corpus, row).is_control():
            controls.setdefault(plan.rows[row][1], []).append(plan.scored(corpus, row))
    return tasks.ClaimsTable(
        claims=[each for claim in plan.claims for each in _planned(plan, corpus, claim)],
        controls=controls,
        costs=measured,
        preregistered=[each for each in plan.preregistered if each.corpus == corpus],
        inference=plan.params.inference,
    )


def _planned(plan: Rows, corpus: str, claim: Claim) -> list[tasks.PlannedClaim]:
    """Return a claim with the rows of each text encoder that has most of them."""
    here = set(plan.rows_of(corpus))
    encoders = unique(plan.rows[row][1] for row in here)
    wanted = list(itertools.product(claim.rows, claim.against))
    there = {
        encoder: [
            pair for pair in wanted if {f"{variant}-{encoder}" for variant in pair} <= here
        ]
        for encoder in plan.params.encoders if encoder in encoders
    }  # fmt: skip
    most = max(map(len, there.values()), default=0)
    variants = plan.params.variants
    found = []
    for encoder, pairs in there.items():
        gone = [name for name in (*claim.rows, *claim.against) if f"{name}-{encoder}" not in here]
        if len(pairs) == most and (most or not found):
            found.append(
                tasks.PlannedClaim(
                    claim=claim, encoder=encoder, label=plan.encoder_label(corpus, encoder),
                    pairs=[
                        tasks.RowPair(
                            row=plan.scored(corpus, f"{row}-{encoder}"),
                            reference=plan.scored(corpus, f"{other}-{encoder}"),
                        )
                        for row, other in pairs
                    ],
                    missing=[variants[name].label for name in gone],
                )
            )  # fmt: skip
    return found


def _score_table(plan: Rows, corpus: str, name: str) -> tasks.ScoreTable:
    experiment, rows = plan.params.experiments[name], plan.rows_of(corpus, name)
    named = [each.controls for each in plan.params.experiments.values() if each.controls]
    controls = [row for each in unique(named) for row in plan.rows_of(corpus, each)]
    return tasks.ScoreTable(
        experiment=name,
        title=experiment.title,
        rows=[plan.scored(corpus, row) for row in rows],
        controls=[plan.scored(corpus, row) for row in unique(controls) if row not in rows],
        show_controls=experiment.controls is not None,
        left_out=_left_out(plan, corpus, name),
        note=_adaptations(plan, corpus, name),
        inference=plan.params.inference,
    )


def _pairs(plan: Rows, corpus: str, experiment: str) -> list[tasks.RowPair]:
    """Pair each row of an experiment with its reference row; empty if there is no reference."""
    reference = plan.params.experiments[experiment].reference
    rows = plan.pairs(corpus, experiment)
    if reference not in {variant for variant, _ in rows}:
        return []
    return [
        tasks.RowPair(
            row=plan.scored(corpus, f"{variant}-{encoder}"),
            reference=plan.scored(corpus, f"{reference}-{encoder}"),
        )
        for variant, encoder in rows
        if variant != reference
    ]


def _left_out(plan: Rows, corpus: str, name: str) -> str:
    """Return which rows of an experiment are missing on a corpus, and why; "" if none are."""
    experiment = plan.params.experiments[name]
    tried, used = experiment.encoders, plan.params.encoders_of(name, corpus)
    if experiment.first_encoder_only and used[0] in tried:
        tried = tried[: tried.index(used[0])]
    reasons = [plan.params.unusable(corpus, encoder) for encoder in tried]
    gone: dict[str, list[str]] = {}
    for each in experiment.variants:
        if reason := plan.params.lacking(corpus, each):
            gone.setdefault(reason, []).append(plan.params.variants[each].label)
    reasons += [f"{', '.join(labels)} ({reason})" for reason, labels in gone.items()]
    return "; ".join(filter(None, reasons))


def _adaptations(plan: Rows, corpus: str, experiment: str) -> str:
    """Return the adaptations of an experiment's peers; "" if it has none."""
    changed: dict[str, list[str]] = {}
    for name in plan.params.variants_of(experiment, corpus):
        variant = plan.params.variants[name]
        if variant.peer:
            changed.setdefault(ADAPTED[variant.peer.network], []).append(variant.label)
    if not changed:
        return ""
    each = "; ".join(f"{', '.join(labels)}: {what}" for what, labels in changed.items())
    return f"Peers are networks of the package MMSA in this training. Adapted: {each}."


def table_job(plan: Rows, corpus: str, name: str, table: Any) -> Job:
    """Return the job that writes one table."""
    stem = RESULTS / corpus / "tables" / name
    reads: list[str] = []
    if table.kind == "costs":
        reads = [str(table.measured)]
    elif table.kind == "differences":
        reads = list(runs_of(row for pair in table.pairs for row in (pair.row, pair.reference)))
    elif table.kind == "claims":
        rows = [row for each in table.claims for pair in each.pairs
                for row in (pair.row, pair.reference)]  # fmt: skip
        rows += [row for each in table.controls.values() for row in each]
        reads = [*runs_of(rows), *([str(table.costs)] if table.costs else [])]
    elif table.kind == "protocols":
        reads = list(_read_by_protocols(plan, corpus, table))
    elif table.kind == "robustness":
        reads = [str(table.measured)]
    elif table.kind == "scores":
        reads = list(runs_of([*table.rows, *table.controls]))
    else:
        reads = list(scores_of(table.rows))
    return Job(
        stage="tables", name=f"{corpus}/{name}", phase="evidence",
        code=("hycon.stages.tables", TABLE_CODE[table.kind]),
        task=tasks.TableTask(
            key=corpus, corpus=plan.params.catalogue[corpus], table=table, output=stem
        ),
        reads=unique(reads), writes=with_formats(stem, TABLE_FORMATS),
    )  # fmt: skip


def _read_by_protocols(plan: Rows, corpus: str, table: tasks.ProtocolTable) -> tuple[str, ...]:
    records = [path for row in table.rows for path in plan.records(corpus, row.row)]
    return (*scores_of(table.rows), f"{table.aligned}/utterances.csv", *records)


def _robustness_file(corpus: str, experiment: str) -> Path:
    return RESULTS / corpus / "robustness" / f"{experiment}.json"


def robust_rows(plan: Rows, corpus: str, experiment: str) -> list[str]:
    """Return the rows of an experiment whose robustness is measured.

    A fine-tuned text encoder reads tokens, which cannot be replaced by zeros.
    """
    if plan.params.experiments[experiment].robustness is None:
        return []
    rows = plan.rows_of(corpus, experiment)
    return [row for row in rows if plan.settings(corpus, row).train.finetuning is None]


def robustness(plan: Rows, corpus: str) -> Iterator[Job]:
    """Yield the jobs that score trained networks on incomplete input."""
    for name in plan.experiments_of(corpus):
        rows = robust_rows(plan, corpus, name)
        if not rows:
            continue
        chosen, target = plan.params.experiments[name].robustness, _robustness_file(corpus, name)
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


def measured_rows(plan: Rows, corpus: str) -> list[str]:
    """Return the rows whose complexity is measured, without duplicates."""
    if plan.params.complexity is None:
        return []
    names = [name for name in plan.experiments_of(corpus) if plan.params.experiments[name].costs]
    return list(unique(row for name in names for row in plan.rows_of(corpus, name)))


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
            aligned=aligned(corpus), repeats=plan.params.complexity.repeats, output=target,
        ),
        reads=unique(str(path) for each in given.values() for path in each["inputs"]),
        writes=(str(target),), memory_mb=1000, memory_per_mb=3, minutes=60,
    )  # fmt: skip


def figures(plan: Rows, corpus: str) -> dict[str, Any]:
    """Return the figures of a corpus by name.

    Names are EXPERIMENT-KIND-ENCODER; kinds are forest, seeds, curve, robustness, protocols
    and tsne.
    """
    found: dict[str, Any] = {}
    for name in plan.experiments_of(corpus):
        experiment, rows = plan.params.experiments[name], plan.pairs(corpus, name)
        pair = experiment.tsne or []
        pairs = _pairs(plan, corpus, name)
        compared = unique(plan.rows[each.row.row][1] for each in pairs)
        for encoder, kind in itertools.product(compared, COMPARED):
            found[f"{name}-{kind}-{encoder}"] = _comparison(plan, name, pairs, encoder, kind)
        for encoder in unique(encoder for _, encoder in rows) if experiment.curve else ():
            found[f"{name}-curve-{encoder}"] = _curve(plan, corpus, name, encoder)
        for encoder in unique(encoder for _, encoder in rows):
            robust = [
                plan.scored(corpus, row)
                for row in robust_rows(plan, corpus, name)
                if plan.rows[row][1] == encoder
            ]
            if robust:
                found[f"{name}-robustness-{encoder}"] = tasks.RobustnessFigure(
                    measured=_robustness_file(corpus, name),
                    rows=robust,
                    metrics=headline(plan, corpus),
                )
            kept = [row for row in _kept(plan, corpus, name) if plan.rows[row][1] == encoder]
            if kept:
                found[f"{name}-protocols-{encoder}"] = tasks.ProtocolFigure(
                    **_protocols(plan, corpus, name, kept), metrics=headline(plan, corpus)
                )
        if pair and set(pair) <= {variant for variant, _ in rows}:
            for encoder in unique(encoder for _, encoder in rows):
                found[f"{name}-tsne-{encoder}"] = _tsne(plan, corpus, pair, encoder)
    return found


def _comparison(
    plan: Rows, name: str, pairs: list[tasks.RowPair], encoder: str, kind: str
) -> tasks.ComparisonFigure:
    return tasks.ComparisonFigure(
        kind=kind,
        reference=plan.params.variants[plan.params.experiments[name].reference].label,
        pairs=pairs,
        shown=[pair.row.row for pair in pairs if plan.rows[pair.row.row][1] == encoder],
        inference=plan.params.inference,
    )


def _curve(plan: Rows, corpus: str, name: str, encoder: str) -> tasks.CurveFigure:
    key = plan.params.experiments[name].curve
    rows = [f"{variant}-{encoder}" for variant in plan.params.variants_of(name, corpus)]
    points = [
        tasks.CurveRow(x=get_path(plan.settings(corpus, row), key), row=plan.scored(corpus, row))
        for row in rows
    ]
    return tasks.CurveFigure(
        points=sorted(points, key=lambda point: (point.x, str(point.row.scores))),
        metrics=headline(plan, corpus),
        x_label=key.split(".")[-1],
    )


def _tsne(plan: Rows, corpus: str, variants: list[str], encoder: str) -> tasks.TsneFigure:
    rows = [plan.scored(corpus, f"{variant}-{encoder}") for variant in variants]
    shown = [
        tasks.ShownRun(
            title=row.model,
            folder=runs(corpus, row.row) / f"seed-{plan.params.seeds[0]}",
            row=row,
        )
        for row in rows
    ]
    return tasks.TsneFigure(runs=shown, aligned=aligned(corpus), seed=0)


def figure_job(plan: Rows, corpus: str, name: str, figure: Any) -> Job:
    """Return the job that draws one figure."""
    experiment, _, encoder = name.partition(f"-{figure.kind}-")
    stem = RESULTS / corpus / "figures" / name
    label = plan.encoder_label(corpus, encoder)
    title = f"{plan.params.experiments[experiment].title}. Text encoder: {label}"
    if figure.kind == "curve":
        reads = scores_of(point.row for point in figure.points)
    elif figure.kind in COMPARED:
        title = f"{COMPARED[figure.kind]}. {title}"
        reads = runs_of(row for pair in figure.pairs for row in (pair.row, pair.reference))
    elif figure.kind == "protocols":
        title = f"Scores under other protocols. {title}"
        reads = _read_by_protocols(plan, corpus, figure)
    elif figure.kind == "robustness":
        title = f"Scores with missing or noisy input. {title}"
        reads = (str(figure.measured),)
    else:
        title = f"Multimodal representations with and without contrastive learning. {title}"
        rows = [run.row for run in figure.runs]
        records = [path for row in rows for path in plan.records(corpus, row.row)]
        reads = (*scores_of(rows), f"{figure.aligned}/utterances.csv", *records)
    return Job(
        stage="figures", name=f"{corpus}/{name}", phase="evidence", code=("hycon.stages.figures",),
        task=tasks.FigureTask(
            key=corpus, corpus=plan.params.catalogue[corpus], title=title,
            colours=plan.params.figures, figure=figure, output=stem,
        ),
        reads=unique(reads), writes=with_formats(stem, FIGURE_FORMATS), memory_mb=1000,
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
        "claims": "The paper's claims",
        "published": "Published numbers and ours",
        "complexity": "Complexity",
        MEASURED_TABLE: "Complexity: times and memory",
    }
    items = []
    for name, table in tables(plan, corpus).items():
        more = ": differences" if table.kind == "differences" else ""
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


def runs_of(rows: Iterable[Scores]) -> tuple[str, ...]:
    """Return the score files of the rows and their resamples, without duplicates."""
    return unique(
        str(path) for row in rows for path in (row.scores, row.scores.with_name(RESAMPLED))
    )


def scores_of(rows: Iterable[Scores]) -> tuple[str, ...]:
    """Return the score files of the rows, without duplicates."""
    return unique(str(row.scores) for row in rows)
