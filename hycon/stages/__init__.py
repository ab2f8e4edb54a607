"""One thin entry module per rule: arguments in, files out.

Each stage is a module with `main(argv)` that is run as `python -m hycon.stages.NAME`.
"""

import argparse
import json
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from hycon.errors import HyConError, Terminated, printable
from hycon.params import Corpus, Encoder, Settings

log = logging.getLogger("hycon")
USER_ERROR = 2
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, the next run goes on


def parser(description: str) -> argparse.ArgumentParser:
    """Return a stage's argument parser, with the options that every stage has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--log", type=Path, help="a file that receives the messages too")
    return made


def row_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of a stage that works on one row of one corpus."""
    made = parser(description)
    made.add_argument("--name", required=True, help="CORPUS/ROW, in messages")
    made.add_argument("--corpus", type=Corpus.model_validate_json, required=True)
    made.add_argument("--encoder", type=Encoder.model_validate_json, required=True)
    made.add_argument("--settings", type=Settings.model_validate_json, required=True)
    made.add_argument("--aligned", type=Path, required=True, help="folder")
    return made


def training_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of a stage that trains a row."""
    made = row_parser(description)
    made.add_argument("--states", type=Path, help="folder of text states, if they are cached")
    made.add_argument("--tiny", type=Path, help="folder of the tiny model, if it is one")
    made.add_argument("--device", default="auto")
    made.add_argument("--threads", type=int, default=1)
    return made


def evidence_parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of a stage that shows scores."""
    made = parser(description)
    made.add_argument(
        "--expected",
        type=json.loads,
        required=True,
        help="JSON: {path of scores: digest of the parameters that they must be made of}",
    )
    return made


def start(arguments: argparse.Namespace) -> None:
    """Send messages to the terminal and, with times, to the stage's log file."""
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_OneLine("%(message)s"))
    terminal.setLevel(logging.INFO)  # a traceback goes to the log file only
    logging.raiseExceptions = False  # of a log on a full disk
    log.handlers = [terminal]
    log.setLevel(logging.DEBUG)
    log.propagate = False
    if arguments.log:
        arguments.log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(arguments.log, mode="w", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(file)


class _OneLine(logging.Formatter):
    """Message only; a warning or an error says that it is one. No tracebacks on the terminal, and
    nothing that steers it: a message may quote a server or a file.
    """

    def format(self, record: logging.LogRecord) -> str:
        severity = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return severity + printable(record.getMessage())


def run(main: Callable[[Sequence[str] | None], None]) -> None:
    """Run a stage; what a user can cause ends in one line and exit code 2."""
    try:
        main(None)
    except HyConError as error:
        _stop(" ".join(str(error).split()))
    except OSError as error:
        # disk full, no permission, read-only: the system's own words, without a traceback
        log.debug("%s", traceback.format_exc())
        place = error.filename or "file system"
        _stop(f"{place}: {error.strerror or error}; make room or give access")
    except Terminated as request:
        log.warning("asked to end (SIGTERM): %s", request)
        sys.exit(TRY_AGAIN)
    except KeyboardInterrupt:
        sys.exit(130)


def _stop(message: str) -> None:
    if log.handlers:
        log.error("%s", message)
    else:
        print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)
