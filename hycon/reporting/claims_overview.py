"""The claims of several corpora, read back from their tables, and the table of all of them."""

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hycon.errors import HyConError
from hycon.params import Corpus, lower_is_better
from hycon.reporting import table_formats
from hycon.reporting.captions import columns_of, opening
from hycon.reporting.claims import BOLD, NOTE, VERDICTS
from hycon.reporting.table_formats import Cell, DisplayTable, interval, number

Interval = tuple[float, float] | None


class Effect(NamedTuple):
    """One comparison of a claim: row minus reference."""

    model: str
    reference: str
    metric: str
    verdict: str
    difference: float
    at_95: Interval
    at_90: Interval
    n: int  # seeds
    margin: float


class JudgedClaim(NamedTuple):
    """A claim's verdict on a corpus with one text encoder."""

    name: str
    words: str
    encoder: str
    verdict: str
    evidence: str
    testable: str
    preregistered: str
    detail: str
    missing: str
    seeds: float | None  # that would decide; inf if no number would
    effects: list[Effect]

    @property
    def weakest(self) -> Effect | None:
        """The comparison that supports the claim least."""
        return min(
            self.effects,
            key=lambda each: each.difference * (-1 if lower_is_better(each.metric) else 1),
            default=None,
        )


class CorpusClaims(NamedTuple):
    """The claims as judged on a corpus, in the order of their table."""

    key: str
    corpus: Corpus
    judged: list[JudgedClaim]
    lines: pd.DataFrame  # of the table, as text

    def of(self, name: str) -> list[JudgedClaim]:
        """Return a claim's verdicts, one for each text encoder."""
        return [each for each in self.judged if each.name == name]

    @property
    def title(self) -> str:
        """The corpus's title, which says so if its numbers are of a sample."""
        return f"{self.corpus.title}{' – sample numbers' if self.corpus.generator else ''}"

    @property
    def scale(self) -> str:
        """The metric that decides, and its margin; "" if nothing was compared."""
        for each in (effect for judged in self.judged for effect in judged.effects):
            heading, factor = columns_of(self.corpus)[each.metric]
            unit = " points" if factor == 100 else ""
            return f"{heading}, margin {number(each.margin, factor)}{unit}"
        return ""

    def shown(self, effect: Effect) -> str:
        """Return a comparison in words: what is compared, difference [95% interval], seeds."""
        factor = columns_of(self.corpus)[effect.metric][1]
        size = interval(effect.difference, effect.at_95, factor)
        return f"{effect.model} – {effect.reference} {size}, n\u00a0=\u00a0{effect.n}"

    def open(self) -> list[tuple[str, str, list[str]]]:
        """Return what could not be tested: what is the matter, why, and claims with encoders."""
        found: dict[tuple[str, str], dict[str, list[str]]] = {}
        for each in self.judged:
            word, _, why = each.testable.partition(": ")
            if each.verdict == "not run":
                problem = "Not run", each.missing and f"without {each.missing}"
            elif word in ("no", "unknown"):
                problem = "Not testable" if word == "no" else "Not known to be testable", why
            else:
                continue
            found.setdefault(problem, {}).setdefault(each.words, []).append(each.encoder)
        return [
            (*problem, [f"{words.removesuffix('.')} ({', '.join(encoders)})"
                        for words, encoders in claims.items()])
            for problem, claims in found.items()
        ]  # fmt: skip


def read(path: Path, key: str, corpus: Corpus) -> CorpusClaims:
    """Read the CSV of a table of claims.

    Args:
        path: of the file.
        key: name of the corpus.
        corpus: its entry in the catalogue.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        lines = pd.read_csv(path, dtype=str, keep_default_na=False)
        groups = itertools.groupby(
            lines.to_dict("records"), lambda line: (line["claim"], line["text_encoder"])
        )
        judged = [_judged(list(each), corpus) for _, each in groups]
        return CorpusClaims(key, corpus, judged, lines)
    except KeyError as error:
        problem = f"lacks {error}"
    except (OSError, ValueError) as error:
        problem = str(error).splitlines()[0]
    raise HyConError(f"{path}: cannot be read ({problem}); delete it and run again")


def _judged(lines: list[dict[str, str]], corpus: Corpus) -> JudgedClaim:
    first = lines[0]
    if first["verdict"] not in VERDICTS:
        raise ValueError(f"verdict {first['verdict'][:40]!r} is none of {', '.join(VERDICTS)}")
    texts = ("claim", "words", "text_encoder", "verdict", "evidence", "testable", "preregistered",
             "detail", "missing")  # fmt: skip
    effects = [_effect(line, corpus) for line in lines if line.get("difference")]
    seeds = first["seeds_to_decide"]
    return JudgedClaim(
        *(first[name] for name in texts), float(seeds) if seeds else None, effects
    )  # fmt: skip


def _effect(line: dict[str, str], corpus: Corpus) -> Effect:
    def bounds(low: str, high: str) -> Interval:
        return (_finite(line[low]), _finite(line[high])) if line[low] and line[high] else None

    columns_of(corpus)[line["metric"]]  # refuses a metric that the corpus does not have
    return Effect(
        line["model"], line["reference"], line["metric"], line["comparison"],
        _finite(line["difference"]), bounds("low", "high"), bounds("low_90", "high_90"),
        round(_finite(line["n"])), _finite(line["margin"]),
    )  # fmt: skip


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"found {text}, expected a finite number")
    return value


def names(corpora: Sequence[CorpusClaims]) -> dict[str, str]:
    """Return the words of each claim by its name, in order, without duplicates."""
    found: dict[str, str] = {}
    for each in corpora:
        for judged in each.judged:
            found.setdefault(judged.name, judged.words)
    return found


def sheet(corpora: Sequence[CorpusClaims]) -> DisplayTable:
    """Return the table of claims over corpora."""
    rows = [
        [Cell(words), *(_cell(corpus, corpus.of(name)) for corpus in corpora)]
        for name, words in names(corpora).items()
    ]
    scales = " ".join(f"{opening(each.corpus)} {each.scale}." for each in corpora)
    gone = " ".join(
        f"{each.corpus.title}: {problem.lower()}{why and f', {why}'} "
        f"({len(claims)} claim{'s' * (len(claims) > 1)})."
        for each in corpora
        for problem, why, claims in each.open()
    )
    caption = (
        "The paper's claims by corpus, test fold. In brackets: the weakest comparison; n: seeds. "
        f"{scales} {NOTE} {gone}"
    )
    sides = "l" * (len(corpora) + 1)
    return DisplayTable(
        ["Claim", *(each.title for each in corpora)], sides, rows, caption.strip(), "claims", 1
    )


def _cell(corpus: CorpusClaims, judged: list[JudgedClaim]) -> Cell:
    parts = []
    for each in judged:
        encoder = f"{each.encoder}: " if len(judged) > 1 else ""
        shown = corpus.shown(each.weakest) if each.weakest else each.detail
        parts.append(f"{encoder}{each.verdict}{shown and f' ({shown})'}")
    return Cell("; ".join(parts), any(each.verdict in BOLD for each in judged))


def write(corpora: Sequence[CorpusClaims], path: Path) -> None:
    """Write the table over corpora in every format; the CSV has a line for each comparison.

    Args:
        corpora: of `read`.
        path: path without suffix.
    """
    lines = [
        each.lines.assign(sample=each.corpus.generator is not None) for each in corpora
    ]  # fmt: skip
    table_formats.write(sheet(corpora), pd.concat(lines), path)
