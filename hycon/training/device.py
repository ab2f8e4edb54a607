"""Which device, how many threads, and which determinism."""

import os

import torch

from hycon.errors import HyConError


def pick_device(wanted: str) -> str:
    """Return the device to use; `auto` is a GPU if there is one.

    Raises:
        HyConError: the named GPU does not exist.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda"):
        number = int(wanted.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise HyConError(
                f"device: {wanted} requested, {torch.cuda.device_count()} GPUs found; "
                "use --config device=cpu, or auto"
            )
    return wanted


def set_threads(threads: int) -> None:
    """Set the number of threads, on which rounding depends, regardless of the environment."""
    torch.set_num_threads(threads)


def make_deterministic() -> None:
    """Ask torch for deterministic algorithms; an operation that has none raises."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling fresh memory guards against reading it before writing, and costs a tenth of a step
    torch.utils.deterministic.fill_uninitialized_memory = False
