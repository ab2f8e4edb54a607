"""Asking the server of `hycon.stages.server` to run a job.

Every job starts with this, so it imports little.
"""

import contextlib
import json
import os
import signal
import socket

ADDRESS = "HYCON_STAGES"  # environment variable with the path of the server's socket
ALONE = ("complexity",)  # measures memory, of which a fork has more
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REFUSED = 0  # in place of the number of a process


def ask(arguments: list[str]) -> int | None:
    """Have a job run by the server; return its exit code, or None if there is no server for it.

    Args:
        arguments: of `python -m hycon.stages`.
    """
    if ADDRESS not in os.environ or not arguments or arguments[0] in ALONE:
        return None
    request = json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode()
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ[ADDRESS])
        socket.send_fds(server, [len(request).to_bytes(4)], [0, 1, 2])
        server.sendall(request)
        if not (child := int.from_bytes(server.recv(4))):
            return None
        for each in FORWARDED:
            signal.signal(each, lambda number, _: os.kill(child, number))
        code = server.recv(4)
        return int.from_bytes(code) if code else 1
    return None
