"""Fetching: the first place that has an intact file, atomically, or one message on them all."""

import hashlib
import http.server
import threading

import h5py
import pytest

from hycon.corpus.fetch import fetch
from hycon.errors import HyConError


@pytest.fixture
def sequence(tmp_path):
    """Return a folder that holds words.csd, as a server would."""
    folder = tmp_path / "server" / "corpus"
    folder.mkdir(parents=True)
    with h5py.File(folder / "words.csd", "w") as file:
        file.create_group("root/data")
    return folder.parent


@pytest.fixture
def serve():
    """Return a function that serves given bytes with a status and returns the address."""
    servers = []

    def start(body, status=200, length=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()


def test_a_folder_a_file_address_and_a_server_all_give_the_same_bytes(sequence, serve, tmp_path):
    expected = (sequence / "corpus/words.csd").read_bytes()
    for number, place in enumerate((str(sequence), sequence.as_uri(), serve(expected))):
        target = tmp_path / f"got-{number}" / "words.csd"
        fetch("corpus/words.csd", [place], target, None)
        assert target.read_bytes() == expected


def test_the_next_place_is_asked_when_one_has_no_intact_file(sequence, serve, tmp_path):
    whole = (sequence / "corpus/words.csd").read_bytes()
    places = [
        str(tmp_path / "nowhere"),
        serve(b"gone", status=404),
        serve(b"<html>maintenance</html>"),
        serve(whole[:-100]),
        serve(whole, length=len(whole) + 50),
        "http://127.0.0.1:9",
        str(sequence),
    ]
    target = tmp_path / "words.csd"
    fetch("corpus/words.csd", places, target, hashlib.sha256(whole).hexdigest())
    assert target.read_bytes() == whole


def test_when_no_place_has_it_each_is_named_with_its_reason_and_nothing_is_left(
    sequence, serve, tmp_path
):
    target = tmp_path / "raw" / "words.csd"
    places = [str(tmp_path / "nowhere"), serve(b"<html>"), "ftp://old.example.org", str(sequence)]
    with pytest.raises(HyConError) as caught:
        fetch("corpus/words.csd", places, target, "0" * 64)
    message = str(caught.value)
    for part in ("nowhere/corpus/words.csd (no such file)", "not an address that can be fetched",
                 f"expected {'0' * 64}", "--config mirror=FOLDER", str(target)):  # fmt: skip
        assert part in message
    assert not list(target.parent.iterdir())


def test_what_is_no_computational_sequence_is_refused(serve, tmp_path):
    with pytest.raises(HyConError, match="is not a computational sequence, or is cut short"):
        fetch("words.csd", [serve(b"<html>error</html>")], tmp_path / "words.csd", None)
    with pytest.raises(HyConError, match="is not JSON"):
        fetch("folds.json", [serve(b"<html>error</html>")], tmp_path / "folds.json", None)


def test_a_failed_fetch_leaves_an_older_file_alone(tmp_path):
    target = tmp_path / "words.csd"
    target.write_bytes(b"older")
    with pytest.raises(HyConError):
        fetch("words.csd", [str(tmp_path / "nowhere")], target, None)
    assert target.read_bytes() == b"older"
