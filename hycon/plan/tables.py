"""The tables of a corpus, and the job that writes each."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hycon.params import ADAPTED, Claim, ModelConfig, OwnNetwork, Reimplemented
from hycon.plan import tasks
from hycon.plan.job import Job
from hycon.plan.paths import (
    MEASURED,
    RESAMPLED,
    RESULTS,
    aligned,
    unique,
    with_formats,
)
from hycon.plan.rows import Rows
from hycon.plan.tasks import TABLE_CODE, TABLE_FORMATS, Scores


def headline(plan: Rows, corpus: str) -> list[str]:
    """Return the two headline metrics of a corpus."""
    emotions = plan.params.catalogue[corpus].emotions
    return ["acc", "f1"] if emotions else ["mae_all", "acc2_pos"]


def tables(plan: Rows, corpus: str) -> dict[str, Any]:
    """Return the tables of a corpus by name, in the order of the report."""
    found: dict[str, Any] = {}
    if plan.claims:
        found[plan.params.claims_table] = _claims_table(plan, corpus)
    for name in plan.experiments_of(corpus):
        found[name] = _score_table(plan, corpus, name)
        if pairs := reference_pairs(plan, corpus, name):
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
                measured=robustness_file(corpus, name),
                rows=[plan.scored(corpus, row) for row in robust],
                metrics=headline(plan, corpus),
            )
        if kept := kept_rows(plan, corpus, name):
            found[f"{name}-protocols"] = tasks.ProtocolTable(**protocols(plan, corpus, name, kept))
        if shown := represented_rows(plan, corpus, name):
            found[f"{name}-representations"] = tasks.RepresentationTable(
                title=plan.params.experiments[name].title,
                rows=[plan.scored(corpus, row) for row in shown],
                modalities={row: plan.settings(corpus, row).model.modalities for row in shown},
                scheme=plan.params.experiments[name].representations,
                aligned=aligned(corpus),
            )
    if published := [each for each in plan.published if each.corpus == corpus]:
        here = set(plan.rows_of(corpus))
        rows = [plan.scored(corpus, each.row) for each in published if each.row in here]
        found["published"] = tasks.PublishedTable(
            published=published, rows=list(unique(rows)), inference=plan.params.inference
        )
    if measured := measured_rows(plan, corpus):
        rows = [plan.scored(corpus, row) for row in measured]
        table = plan.params.complexity_of(corpus).table
        for name, part in ((table, "counted"), (table + MEASURED, "measured")):
            found[name] = tasks.CostTable(
                part=part,
                measured=RESULTS / corpus / "complexity.json",
                labels={row.row: (row.model, row.encoder) for row in rows},
            )
    return found


def kept_rows(plan: Rows, corpus: str, experiment: str) -> list[str]:
    """Return the rows of an experiment that keep the predictions of every epoch."""
    rows = plan.rows_of(corpus, experiment)
    return [row for row in rows if plan.settings(corpus, row).train.every_epoch]


def represented_rows(plan: Rows, corpus: str, experiment: str) -> list[str]:
    """Return the rows of an experiment whose representations are measured.

    Those of a peer are not comparable; nor those of the networks that test single groups.
    """
    chosen = plan.params.experiments[experiment]
    if chosen.representations is None or plan.params.catalogue[corpus].leaves_one_out:
        return []
    own = [row for row in plan.rows_of(corpus, experiment)
           if isinstance(plan.settings(corpus, row).model, ModelConfig)]  # fmt: skip
    return [row for row in own if plan.settings(corpus, row).model.modalities]


def protocols(plan: Rows, corpus: str, experiment: str, rows: list[str]) -> dict[str, Any]:
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


def reference_pairs(plan: Rows, corpus: str, experiment: str) -> list[tasks.RowPair]:
    """Pair each row of an experiment with its reference row; empty if there is no reference."""
    chosen = plan.params.experiments[experiment]
    reference, rows = chosen.reference, plan.pairs(corpus, experiment)
    if conditions := plan.conditions(corpus, experiment):
        pairs = unique(
            (condition.rows[variant], condition.rows[reference])
            for condition in conditions
            for variant in condition.rows
            if variant not in (reference, chosen.alone)
        )
        return [
            tasks.RowPair(row=plan.scored(corpus, row), reference=plan.scored(corpus, other))
            for row, other in pairs
        ]
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
    """Return the adaptations of an experiment's peers, where others are from, and which variants
    have settings of this corpus; "" if none.
    """
    own = plan.params.variants_on(corpus)
    sized = [plan.params.variants[name].label
             for name in plan.params.variants_of(experiment, corpus) if name in own]  # fmt: skip
    changed: dict[str, list[str]] = {}
    reimplemented: list[str] = []
    others: list[str] = []
    for name in plan.params.variants_of(experiment, corpus):
        variant = plan.params.variants[name]
        encoder = plan.params.encoders_of(experiment, corpus)[0]
        network = plan.settings(corpus, f"{name}-{encoder}").model
        if isinstance(network, OwnNetwork):
            others.append(f"{variant.label} ({network.source})")
        elif isinstance(network, Reimplemented):
            reimplemented.append(f"{variant.label} ({ADAPTED[network.network]})")
        elif variant.peer:
            changed.setdefault(ADAPTED[variant.peer.network], []).append(variant.label)
    each = "; ".join(f"{', '.join(labels)}: {what}" for what, labels in changed.items())
    notes = [
        f"Peers are networks of the package MMSA in this training. Adapted: {each}." * bool(each),
        f"Reimplemented in this project: {'; '.join(reimplemented)}." * bool(reimplemented),
        f"Not networks of this project: {'; '.join(others)}." * bool(others),
        f"With settings of their own on this corpus: {', '.join(sized)}." * bool(sized),
    ]
    return " ".join(filter(None, notes))


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
    elif table.kind in ("protocols", "representations"):
        reads = list(read_by_protocols(plan, corpus, table))
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


def read_by_protocols(
    plan: Rows, corpus: str, table: tasks.ProtocolTable | tasks.RepresentationTable
) -> tuple[str, ...]:
    records = [path for row in table.rows for path in plan.records(corpus, row.row)]
    return (*scores_of(table.rows), f"{table.aligned}/utterances.csv", *records)


def robustness_file(corpus: str, experiment: str) -> Path:
    return RESULTS / corpus / "robustness" / f"{experiment}.json"


def robust_rows(plan: Rows, corpus: str, experiment: str) -> list[str]:
    """Return the rows of an experiment whose robustness is measured.

    A fine-tuned text encoder reads tokens, which cannot be replaced by zeros.
    """
    if plan.params.experiments[experiment].robustness is None:
        return []
    rows = plan.rows_of(corpus, experiment)
    return [row for row in rows if plan.settings(corpus, row).train.finetuning is None]


def measured_rows(plan: Rows, corpus: str) -> list[str]:
    """Return the rows whose complexity is measured, without duplicates."""
    if plan.params.complexity is None:
        return []
    names = [name for name in plan.experiments_of(corpus) if plan.params.experiments[name].costs]
    return list(unique(row for name in names for row in plan.rows_of(corpus, name)))


def runs_of(rows: Iterable[Scores]) -> tuple[str, ...]:
    """Return the score files of the rows and their resamples, without duplicates."""
    return unique(
        str(path) for row in rows for path in (row.scores, row.scores.with_name(RESAMPLED))
    )


def scores_of(rows: Iterable[Scores]) -> tuple[str, ...]:
    """Return the score files of the rows, without duplicates."""
    return unique(str(row.scores) for row in rows)
