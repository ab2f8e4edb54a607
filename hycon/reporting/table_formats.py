"""Tables for readers, and their formats: Markdown, LaTeX (booktabs), HTML."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

import pandas as pd
from tabulate import tabulate

from hycon.atomic_io import atomic_file
from hycon.evaluation.inference import LEVEL, Comparison

# the elements that `html` writes; an untrusted file may contain others
TAG = re.compile(
    r"</?(?:table|caption|span|thead|tbody|tr|th|td|strong)"
    r'(?: (?:id|scope|class|data-sort|data-sort-method)="[^"<>]*")*>'
)
SIDES = {"l": "left", "r": "right"}


class Cell(NamedTuple):
    """One cell: its text, its value at full precision for sorting, and its LaTeX if different."""

    text: str
    bold: bool = False
    value: float | None = None
    latex: str | None = None


@dataclass(frozen=True)
class DisplayTable:
    """A table for readers: `sides` has l or r for each column; `named` columns name a row."""

    headings: Sequence[str]
    sides: str
    rows: Sequence[Sequence[Cell]]
    caption: str
    label: str  # CORPUS-NAME
    named: int = 2


def number(value: float, factor: int, more: int = 0, sign: bool = False) -> str:
    """Return a difference as a reader sees it: points to 1 place, and `more`; others to 3."""
    places = 1 + more if factor == 100 else 3
    return f"{value * factor:{'+z' if sign else 'z'}.{places}f}"


def effect(found: Comparison, factor: int) -> str:
    """Return a difference with its 95% interval, in points or in units of the metric."""
    return interval(found.difference, found.interval(), factor)


def interval(middle: float, bounds: tuple[float, float] | None, factor: int) -> str:
    """Return a difference, and its interval if it has one: +0.9 [-0.1, +1.9]."""
    shown = number(middle, factor, sign=True)
    if bounds is None:
        return shown
    return f"{shown} [{', '.join(number(bound, factor, sign=True) for bound in bounds)}]"


def columns(found: Comparison) -> dict[str, float | int | None]:
    """Return a difference, its intervals and its number of seeds at full precision, for a CSV."""
    low, high = found.interval() or (None, None)
    low_90, high_90 = found.interval(1 - 2 * LEVEL) or (None, None)
    return {
        "difference": found.difference,
        "low": low,
        "high": high,
        "low_90": low_90,
        "high_90": high_90,
        "n": found.n,
    }


def seed_count(seeds: float | None) -> str:
    """Return a number of seeds that would decide."""
    return "" if seeds is None else "none" if math.isinf(seeds) else f"{seeds:.0f}"


def p_value(p: float | None) -> str:
    """Return a p value as a reader sees it."""
    return "" if p is None else "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def write(sheet: DisplayTable, numbers: pd.DataFrame, path: Path) -> None:
    """Write a table in every format.

    Args:
        sheet: the table.
        numbers: all numbers at full precision, for the CSV; the caption is added.
        path: path without suffix; PATH.csv, PATH.md, PATH.tex and PATH.html are written.
    """
    with atomic_file(path.with_suffix(".csv")) as temporary:
        numbers.assign(caption=sheet.caption).to_csv(temporary, index=False, lineterminator="\n")
    for form, text in (("md", markdown(sheet)), ("tex", latex(sheet)), ("html", html(sheet))):
        with atomic_file(path.with_suffix(f".{form}")) as temporary:
            temporary.write_text(text, encoding="utf-8")


def markdown(sheet: DisplayTable) -> str:
    """Return the table for reading, its caption below."""
    rows = [
        [f"**{_piped(cell.text)}**" if cell.bold else _piped(cell.text) for cell in row]
        for row in sheet.rows
    ]
    sides = [SIDES[side] for side in sheet.sides]
    text = tabulate(
        rows,
        [_piped(heading) for heading in sheet.headings],
        "pipe",
        colalign=sides,
        disable_numparse=True,
    )
    return f"{text}\n\n{_plain(sheet.caption)}\n"


def _piped(text: str) -> str:
    """Return a text as Markdown has it in a table, where a bar would end the cell."""
    return _plain(text).replace("|", r"\|")


def _plain(text: str) -> str:
    """Return a text as Markdown shows it: on one line, no HTML, no link."""
    return re.sub(r"<(?=[A-Za-z/!?])|(?<=\])\(", r"\\\g<0>", _line(text))


def _line(text: str) -> str:
    """Return a text on one line and without control characters, where a line would end a cell."""
    return "".join(letter for letter in " ".join(text.split()) if category(letter) != "Cc")


def latex(sheet: DisplayTable) -> str:
    """Return the table for a paper; it needs the packages booktabs and graphicx."""
    # a bracket or a star at the start would be an argument of the line break before it
    rows = [["{}" + _latex_cell(row[0]) if row[0].text[:1] in ("[", "*") else _latex_cell(row[0]),
             *map(_latex_cell, row[1:])] for row in sheet.rows]  # fmt: skip
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{latex_text(sheet.caption)}}}",
        rf"\label{{tab:{sheet.label}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{{sheet.sides}}}",
        r"\toprule",
        rf"{' & '.join(map(latex_text, sheet.headings))} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}%",
        r"}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _latex_cell(cell: Cell) -> str:
    text = latex_text(cell.text) if cell.latex is None else cell.latex
    if cell.value is not None and cell.latex is None:
        text = re.sub(r"-(?=\d)", "$-$", text)  # a minus, and no hyphen
    return rf"\textbf{{\boldmath {text}}}" if cell.bold else text


LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": r"$<$", ">": r"$>$", "≤": r"$\leq$", "≥": r"$\geq$", "−": "$-$",
    "×": r"$\times$", "→": r"$\to$", "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$",
    "λ": r"$\lambda$", "τ": r"$\tau$",
}  # fmt: skip


def latex_text(text: str) -> str:
    """Return a text as LaTeX."""
    text = "".join(LATEX.get(character, character) for character in _line(text))
    return text.replace("$>$=", r"$\geq$").replace("$<$=", r"$\leq$")


def html(sheet: DisplayTable) -> str:
    """Return the table as an HTML fragment with everything escaped.

    Numeric cells have their value in `data-sort`, and numeric columns are marked for the sort
    script.
    """
    numeric = [
        any(row[column].value is not None for row in sheet.rows)
        for column in range(len(sheet.headings))
    ]
    head = [
        f'<th scope="col" class="{side}"{_method(number)}>{escape(heading)}</th>'
        for heading, side, number in zip(sheet.headings, sheet.sides, numeric, strict=True)
    ]
    body = [
        "".join(
            _html_cell(cell, side, column < sheet.named)
            for column, (cell, side) in enumerate(zip(row, sheet.sides, strict=True))
        )
        for row in sheet.rows
    ]
    return "\n".join(
        [
            f'<table id="table-{escape(sheet.label)}">',
            f"<caption><span>{escape(sheet.caption)}</span></caption>",
            f"<thead><tr>{''.join(head)}</tr></thead>",
            "<tbody>",
            *(f"<tr>{row}</tr>" for row in body),
            "</tbody>",
            "</table>",
            "",
        ]
    )


def is_table(text: str) -> bool:
    """Return whether a fragment of a page has the elements and attributes of `html` only."""
    return "<" not in TAG.sub("", text)


def _method(number: bool) -> str:
    return ' data-sort-method="value"' if number else ""


def _html_cell(cell: Cell, side: str, names: bool) -> str:
    text = f"<strong>{escape(cell.text)}</strong>" if cell.bold else escape(cell.text)
    number = "" if cell.value is None else f' data-sort="{float(cell.value)!r}"'
    if names:
        return f'<th scope="row" class="{side}"{number}>{text}</th>'
    return f'<td class="{side}"{number}>{text}</td>'


def seed_ranges(seeds: Iterable[int]) -> str:
    """Return seeds as text, runs of three or more as ranges: 1-4, 7, 9."""
    parts = []
    for _, run in itertools.groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0]):
        found = [seed for _, seed in run]
        parts += [f"{found[0]}-{found[-1]}"] if len(found) > 2 else map(str, found)
    return ", ".join(parts)
