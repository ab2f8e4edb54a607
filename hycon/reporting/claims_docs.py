"""The documentation's page of claims, and the table in README.md, from the tables in results.

`python -m hycon.reporting.claims_docs` writes both; a test fails if they are out of date.
"""

import functools
import re
import textwrap
from pathlib import Path

from hycon.atomic_io import atomic_file
from hycon.params import load
from hycon.reporting.claims import NOTE
from hycon.reporting.claims_overview import CorpusClaims, names, read

PAGE, README, RESULTS = Path("docs/claims.md"), Path("README.md"), Path("results")
BLOCK = re.compile(r"(?<=<!-- claims -->\n).*?(?=<!-- /claims -->)", re.DOTALL)
CENTRAL = "contrastive-learning"  # the claim whose effect README.md shows
FORM = (
    "In brackets: the comparison that supports the claim least, mean over n seeds [95% interval "
    "over seeds and utterances], test fold."
)
wrapped = functools.partial(
    textwrap.fill, width=118, break_long_words=False, break_on_hyphens=False
)
HEAD = f"""# The paper's claims

Generated from the tables `claims` in `results`. [Results](results.md) has what to know of the
corpora, and [Scoring and comparing](evaluation.md) the statistics.

{NOTE}
"""
NOTHING = "No claim has been judged yet: the repository has no table `claims`.\n"


def committed(root: Path = Path()) -> list[CorpusClaims]:
    """Return the claims of each corpus with a table of them, in the order of the catalogue.

    Raises:
        HyConError: a table cannot be read.
    """
    paths = {
        (key, root / RESULTS / key / "tables/claims.csv"): corpus
        for key, corpus in load(root).catalogue.items()
    }
    return [read(path, key, corpus) for (key, path), corpus in paths.items() if path.exists()]


def page(corpora: list[CorpusClaims], root: Path = Path()) -> str:
    """Return the documentation's page: the table of each corpus, the rule once."""
    text = HEAD if corpora else f"{HEAD}\n{NOTHING}"
    for each in corpora:
        table = (root / RESULTS / each.key / "tables/claims.md").read_text(encoding="utf-8")
        text += f"\n## {each.title}\n\n{table.replace(NOTE, '').strip()}\n"
    return text


def block(corpora: list[CorpusClaims]) -> str:
    """Return README.md's list of verdicts for each corpus, without sample corpora."""
    real = [each for each in corpora if each.corpus.generator is None]
    if not real:
        return NOTHING
    items = [wrapped(_verdicts(each), initial_indent="- ", subsequent_indent="  ") for each in real]
    return "\n".join([*items, "", wrapped(FORM), ""])


def _verdicts(corpus: CorpusClaims) -> str:
    """Return the claims of each verdict, and the effect of the central one."""
    found: dict[str, list[str]] = {}
    for name, words in names([corpus]).items():
        for each in corpus.of(name):
            several = len(corpus.of(name)) > 1
            encoder = f" ({each.encoder})" if several else ""
            central = each.weakest if name == CENTRAL else None
            fixed = ", preregistered" if each.preregistered == "yes" else ""
            effect = f" ({corpus.shown(central)}{fixed})" if central else ""
            found.setdefault(each.verdict, []).append(f"{words.rstrip('.')}{encoder}{effect}")
    lists = [
        f"**{word}**: {'; '.join(claims) if word != 'not run' else f'{len(claims)} claims'}."
        for word, claims in found.items()
    ]
    return " ".join([f"{corpus.title} ({corpus.scale}).", *lists])


def readme(text: str, corpora: list[CorpusClaims]) -> str:
    """Return README.md with the table of claims between its two comments."""
    return BLOCK.sub(lambda _: block(corpora), text, count=1)


def main() -> None:
    corpora = committed()
    text = readme(README.read_text(encoding="utf-8"), corpora)
    for path, content in ((PAGE, page(corpora)), (README, text)):
        with atomic_file(path) as temporary:
            temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
