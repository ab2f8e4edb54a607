"""The figures of a corpus, and the job that draws each."""

import itertools
from typing import Any

from hycon.params import get_path
from hycon.plan import tasks
from hycon.plan.job import Job
from hycon.plan.paths import RESULTS, aligned, runs, unique, with_formats
from hycon.plan.rows import Condition, Rows
from hycon.plan.tables import (
    headline,
    kept_rows,
    protocols,
    read_by_protocols,
    reference_pairs,
    robust_rows,
    robustness_file,
    runs_of,
    scores_of,
)
from hycon.plan.tasks import FIGURE_FORMATS

# figures of comparisons with a reference, and what their titles begin with
COMPARED = {
    "forest": "Differences from the reference",
    "seeds": "Scores of single seeds, and the chances of a finding",
}


def figures(plan: Rows, corpus: str) -> dict[str, Any]:
    """Return the figures of a corpus by name.

    Names are EXPERIMENT-KIND-ENCODER; kinds are forest, seeds, curve, effects, robustness,
    protocols and tsne.
    """
    found: dict[str, Any] = {}
    for name in plan.experiments_of(corpus):
        experiment, rows = plan.params.experiments[name], plan.pairs(corpus, name)
        pair = experiment.tsne or []
        pairs = reference_pairs(plan, corpus, name)
        conditions = plan.conditions(corpus, name)
        if conditions:
            first = plan.params.encoders_of(name, corpus)[0]
            found[f"{name}-effects-{first}"] = _effects(plan, corpus, name, conditions)
        compared = () if conditions else unique(plan.rows[each.row.row][1] for each in pairs)
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
                    measured=robustness_file(corpus, name),
                    rows=robust,
                    metrics=headline(plan, corpus),
                )
            kept = [row for row in kept_rows(plan, corpus, name) if plan.rows[row][1] == encoder]
            if kept:
                found[f"{name}-protocols-{encoder}"] = tasks.ProtocolFigure(
                    **protocols(plan, corpus, name, kept), metrics=headline(plan, corpus)
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


def _effects(plan: Rows, corpus: str, name: str, conditions: list[Condition]) -> tasks.EffectFigure:
    chosen = plan.params.experiments[name]

    def scored(condition: Condition, variant: str | None) -> tasks.ScoredRow | None:
        return plan.scored(corpus, condition.rows[variant]) if variant in condition.rows else None

    labels = {name: plan.params.variants[name].label for name in chosen.variants}
    return tasks.EffectFigure(
        points=[
            tasks.EffectPoint(
                panel=condition.panel, x=condition.x, variant=labels[variant],
                row=scored(condition, variant), reference=scored(condition, chosen.reference),
                alone=scored(condition, chosen.alone),
            )
            for condition in conditions
            for variant in condition.rows
            if variant not in (chosen.reference, chosen.alone)
        ],
        reference=labels[chosen.reference], alone=labels.get(chosen.alone),
        inference=plan.params.inference,
    )  # fmt: skip


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
    elif figure.kind == "effects":
        title = f"Effects under several conditions. {title}"
        reads = runs_of(
            row for point in figure.points for row in (point.row, point.reference, point.alone)
            if row is not None
        )  # fmt: skip
    elif figure.kind == "protocols":
        title = f"Scores under other protocols. {title}"
        reads = read_by_protocols(plan, corpus, figure)
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
