"""Stages in separate processes, which start quickly and can be killed at any moment."""

import contextlib
import ctypes
import io
import multiprocessing
import os
import resource
import signal
import sys
import time
from importlib import import_module

# modules that take long to import; a child is forked from a process that has imported them
PRELOADED = ("hycon.stages.train", "hycon.stages.tune_row", "transformers", "sklearn.manifold",
             "mmsdk", "hycon.stages.figures", "hycon.stages.report",
             "hycon.reporting.differences")  # fmt: skip
CAPABILITIES = 0x20080522  # version of the structures of the system call
READ_AND_WRITE_ALL = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class Stage:
    """A stage that runs in a folder, like `python -m hycon.stages NAME`."""

    def __init__(self, folder, name, document, **limits):
        """Args:
        folder: folder in which the stage runs.
        name, document: name of the stage, and its job as JSON.
        limits: `largest`, the maximum size of a file in bytes, to simulate a full disk;
            `permitted`, whether permissions apply to root too; `at_once`, whether training writes
            a checkpoint after every step.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(PRELOADED))
        self.said, says = context.Pipe(duplex=False)
        ready, is_ready = context.Pipe(duplex=False)
        given = (str(folder), name, document, limits, says, is_ready)
        self.process = context.Process(target=_child, args=given)
        self.process.start()
        says.close()
        is_ready.close()
        ready.recv()
        self.began = time.monotonic()

    def wait(self, expected=0):
        """Wait until the stage ends; return its seconds and its output."""
        printed = b""
        while part := os.read(self.said.fileno(), 65536):
            printed += part
        self.process.join(timeout=120)
        assert self.process.exitcode == expected, (self.process.exitcode, printed.decode())
        return time.monotonic() - self.began, printed.decode()

    def signal_once(self, condition, which=signal.SIGKILL):
        """Send a signal as soon as a condition is true."""
        while not condition():
            assert self.process.is_alive()
            time.sleep(0.001)
        self.signal(0, which)

    def signal(self, seconds, which=signal.SIGKILL):
        """Send a signal after some seconds; return whether the stage was still running."""
        self.process.join(timeout=seconds)
        running = self.process.is_alive()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, which)
        self.process.join(timeout=120)
        return running


def _child(folder, name, document, limits, says, is_ready):
    os.chdir(folder)
    for descriptor in (1, 2):
        os.dup2(says.fileno(), descriptor)
    from hycon.stages.__main__ import main

    import_module(f"hycon.stages.{name}")
    if limits.get("at_once"):
        checkpoint = import_module("hycon.training.checkpoint")
        checkpoint.AFTER_EPOCH = checkpoint.WITHIN_EPOCH = 0.0
        checkpoint.SHARE = 1e9
    if largest := limits.get("largest"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    if limits.get("permitted"):
        _give_up_roots_rights()
    sys.stdin = io.TextIOWrapper(io.BytesIO(document.encode()))
    is_ready.send("ready")
    main([name, "--device", "cpu"])


def _give_up_roots_rights():
    library = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITIES, 0), (ctypes.c_uint32 * 6)()
    assert library.capget(header, sets) == 0
    for number in READ_AND_WRITE_ALL:
        sets[0] &= ~(1 << number)
    assert library.capset(header, sets) == 0
