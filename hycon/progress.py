"""Progress that a person can read: a bar in a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def progress(
    items: Iterable[T], what: str, total: int | None = None, unit: str = ""
) -> Iterator[T]:
    """Yield the items, showing how many are done: a tqdm bar on a terminal, else rare lines."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=what, total=total, unit=f" {unit}", leave=False, delay=1.0)
        return
    total = len(items) if total is None and hasattr(items, "__len__") else total
    said = time.monotonic()
    for done, item in enumerate(items):
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"{what}: {done} of {total or '?'} {unit}", file=sys.stderr, flush=True)
        yield item
