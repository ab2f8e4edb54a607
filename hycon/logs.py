"""Messages and exit codes of processes."""

import contextlib
import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hycon.errors import HyConError, Terminated, printable

log = logging.getLogger("hycon")
USER_ERROR = 2
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, the next run resumes
# environment variable of jobs that print warnings and errors only; the run shows the rest
QUIET = "HYCON_QUIET"
CLEAR = "\r\033[K"  # deletes a terminal's last line
# advice for system errors; others are reported without advice
REMEDIES = {
    errno.ENOENT: "make it, or correct the path",
    errno.ENOTDIR: "correct the path: a part of it is a file",
    errno.EISDIR: "correct the path: it is a folder",
    errno.EEXIST: "move the existing file",
    errno.EACCES: "give access to it",
    errno.EPERM: "give access to it",
    errno.EROFS: "write to another disk: this one is read-only",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some of your disk quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or take another disk",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENFILE: "close other programs: the system has no more open files to give",
    errno.ENOMEM: "give the job more memory",
    errno.EIO: "check the disk, and how much space it has left",
    errno.ESTALE: "mount the disk again",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "remove the link that points to itself",
    errno.EBUSY: "close the program that uses it",
    errno.ETXTBSY: "close the program that uses it",
}


class _Copied:
    """A text stream that also writes to a log file, or, if quiet, only to it."""

    def __init__(self, stream: TextIO, file: TextIO, quiet: bool) -> None:
        self._stream, self._file, self._quiet = stream, file, quiet

    def write(self, text: str) -> int:
        if not text.startswith("\r"):  # progress, which a terminal writes over
            with contextlib.suppress(OSError, ValueError):  # of a log on a full disk
                self._file.write(text)
                self._file.flush()
        return len(text) if self._quiet else self._stream.write(text)

    def isatty(self) -> bool:
        return not self._quiet and self._stream.isatty()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def copied_to(path: Path | None) -> Iterator[None]:
    """Send messages, warnings and tracebacks to the terminal and, with times, to a log file.

    If `QUIET` is set, the terminal gets warnings and errors only.

    Args:
        path: of the log file, which is replaced; None for no log.
    """
    quiet = path is not None and QUIET in os.environ
    clear = CLEAR if quiet and sys.stderr.isatty() else ""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_OneLine(clear))
    # a traceback goes to the log file only
    terminal.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.raiseExceptions = False  # of a log on a full disk
    log.handlers = [terminal]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    if path is None:
        yield
        return
    with ending_well():
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("w", encoding="utf-8")
    file = logging.StreamHandler(stream)
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(file)
    before, show = sys.stderr, warnings.showwarning
    sys.stderr = _Copied(before, stream, quiet)
    if quiet:
        warnings.showwarning = _warn
    try:
        yield
    except Exception:
        # a bug: Python prints it to the terminal at the end
        log.removeHandler(terminal)
        log.critical("%s", traceback.format_exc())
        before.write(clear)
        raise
    finally:
        sys.stderr, warnings.showwarning = before, show
        log.handlers = [terminal]
        with contextlib.suppress(OSError):
            stream.close()


def _warn(message: Warning | str, category: type[Warning], *where: object) -> None:
    log.warning("%s:%s: %s: %s", *where[:2], category.__name__, message)


class _OneLine(logging.Formatter):
    """Format the message, after "warning: " or "error: ". The terminal gets no traceback and no
    control characters, because a message may quote a server or a file.

    Args:
        before: what is printed first.
    """

    def __init__(self, before: str) -> None:
        super().__init__()
        self._before = before

    def format(self, record: logging.LogRecord) -> str:
        severity = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return self._before + severity + printable(record.getMessage())


@contextlib.contextmanager
def ending_well() -> Iterator[None]:
    """Turn errors that a user can cause into one line and exit code 2, without a traceback.

    A request to end (SIGTERM) exits with TRY_AGAIN, an interrupt with 130.
    """
    try:
        yield
    except HyConError as error:
        _stop(" ".join(str(error).split()))
    except OSError as error:
        log.debug("%s", traceback.format_exc())
        _stop(explained(error))
    except Terminated as request:
        log.warning("asked to end (SIGTERM): %s", request)
        sys.exit(TRY_AGAIN)
    except KeyboardInterrupt:
        sys.exit(130)


def explained(error: OSError) -> str:
    """Return a system error as one line: the file, the error, and advice."""
    line = f"{error.filename or 'system'}: {error.strerror or error}"
    remedy = REMEDIES.get(error.errno)
    return f"{line}; {remedy}" if remedy else line


def _stop(message: str) -> None:
    if log.handlers:
        log.error("%s", message)
    else:
        print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)
