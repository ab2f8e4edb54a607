"""A process that runs stages in forks of itself, so that a job need not import torch again.

Importing what a stage needs takes 1 to 3 seconds of CPU time, more than most jobs of the sample.
Snakemake's process starts one server for a run (`started`). `python -m hycon.stages` passes its
arguments, environment and streams to it (`hycon.stages.client`) and exits with the job's code. The
server imports what a stage needs when it is first asked for, and what its first job has imported
besides, then forks for each job. It refuses a job if a module has changed since it was imported, or
one of this package since the server started: that job then runs in a process of its own, as every
job does without a server.
"""

import contextlib
import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from hycon.provenance import ROOT, code_digest
from hycon.stages.client import ADDRESS, REFUSED

RECORDED = ("train",)  # stages that record their code's digest, which takes 0.1 s
# before numpy is imported; Snakemake gives jobs of one thread the same
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}


def started() -> None:
    """Start a server that ends with this process, once its jobs are done. Linux only."""
    if sys.platform != "linux":
        return
    folder = tempfile.mkdtemp(prefix="hycon-")  # for this user only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        listener.listen(256)
        # the other end is closed when this process ends, however it does
        alive, _ = os.pipe()
        subprocess.Popen(
            [sys.executable, "-m", __name__, folder, str(listener.fileno()), str(alive)],
            pass_fds=(listener.fileno(), alive),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # signals reach jobs through `ask` only
        )
        os.close(alive)
    os.environ[ADDRESS] = f"{folder}/socket"


def serve(folder: str, listener: socket.socket, alive: int, run: Callable[..., Any]) -> None:
    """Run jobs until the process that holds the other end of `alive` has ended, and all jobs too.

    Args:
        folder: deleted at the end.
        listener: of the socket in the folder.
        alive: file descriptor that reaches its end with that process.
        run: runs the stage with the arguments given.
    """
    imported = {str(path): _modified(str(path)) for path in ROOT.rglob("*.py")}
    running: dict[int, tuple[int, socket.socket]] = {}
    with selectors.DefaultSelector() as events:

        def start(client: socket.socket) -> None:
            size, descriptors, *_ = socket.recv_fds(client, 4, 3)
            try:
                fork(client, int.from_bytes(size), descriptors)
            finally:
                for each in descriptors:
                    os.close(each)

        def fork(client: socket.socket, size: int, descriptors: list[int]) -> None:
            with client.makefile("rb") as stream:
                arguments, here, environment = json.loads(stream.read(size))
            import_(f"hycon.stages.{arguments[0]}")
            if arguments[0] in RECORDED:
                code_digest(f"hycon.stages.{arguments[0]}")  # the forks have it in its cache
            if _changed(imported):
                client.sendall(REFUSED.to_bytes(4))
                client.close()
                return
            if (child := os.fork()) == 0:
                events.close()
                for each in (listener, client, *(held for _, held in running.values())):
                    each.close()
                _become(run, arguments, here, environment, descriptors, folder)
            with contextlib.suppress(OSError):
                client.sendall(child.to_bytes(4))
            process = os.pidfd_open(child)
            running[process] = child, client
            events.register(process, selectors.EVENT_READ)
            events.register(client, selectors.EVENT_READ)

        def import_(*names: str) -> None:
            for name in names:
                # a failure is reported by the job, which fails in the same way
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
            for module in list(sys.modules.values()):
                path = getattr(module, "__file__", None)
                if path and path not in imported:
                    imported[path] = _modified(path)

        def end(process: int) -> None:
            child, client = running.pop(process)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            with contextlib.suppress(OSError):
                client.sendall((code if code >= 0 else 128 - code).to_bytes(4))
            for each in (process, client):
                with contextlib.suppress(KeyError):
                    events.unregister(each)
            os.close(process)
            client.close()
            with contextlib.suppress(OSError, ValueError):
                import_(*json.loads(Path(folder, str(child)).read_bytes()))

        events.register(listener, selectors.EVENT_READ)
        events.register(alive, selectors.EVENT_READ)
        while running or alive in events.get_map():
            for key, _ in events.select():
                if key.fileobj is listener:
                    with contextlib.suppress(OSError, ValueError):
                        start(listener.accept()[0])
                elif key.fileobj == alive:
                    events.unregister(alive)
                    events.unregister(listener)
                    shutil.rmtree(folder, ignore_errors=True)
                elif key.fileobj in running:
                    end(key.fileobj)
                elif key.fileobj.fileno() >= 0:  # the client was killed, and its job still runs
                    events.unregister(key.fileobj)
                    for child, client in running.values():
                        if client is key.fileobj:
                            os.kill(child, signal.SIGKILL)


def _changed(imported: dict[str, int]) -> bool:
    return any(_modified(path) != time for path, time in imported.items())


def _modified(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _become(
    run: Callable[..., Any],
    arguments: list[str],
    here: str,
    environment: dict[str, str],
    descriptors: list[int],
    folder: str,
) -> NoReturn:
    """Run a job in this process, with another's folder, environment and streams, and exit.

    A job that succeeds reports the names of the modules that it has imported.
    """
    code, before = 1, set(sys.modules)
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(here)
        os.environ.clear()
        os.environ.update(environment)
        run(arguments)
        code = 0
        if more := [name for name in sys.modules if name not in before]:
            Path(folder, str(os.getpid())).write_text(json.dumps(more))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    from hycon.stages.__main__ import main

    _, folder, listener, alive = sys.argv
    serve(folder, socket.socket(fileno=int(listener)), int(alive), main)
