"""The paper's claims, judged on one corpus."""

import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hycon.errors import HyConError
from hycon.evaluation.aggregation import check_parameters, read_runs, read_scores
from hycon.evaluation.inference import (
    LEVEL,
    Comparison,
    compare,
    holm,
    seeds_to_decide,
    verdict,
)
from hycon.params import Claim, Corpus, InferenceConfig, lower_is_better
from hycon.plan.tasks import ClaimsTable, PlannedClaim, RowPair, digests
from hycon.progress import progress
from hycon.reporting import table_formats
from hycon.reporting.captions import columns_of, opening
from hycon.reporting.controls import Conditions, conditions
from hycon.reporting.preregistration import status
from hycon.reporting.table_formats import Cell, DisplayTable, effect, number, seed_count
from hycon.untrusted.safe_json import read_json

NOTE = (
    "A claim is supported if every comparison is “better” (p < 0.05 each; all must hold, so they "
    "need no correction). It is contradicted if one is “worse”, and not supported if one is "
    "“equivalent” or “negligible” (corrected for their number by Holm's method). Otherwise it is "
    "undecided. Seeds: the number of seeds that would decide each comparison with a probability "
    "of 80%. Not testable: the corpus is shown to lack what the claim needs, so no effect could "
    "count. If that is unknown, equivalent rows leave the claim undecided. Weakest: the comparison "
    "that supports the claim least, mean over seeds [95% interval over seeds and utterances]. "
    "Preregistered: fixed in a commit before the runs; other verdicts are exploratory."
)
VERDICTS = ("supported", "contradicted", "not supported", "undecided", "not testable", "not run")
BOLD = ("supported", "contradicted", "not supported")


class Judged(NamedTuple):
    """One comparison of a claim."""

    pair: RowPair
    found: Comparison
    verdict: str  # at 0.05
    corrected: str  # corrected for the number of comparisons of the claim


class Result(NamedTuple):
    """A claim and its verdict on a corpus."""

    planned: PlannedClaim
    comparisons: list[Judged]
    verdict: str
    evidence: str  # the verdict, wherever the claim can be tested
    testable: str  # yes; no and why; or unknown
    preregistered: str  # yes; no, or why not
    detail: str  # of claims that are not about scores


class Claims(NamedTuple):
    """A table of claims, ready to be written."""

    table: ClaimsTable
    key: str
    corpus: Corpus
    results: list[Result]


def make(table: ClaimsTable, key: str, corpus: Corpus) -> Claims:
    """Judge the claims.

    Args:
        table: claims and their rows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: scores or costs cannot be read, or were made with other parameters.
    """
    pairs = [pair for each in table.claims for pair in each.pairs]
    rows = [row for pair in pairs for row in (pair.row, pair.reference)]
    check_parameters(digests([*rows, *(row for each in table.controls.values() for row in each)]))
    controls = {
        encoder: conditions(rows, corpus, table.inference)
        for encoder, rows in table.controls.items()
    }
    metric = table.inference.primary_of(corpus.task)
    margin = table.inference.margin(metric)
    paths = {row.row: row.scores for row in rows}
    runs = {row: read_runs(path, [metric]) for row, path in paths.items()}
    results = []
    for planned in progress(table.claims, "claims", unit="claims"):
        if planned.claim.kind != "scores":
            results.append(_of_costs(planned, table.costs))
            continue
        found = [
            compare(runs[pair.row.row], runs[pair.reference.row], metric, margin)
            for pair in planned.pairs
        ]
        fixed = status(planned, metric, table.inference, table.preregistered)
        judged = _judge(planned.pairs, found, lower_is_better(metric), LEVEL / fixed.looks)
        evidence = _evidence(judged, planned.missing)
        testable = _testable(planned.claim, controls.get(planned.encoder), corpus)
        word = _verdict(evidence, testable) if judged else evidence
        fixed_words = fixed.words if judged else ""
        results.append(Result(planned, judged, word, evidence, testable, fixed_words, ""))
    return Claims(table, key, corpus, results)


def _judge(
    pairs: list[RowPair], found: list[Comparison], lower: bool, level: float
) -> list[Judged]:
    corrected = holm([each.p for each in found]), holm([each.p_equivalent for each in found])
    return [
        Judged(pair, each, verdict(each, lower, level=level), verdict(each, lower, *p, level=level))
        for pair, each, *p in zip(pairs, found, *corrected, strict=True)
    ]


def _evidence(judged: list[Judged], missing: list[str]) -> str:
    if not judged:
        return "not run"
    corrected = {each.corrected for each in judged}
    if "worse" in corrected:
        return "contradicted"
    if corrected & {"equivalent", "negligible"}:
        return "not supported"
    better = all(each.verdict == "better" for each in judged)
    return "supported" if better and not missing else "undecided"


def _verdict(evidence: str, testable: str) -> str:
    """Return the verdict of what the comparisons show, given whether the claim is testable."""
    if testable.startswith("no:"):
        return "not testable"
    # without a signal to gain from, equal rows say nothing against a claim
    known = testable == "yes" or evidence != "not supported"
    return evidence if known else "undecided"


def _testable(claim: Claim, found: Conditions | None, corpus: Corpus) -> str:
    """Return whether a claim can be tested on a corpus: yes; no and why; or unknown."""
    if not claim.needs:
        return "yes"
    if found is None:
        return "unknown: no control rows"
    wanted, complete = [], True
    if "informative" in claim.needs:
        wanted += found.informative
        complete = len(found.informative) == len(corpus.modalities)
    if "together" in claim.needs:
        wanted += [found.together] if found.together else []
        complete = complete and found.together is not None
    unmet = [each for each in wanted if not each.met]
    if unmet:
        shown = any(each.verdict != "undecided" for each in unmet)
        reasons = "; ".join(f"{each.words}: {each.verdict}" for each in unmet)
        return f"{'no' if shown else 'unknown'}: {reasons}"
    return "yes" if complete else "unknown: control rows are missing"


def _of_costs(planned: PlannedClaim, costs: Path | None) -> Result:
    """Judge a claim on parameters or on time."""
    claim = planned.claim
    if claim.kind == "parameters":
        counts = {
            row.row: _parameters(row.scores)
            for pair in planned.pairs
            for row in (pair.row, pair.reference)
        }
        fewer = [counts[pair.row.row] < counts[pair.reference.row] for pair in planned.pairs]
        shown = [f"{pair.reference.model} {counts[pair.reference.row]:,}" for pair in planned.pairs]
        own = sorted({f"{pair.row.model} {counts[pair.row.row]:,}" for pair in planned.pairs})
        detail = f"{', '.join(own)}; {', '.join(shown)}" if shown else ""
        held = all(fewer) and not planned.missing
    else:
        ratios = _ratios(planned, costs)
        fewer = [ratio <= claim.at_most for ratio in ratios.values()]
        # measured times differ from machine to machine; the table of complexity has them
        detail = "see the table of times" if ratios else ""
        held = len(ratios) == len(claim.rows) and all(fewer)
    word = (
        "not run" if not fewer
        else "contradicted" if not all(fewer)
        else "supported" if held else "undecided"
    )  # fmt: skip
    return Result(planned, [], word, word, "yes" if fewer else "", "", detail)


def _parameters(path: Path) -> int:
    try:
        return int(next(iter(read_scores(path)["seeds"].values()))["parameters"]["all"])
    except (KeyError, TypeError, ValueError) as error:
        raise HyConError(f"{path}: lacks {error}; evaluate the runs again") from None


def _ratios(planned: PlannedClaim, costs: Path | None) -> dict[str, float]:
    """Return how many times as long a training step is with the contrastive losses, by row."""
    rows = {f"{name}-{planned.encoder}" for name in planned.claim.rows}
    if costs is None:
        return {}
    try:
        return {
            row["label"]: 1 / (1 - row["contrastive share of training step"]["median"])
            for row in read_json(costs)["rows"]
            if row["label"] in rows
        }
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise HyConError(
            f"{costs}: cannot be read ({error}); delete it and measure again"
        ) from None


def write(claims: Claims, path: Path) -> None:
    """Write the claims in every format; the CSV has a line for each comparison.

    Args:
        claims: result of `make`.
        path: path without suffix.
    """
    table, key, corpus, results = claims
    metric = table.inference.primary_of(corpus.task)
    heading, factor = columns_of(corpus)[metric]
    unit = " points" if factor == 100 else ""
    caption = (
        f"The paper's claims. {opening(corpus)} Test fold, {heading}; margin "
        f"{number(table.inference.margin(metric), factor)}{unit}. {NOTE}"
    )
    sheet = DisplayTable(
        ["Claim", "Text encoder", "Verdict", "Comparisons", "Weakest", "n", "Seeds",
         "Testable here", "Preregistered"],
        "llllrrrll",
        [_row(each, lower_is_better(metric), factor) for each in results],
        caption, f"{key}-{path.stem}", named=1,
    )  # fmt: skip
    numbers = pd.DataFrame(line for each in results for line in _lines(each, key, metric, table))
    if "n" in numbers:
        numbers["n"] = numbers["n"].astype("Int64")  # a claim that was not run has none
    table_formats.write(sheet, numbers, path)


def weakest(judged: list[Judged], lower: bool) -> Judged | None:
    """Return the comparison that supports a claim least, None without comparisons."""
    if not judged:
        return None
    sign = -1 if lower else 1
    return min(judged, key=lambda each: sign * each.found.difference)


def _row(result: Result, lower: bool, factor: int) -> list[Cell]:
    planned, least = result.planned, weakest(result.comparisons, lower)
    counts = Counter(each.verdict for each in result.comparisons)
    compared = ", ".join(f"{count} {word}" for word, count in counts.items())
    if planned.missing:
        compared += f"{'; ' if compared else ''}not run: {', '.join(planned.missing)}"
    shown, n = Cell(""), Cell("")
    if least:
        names = f"{least.pair.row.model} – {least.pair.reference.model}"
        shown = Cell(f"{names}: {effect(least.found, factor)}", value=least.found.difference)
        fewest = min(each.found.n for each in result.comparisons)
        n = Cell(str(fewest), value=fewest)
    seeds = needed(result)
    finite = seeds is not None and math.isfinite(seeds)
    return [
        Cell(planned.claim.claim),
        Cell(planned.label),
        Cell(result.verdict, result.verdict in BOLD),
        Cell(compared or result.detail),
        shown,
        n,
        Cell(seed_count(seeds), value=seeds if finite else None),
        Cell(result.testable),
        Cell(result.preregistered),
    ]  # fmt: skip


def needed(result: Result) -> float | None:
    """Return how many seeds would decide an undecided claim; inf if no number would."""
    if result.evidence != "undecided":
        return None
    open_ = [each.found for each in result.comparisons if each.verdict == "undecided"]
    found = [seeds for each in open_ if (seeds := seeds_to_decide(each)) is not None]
    return max(found, default=None)


def _lines(result: Result, key: str, metric: str, table: ClaimsTable) -> list[dict[str, Any]]:
    planned = result.planned
    common = {
        "corpus": key,
        "claim": planned.claim.name,
        "words": planned.claim.claim,
        "text_encoder": planned.label,
        "verdict": result.verdict,
        "evidence": result.evidence,
        "testable": result.testable,
        "preregistered": result.preregistered,
        "detail": result.detail,
        "missing": "; ".join(planned.missing),
        "seeds_to_decide": needed(result),
    }
    return [
        {**common, **_comparison(each, metric, table.inference)} for each in result.comparisons
    ] or [common]


def _comparison(each: Judged, metric: str, inference: InferenceConfig) -> dict[str, Any]:
    found = each.found
    return {
        "model": each.pair.row.model,
        "reference": each.pair.reference.model,
        "metric": metric,
        "comparison": each.verdict,
        "comparison_corrected": each.corrected,
        **table_formats.columns(found),
        "p": found.p,
        "p_equivalent": found.p_equivalent,
        "margin": inference.margin(metric),
    }
