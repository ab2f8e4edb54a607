"""What a command costs with all that it starts: time, CPU, memory."""

import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

BETWEEN = 0.05  # seconds from one look at the memory to the next


class Cost(NamedTuple):
    """What a command took: seconds, CPU seconds, and its processes' peak memory in MiB."""

    seconds: float
    cpu: float
    peak: float


def cost(command: list[str], folder: Path, **variables: str) -> Cost:
    """Run a command in a folder, with variables of the environment, and return what it cost.

    Memory is what each process holds by itself plus its share of what several hold, where the
    system tells (Linux), at the worst of many moments.

    Raises:
        RuntimeError: the command failed.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        peak: list[float] = [0.0]
        watch = threading.Thread(target=_watch, args=(process, peak), daemon=True)
        watch.start()
        printed, _ = process.communicate()
    seconds = time.perf_counter() - started
    watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {process.returncode}\n{printed}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(seconds, cpu, peak[0])


def _watch(process: subprocess.Popen, peak: list[float]) -> None:
    """Keep in `peak` the most MiB that a process and all below it hold, until it ends."""
    root = psutil.Process(process.pid)
    while process.poll() is None:
        peak[0] = max(peak[0], _held(root) / 2**20)
        time.sleep(BETWEEN)


def _held(root: psutil.Process) -> int:
    total = 0
    try:
        for each in (root, *root.children(recursive=True)):
            try:
                held = each.memory_full_info()
            except psutil.Error:  # it has ended meanwhile
                continue
            total += getattr(held, "pss", held.rss)
    except psutil.Error:
        pass
    return total
