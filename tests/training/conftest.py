"""Deterministic algorithms and one thread for all tests of training."""

import pytest
import torch

from hycon.training.device import make_deterministic


@pytest.fixture(autouse=True)
def _deterministic():
    torch.set_num_threads(1)
    make_deterministic()
    yield
    torch.use_deterministic_algorithms(False)
