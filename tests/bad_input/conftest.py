"""A whole corpus for all tests, and a place for each to break."""

import pytest

from tests.bad_input.miniature import make


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def place(whole, tmp_path):
    return whole.linked(tmp_path)
