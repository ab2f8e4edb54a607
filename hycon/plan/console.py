"""What a run prints: a line for each finished job, the main tables as soon as they are written
and, on a terminal, a bar below them.

Snakemake's own messages are in .snakemake/log, those of a job in its log file. Jobs print warnings
and errors themselves (`hycon.logs`).
"""

import logging
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hycon.errors import printable
from hycon.logs import CLEAR, QUIET
from hycon.progress import SECONDS_BETWEEN_LINES

SECONDS_BETWEEN_BARS = 0.5
BAR = 20  # characters
# beginnings of Snakemake's messages that are shown
KEPT = ("Building DAG", "Nothing to be done", "Trying to restart", "Terminating", "Will exit",
        "Waiting at most")  # fmt: skip
# and of errors that the lines about jobs have said
SAID = ("Exiting because a job execution failed", "WorkflowError:\nAt least one job did not")
LEVEL = re.compile(r"\S+ \S+ (DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
# of a command, after its log
EXIT = re.compile(r"--log (\S+).*(exit status \d+|SIG[A-Z]+)", re.DOTALL)
INTERRUPTED = ("exit status 130", "SIGINT")


@dataclass(frozen=True)
class Job:
    """A job that has started.

    Args:
        name: its rule and its name in the plan.
        logs: its log files.
        began: time in seconds.
    """

    rule: str
    name: str
    logs: tuple[str, ...]
    began: float


class Console(logging.Handler):
    """Print the events of a run.

    Args:
        own: Snakemake's handler, for everything else.
        about_jobs: whether to print the plan, finished jobs, the bar and the end. Snakemake may not
            say what has finished otherwise.
        targets: returns the names of rules that are not counted, because they do nothing.
        shown: returns the files that are printed when their job has finished, by what its line
            says.
    """

    def __init__(
        self,
        own: logging.StreamHandler,
        about_jobs: bool,
        targets: Callable[[], Collection[str]],
        shown: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        super().__init__()
        self._own, self._stream = own, own.stream
        self._about_jobs, self._targets, self._shown = about_jobs, targets, shown
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._active = False
        self._where, self._remote = "", False
        self._counts: Counter[str] = Counter()
        self._seconds: dict[str, list[float]] = {}
        self._running: dict[int, Job] = {}
        self._failed: dict[int, str] = {}
        self._exits: dict[str, str] = {}
        self._began = self._wrote = 0.0
        self._said = ""
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a message of Snakemake means."""
        try:
            event = getattr(record, "event", None)
            if answer := getattr(self, f"_on_{event}", None):
                answer(record)
            else:
                self._pass(record)
        except (OSError, ValueError):
            self.handleError(record)

    def end(self) -> None:
        """Remove the bar, and print how the run ended."""
        with self.lock:
            if self._ended.is_set():
                return
            self._ended.set()
            if self._began and self._about_jobs:
                done, total = self._done(), self._counts.total()
                number = _number(total) if done == total else f"{done} of {_number(total)}"
                ends = f"; failed: {', '.join(self._failed.values())}" if self._failed else ""
                if done < total and not ends:
                    ends = "; stopped, the same command resumes"
                self._line(f"{number} in {_duration(time.time() - self._began)}{ends}")

    def close(self) -> None:
        """End, where Snakemake has not called `end`."""
        self.end()
        super().close()

    def _pass(self, record: logging.LogRecord) -> None:
        """Have Snakemake's handler print a message, if it is to be shown."""
        text = str(record.msg)
        kept = record.levelno >= logging.WARNING or text.startswith(KEPT)
        if not self._active or (kept and not text.startswith(SAID)):
            self._write(CLEAR if self._has_bar() else "")
            self._own.handle(record)

    # what Snakemake says, by its kind

    def _on_workflow_started(self, _: logging.LogRecord) -> None:
        self._active = True

    def _on_resources_info(self, record: logging.LogRecord) -> None:
        if cores := getattr(record, "cores", None):
            self._where = f" on {cores} core{'s' * (cores != 1)}"
        elif nodes := getattr(record, "nodes", None):
            self._where, self._remote = f", at most {nodes} at a time", True

    def _on_run_info(self, record: logging.LogRecord) -> None:
        apart = {"total", *self._targets()}
        self._counts.update({rule: n for rule, n in record.stats.items() if rule not in apart})
        self._began = time.time()
        os.environ[QUIET] = "1"
        if self._about_jobs:
            counts = ", ".join(f"{rule} {number}" for rule, number in self._counts.items())
            self._line(f"{_number(self._counts.total())}{self._where}: {counts}")
            threading.Thread(target=self._accompany, daemon=True).start()

    def _on_job_info(self, record: logging.LogRecord) -> None:
        name = " ".join([record.rule_name, *filter(None, ["/".join(record.wildcards.values())])])
        job = Job(record.rule_name, name, tuple(record.log), record.created)
        if job.rule in self._counts:
            self._running[record.jobid] = job
        self._failed.pop(record.jobid, None)

    def _on_job_finished(self, record: logging.LogRecord) -> None:
        if job := self._running.pop(record.job_id, None):
            seconds = record.created - job.began
            self._seconds.setdefault(job.rule, []).append(seconds)
            if self._about_jobs:
                self._line(f"[{self._progress()}] {job.name}  {_duration(seconds)}")
                if path := self._shown().get(job.name):
                    self._line("\n".join(table_lines(Path(path))))

    def _on_job_error(self, record: logging.LogRecord) -> None:
        job = self._running.pop(record.jobid, None)
        if not any(self._exits.get(log) in INTERRUPTED for log in record.log):
            self._failed[record.jobid] = job.name if job else record.rule_name
            if not record.indent:  # as a part of a group
                self._fail(self._failed[record.jobid], record.log)

    def _on_group_error(self, record: logging.LogRecord) -> None:
        jobs = [self._running.get(each["jobid"]) for each in record.job_error_info]
        logs = [log for each in record.job_error_info for log in each["log"]]
        names = " and ".join(job.name for job in jobs if job)
        self._fail(names or f"group {record.groupid}", [*logs, *record.aux_logs])

    def _on_error(self, record: logging.LogRecord) -> None:
        if found := EXIT.search(str(record.msg)):
            self._exits[found[1]] = found[2]
        else:
            self._pass(record)

    def _fail(self, name: str, logs: Collection[str]) -> None:
        how = [self._exits[log] for log in logs if log in self._exits]
        if self._remote:  # a job here has printed its error
            how += filter(None, [_last(log, ("ERROR", "CRITICAL")) for log in logs])
        self._line(": ".join([f"failed: {name}", *how]) + f"; log: {', '.join(logs)}")

    # what is printed

    def _line(self, text: str) -> None:
        """Print a line above the bar."""
        self._wrote = time.monotonic()
        self._write(f"{CLEAR if self._has_bar() else ''}{text}\n")
        if not self._ended.is_set():
            self._bar()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _has_bar(self) -> bool:
        return self._terminal and self._about_jobs and self._began > 0

    def _bar(self) -> None:
        if not self._has_bar():
            return
        part = BAR * self._done() // max(self._counts.total(), 1)
        left = self._left()
        time_left = f"  about {_duration(left)} left" if left and left > 1 else ""
        bar = f"{'#' * part}{'.' * (BAR - part)} {self._progress()}{time_left}  {self._latest()}"
        # the cursor stays at the left, so that what a job prints is at the beginning of a line
        self._write(f"{CLEAR}{bar[: os.get_terminal_size(self._stream.fileno()).columns - 1]}\r")

    def _accompany(self) -> None:
        """Redraw the bar until the end, or print the latest line of a log after some silence."""
        pause = SECONDS_BETWEEN_BARS if self._terminal else SECONDS_BETWEEN_LINES / 4
        while not self._ended.wait(pause):
            with self.lock:
                if self._ended.is_set():
                    return
                try:
                    self._bar()
                    silent = time.monotonic() - self._wrote > SECONDS_BETWEEN_LINES
                    latest = self._latest() if silent and not self._terminal else ""
                    if latest not in ("", self._said):
                        self._said = latest
                        self._line(latest)
                except (OSError, ValueError):
                    return

    def _progress(self) -> str:
        done, total = self._done(), self._counts.total()
        return f"{done:{len(str(total))}}/{total} {100 * done // max(total, 1):3}%"

    def _done(self) -> int:
        return sum(map(len, self._seconds.values()))

    def _left(self) -> float | None:
        """Estimate the seconds left; None while most jobs left are of rules not seen yet."""
        left = self._counts - Counter({rule: len(each) for rule, each in self._seconds.items()})
        known = sum(number for rule, number in left.items() if rule in self._seconds)
        spent = [seconds for each in self._seconds.values() for seconds in each]
        if not spent or 2 * known < left.total():
            return None
        typical = {rule: _mean(self._seconds.get(rule, spent)) for rule in left}
        now = time.time()
        running = {job: now - job.began for job in self._running.values()}
        work = sum(number * typical[rule] for rule, number in left.items())
        work -= sum(min(seconds, typical[job.rule]) for job, seconds in running.items())
        # divided by how many jobs run at a time
        return work * (now - self._began) / (sum(spent) + sum(running.values()))

    def _latest(self) -> str:
        """Return the last line of the log that was written to last."""
        found = []
        for job in self._running.values():
            for log in job.logs:
                try:
                    written = Path(log).stat().st_mtime
                except OSError:
                    continue
                if written >= job.began:  # not of an earlier run
                    found.append((written, job, log))
        if not found:
            return next((job.name for job in self._running.values()), "")
        _, job, log = max(found, key=lambda each: each[0])
        line = _last(log)
        if line and job.name.startswith(f"{job.rule} {line.split()[0].rstrip(':')}"):
            return f"{job.rule} {line}"
        return f"{job.name}: {line}" if line else job.name


def _last(log: str, levels: Collection[Any] = ("INFO", "WARNING", None)) -> str:
    """Return the last line of a log, without its time, that has one of some levels; None: none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        found = LEVEL.match(line)
        if line.strip() and (found and found[1]) in levels:
            return printable(LEVEL.sub("", line, count=1))
    return ""


def table_lines(path: Path) -> list[str]:
    """Return the lines with which a table is printed: its path, and what it contains."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return ["", str(path), "", *map(printable, lines), ""]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _number(jobs: int) -> str:
    return f"{jobs} job{'s' * (jobs != 1)}"


def _duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
