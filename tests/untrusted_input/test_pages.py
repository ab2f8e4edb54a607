"""Pages, tables and figures show what corpora and labels say as text, and take in no more."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file

from hycon.corpus.utterances import Utterance, write_table
from hycon.errors import HyConError
from hycon.params import load
from hycon.plan.tasks import CurvePoint, PlottedRuns
from hycon.reporting import dvc_plots, table_formats
from hycon.reporting.figures import Panel, write_curve
from hycon.reporting.inline_svg import inline_svg
from hycon.reporting.report import write
from hycon.reporting.table_formats import Cell, DisplayTable
from tests.reporting.scored_rows import scored_row
from tests.reporting.test_report import make
from tests.reporting.test_table_formats import check_latex
from tests.test_params import ROOT

PARAMS = load(ROOT)
TEXTS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "--><svg onload=alert(1)>",
    "\"' onmouseover='alert(1)' x=\"",
    "[click](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "<https://example.org>",
    "a | b\n|---|\n| c \\| d |",
    "\\input{/etc/passwd} \\write18{touch x} ^^5c %$#_&~{}",
    "$\\frac{1}$ and $5",
    '=HYPERLINK("http://example.org")',
    "{{ 7 * 7 }} {% include 'x' %}",
    "line\nbreak\r\n\n\x00\x1b[2J",
)


def sheet(text):
    return DisplayTable([text, "B"], "ll", [[Cell(text), Cell(text, True)]], text, "sample-main")


@pytest.mark.parametrize("text", TEXTS)
def test_html_has_its_own_elements_only(text):
    seen = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, [name for name, _ in attrs if name.startswith("on")]))

    page = table_formats.html(sheet(text))
    Tags().feed(page)
    known = {"table", "caption", "span", "thead", "tbody", "tr", "th", "td", "strong"}
    assert {tag for tag, _ in seen} <= known
    assert not any(handlers for _, handlers in seen)
    assert table_formats.is_table(page)


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_keeps_its_cells_and_has_no_html_and_no_link(text):
    lines = table_formats.markdown(sheet(text)).splitlines()
    assert len(lines) == 5
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines[:3])
    assert not re.search(r"(?<!\\)<[A-Za-z/!?]|\]\(", "\n".join(lines))
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", "\n".join(lines))


@pytest.mark.parametrize("text", [text for text in TEXTS if text.isascii()])
def test_latex_runs_nothing_and_stays_whole(text):
    page = table_formats.latex(sheet(text))
    check_latex(page)
    commands = set(re.findall(r"\\[A-Za-z]+", page))
    assert not commands & {r"\input", r"\write", r"\frac", r"\include"}
    assert "\n\n" not in page


@pytest.mark.parametrize("text", TEXTS)
def test_a_csv_has_the_text_as_it_is(tmp_path, text):
    # a table for programs: a spreadsheet's formula is not taken for one there
    text = " ".join(text.split()).replace("\0", "")
    table_formats.write(sheet(text), pd.DataFrame({"model": [text]}), tmp_path / "main")
    assert pd.read_csv(tmp_path / "main.csv", dtype=str)["model"].tolist() == [text]


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[3], TEXTS[8], TEXTS[9]])
def test_a_figure_draws_a_label_letter_by_letter(tmp_path, text):
    panels = [Panel(text, [(0.2, [0.5, 0.6]), (0.8, [0.4, 0.5])], 1)]
    write_curve(panels, text, text, tmp_path / "curve", PARAMS.figures)
    found = inline_svg(tmp_path / "curve.svg", "curve", text)
    assert "<script" not in found.lower()
    assert not re.search(r"<[^>]* on\w+=", re.sub(r'"[^"]*"', '""', found))


@pytest.mark.parametrize(
    "table",
    [
        *("<table></table><script>alert(1)</script>", "<table onclick=x></table>", "<!-- -->"),
        *('<meta http-equiv="refresh" content="0;url=http://example.org">', "<table/onload=x>"),
        *('<td style="background:url(http://example.org)">', "<img src=x>", "a < b", "</main>"),
        *('<th class="l" id="x"onload="y">', "<TABLE>", "<td\n>", '<td class="<script>">'),
    ],
)
def test_a_table_that_is_none_of_ours_is_not_taken_into_the_page(tmp_path, table):
    task = make(tmp_path)
    (tmp_path / "sample/tables/main.html").write_text(table)
    with pytest.raises(HyConError, match=r"tables/main\.html: is no table of this project's"):
        write(task)
    assert not task.output.exists()


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink">{}</svg>'


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<script>alert(1)</script>", "<script>"),
        ('<g xmlns="http://www.w3.org/1999/xhtml"><script>x</script></g>', "xhtml"),
        ("<foreignObject><p>x</p></foreignObject>", "<foreignObject>"),
        ('<a href="javascript:alert(1)"><path d="M0"/></a>', "<a>"),
        ('<animate attributeName="href" to="javascript:x"/>', "<animate>"),
        ('<path d="M0" onclick="x"/>', "onclick="),
        ('<path d="M0" ONLOAD="x"/>', "onload="),
        ('<use x:href="http://example.org/x.svg#y"/>', 'href="http://example.org'),
        ('<use href="data:image/svg+xml;base64,AA"/>', "href="),
        ('<image href="https://example.org/x.png"/>', "href="),
        ('<path style="fill: url(http://example.org/x)"/>', "style="),
        ("<path style=\"fill: u\\72l('http://example.org/x')\"/>", "style="),
        ('<g xml:base="http://example.org/"/>', "base="),
    ],
)
def test_a_drawing_that_runs_or_loads_something_is_refused(tmp_path, inside, said):
    path = tmp_path / "curve.svg"
    path.write_text(SVG.format(inside))
    with pytest.raises(HyConError, match=r"curve\.svg: contains .*, expected shapes") as caught:
        inline_svg(path, "x", "label")
    assert said in str(caught.value)


def test_entities_of_a_drawing_neither_multiply_nor_read_a_file(tmp_path):
    path = tmp_path / "curve.svg"
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    for document in (
        f'<!DOCTYPE svg [<!ENTITY a0 "{"x" * 100}">{laughs}]>' + SVG.format("<text>&a11;</text>"),
        '<!DOCTYPE svg [<!ENTITY f SYSTEM "/etc/passwd">]>' + SVG.format("<text>&f;</text>"),
    ):
        path.write_text(document)
        with pytest.raises(HyConError, match=r"curve\.svg: cannot be read"):
            inline_svg(path, "x", "label")


def test_the_projects_own_drawing_is_taken_in():
    assert inline_svg(ROOT / "docs/rulegraph.svg", "rules", "x").startswith("<svg")


def test_a_style_sheet_that_loads_something_is_refused(tmp_path):
    path = tmp_path / "curve.svg"
    path.write_text(SVG.format("<style>@import url(http://example.org/x.css);</style>"))
    with pytest.raises(HyConError, match="expected shapes"):
        inline_svg(path, "x", "label")


def test_a_label_cannot_end_the_script_of_the_page_that_dvc_draws(tmp_path):
    row = scored_row(tmp_path / "scores.json", {"1": {"test": {"mae_all": 0.5}}})
    folder = tmp_path / "seed-1"
    folder.mkdir()
    (folder / "history.csv").write_text("epoch,validation\n1,0.5\n")
    save_file({"prediction": np.array([0.5])}, folder / "representations.safetensors")
    write_table(
        tmp_path / "utterances.csv", [Utterance("u", "v", 0, "test", 0.0, 1.0, 1, "0.5", "t")]
    )
    corpus = PARAMS.catalogue["sample"]
    runs = PlottedRuns(panel=TEXTS[1], runs=tmp_path, seeds=[1], corpus=corpus, aligned=tmp_path)
    tables = [
        dvc_plots.curves([CurvePoint(panel=TEXTS[1], x=1.0, metric="mae_all", row=row)]),
        dvc_plots.training([runs]),
        dvc_plots.confusion([runs]),
    ]
    for table in tables:
        assert table["panel"].tolist() == ["‹/script>‹script>alert(1)‹/script>"]
