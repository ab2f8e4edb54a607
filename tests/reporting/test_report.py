"""The page shows every result, runs nothing that results bring along, and is usable by everyone."""

import base64
import hashlib
import itertools
import math
import re
import warnings
from html.parser import HTMLParser

import pandas as pd
import pytest

from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import ReportTask
from hycon.reporting import inline_svg, published, report, run_records, table_formats
from hycon.reporting.claims import VERDICTS
from hycon.reporting.claims_section import SIGNS
from hycon.reporting.figures import Panel, write_curve
from hycon.reporting.inline_svg import Curve
from hycon.reporting.report import PAGE, write
from hycon.reporting.table_formats import Cell, DisplayTable
from hycon.reporting.verification import Number, Verification
from tests.reporting.browser import Browser, chromium
from tests.reporting.claims_tables import judged, write_claims
from tests.reporting.scored_rows import DIGEST, scored_row
from tests.running import run_stage
from tests.test_params import ROOT

PARAMS = load(ROOT)
SCORED, REAL = (PARAMS.catalogue[key] for key in ("sample", "mosi-utterance"))
GRAPH = ROOT / "docs/rulegraph.svg"
SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'
VOID = {"meta", "input", "img", "br", "link", "hr"}
SETTINGS = {"model": {"width": 8, "gate": None}, "train": {"alpha": 0.8, "other": {"rate": 0.1}}}


def record(seed, epochs):
    return {
        "selection": {"epoch": 2, "epochs": epochs, "value": 0.5},
        "device": "cpu",
        "threads": 1,
        "commit": "a" * 40,
        "clean": seed != 2,
        "versions": {"python": "3.11", "torch": "2.0"},
        "started": f"2026-01-0{seed}T10:00:00+00:00",
        "seconds": 1.5 * seed,
        "test": {},
    }


def write_row(folder, settings):
    """Write two runs of a row, and return the row."""
    seeds = {str(seed): record(seed, 3) for seed in (1, 2)}
    content = {"settings": settings, "encoder": {"model": None, "kind": "vectors"}}
    model = f"{folder.name} {IMAGE}"
    row = scored_row(folder / "scores.json", seeds, content, model, row=folder.name)
    for seed in seeds:
        lines = ["epoch,task,validation", "1,1,0.9", f"2,1,0.5{seed}", "3,1,0.7"]
        (folder / f"seed-{seed}").mkdir()
        (folder / f"seed-{seed}/history.csv").write_text("\n".join(lines) + "\n")
    return row


def write_tables(folder, key):
    rows = [
        [Cell("BERT"), Cell(name), Cell(f"{value:,}", value=value), Cell(*shown)]
        for name, value, shown in [
            (f"HyCon {SCRIPT}", 900, ("0.9 ± 0.1", True, 0.9)),
            ("Second", 12_000, ("0.10 ± 0.1", False, 0.1)),
            ("third", 1_000, ("",)),
        ]
    ]
    headings = ["Text encoder", "Model", "Parameters", "MAE all"]
    caption = f"A caption {IMAGE}. SAMPLE NUMBERS."
    wide = [*headings, *(f"Metric {number}" for number in range(12))]
    more = [[*row, *[Cell("0.123 ± 0.456", value=0.1)] * 12] for row in rows]
    for name, columns, cells in (("main", headings, rows), ("wide", wide, more)):
        sides = "ll" + "r" * (len(columns) - 2)
        sheet = DisplayTable(columns, sides, cells, caption, f"{key}-{name}")
        table_formats.write(sheet, pd.DataFrame({"x": [1]}), folder / name)
    table_formats.write(
        DisplayTable(["Model"], "l", [[Cell("a")]], caption, f"{key}-main-differences", 1),
        pd.DataFrame({"x": [1]}),
        folder / "main-differences",
    )
    write_claims(
        folder,
        judged("c-1", "supported", (f"None {IMAGE}", -0.1, 0.05), ("Other", -0.05, 0.04),
               preregistered="yes"),
        judged("c-2", "contradicted", ("None", 9.0, 0.05)),
        judged("c-3", "not supported", ("None", 0.0, 0.01), seeds_to_decide=""),
        judged("c-4", "undecided", ("None", 0.01, 0.1), seeds_to_decide=23.0,
               testable="unknown: no control rows"),
        judged("c-5", "not testable", ("None", 0.01, 0.1), evidence="undecided",
               testable=f"no: {SCRIPT} alone: undecided"),
        judged("c-8", "undecided", ("None", 0.01, 0.1), seeds_to_decide=math.inf),
        judged("c-6", "not run", missing="TFN", preregistered=""),
        judged("c-7", "supported", detail=f"HyCon 9; TFN {IMAGE}", preregistered=""),
    )  # fmt: skip
    said = pd.DataFrame(
        [("MulT", "BERT", each) for each in ("agrees", "better", "worse", "worse", "")],
        columns=["model", "text_encoder", "verdict"],
    )
    table_formats.write(
        DisplayTable(["Model"], "l", [[Cell("a")]], caption, f"{key}-published", 1),
        said,
        folder / "published",
    )


def make(folder, graph=None):
    """Write small results of two corpora, and return the task of their page."""
    corpora = []
    for key, corpus in (("sample", SCORED), ("mosi-utterance", REAL)):
        write_tables(folder / key / "tables", key)
        panels = [Panel("MAE all", [(0.2, [0.5, 0.6]), (0.8, [0.4, 0.5])], 1)]
        write_curve(
            panels,
            "alpha",
            f"Curve {SCRIPT}. Of {IMAGE}.",
            folder / key / "figures/main-curve",
            PARAMS.figures,
        )
        rows = {
            "first": SETTINGS,
            "second": {"network": {"kind": IMAGE}, "train": {"alpha": 0.5}},
        }
        kinds = {
            "claims": "claims",
            "main": "scores",
            "wide": "costs",
            "main-differences": "differences",
            "published": "published",
        }
        corpora.append(
            {
                "key": key,
                "corpus": corpus.model_dump() | {"title": f"Corpus {key} {SCRIPT}"},
                "tables": [
                    {"name": name, "kind": kind, "title": f"Table {name} {IMAGE}"}
                    for name, kind in kinds.items()
                ],
                "figures": [{"name": "main-curve", "kind": "curve", "title": ""}],
                "rows": [
                    {
                        "row": write_row(folder / "runs" / key / name, settings).model_dump(),
                        "experiment": f"Main {SCRIPT}",
                    }
                    for name, settings in rows.items()
                ],
            }
        )
    return ReportTask.model_validate(
        {
            "corpora": corpora,
            "seeds": [1, 2],
            "files": ["params.yaml", IMAGE],
            "options": "--configfile a.yaml --config 'x={\"y\": 1}'",
            "graph": graph,
            "results": folder,
            "output": folder / "report.html",
        }
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return the path of a page of fabricated results."""
    task = make(tmp_path_factory.mktemp("results"), GRAPH)
    write(task)
    return task.output


class Reader(HTMLParser):
    """Read a page back: elements with what they are inside of, and all that is left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def of(self, *tags):
        return [(tag, attributes) for tag, attributes in self.found if tag in tags]


@pytest.fixture(scope="module")
def read(page):
    reader = Reader(page.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_the_same_results_give_the_same_bytes(page):
    task = make(page.parent / "again", GRAPH)
    write(task)
    assert task.output.read_bytes() == page.read_bytes()


def test_what_results_bring_along_is_text(read):
    assert len(read.of("script")) == 1
    assert not read.of("img", "iframe", "object", "link", "base", "form")
    assert not [
        name for _, attributes in read.found for name in attributes if name.startswith("on")
    ]
    assert read.text.count(SCRIPT) > 10
    assert read.text.count(IMAGE) > 10


def test_the_page_asks_for_nothing_and_runs_its_own_script_only(page, read):
    text = page.read_text(encoding="utf-8")
    (policy,) = [each["content"] for _, each in read.of("meta") if "http-equiv" in each]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    script = re.search(r"<script>(.*?)</script>\n</body>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert "Permission is hereby granted, free of charge" in script  # tablesort's licence
    assert not [each for _, each in read.found if each.get("src", "").startswith("http")]
    links = [each["href"] for _, each in read.of("a", "use") if "href" in each]
    assert not [link for link in links if link.startswith(("http", "//", "/"))]


def test_every_id_is_there_once_and_every_reference_finds_its_own(read):
    ids = [each["id"] for _, each in read.found if "id" in each]
    assert len(ids) == len(set(ids))
    for _, each in read.found:
        named = [each.get("href", "").removeprefix("#")] if each.get("href", "")[:1] == "#" else []
        named += [each[name] for name in ("for", "aria-labelledby") if name in each]
        for value in each.values():
            named += re.findall(r"url\(#([^)]+)\)", value or "")
        assert set(named) <= set(ids)


def test_headings_are_in_order_and_everything_has_a_name(read):
    levels = [int(tag[1]) for tag, _ in read.of("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert read.of("html")[0][1]["lang"] == "en-GB"
    assert len(read.of("caption")) == len(read.of("table"))
    assert all(each["scope"] in ("row", "col") for _, each in read.of("th"))
    assert all(each["role"] == "img" and each["aria-label"] for _, each in read.of("svg"))
    regions = [each for _, each in read.found if each.get("role") == "region"]
    assert all(each["tabindex"] == "0" and each["aria-label"] for each in regions)
    assert read.of("a")[0][1]["href"] == "#main"


def test_every_table_figure_and_curve_is_there_with_files_and_command(page, read):
    text = page.read_text(encoding="utf-8")
    for key in ("sample", "mosi-utterance"):
        for name in ("claims", "main", "wide", "main-differences", "published"):
            assert text.count(f'<table id="table-{key}-{name}">') == 1
            for form in ("csv", "md", "tex", "html"):
                assert f'href="{key}/tables/{name}.{form}"' in text
        for form in ("svg", "pdf", "png", "txt"):
            assert f'href="{key}/figures/main-curve.{form}"' in text
    command = "snakemake --cores 1 --configfile a.yaml --config 'x={\"y\": 1}' --forcerun "
    assert f"{command}tables -- results/sample/tables/main-differences.csv" in read.text
    assert f"{command}figures -- results/sample/figures/main-curve.svg" in read.text
    # two corpora, two rows, two seeds
    assert len(read.of("polyline")) == 8
    assert len([each for _, each in read.of("circle") if "r" in each and each["r"] == "3"]) == 8


def test_the_head_says_when_and_of_what_the_runs_were_and_a_sample_is_called_one(read):
    assert "2026-01-01 10:00:00 UTC to 2026-01-02 10:00:00 UTC" in read.text
    assert f"{'a' * 40}; {'a' * 40}, with changes not committed" in read.text
    assert "18 s in all, 8 runs" in read.text  # 2 corpora x 2 rows x (1.5 + 3)
    notices = [each for _, each in read.of("p") if each.get("class") == "notice"]
    assert len(notices) == 2  # of the one that is made up: on top, and at its own heading


def test_the_first_section_has_every_claim_with_its_verdict_in_words(page, read):
    text = page.read_text(encoding="utf-8")
    start, end = text.index('<section aria-labelledby="claims">'), text.index('id="overview">')
    assert start < end
    claims = Reader(text[start : text.index("</section>", start) + len("</section>")])
    assert claims.open == []
    words = [each for each in SIGNS if f"{SIGNS[each]} {each}" in claims.text]
    assert words == list(VERDICTS)
    at = [claims.text.index(f"Claim {name}") for name in ("c-1", "c-2", "c-3", "c-4", "c-5")]
    assert at == sorted(at)
    bars = [
        each["aria-label"] for tag, each in claims.of("svg") if "Axis" not in each["aria-label"]
    ]
    assert len(bars) == 2 * 7  # a line for each comparison
    assert f"HyCon – None {IMAGE} -0.100 [-0.150, -0.050], n\u00a0=\u00a05: better" in bars
    for said in ("weakest: HyCon – Other -0.050", "preregistered", "exploratory", "MAE all, margin",
                 "about 23 seeds would decide", "no number of seeds would decide",
                 "the numbers alone: undecided",
                 "2 supported, 1 contradicted, 1 not supported, 2 undecided"):  # fmt: skip
        assert said in claims.text, said
    assert claims.text.count("sample numbers") > 1


def test_what_could_not_be_tested_is_listed_with_its_reason(read):
    text = read.text[read.text.index("What could not be tested, and why") :]
    assert f"Not testable: {SCRIPT} alone: undecided. 1 claim: Claim c-5 (MiniLM)." in text
    assert "Not run: without TFN. 1 claim: Claim c-6 (MiniLM)." in text
    assert "Not known to be testable: no control rows. 1 claim: Claim c-4 (MiniLM)." in text


def test_without_claims_the_page_begins_with_the_overview(tmp_path):
    task = make(tmp_path)
    for part in task.corpora:
        part.tables[:] = [each for each in part.tables if each.kind != "claims"]
    write(task)
    text = task.output.read_text(encoding="utf-8")
    assert "#claims" not in text
    assert "What could not be tested" not in text


def test_the_page_counts_the_committed_numbers_that_were_met(tmp_path, monkeypatch, page):
    assert "Committed numbers" not in page.read_text(encoding="utf-8")
    file = "results/sample/tables/main.csv"
    numbers = [
        Number(file, "HyCon", "mae_all_mean", 0.5, 0.5, "exact", 0.0),
        Number(file, "HyCon", "corr_all_mean", 0.5, 0.1, "not met", 4.0),
    ]
    found = Verification("abc123", numbers, [], [])
    monkeypatch.setattr(report.verification, "verify", lambda: found)
    task = make(tmp_path)
    write(task)
    reader = Reader(task.output.read_text(encoding="utf-8"))
    assert "Committed numbers (commit abc123) that this run met" in reader.text
    assert ("h2", {"id": "verification"}) in reader.found


def test_a_bar_is_drawn_on_its_axis_and_says_where_it_goes_beyond():
    drawn = inline_svg.bar_svg(0.5, (-2.0, 0.75), (0.25, 0.7), 0.25, SCRIPT)
    half = inline_svg.SPAN / 2
    assert f'cx="{50 + half / 2:.1f}%"' in drawn
    assert f'class="thin" x1="{50 - half:.1f}%" x2="{50 + 0.75 * half:.1f}%"' in drawn
    assert f'class="margin" x="{50 - half / 4:.1f}%" width="{half / 2:.1f}%"' in drawn
    assert ("◂" in drawn, "▸" in drawn) == (True, False)
    assert SCRIPT not in drawn
    beyond = inline_svg.bar_svg(3.0, (2.0, 4.0), None, 0.25, "x")
    assert "▸" in beyond
    assert "circle" not in beyond
    assert "thin" not in beyond


def test_verdicts_are_counted_by_published_model(read):
    said = pd.DataFrame(
        {"model": "M", "text_encoder": "B", "verdict": ["agrees", "worse", "worse", ""]}
    )
    ((*_, agrees, better, worse, not_run),) = published.counts(said, "x").rows
    assert [each.value for each in (agrees, better, worse, not_run)] == [1, 0, 2, 1]


def test_other_parameters_are_said_whatever_their_keys_are():
    first = run_records.flat(SETTINGS)
    assert run_records._changed(first, first) == ""
    other = {"model": {"width": 8, "gate": {"on": True}}, "train": {"alpha": 1, "other": None}}
    assert (
        run_records._changed(first, run_records.flat(other))
        == "model.gate.on true; train.alpha 1; train.other none"
    )
    assert (
        run_records._changed(first, run_records.flat({"train": SETTINGS["train"]}))
        == "no model.width; no model.gate"
    )


def test_a_curve_has_a_point_an_epoch_on_axes_that_all_rows_share():
    curves = [Curve(1, [(1, 1.0), (2, 0.5), (3, float("nan"))], 2), Curve(2, [(1, 0.75)], 1)]
    axes = inline_svg.limits(curves)
    assert (axes.epochs, axes.low, axes.high) == (3, 0.5, 1.0)
    drawn = inline_svg.curve_svg(curves, axes, "MAE")
    left, top, right, bottom = inline_svg.AXES
    middle = (left + right) // 2
    assert f'points="{left},{top} {middle},{bottom}"' in drawn
    assert f'cx="{middle}" cy="{bottom}"' in drawn
    assert "seed 1, epoch 2 of 3 selected at 0.500; seed 2, epoch 1 of 1 selected at 0.750" in drawn


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("runs/sample/first/scores.json", "{}", "evaluate the runs again"),
        ("runs/sample/first/scores.json", '{"seeds": {"1": {}}}', "evaluate the runs again"),
        ("runs/sample/first/seed-1/history.csv", "epoch,validation\n", "train again"),
        ("sample/figures/main-curve.svg", "<svg", "draw again"),
        ("sample/tables/published.csv", None, "run again"),
        ("sample/tables/claims.csv", None, "run again"),
        ("sample/tables/claims.csv", "claim,verdict\na,b\n", "run again"),
        ("sample/tables/main.html", None, "run again"),
    ],
)
def test_a_result_that_cannot_be_read_is_named_in_a_line(tmp_path, name, content, message):
    task = make(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(HyConError, match=rf"{re.escape(name)}: .*{message}"):
        write(task)
    assert not task.output.exists()


def test_scores_made_with_other_parameters_are_refused(tmp_path):
    task = make(tmp_path)
    path = task.corpora[1].rows[1].row.scores
    path.write_text(path.read_text().replace(DIGEST, "f" * 16))
    with pytest.raises(HyConError, match=r"mosi-utterance/second/scores\.json: made with other"):
        run_stage("report", task)
    assert not task.output.exists()


def test_a_page_of_350_runs_is_small(tmp_path):
    points = [(epoch, 1 / epoch) for epoch in range(1, 51)]
    curves = [Curve(seed, points, 50) for seed in range(1, 4)]
    drawn = inline_svg.curve_svg(curves, inline_svg.limits(curves), "MAE")
    assert len(drawn) * 350 / 3 < 1_000_000


# what is read on what, and what only has to be seen on what
READ = [("ink", "paper"), ("ink", "panel"), ("quiet", "paper"), ("quiet", "panel"),
        ("link", "paper"), ("notice-ink", "notice"), ("yes", "paper"), ("no", "paper"),
        ("ink", "band")]  # fmt: skip
SEEN = [(f"seed-{number}", "panel") for number in range(1, 5)]


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_colours_have_the_contrast_that_reading_needs():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    blocks = re.findall(r":root \{(.*?)\}", (PAGE / "report.css").read_text(), re.DOTALL)
    light, dark, paper = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks
    )
    for scheme in (light, light | dark, light | paper):
        assert min(contrast(scheme[a], scheme[b]) for a, b in READ) >= 4.5
        assert min(contrast(scheme[a], scheme[b]) for a, b in SEEN) >= 3


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if chromium() is None:
        warnings.warn("no Chromium on this machine: the page was not opened", stacklevel=1)
        pytest.skip("needs chromium")
    opened = Browser(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


ALL = "[...document.querySelectorAll('#table-sample-main {}')].map({})"
COLUMN = ALL.format("tbody tr", "row => row.cells[{}].innerText")
SORTED = ALL.format("thead th", "heading => heading.ariaSort")


def test_a_browser_opens_it_without_complaint_or_network(browser, page):
    browser.open(page.as_uri())
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    said = [each for each in browser.events if each["method"] in
            ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")]  # fmt: skip
    assert said == []
    asked = [each["params"]["request"]["url"] for each in browser.events
             if each["method"] == "Network.requestWillBeSent"]  # fmt: skip
    assert asked == [page.as_uri()]


@pytest.mark.parametrize("keyboard", [False, True])
def test_tables_are_sorted_by_number_with_mouse_and_keyboard(browser, page, keyboard):
    def press(column):
        button = f"#table-sample-main thead th:nth-child({column + 1}) button"
        if not keyboard:
            return browser.click(button)
        browser.value(f"document.querySelector('{button}').focus()")
        return browser.press(*(("Enter", 13, "\r") if column % 2 else (" ", 32, " ")))

    browser.open(page.as_uri())
    values = COLUMN.format(2)
    assert browser.value(values) == ["900", "12,000", "1,000"]
    press(2)
    assert browser.value(values) == ["900", "1,000", "12,000"]
    assert browser.value(SORTED) == [None, None, "ascending", None]
    press(2)
    assert browser.value(values) == ["12,000", "1,000", "900"]
    assert browser.value(SORTED) == [None, None, "descending", None]
    press(3)  # the last has no number, and stands below both
    assert browser.value(COLUMN.format(3)) == ["", "0.10 ± 0.1", "0.9 ± 0.1"]
    assert browser.value(SORTED) == [None, None, None, "ascending"]
    press(1)
    assert [name.split()[0] for name in browser.value(COLUMN.format(1))] == [
        "HyCon",
        "Second",
        "third",
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_the_page_does_not_scroll_sideways_but_its_tables_do(browser, page, dark):
    browser.open(page.as_uri(), width=375, height=800, dark=dark)
    for opened in ("false", "true"):
        browser.value(f"document.querySelectorAll('details').forEach(each => each.open = {opened})")
        assert browser.value("document.scrollingElement.scrollWidth") <= 375
    wide = "document.getElementById('table-sample-wide').closest('.scroll')"
    assert browser.value(f"{wide}.scrollWidth > {wide}.clientWidth")
    assert browser.value("getComputedStyle(document.body).backgroundColor") == (
        "rgb(21, 23, 26)" if dark else "rgb(255, 255, 255)"
    )
    assert browser.value("getComputedStyle(document.querySelector('.plate')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


@pytest.mark.parametrize(("width", "beside"), [(1500, True), (1000, True), (390, False)])
def test_corpora_are_side_by_side_where_there_is_room(browser, page, width, beside):
    browser.open(page.as_uri(), width=width)
    top = "[...document.querySelectorAll('.claims tbody tr:first-child td')].map(each => each.{})"
    tops = browser.value(top.format("getBoundingClientRect().top"))
    assert (tops[0] == tops[1]) == beside
    names = browser.value(top.format("querySelector('.whose').checkVisibility()"))
    assert names == [not beside] * 2
    assert browser.value("document.scrollingElement.scrollWidth") <= width
    # the first claim is on the first screen of a desk
    assert beside is False or max(tops) < 700


def test_a_figure_becomes_as_wide_as_the_page_and_the_first_tab_skips_to_the_content(browser, page):
    browser.open(page.as_uri(), width=1280)
    width = "document.querySelector('.plate svg').getBoundingClientRect().width"
    before = browser.value(width)
    browser.value("document.querySelector('input.enlarge').focus()")
    browser.press(" ", 32, " ")
    assert browser.value(width) > 2 * before
    browser.open(page.as_uri(), width=1280)
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0


def test_on_paper_nothing_is_left_closed(browser, page):
    browser.open(page.as_uri())
    browser.value("var open = 0; addEventListener('afterprint', () => 0);"
                  "addEventListener('beforeprint', () => open ="
                  " document.querySelectorAll('details:not([open])').length + 1)")  # fmt: skip
    browser("Page.printToPDF")
    assert browser.value("open") == 1
    assert browser.value("document.querySelectorAll('details:not([open])').length") > 0


def test_the_script_is_the_page_s_own():
    assert report._digest("") == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
