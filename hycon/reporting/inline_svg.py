"""SVG drawings inside a page: figures with unique ids, training curves, and intervals."""

import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from hycon.errors import HyConError

SVG = "http://www.w3.org/2000/svg"
HREF = "{http://www.w3.org/1999/xlink}href"
# a curve's picture and the rectangle of its axes: left, top, right, bottom
WIDTH, HEIGHT = 240, 136
AXES = (38, 18, 232, 110)
# the elements that matplotlib and graphviz use
SHAPES = {
    "svg", "g", "defs", "clipPath", "path", "rect", "circle", "ellipse", "line", "polyline",
    "polygon", "text", "tspan", "use", "image",
}  # fmt: skip
LOOKS = 4  # line styles s1 to s4 of the page
SPAN = 92  # per cent of a bar's width that its axis takes


class Curve(NamedTuple):
    """A run's validation score by epoch, and the epoch that was selected."""

    seed: int
    points: list[tuple[int, float]]
    epoch: int


class Limits(NamedTuple):
    """What the axes of a curve span: epochs from 1, and scores."""

    epochs: int
    low: float
    high: float


def inline_svg(path: Path, prefix: str, label: str) -> str:
    """Return an SVG file as an element of a page.

    Its ids get a prefix, so that those of several files do not meet; its style sheet, which would
    be the whole page's, becomes an attribute.

    Args:
        path: the file.
        prefix: of every id.
        label: description for screen readers.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and draw again") from None
    for parent in list(root.iter()):
        for child in list(parent):
            name = child.tag.removeprefix(f"{{{SVG}}}")
            if name == "style":
                root.set("style", re.sub(r"^\s*\*\s*\{(.*)\}\s*$", r"\1", child.text or ""))
            if name in ("style", "metadata", "title"):
                parent.remove(child)
    for element in root.iter():
        if reason := _foreign(element):
            raise HyConError(f"{path}: contains {reason}, expected shapes; delete it and run again")
        _prefix(element, prefix)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": label}
    ElementTree.register_namespace("", SVG)
    return ElementTree.tostring(root, encoding="unicode")


def _foreign(element: ElementTree.Element) -> str | None:
    """Return the part of an element that runs or loads something, or None."""
    name = str(element.tag).removeprefix(f"{{{SVG}}}")
    if name not in SHAPES:
        return f"<{name}>"
    for key, value in element.attrib.items():
        plain = key.rpartition("}")[2].lower()
        own = value.startswith(("#", "data:image/png;base64,"))
        loads = re.search(r"url\((?!#)|@import|\\", value, re.IGNORECASE)
        if plain.startswith("on") or plain == "base" or (plain == "href" and not own) or loads:
            return f'{plain}="{value[:60]}"'
    return None


def _prefix(element: ElementTree.Element, prefix: str) -> None:
    """Give an element's own id a prefix, and those that it refers to."""
    for name, value in list(element.attrib.items()):
        if name == "id":
            element.set(name, f"{prefix}-{value}")
        elif name in (HREF, "href"):
            del element.attrib[name]
            element.set("href", f"#{prefix}-{value[1:]}" if value.startswith("#") else value)
        elif "url(#" in value:
            element.set(name, value.replace("url(#", f"url(#{prefix}-"))


def limits(curves: Sequence[Curve]) -> Limits:
    """Return axes that fit every curve; scores to two significant digits of their range.

    Raises:
        HyConError: no finite score.
    """
    scores = [score for curve in curves for _, score in curve.points if math.isfinite(score)]
    if not scores:
        raise HyConError("no finite validation score to draw; train again")
    low, high = min(scores), max(scores)
    step = 10.0 ** (math.floor(math.log10(high - low or 1.0)) - 1)
    epochs = max(epoch for curve in curves for epoch, _ in curve.points)
    return Limits(epochs, math.floor(low / step) * step, math.ceil(high / step) * step)


def curve_svg(curves: Sequence[Curve], axes: Limits, score: str) -> str:
    """Return the validation scores of a row's runs, a line a seed, the selected epoch a ring.

    Args:
        curves: one a seed.
        axes: of `limits`; the same for all rows that are compared.
        score: its name, such as MAE.
    """
    lines = []
    for number, curve in enumerate(curves):
        look = f"s{number % LOOKS + 1}"
        points = [(epoch, score) for epoch, score in curve.points if math.isfinite(score)]
        drawn = " ".join(",".join(_place(point, axes)) for point in points)
        lines.append(f'<polyline class="{look}" points="{drawn}"/>')
        for x, y in (_place(point, axes) for point in points if point[0] == curve.epoch):
            lines.append(f'<circle class="{look}" cx="{x}" cy="{y}" r="3"/>')
    left, top, right, bottom = AXES
    said = escape(_said(curves, score))
    return "".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">',
            f'<path d="M{left},{top}V{bottom}H{right}"/>',
            _text(4, top - 7, "start", f"validation {score}"),
            _text(left - 4, top + 7, "end", f"{axes.high:.4g}"),
            _text(left - 4, bottom, "end", f"{axes.low:.4g}"),
            _text(left, bottom + 13, "middle", "1"),
            _text((left + right) / 2, bottom + 22, "middle", "epoch"),
            _text(right, bottom + 13, "end", str(axes.epochs)),
            *lines,
            "</svg>",
        ]
    )  # fmt: skip


def _place(point: tuple[int, float], axes: Limits) -> tuple[str, str]:
    left, top, right, bottom = AXES
    across = (point[0] - 1) / max(axes.epochs - 1, 1)
    up = (point[1] - axes.low) / ((axes.high - axes.low) or 1.0)
    x, y = left + across * (right - left), bottom - up * (bottom - top)
    return f"{x:.1f}".removesuffix(".0"), f"{y:.1f}".removesuffix(".0")


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _said(curves: Sequence[Curve], score: str) -> str:
    """Return the description of a curve."""
    each = [
        f"seed {curve.seed}, epoch {curve.epoch} of {len(curve.points)} selected"
        + "".join(f" at {value:.3f}" for epoch, value in curve.points if epoch == curve.epoch)
        for curve in curves
    ]
    return f"Validation {score} by epoch: {'; '.join(each)}."


def bar_svg(
    middle: float,
    thin: tuple[float, float] | None,
    thick: tuple[float, float] | None,
    margin: float,
    label: str,
) -> str:
    """Return a difference and its intervals as one line, as wide as what it is put in.

    Args:
        middle: on an axis from -1 to 1.
        thin, thick: intervals; None for none.
        margin: the shaded band goes from -margin to margin.
        label: description.
    """
    parts = [
        f'<rect class="margin" x="{_across(-margin)}" width="{min(margin, 1) * SPAN:.1f}%"'
        ' height="100%"/>',
        '<line class="zero" x1="50%" x2="50%" y1="0" y2="100%"/>',
    ]
    for name, bounds in (("thin", thin), ("thick", thick)):
        if bounds and bounds[0] < 1 and bounds[1] > -1:
            low, high = map(_across, bounds)
            parts.append(f'<line class="{name}" x1="{low}" x2="{high}" y1="7" y2="7"/>')
    low, high = thin or (middle, middle)
    if low < -1:
        parts.append('<text x="0" y="11">◂</text>')
    if high > 1:
        parts.append('<text x="100%" y="11" text-anchor="end">▸</text>')
    if abs(middle) <= 1:
        parts.append(f'<circle class="point" cx="{_across(middle)}" cy="7" r="3.5"/>')
    said = escape(label)
    return f'<svg role="img" aria-label="{said}"><title>{said}</title>{"".join(parts)}</svg>'


def axis_svg(low: str, high: str) -> str:
    """Return the axis of `bar_svg`s: the numbers at its ends; the right one is better."""
    said = escape(f"Axis: from {low}, worse, to {high}, better")
    return (
        f'<svg role="img" aria-label="{said}"><text x="0" y="11">{escape(low)}</text>'
        '<text x="50%" y="11" text-anchor="middle">0</text>'
        f'<text x="100%" y="11" text-anchor="end">{escape(high)}</text></svg>'
    )


def _across(value: float) -> str:
    """Return where a value from -1 to 1 is; the ends are left to the signs of what lies beyond."""
    return f"{50 + min(1.0, max(-1.0, value)) * SPAN / 2:.1f}%"
