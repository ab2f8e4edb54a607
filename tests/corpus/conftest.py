"""Files to fetch, servers that have them, and where they go."""

import pytest

from tests.corpus.servers import Server, sequence


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """Reach the servers of this machine without the proxy that it may be set to use."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def whole(tmp_path):
    return sequence(tmp_path / "made.csd")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "raw" / "words.csd"


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "manifest.json"


@pytest.fixture
def serve():
    """Return a function that starts a `Server`."""
    servers = []

    def start(*given, **named):
        servers.append(Server(*given, **named))
        return servers[-1]

    yield start
    for server in servers:
        server.server.shutdown()
        server.server.server_close()
