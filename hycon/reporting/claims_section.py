"""The page's first section: the paper's claims, corpora side by side."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from hycon.params import lower_is_better
from hycon.reporting.captions import columns_of
from hycon.reporting.claims import NOTE
from hycon.reporting.claims_overview import CorpusClaims, Effect, JudgedClaim, names
from hycon.reporting.inline_svg import axis_svg, bar_svg
from hycon.reporting.table_formats import number

# before each verdict's word; the words of `hycon.reporting.claims.VERDICTS`
SIGNS = {"supported": "✓", "contradicted": "✗", "not supported": "≈", "undecided": "?",
         "not testable": "⊘", "not run": "–"}  # fmt: skip
FORM = (
    "A line is a comparison on the primary metric, named by what is compared: thin the 95% and "
    "thick the 90% interval, shaded the margin. Right is better, also where lower is (MAE). ◂ and "
    "▸: it goes on beyond the axis, which all claims of a corpus share."
)


def section(corpora: Sequence[CorpusClaims]) -> dict[str, Any]:
    """Return what the page shows of claims."""
    limits = {each.key: _limit(each) for each in corpora}
    return {
        "corpora": [_column(each, limits[each.key]) for each in corpora],
        "rows": [
            {
                "words": words,
                "cells": [
                    [_shown(corpus, judged, limits[corpus.key]) for judged in corpus.of(name)]
                    for corpus in corpora
                ],
            }
            for name, words in names(corpora).items()
        ],
        "form": FORM,
        "note": NOTE,
    }


def _limit(corpus: CorpusClaims) -> float:
    """Return where a corpus's axis ends: it shows three quarters of the comparisons whole."""
    effects = [effect for judged in corpus.judged for effect in judged.effects]
    reach = sorted(max(map(abs, (each.difference, *(each.at_95 or ())))) for each in effects)
    if not reach:
        return 1.0
    return max(2.5 * effects[0].margin, 1.1 * reach[math.ceil(0.75 * len(reach)) - 1])


def _column(corpus: CorpusClaims, limit: float) -> dict[str, Any]:
    counts = Counter(each.verdict for each in corpus.judged)
    effects = [effect for judged in corpus.judged for effect in judged.effects]
    axis = ""
    if effects:
        factor = columns_of(corpus.corpus)[effects[0].metric][1]
        ends = [number(sign * limit, factor, sign=True) for sign in (-1, 1)]
        axis = axis_svg(*(ends[::-1] if lower_is_better(effects[0].metric) else ends))
    return {
        "title": corpus.corpus.title,
        "made_up": corpus.corpus.generator is not None,
        "counts": ", ".join(f"{counts[word]} {word}" for word in SIGNS if word in counts),
        "scale": corpus.scale,
        "axis": Markup(axis),
        "open": corpus.open(),
    }


def _shown(corpus: CorpusClaims, judged: JudgedClaim, limit: float) -> dict[str, Any]:
    same = [len({getattr(each, side) for each in judged.effects}) == 1
            for side in ("model", "reference")]  # fmt: skip
    bars = []
    for each in judged.effects:
        label = each.reference if same[0] else each.model
        if not any(same):
            label = f"{each.model} – {each.reference}"
        said = f"{corpus.shown(each)}: {each.verdict}"
        bars.append({"label": label, "svg": Markup(_bar(each, limit, said))})
    return {
        "verdict": judged.verdict,
        "sign": SIGNS[judged.verdict],
        "look": judged.verdict.replace(" ", "-"),
        "encoder": judged.encoder,
        # preregistered or not matters where something was compared
        "status": judged.preregistered
        and ("preregistered" if judged.preregistered == "yes" else "exploratory"),
        "said": "; ".join(_said(corpus, judged)),
        "bars": bars,
    }


def _said(corpus: CorpusClaims, judged: JudgedClaim) -> list[str]:
    """Return a cell's numbers, and what else is to be said of them."""
    said = [judged.detail] if judged.detail else []
    if judged.weakest:
        first = "weakest: " if len(judged.effects) > 1 else ""
        said.append(f"{first}{corpus.shown(judged.weakest)}")
    if judged.verdict == "not testable":
        said.append(f"the numbers alone: {judged.evidence}")
    elif judged.seeds == math.inf:
        said.append("no number of seeds would decide on this test fold")
    elif judged.seeds:
        said.append(f"about {judged.seeds:.0f} seeds would decide")
    if judged.missing:
        said.append(f"not run: {judged.missing}")
    return said


def _bar(effect: Effect, limit: float, said: str) -> str:
    sign = -1 if lower_is_better(effect.metric) else 1

    def turned(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        return bounds and tuple(sorted(sign * each / limit for each in bounds))

    return bar_svg(
        sign * effect.difference / limit, turned(effect.at_95), turned(effect.at_90),
        effect.margin / limit, said,
    )  # fmt: skip
