"""The exceptions that a stage ends in without a traceback."""


class HyConError(Exception):
    """Something the user can put right: one line on what was found, expected, and to be done.

    Stages print it without a traceback and exit with code 2 (`hycon.stages.run`).
    """


class Terminated(Exception):
    """The process was asked to end (SIGTERM), and what it did is kept.

    Stages print it and exit with a code that tells a scheduler to try again (`hycon.stages.run`).
    """
