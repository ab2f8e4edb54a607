"""Checkpoints: the state of a run, resumed only from a complete file of the same run.

A checkpoint is one safetensors file, replaced atomically. Its header has the rest of the state as
JSON, the provenance of the run, and a digest over everything.
"""

import hashlib
import json
import logging
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hycon.atomic_io import atomic_folder, beside
from hycon.errors import Terminated

log = logging.getLogger("hycon")

AFTER_EPOCH = 1.0  # seconds since the last checkpoint for the end of an epoch to make another
WITHIN_EPOCH = 60.0  # the same for a step
SHARE = 0.03  # of the time that writing takes at most


class State(NamedTuple):
    """The state of a run: tensors by name, and the rest as JSON."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def group(self, name: str) -> dict[str, Tensor]:
        """Return the tensors that were `named` so, under their own names."""
        return {
            key.removeprefix(f"{name}."): value
            for key, value in self.tensors.items()
            if key.startswith(f"{name}.")
        }


def named(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors under names with their prefixes."""
    return {f"{group}.{name}": value for name, value in tensors.items()}


class Checkpoint:
    """The checkpoint of one run: when it is due, how it is written, whether it can be read."""

    def __init__(self, path: Path, provenance: dict[str, Any]) -> None:
        """Args:
        path: of the file, which has a folder of its own.
        provenance: all that the run's bits depend on, as JSON: a checkpoint with another
            provenance is not resumed.
        """
        self.path, self.provenance = path, provenance
        self.started = datetime.now(UTC)
        self.resumed = 0  # how often the run was resumed
        self._before = 0.0  # seconds that it took before
        self._begun = self._last = time.monotonic()
        self._cost = 0.0  # seconds that the last writing took

    @property
    def seconds(self) -> float:
        """How long the run took, all sittings together, up to now."""
        return self._before + time.monotonic() - self._begun

    def within_epoch(self, state: Callable[[], State]) -> None:
        """Write a checkpoint if the last one is long ago, or if the process was asked to end.

        Raises:
            Terminated: the latter.
        """
        if asked_to_end():
            self.save(state())
            raise Terminated(f"{self.path}: kept; the next run resumes from there")
        if self._is_due(WITHIN_EPOCH):
            self.save(state())

    def after_epoch(self, state: Callable[[], State]) -> None:
        """Write a checkpoint, unless there was one just now."""
        if self._is_due(AFTER_EPOCH):
            self.save(state())

    def _is_due(self, pause: float) -> bool:
        return time.monotonic() - self._last >= max(pause, self._cost / SHARE)

    def save(self, state: State) -> None:
        """Replace the file."""
        began = time.monotonic()
        run = {
            "started": self.started.isoformat(),
            "seconds": self.seconds,
            "resumed": self.resumed,
        }
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.tensors.items()}
        texts = {
            "provenance": json.dumps(self.provenance),
            "run": json.dumps(run),
            "values": json.dumps(state.values),
        }
        # in its own folder, which is cleared: a killed safetensors leaves a temporary file
        with atomic_folder(self.path.parent) as folder:
            file = folder / self.path.name
            save_file(tensors, file, {**texts, "sha256": _digest(tensors, texts)})
        self._last = time.monotonic()
        self._cost = self._last - began

    def load(self) -> State | None:
        """Return the state to resume from, or None; warns if a checkpoint is ignored."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                texts = dict(file.metadata() or {})
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if texts.pop("sha256", None) != _digest(tensors, texts):
                raise ValueError("its digest is another")
            provenance, run, values = (
                json.loads(texts[key]) for key in ("provenance", "run", "values")
            )
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s: damaged (%s); training starts over", self.path, error)
            return None
        if others := [
            key for key in self.provenance if provenance.get(key) != self.provenance[key]
        ]:
            log.warning("%s: of other %s; training starts over", self.path, ", ".join(others))
            return None
        self.started = datetime.fromisoformat(run["started"])
        self.resumed = run["resumed"] + 1
        self._before = run["seconds"]
        epochs = len(values["history"])
        log.info("%s: resumed after %d epochs", self.path, epochs)
        return State(tensors, values)

    def delete(self) -> None:
        """Delete the file, its folder, and temporary files of a killed process."""
        for folder in (self.path.parent, beside(self.path.parent)):
            shutil.rmtree(folder, ignore_errors=True)


def _digest(tensors: dict[str, Tensor], texts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for key in sorted(texts):
        digest.update(f"{key}\0{texts[key]}\0".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


_asked = False


def asked_to_end() -> bool:
    """Return whether SIGTERM has come within `ending_on_request`."""
    return _asked


@contextmanager
def ending_on_request() -> Iterator[None]:
    """Let SIGTERM be a request, which `Checkpoint.within_epoch` heeds: Slurm's before it kills."""
    global _asked

    def note(*_) -> None:
        global _asked
        _asked = True

    _asked = False
    before = signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
