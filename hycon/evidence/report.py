"""One page of everything that a run left behind, which needs no network and no server."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hycon.errors import HyConError
from hycon.evidence import drawings, forms, runs, verdicts
from hycon.evidence.forms import Cell, Sheet
from hycon.files import atomic_file
from hycon.params import Corpus
from hycon.params.base import Strict

PAGE = Path(__file__).parent / "page"
TITLE = "HyCon, reproduced: tables, figures and training curves"
TABLE_FORMS = ("csv", "md", "tex", "html")
FIGURE_FORMS = ("svg", "pdf", "png", "txt")


class Shown(Strict):
    """A table or a figure: its name, the rule that makes it, and what it shows."""

    name: str
    rule: str
    title: str


class PlannedRow(Strict):
    """A row: its folder's name, what a table calls it, and the experiment it stands in first."""

    name: str
    model: str
    encoder: str
    experiment: str


class Part(Strict):
    """A corpus, and what the page has of it."""

    key: str
    corpus: Corpus
    tables: list[Shown]
    figures: list[Shown]
    rows: list[PlannedRow]


class Plan(Strict):
    """What the page has: corpora in order, seeds, parameter files, and Snakemake's options."""

    corpora: list[Part]
    seeds: list[int]
    files: list[str]
    options: str


def write(plan: Plan, results: Path, graph: Path | None, path: Path) -> None:
    """Write the page; the same results give the same bytes.

    Args:
        plan: what it has.
        results: folder.
        graph: drawing of the rules, if there is one.
        path: of the page.

    Raises:
        HyConError: a result cannot be read.
    """
    rows = {
        part.key: [
            runs.read_row(
                results / "runs" / part.key / row.name, row.model, row.encoder, plan.seeds
            )
            for row in part.rows
        ]
        for part in plan.corpora
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
        corpora=[_corpus(plan, part, rows[part.key], results) for part in plan.corpora],
        overview=_html(_overview(plan, rows), "overview"),
        convention=verdicts.CONVENTION,
        environment=_html(runs.environments(every), "environment"),
        files=plan.files,
        commands=[_command(plan, "all"), _command(plan, "report", "results/report.html")],
        graph=graph and Markup(drawings.inline_svg(graph, "rules", "Rule graph of the pipeline")),
        style=Markup((PAGE / "report.css").read_text(encoding="utf-8").strip()),
        script=Markup(script),
        script_digest=_digest(f"\n{script}\n"),
    )
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _script() -> str:
    """Return what the page runs: the sorting of tables, with its licence."""
    licence = (PAGE / "tablesort.LICENCE").read_text(encoding="utf-8").strip()
    parts = [(PAGE / name).read_text(encoding="utf-8") for name in ("tablesort.js", "report.js")]
    return f"/* tablesort 5.6.0\n{licence}\n*/\n" + "\n".join(parts).strip()


def _digest(script: str) -> str:
    """Return what the page's policy calls the one script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _facts(every: list[runs.Row]) -> list[tuple[str, str]]:
    records = [record for row in every for record in row.records.values()]
    started = sorted(record["started"] for record in records)
    first, last = (
        time.replace("T", " ").replace("+00:00", " UTC") for time in (started[0], started[-1])
    )
    commits = list(dict.fromkeys(runs.commit(record) for record in records))
    spent = runs.duration(sum(record["seconds"] for record in records))
    return [
        ("Commit", "; ".join(commits) if len(commits) <= 3 else f"{len(commits)}: see Environment"),
        ("Runs started", first if first == last else f"{first} to {last}"),
        ("Training time", f"{spent} in all, {len(records)} runs"),
    ]


def _overview(plan: Plan, rows: dict[str, list[runs.Row]]) -> Sheet:
    cells = []
    for part in plan.corpora:
        found = rows[part.key]
        seconds = sum(sum(row.seconds) for row in found)
        count = sum(len(row.records) for row in found)
        numbers = [Cell(str(value), value=value) for value in (len(found), len(plan.seeds), count)]
        kind = "made up: sample numbers" if part.corpus.generator else "real"
        cells.append(
            [
                Cell(part.corpus.title),
                Cell(kind),
                *numbers,
                Cell(runs.duration(seconds), value=seconds),
            ]
        )
    headings = ["Corpus", "Data", "Rows", "Seeds", "Runs", "Training time"]
    seeds, s = ", ".join(map(str, plan.seeds)), "" if len(plan.seeds) == 1 else "s"
    caption = f"A row is a variant with a text encoder; each is run with seed{s} {seeds}."
    return Sheet(headings, "llrrrr", cells, caption, "overview", 1)


def _corpus(plan: Plan, part: Part, rows: list[runs.Row], results: Path) -> dict[str, Any]:
    """Return what the page says of a corpus."""
    key = part.key
    read = {
        each: verdicts.read_table(results / key / "tables" / f"{each.name}.csv")
        for each in part.tables
        if each.rule in ("compare", "published")
    }
    return {
        "key": key,
        "title": part.corpus.title,
        "made_up": part.corpus.generator is not None,
        "note": part.corpus.note,
        "verdicts": [
            _html(verdicts.verdicts(frame, f"{key}-verdicts"), f"verdicts, {part.corpus.title}")
            for each, frame in read.items()
            if each.rule == "published"
        ],
        "comparisons": [
            verdicts.comparison(frame, each.title.removesuffix(": differences"), part.corpus)
            for each, frame in read.items()
            if each.rule == "compare"
        ],
        "tables": [_table(plan, part, each, results) for each in part.tables],
        "figures": [_figure(plan, part, each, results) for each in part.figures],
        "curves": _curves(part, rows),
        "first": rows[0].label,
        "base": _html(runs.base(rows[0], f"{key}-base"), f"parameters, {part.corpus.title}"),
        "changes": _html(runs.changes(rows, f"{key}-changes"), f"changes, {part.corpus.title}"),
        "times": _html(runs.times(rows, f"{key}-times"), f"run times, {part.corpus.title}"),
    }  # fmt: skip


def _html(sheet: Sheet, name: str) -> dict[str, Any]:
    return {"name": name, "html": Markup(forms.html(sheet))}


def _table(plan: Plan, part: Part, shown: Shown, results: Path) -> dict[str, Any]:
    stem = f"{part.key}/tables/{shown.name}"
    path = results / f"{stem}.html"
    if not forms.is_table(text := _read(path)):
        raise HyConError(f"{path}: is no table of this project's; delete it and run again")
    return {
        "title": shown.title,
        "name": f"{shown.name}, {part.corpus.title}",
        "html": Markup(text),
        "files": [f"{stem}.{form}" for form in TABLE_FORMS],
        "command": _command(plan, shown.rule, f"results/{stem}.csv"),
    }


def _figure(plan: Plan, part: Part, shown: Shown, results: Path) -> dict[str, Any]:
    stem = f"{part.key}/figures/{shown.name}"
    caption = _read(results / f"{stem}.txt").strip()
    name = f"{part.key}-{shown.name}"
    return {
        "id": name,
        "name": shown.name,
        "svg": Markup(drawings.inline_svg(results / f"{stem}.svg", name, caption.split(". ")[0])),
        "caption": caption,
        "files": [f"{stem}.{form}" for form in FIGURE_FORMS],
        "command": _command(plan, shown.rule, f"results/{stem}.svg"),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def _command(plan: Plan, rule: str, target: str | None = None) -> str:
    """Return what makes something again; `--` ends the options, which take several values."""
    options = f" {plan.options}" if plan.options else ""
    if target is None:
        return f"snakemake --cores 1{options} -- {rule}"
    return f"snakemake --cores 1{options} --forcerun {rule} -- {target}"


def _curves(part: Part, rows: list[runs.Row]) -> list[dict[str, Any]]:
    """Return the training curves of a corpus, by the experiment that a row stands in first."""
    groups: dict[str, list[runs.Row]] = {}
    for planned, row in zip(part.rows, rows, strict=True):
        groups.setdefault(planned.experiment, []).append(row)
    score = "MAE" if part.corpus.task == "regression" else "cross-entropy"
    unit = "in units of the score" if score == "MAE" else "in nats"
    found = []
    for title, members in groups.items():
        axes = drawings.limits([curve for row in members for curve in row.curves])
        words = (
            f"Validation {score} ({unit}, from {axes.low:.4g} to {axes.high:.4g}) by epoch (1 to "
            f"{axes.epochs}); the same axes for all rows. A line is a seed, its ring the epoch "
            f"that was selected, the one with the lowest validation {score}."
        )
        charts = [
            {"label": row.label, "svg": Markup(drawings.curve_svg(row.curves, axes, score))}
            for row in members
        ]
        found.append({"title": title, "words": words, "charts": charts})
    return found
