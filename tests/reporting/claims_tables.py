"""Tables of claims as `hycon.reporting.claims` writes them, with made-up verdicts."""

import pandas as pd

from hycon.reporting import table_formats
from hycon.reporting.claims import NOTE
from hycon.reporting.table_formats import Cell, DisplayTable

COMMON = {"text_encoder": "MiniLM", "testable": "yes", "preregistered": "no", "detail": "",
          "missing": "", "seeds_to_decide": ""}  # fmt: skip


def judged(name, verdict, *compared, metric="mae_all", **more):
    """Return the lines of a claim: one for each comparison, (reference, difference, half)."""
    common = {"claim": name, "words": f"Claim {name}.", "verdict": verdict, "evidence": verdict}
    common = {**COMMON, **common, **more}
    return [
        {
            **common, "model": "HyCon", "reference": reference, "metric": metric,
            "comparison": "better", "difference": middle, "low": middle - half,
            "high": middle + half, "low_90": middle - 0.8 * half, "high_90": middle + 0.8 * half,
            "n": 5, "margin": 0.02,
        }
        for reference, middle, half in compared
    ] or [common]  # fmt: skip


def write_claims(folder, *claims, name="claims"):
    """Write a table of claims in a folder, from results of `judged`."""
    lines = pd.DataFrame([line for each in claims for line in each])
    rows = [[Cell(line.words), Cell(line.verdict)] for line in lines.itertuples()]
    caption = f"The paper's claims. Test fold. {NOTE}"
    sheet = DisplayTable(["Claim", "Verdict"], "ll", rows, caption, f"{folder.parent.name}-claims")
    table_formats.write(sheet, lines, folder / name)
