"""The one exception that is meant for the person at the keyboard."""


class HyConError(Exception):
    """Something the user can put right: one line on what was found, expected, and to be done.

    Stages print it without a traceback and exit with code 2 (`hycon.stages.run`).
    """
