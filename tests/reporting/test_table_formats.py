"""A table says the same in each of its forms, and each form is whole whatever its texts are."""

import re
import shutil
import subprocess
import warnings
from html.parser import HTMLParser

import pandas as pd
import pytest

from hycon.reporting.table_formats import (
    Cell,
    DisplayTable,
    html,
    latex,
    latex_text,
    markdown,
    seed_ranges,
    write,
)

HOSTILE = '<script>alert("1")</script> & 100% of #_{$^~\\}| "><img onerror=x>'
MATHS = r"$-0.125_{\pm 0.010}$"
SHEET = DisplayTable(
    headings=["Text encoder", "Model | kind", "MAE all ≤ α"],
    sides="llr",
    rows=[
        [Cell("[BERT]"), Cell(HOSTILE), Cell("-0.125 ± 0.010", True, -0.125, MATHS)],
        [Cell("* GloVe"), Cell("HyCon"), Cell("-0.5 [-1.5, +0.5]", value=-1 / 3)],
        [Cell("XLNet"), Cell("None"), Cell("")],
    ],
    caption=f"A caption, y >= 0 × 2 → {HOSTILE}",
    label="sample-main",
)  # fmt: skip


class Reader(HTMLParser):
    """Read a fragment back: its elements, those left open, and its texts by element."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.found.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.found[-1][2].append(data)


def check_latex(text):
    """Check what TeX would stumble over: braces, environments, columns, and stray specials."""
    body = text.split("\n", 1)[1]  # the first line is a comment
    body = re.sub(r"\\[\\{}$&%#_]", lambda found: "\n" * (found[0] == r"\\"), body)
    depth = 0
    for character in body:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert body.count("$") % 2 == 0
    opened = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", body):
        assert kind == "begin" or opened.pop() == name
        opened += [name] * (kind == "begin")
    assert opened == []
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
    inside = text.split(r"\toprule")[1].split(r"\bottomrule")[0].replace(r"\midrule", "")
    rows = [row for row in re.split(r"\\\\\n", inside) if row.strip()]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns - 1}
    assert not [row for row in rows[1:] if row.lstrip().startswith(("[", "*"))]
    plain = re.sub(r"\$[^$]*\$", "", body.replace(r"\textwidth}{!}{%", "}{").replace("}%", "}"))
    assert not set(plain) & set("#_^~%<>|±") - {"|"}
    assert plain.isascii()


def test_html_escapes_all_and_gives_numbers_to_sort_by():
    found = Reader(html(SHEET)).found
    assert "script" not in {tag for tag, _, _ in found}
    assert "img" not in {tag for tag, _, _ in found}
    assert "".join(found[2][2]) == SHEET.caption
    names = [tag for tag, *_ in found]
    assert (names.count("table"), names.count("caption"), names.count("thead")) == (1, 1, 1)
    columns = [attributes for tag, attributes, _ in found if attributes.get("scope") == "col"]
    assert [each.get("data-sort-method") for each in columns] == [None, None, "value"]
    rows = [texts for _, attributes, texts in found if attributes.get("scope") == "row"]
    assert "".join(rows[1]) == HOSTILE
    assert len(rows) == 6
    numbers = [attributes.get("data-sort") for tag, attributes, _ in found if tag == "td"]
    assert numbers == ["-0.125", repr(-1 / 3), None]


def test_markdown_keeps_a_bar_inside_its_cell():
    text = markdown(SHEET).split("\n\n")[0]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()} == {4}
    assert "**-0.125 ± 0.010**" in text


def test_latex_is_whole_whatever_its_texts_are():
    text = latex(SHEET)
    check_latex(text)
    assert r"\textbf{\boldmath $-0.125_{\pm 0.010}$}" in text
    assert "$-$0.5 [$-$1.5, +0.5]" in text
    assert "{}[BERT] &" in text


@pytest.mark.parametrize("broken", ["{", "$", "%", "_", "&", "±", r"\begin{x}"])
def test_the_check_finds_what_tex_would_stumble_over(broken):
    with pytest.raises(AssertionError):
        check_latex(latex(SHEET).replace("XLNet", broken))


def test_every_form_is_written_beside_the_numbers(tmp_path):
    write(SHEET, pd.DataFrame({"mae": [-0.125, -1 / 3]}), tmp_path / "main")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".html", ".md", ".tex"]
    frame = pd.read_csv(tmp_path / "main.csv")
    assert frame["mae"].tolist() == [-0.125, -1 / 3]
    assert set(frame["caption"]) == {SHEET.caption}


def test_latex_compiles(tmp_path):
    compiler = next(filter(shutil.which, ("pdflatex", "lualatex", "xelatex")), None)
    if compiler is None:
        warnings.warn("no LaTeX on this machine: its syntax alone was checked", stacklevel=1)
        pytest.skip("needs pdflatex, lualatex or xelatex (texlive-latex-recommended)")
    text = latex_text("".join(map(chr, range(32, 127))) + " ± ≤ ≥ − × → αβγλτ – “é”")
    lines = [r"\documentclass{article}", r"\usepackage{booktabs,graphicx}", r"\begin{document}"]
    whole = "\n".join([*lines, latex(SHEET), text, r"\end{document}"])
    (tmp_path / "table.tex").write_text(whole, encoding="utf-8")
    command = [compiler, "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-2000:]
    assert "Missing character" not in said


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ([1], "1"),
        ([1, 2], "1, 2"),
        ([1, 2, 3], "1-3"),
        ([9, 3, 1, 2, 4, 7, 8], "1-4, 7-9"),
        (range(31, 131), "31-130"),
        ([0, 2, 4, 5], "0, 2, 4, 5"),
    ],
)
def test_seeds_in_a_row_are_written_as_a_range(seeds, text):
    assert seed_ranges(seeds) == text
