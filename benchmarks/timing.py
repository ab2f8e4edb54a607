"""Clocks and memory: what every benchmark measures with."""

import math
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path


def in_turns(
    works: dict[str, Callable[[], object]], repeats: int, passes: dict[str, int] | None = None
) -> dict[str, list[float]]:
    """Return the seconds that each work took: A, B, A, B, ..., after one of each to warm up.

    So a machine that slows down slows all of them.

    Args:
        works: what to do, by name.
        repeats: turns that are measured.
        passes: how often a work is done and measured in a turn, where that is not once.
    """
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name] += [seconds(work) for _ in range((passes or {}).get(name, 1))]
    return found


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def exponent(sizes: list[float], times: list[list[float]]) -> float:
    """Return the power of the size with which the median time grows, from first to last."""
    small, large = statistics.median(times[0]), statistics.median(times[-1])
    return math.log(large / small) / math.log(sizes[-1] / sizes[0])


def peak_memory() -> float:
    """Return the most memory that this process has held, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of a child counts what its parent held when it was started
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 1024)


def say(what: str) -> None:
    """Say on the standard error stream what is going on."""
    print(what, file=sys.stderr, flush=True)
