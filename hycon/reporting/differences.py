"""How rows of a table differ from its reference row."""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hycon.evaluation.aggregation import check_parameters, read_runs
from hycon.evaluation.inference import (
    RESAMPLES,
    VERDICTS,
    Comparison,
    compare,
    false_discovery,
    holm,
    probability_better,
    seeds_to_decide,
    smallest_detectable,
    verdict,
)
from hycon.params import Corpus, InferenceConfig, lower_is_better
from hycon.plan.tasks import DifferenceTable, RowPair, digests
from hycon.progress import progress
from hycon.reporting import table_formats
from hycon.reporting.captions import columns_of, opening
from hycon.reporting.table_formats import (
    Cell,
    DisplayTable,
    effect,
    number,
    p_value,
    seed_count,
)

METHOD = (
    "mean over seeds [95% interval]. The interval and p (two-sided) are of one t distribution "
    "whose error has two parts: from seeds, and from utterances, by "
    f"{RESAMPLES} bootstrap resamples of whole videos or dialogues. p equiv.: two one-sided tests "
    "against the margin. In brackets: p corrected for the number of rows (Holm)."
)
RULE = (
    "Verdict, from corrected p < 0.05: "
    + "; ".join(f"{word}: {meaning}" for word, meaning in VERDICTS.items())
    + "."
)
PLANNING = (
    "Detectable: the smallest true difference found with a probability of 80%. Seeds to decide: "
    "with so many, a difference of the margin is found, and equal rows are found equivalent, with "
    "a probability of 80%; none: the test fold is too small. Run better: probability that a run "
    "is better than one of the reference, on this test fold [95% interval, Brunner and Munzel]."
)
OTHERS = (
    "Other metrics: difference [95% interval], bold where the verdict is better or worse, p "
    "corrected for the false discovery rate over all of them. Acc and F1 in percentage points."
)
# other metrics that are shown; the CSV has all
SHOWN = ("mae_all", "acc7", "acc2_nonneg", "acc2_pos", "f1_pos", "corr_all")


class Difference(NamedTuple):
    """One metric of a row, against that of its reference."""

    model: str
    encoder: str
    metric: str
    found: Comparison
    better: tuple[float, float, float] | None  # probability that a run is better, and its interval
    p: float | None  # corrected for the number of tests
    p_equivalent: float | None  # likewise
    verdict: str


class Comparisons(NamedTuple):
    """A table of differences, ready to be written."""

    table: DifferenceTable
    key: str
    corpus: Corpus
    differences: list[Difference]


def make(table: DifferenceTable, key: str, corpus: Corpus) -> Comparisons:
    """Compare the rows of a table with their references.

    Args:
        table: what it shows.
        key: the corpus's name.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: scores cannot be read, or were made with other parameters.
    """
    check_parameters(digests(row for pair in table.pairs for row in (pair.row, pair.reference)))
    return Comparisons(table, key, corpus, differences(table.pairs, corpus, table.inference))


def differences(
    pairs: list[RowPair], corpus: Corpus, inference: InferenceConfig
) -> list[Difference]:
    """Compare each row with its reference, metric by metric.

    The p values of the primary metric are corrected by Holm's method, those of all other metrics
    together for the false discovery rate.

    Args:
        pairs: in order.
        corpus: its entry in the catalogue.
        inference: margins and primary metric.

    Raises:
        HyConError: scores cannot be read.
    """
    paths = {row.row: row.scores for pair in pairs for row in (pair.row, pair.reference)}
    runs = {row: read_runs(path, columns_of(corpus)) for row, path in paths.items()}
    found = []
    for pair in progress(pairs, "compare", unit="rows"):
        row, reference = runs[pair.row.row], runs[pair.reference.row]
        for metric in columns_of(corpus):
            compared = compare(row, reference, metric, inference.margin(metric))
            better = probability_better(
                row.values[metric], reference.values[metric], lower_is_better(metric)
            )
            found.append(
                Difference(
                    pair.row.model, pair.row.encoder, metric, compared, better,
                    compared.p, compared.p_equivalent, "",
                )
            )  # fmt: skip
    primary = inference.primary_of(corpus.task)
    for correct, chosen in ((holm, True), (false_discovery, False)):
        places = [place for place, each in enumerate(found) if (each.metric == primary) == chosen]
        columns = [
            correct([getattr(found[place], name) for place in places])
            for name in ("p", "p_equivalent")
        ]
        for place, p, p_equivalent in zip(places, *columns, strict=True):
            each = found[place]
            word = verdict(each.found, lower_is_better(each.metric), p, p_equivalent)
            found[place] = each._replace(p=p, p_equivalent=p_equivalent, verdict=word)
    return found


def write(comparisons: Comparisons, path: Path) -> None:
    """Write the differences in every format; the CSV has all metrics.

    Args:
        comparisons: result of `make`.
        path: path without suffix.
    """
    table, key, corpus, found = comparisons
    primary, columns = table.inference.primary_of(corpus.task), columns_of(corpus)
    heading, factor = columns[primary]
    others = [
        metric for metric in columns
        if metric != primary and (corpus.emotions is not None or metric in SHOWN)
    ]  # fmt: skip
    counts = sorted({each.found.n for each in found})
    paired = all(each.found.paired for each in found)
    unpaired = "" if paired else " Rows without two seeds in common are not paired."
    unit = " points" if factor == 100 else ""
    caption = (
        f"{table.title}: differences. {opening(corpus)} Reference: {table.reference}, with the "
        f"same text encoder. Test fold, n = {', '.join(map(str, counts))} seeds, paired.{unpaired} "
        f"{heading}: {METHOD} Margin: {number(table.inference.margin(primary), factor)}{unit}. "
        f"{RULE} {PLANNING} {OTHERS}"
    )
    rows: dict[tuple[str, str], list[Difference]] = {}
    for each in found:
        rows.setdefault((each.encoder, each.model), []).append(each)
    body = []
    for (encoder, model), members in rows.items():
        by_metric = {each.metric: each for each in members}
        body.append(
            [
                Cell(encoder),
                Cell(model),
                *_detail(by_metric[primary], factor),
                *(_other(by_metric[metric], columns[metric][1]) for metric in others),
            ]
        )
    headings = [
        "Text encoder", "Model", "Verdict", heading, "Error: seeds, utterances", "p", "p equiv.",
        "Detectable", "Seeds to decide", "Run better", *(columns[metric][0] for metric in others),
    ]  # fmt: skip
    sheet = DisplayTable(
        headings, "lll" + "r" * (len(headings) - 3), body, caption, f"{key}-{path.stem}"
    )
    table_formats.write(sheet, _numbers(found, table.reference, key), path)


def _detail(each: Difference, factor: int) -> list[Cell]:
    """Return the cells of the primary metric."""
    found = each.found
    decided = each.verdict in ("better", "worse")
    cells = [Cell(each.verdict, decided), _interval(found, factor, False)]
    if found.error is None:
        return [*cells, *[Cell("")] * 6]
    seeds, detectable = seeds_to_decide(found), smallest_detectable(found)
    probability, low, high = each.better
    errors = [number(error, factor, 1) for error in (found.seed_error, found.utterance_error)]
    return [
        *cells,
        Cell(", ".join(errors), value=found.error),
        Cell(f"{p_value(found.p)} ({p_value(each.p)})", value=found.p),
        Cell(f"{p_value(found.p_equivalent)} ({p_value(each.p_equivalent)})",
             value=found.p_equivalent),
        Cell(number(detectable, factor, 1), value=detectable),
        Cell(seed_count(seeds), value=seeds if math.isfinite(seeds) else None),
        Cell(f"{probability:.2f} [{low:.2f}, {high:.2f}]", value=probability),
    ]  # fmt: skip


def _other(each: Difference, factor: int) -> Cell:
    return _interval(each.found, factor, each.verdict in ("better", "worse"))


def _interval(found: Comparison, factor: int, bold: bool) -> Cell:
    return Cell(effect(found, factor), bold, found.difference)


def _numbers(found: list[Difference], reference: str, key: str) -> pd.DataFrame:
    return pd.DataFrame(_line(each, reference, key) for each in found)


def _line(each: Difference, reference: str, key: str) -> dict[str, str | float | int | None]:
    found = each.found
    probability, better_low, better_high = each.better or (None, None, None)
    return {
        "corpus": key,
        "text_encoder": each.encoder,
        "model": each.model,
        "reference": reference,
        "metric": each.metric,
        "verdict": each.verdict,
        **table_formats.columns(found),
        "paired": found.paired,
        "groups": found.groups,
        "seed_error": found.seed_error,
        "utterance_error": found.utterance_error,
        "degrees": found.degrees,
        "p": found.p,
        "p_corrected": each.p,
        "margin": found.margin,
        "p_equivalent": found.p_equivalent,
        "p_equivalent_corrected": each.p_equivalent,
        "detectable": smallest_detectable(found),
        "seeds_to_decide": seeds_to_decide(found),
        "run_better": probability,
        "run_better_low": better_low,
        "run_better_high": better_high,
        "trimmed_difference": found.trimmed,
    }
