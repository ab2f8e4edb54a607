"""Choice of device, number of threads, and determinism."""

import os

import torch

from hycon.errors import HyConError


def pick_device(wanted: str) -> str:
    """Return the name of the torch device to use.

    Args:
        wanted: cpu, cuda, cuda:N, or auto, which is a GPU if there is one.

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
    """Set the number of CPU threads explicitly, because rounding depends on it."""
    torch.set_num_threads(threads)


def make_deterministic() -> None:
    """Make torch use deterministic algorithms; operations without one raise RuntimeError."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling new memory only matters if it is read before it is written, and takes 10% of a step
    torch.utils.deterministic.fill_uninitialized_memory = False
