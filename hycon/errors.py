"""The exceptions that a stage ends in without a traceback."""

LONGEST = 4000  # characters of a message, which may quote a file


def printable(text: str) -> str:
    """Return an untrusted text without control characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class HyConError(Exception):
    """An error that the user can fix: one line with what was found, what was expected and what to
    do.

    Stages print it without a traceback and exit with code 2 (`hycon.logs.ending_well`).
    """

    def __init__(self, message: str) -> None:
        line = printable(" ".join(message.splitlines()))
        super().__init__(line if len(line) <= LONGEST else f"{line[:LONGEST]} ...")


class Terminated(Exception):
    """The process got SIGTERM and saved its work.

    Stages print it and exit with a code that makes a scheduler retry
    (`hycon.logs.ending_well`).
    """
