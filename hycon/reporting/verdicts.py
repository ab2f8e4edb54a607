"""How often published numbers are met."""

from pathlib import Path

import pandas as pd

from hycon.errors import HyConError
from hycon.reporting.table_formats import Cell, DisplayTable

VERDICTS = ("agrees", "better", "worse", "")


def read_table(path: Path) -> pd.DataFrame:
    """Read the CSV of a table.

    Raises:
        HyConError: it cannot be read.
    """
    try:
        return pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise HyConError(f"{path}: cannot be read ({error}); delete it and run again") from None


def verdicts(frame: pd.DataFrame, label: str) -> DisplayTable:
    """Return how often each published model is met, from the CSV of `hycon.reporting.published`."""
    rows = []
    for (model, encoder), found in frame.groupby(["model", "text_encoder"], sort=False):
        counts = [int((found.verdict == verdict).sum()) for verdict in VERDICTS]
        cells = [Cell(str(count), value=count) for count in counts]
        rows.append([Cell(model), Cell(encoder), *cells])
    return DisplayTable(
        ["Published model", "Text encoder", "agrees", "better", "worse", "not run"], "llrrrr", rows,
        "Metrics of each published row, by our verdict; the rule is below the table of published "
        "numbers.", label,
    )  # fmt: skip
