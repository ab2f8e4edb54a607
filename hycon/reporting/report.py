"""One page of everything that a run left behind, which needs no network and no server."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hycon.atomic_io import atomic_file
from hycon.errors import HyConError
from hycon.plan.tasks import FIGURE_FORMATS, TABLE_FORMATS, PageCorpus, PageItem, ReportTask
from hycon.progress import progress
from hycon.reporting import (
    claims_overview,
    claims_section,
    inline_svg,
    published,
    run_records,
    table_formats,
    verification,
)
from hycon.reporting.table_formats import Cell, DisplayTable, seed_ranges

PAGE = Path(__file__).parent / "page"
TITLE = "HyCon, reproduced: claims, tables and figures"


def write(task: ReportTask) -> None:
    """Write the report; the same results at the same commit give the same bytes.

    Args:
        task: its parts, and the folder of results.

    Raises:
        HyConError: a result cannot be read.
    """
    rows = {
        part.key: [
            run_records.read_row(each.row.scores.parent, each.row.model, each.row.encoder)
            for each in progress(part.rows, f"page, {part.key}", unit="rows")
        ]
        for part in task.corpora
    }
    every = [row for each in rows.values() for row in each]
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined,
        keep_trailing_newline=True,
    )  # fmt: skip
    script = _script()
    text = environment.get_template("report.html.jinja").render(
        title=TITLE,
        count=sum(len(row.records) for row in every),
        facts=_facts(every),
        corpora=[_corpus(task, part, rows[part.key]) for part in task.corpora],
        claims=_claims(task),
        overview=_html(_overview(task, rows), "overview"),
        environment=_html(run_records.environments(every), "environment"),
        verification=_verification(),
        files=task.files,
        commands=[_command(task, "all"), _command(task, "report", "results/report.html")],
        graph=task.graph
        and Markup(inline_svg.inline_svg(task.graph, "rules", "Rule graph of the pipeline")),
        style=Markup((PAGE / "report.css").read_text(encoding="utf-8").strip()),
        script=Markup(script),
        script_digest=_digest(f"\n{script}\n"),
    )
    with atomic_file(task.output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _script() -> str:
    """Return the page's script, which sorts tables, with its licence."""
    licence = (PAGE / "tablesort.LICENCE").read_text(encoding="utf-8").strip()
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in ("tablesort.js", "report.js")]
    return f"/* tablesort 5.6.0\n{licence}\n*/\n" + "\n".join(parts).strip()


def _digest(script: str) -> str:
    """Return the digest of the script for the page's content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _facts(every: list[run_records.RowRecord]) -> list[tuple[str, str]]:
    records = [record for row in every for record in row.records.values()]
    started = sorted(record["started"] for record in records)
    first, last = (
        time.replace("T", " ").replace("+00:00", " UTC") for time in (started[0], started[-1])
    )
    commits = list(dict.fromkeys(run_records.commit(record) for record in records))
    spent = run_records.duration(sum(record["seconds"] for record in records))
    return [
        ("Commit", "; ".join(commits) if len(commits) <= 3 else f"{len(commits)}: see Environment"),
        ("Runs started", first if first == last else f"{first} to {last}"),
        ("Training time", f"{spent} in all, {len(records)} runs"),
    ]


def _overview(task: ReportTask, rows: dict[str, list[run_records.RowRecord]]) -> DisplayTable:
    cells = []
    for part in task.corpora:
        found = rows[part.key]
        seconds = sum(sum(row.seconds) for row in found)
        count = sum(len(row.records) for row in found)
        numbers = [Cell(str(value), value=value) for value in (len(found), len(task.seeds), count)]
        kind = "generated: sample numbers" if part.corpus.generator else "real"
        cells.append(
            [
                Cell(part.corpus.title),
                Cell(kind),
                *numbers,
                Cell(run_records.duration(seconds), value=seconds),
            ]
        )
    headings = ["Corpus", "Data", "Rows", "Seeds", "Runs", "Training time"]
    s = "" if len(task.seeds) == 1 else "s"
    seeds = seed_ranges(task.seeds)
    fewer = any(len(row.records) < len(task.seeds) for each in rows.values() for row in each)
    caption = (
        f"A row is a variant with a text encoder; each is run with seed{s} {seeds}"
        f"{', some with the first of them' if fewer else ''}."
    )
    return DisplayTable(headings, "llrrrr", cells, caption, "overview", 1)


def _verification() -> dict[str, Any] | None:
    """Return which committed numbers were met; None without git, or if none are committed."""
    try:
        found = verification.verify()
    except HyConError:
        return None
    return _html(verification.table(found), "committed numbers that were met")


def _claims(task: ReportTask) -> dict[str, Any] | None:
    """Return the section of claims; None if no corpus has a table of them."""
    corpora = [
        claims_overview.read(
            task.results / part.key / "tables" / f"{each.name}.csv", part.key, part.corpus
        )
        for part in task.corpora
        for each in part.tables
        if each.kind == "claims"
    ]
    if not corpora:
        return None
    return claims_section.section(corpora) | {
        "files": [f"claims.{form}" for form in TABLE_FORMATS],
        "command": _command(task, "claims", "results/claims.csv"),
    }


def _corpus(
    task: ReportTask, part: PageCorpus, rows: list[run_records.RowRecord]
) -> dict[str, Any]:
    """Return the part of the report for a corpus."""
    key = part.key
    frames = [
        published.read_table(task.results / key / "tables" / f"{each.name}.csv")
        for each in part.tables
        if each.kind == "published"
    ]
    return {
        "key": key,
        "title": part.corpus.title,
        "made_up": part.corpus.generator is not None,
        "note": part.corpus.note,
        "verdicts": [
            _html(published.counts(frame, f"{key}-verdicts"), f"verdicts, {part.corpus.title}")
            for frame in frames
        ],
        "tables": [_table(task, part, each) for each in part.tables],
        "figures": [_figure(task, part, each) for each in part.figures],
        "curves": _curves(part, rows),
        "first": rows[0].label,
        "base": _html(run_records.base(rows[0], f"{key}-base"), f"parameters, {part.corpus.title}"),
        "changes": _html(
            run_records.changes(rows, f"{key}-changes"), f"changes, {part.corpus.title}"
        ),
        "times": _html(run_records.times(rows, f"{key}-times"), f"run times, {part.corpus.title}"),
    }  # fmt: skip


def _html(sheet: DisplayTable, name: str) -> dict[str, Any]:
    return {"name": name, "html": Markup(table_formats.html(sheet))}


def _table(task: ReportTask, part: PageCorpus, shown: PageItem) -> dict[str, Any]:
    stem = f"{part.key}/tables/{shown.name}"
    path = task.results / f"{stem}.html"
    if not table_formats.is_table(text := _read(path)):
        raise HyConError(f"{path}: is no table of this project's; delete it and run again")
    return {
        "title": shown.title,
        "name": f"{shown.name}, {part.corpus.title}",
        "html": Markup(text),
        "files": [f"{stem}.{form}" for form in TABLE_FORMATS],
        "command": _command(task, "tables", f"results/{stem}.csv"),
    }


def _figure(task: ReportTask, part: PageCorpus, shown: PageItem) -> dict[str, Any]:
    stem = f"{part.key}/figures/{shown.name}"
    caption = _read(task.results / f"{stem}.txt").strip()
    name = f"{part.key}-{shown.name}"
    return {
        "id": name,
        "name": shown.name,
        "svg": Markup(
            inline_svg.inline_svg(task.results / f"{stem}.svg", name, caption.split(". ")[0])
        ),
        "caption": caption,
        "files": [f"{stem}.{form}" for form in FIGURE_FORMATS],
        "command": _command(task, "figures", f"results/{stem}.svg"),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def _command(task: ReportTask, rule: str, target: str | None = None) -> str:
    """Return the command that regenerates a target; `--` ends options with several values."""
    options = f" {task.options}" if task.options else ""
    if target is None:
        return f"snakemake --cores 1{options} -- {rule}"
    return f"snakemake --cores 1{options} --forcerun {rule} -- {target}"


def _curves(part: PageCorpus, rows: list[run_records.RowRecord]) -> list[dict[str, Any]]:
    """Return the training curves of a corpus, by the first experiment of each row."""
    groups: dict[str, list[run_records.RowRecord]] = {}
    for shown, row in zip(part.rows, rows, strict=True):
        groups.setdefault(shown.experiment, []).append(row)
    score = "MAE" if part.corpus.task == "regression" else "cross-entropy"
    unit = "in units of the score" if score == "MAE" else "in nats"
    found = []
    for title, members in groups.items():
        axes = inline_svg.limits([curve for row in members for curve in row.curves])
        words = (
            f"Validation {score} ({unit}, from {axes.low:.4g} to {axes.high:.4g}) by epoch (1 to "
            f"{axes.epochs}); the same axes for all rows. A line is a seed, its ring the epoch "
            f"that was selected, the one with the lowest validation {score}."
        )
        charts = [
            {"label": row.label, "svg": Markup(inline_svg.curve_svg(row.curves, axes, score))}
            for row in members
        ]
        found.append({"title": title, "words": words, "charts": charts})
    return found
