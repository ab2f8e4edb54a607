"""The documentation's page of claims, and the table in README.md, from the tables in results.

`python -m hycon.reporting.claims_docs` writes both; a test fails if they are out of date.
"""

import re
from pathlib import Path

from hycon.atomic_io import atomic_file
from hycon.params import load
from hycon.reporting.claims import NOTE
from hycon.reporting.claims_overview import CorpusClaims, names, read
from hycon.reporting.table_formats import Cell, DisplayTable, markdown

PAGE, README, RESULTS = Path("docs/claims.md"), Path("README.md"), Path("results")
BLOCK = re.compile(r"(?<=<!-- claims -->\n).*?(?=<!-- /claims -->)", re.DOTALL)
CENTRAL = "contrastive-learning"  # the claim whose effect README.md shows
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
    """Return README.md's table of claims and verdicts, without sample corpora.

    Claims with the same verdicts share a line.
    """
    real = [each for each in corpora if each.corpus.generator is None]
    if not real:
        return NOTHING
    lines: dict[tuple[str, ...], list[str]] = {}
    for name, words in names(real).items():
        verdicts = tuple(_verdict(each, name) for each in real)
        lines.setdefault(verdicts, []).append(words)
    rows = [
        [Cell(" ".join(claims)), *map(Cell, verdicts)] for verdicts, claims in lines.items()
    ]  # fmt: skip
    scales = "; ".join(f"{each.corpus.title}: {each.scale}" for each in real if each.scale)
    caption = (
        "In brackets: the weakest comparison, mean over n seeds [95% interval over seeds and "
        f"utterances], test fold. {scales}."
    )
    sheet = DisplayTable(
        ["claim", *(each.title for each in real)], "l" * (len(real) + 1), rows, caption, ""
    )
    return markdown(sheet)


def _verdict(corpus: CorpusClaims, name: str) -> str:
    judged = corpus.of(name)
    found = []
    for each in judged:
        encoder = f"{each.encoder}: " if len(judged) > 1 else ""
        central = each.weakest if name == CENTRAL else None
        found.append(f"{encoder}{each.verdict}{f' ({corpus.shown(central)})' if central else ''}")
    return "; ".join(found)


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
