"""The page of claims, and the verdicts in README.md and on the page of results, from the tables.

`python -m hycon.reporting.claims_docs` writes them; a test fails if they are out of date.
"""

import functools
import re
import textwrap
from collections import Counter
from pathlib import Path

from tabulate import tabulate

from hycon.atomic_io import atomic_file
from hycon.params import load
from hycon.reporting.claims import NOTE, VERDICTS
from hycon.reporting.claims_overview import CorpusClaims, names, read

PAGE, README, RESULTS = Path("docs/claims.md"), Path("README.md"), Path("results")
SUMMARY = Path("docs/results.md")
BLOCK = re.compile(r"(?<=<!-- claims -->\n).*?(?=<!-- /claims -->)", re.DOTALL)
CENTRAL = "contrastive-learning"  # the claim whose effect README.md shows
FORM = (
    "In brackets: the comparison that supports the claim least, mean over n seeds [95% interval "
    "over seeds and utterances], test fold."
)
COLUMNS = ("Claim", "Corpus", "Text encoder", "Verdict", "Weakest comparison", "Testable there",
           "Preregistered")  # fmt: skip
wrapped = functools.partial(
    textwrap.fill, width=118, break_long_words=False, break_on_hyphens=False
)
HEAD = f"""# The paper's claims

Generated from the tables `claims` in `results`. [Results](results.md) describes the
corpora, and [Scoring and comparing](evaluation.md) the statistics.

{NOTE}
"""
NOTHING = "No claim has been judged yet: the repository has no table `claims`.\n"


def committed(root: Path = Path()) -> list[CorpusClaims]:
    """Return the claims of each corpus with a table of them, in the order of the catalogue.

    Raises:
        HyConError: a table cannot be read.
    """
    found = []
    for key, corpus in load(root).catalogue.items():
        tables = [read(path, key, corpus) for path in _tables(root, key, "csv")]
        if tables:
            judged = [one for each in tables for one in each.judged]
            ran = {each.name for each in judged if each.verdict != "not run"}
            # a claim that one table has a verdict on is not "not run" in another
            kept = [one for one in judged if one.verdict != "not run" or one.name not in ran]
            found.append(tables[0]._replace(judged=kept))
    return found


def _tables(root: Path, key: str, form: str) -> list[Path]:
    """Return the files of a corpus's tables of claims: `claims` first, then `claims-NAME`."""
    folder = root / RESULTS / key / "tables"
    return [*folder.glob(f"claims.{form}"), *sorted(folder.glob(f"claims-*.{form}"))]


def page(corpora: list[CorpusClaims], root: Path = Path()) -> str:
    """Return the documentation's page: the table of each corpus, the rule once."""
    text = HEAD if corpora else f"{HEAD}\n{NOTHING}"
    for each in corpora:
        text += f"\n## {each.title}\n"
        for path in _tables(root, each.key, "md"):
            table = path.read_text(encoding="utf-8")
            text += f"\n{table.replace(NOTE, '').strip()}\n"
    return text


def summary(corpora: list[CorpusClaims]) -> str:
    """Return the verdicts on each claim that was run on real corpora, for the page of results."""
    rows = [
        [words, each.corpus.title, judged.encoder, f"**{judged.verdict}**",
         each.shown(judged.weakest) if judged.weakest else judged.detail, judged.testable,
         judged.preregistered or "no"]
        for name, words in names(corpora).items()
        for each in corpora
        if each.corpus.generator is None
        for judged in each.of(name)
        if judged.verdict != "not run"
    ]  # fmt: skip
    return f"\n{tabulate(rows, COLUMNS, 'pipe')}\n\n{wrapped(FORM)}\n" if rows else NOTHING


def block(corpora: list[CorpusClaims]) -> str:
    """Return README.md's list of verdicts for each corpus, without sample corpora."""
    real = [each for each in corpora if each.corpus.generator is None]
    if not real:
        return NOTHING
    items = [wrapped(_verdicts(each), initial_indent="- ", subsequent_indent="  ") for each in real]
    return "\n".join([*items, "", wrapped(FORM), ""])


def _verdicts(corpus: CorpusClaims) -> str:
    """Return the verdicts on the central claim with their effects, and counts of the others."""
    central = [
        f"**{each.verdict}** with {each.encoder} ({corpus.shown(each.weakest)}"
        f"{', preregistered' if each.preregistered == 'yes' else ''})"
        for each in corpus.of(CENTRAL)
        if each.weakest
    ]
    counts = Counter(
        each.verdict
        for name in names([corpus])
        for each in corpus.of(name)
        if name != CENTRAL and each.verdict != "not run"
    )
    words = names([corpus]).get(CENTRAL, "").rstrip(".")
    parts = [f"{corpus.title} ({corpus.scale})."]
    parts += [f"{words}: {'; '.join(central)}."] if central else []
    others = ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])
    parts += [f"Other claims: {others}."] if others else []
    return " ".join(parts)


def filled(text: str, content: str) -> str:
    """Return a page with some content between its two comments."""
    return BLOCK.sub(lambda _: content, text, count=1)


def main() -> None:
    corpora = committed()
    pages = {PAGE: page(corpora)}
    for path, content in ((README, block(corpora)), (SUMMARY, summary(corpora))):
        pages[path] = filled(path.read_text(encoding="utf-8"), content)
    for path, content in pages.items():
        with atomic_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
