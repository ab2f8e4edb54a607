"""Fetching: from servers that stumble, lie and change; resumed, checked, remembered, or one line.

The servers are real ones on this machine. What they were asked and what they sent is asserted.
"""

import gzip
import hashlib
import http.server
import itertools
import json
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import namedtuple
from email.utils import formatdate
from types import SimpleNamespace

import h5py
import pytest

from hycon.corpus import download, transfer
from hycon.corpus.download import Patience
from hycon.corpus.fetch import fetch
from hycon.corpus.manifest import Known, record, recorded
from hycon.errors import HyConError

QUICK = Patience(attempts=3, pause=0.01, longest_pause=0.02, connect=1.0, read=1.0)
PAGE = b"<!DOCTYPE html>\n<html><body>Down for maintenance</body></html>"
DROP = 300_000  # bytes after which a connection breaks


def digest(body):
    return hashlib.sha256(body).hexdigest()


def sequence(path, seed=0):
    """Return the bytes of a computational sequence of about 600 kB."""
    with h5py.File(path, "w") as file:
        file["root/data/video"] = list(random.Random(seed).randbytes(600_000))[::8]
    return path.read_bytes()


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


class Server:
    """A server of one file. Each answer takes the next of `faults`; without one it is right.

    A fault may name: status, headers, body (in place of the right one), length (declared, None for
    none), stop (bytes of this answer after which the connection ends), hold (seconds of silence
    after that) and span (bytes of a range that are given at a time). `log` holds what each request
    asked, and how many bytes went out.
    """

    def __init__(self, body, faults=(), etag='"1"', ranges=True):
        self.body, self.faults, self.etag, self.ranges = body, iter(faults), etag, ranges
        self.log = []
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                served.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None
        self.address = f"http://127.0.0.1:{self.server.server_port}/words.csd"
        # by polls of 10 ms, so that stopping it takes no longer
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        asked = request.headers
        seen = SimpleNamespace(headers=asked, range=asked["Range"], sent=0)
        self.log.append(seen)
        fault = next(self.faults, {})
        status, start, headers = 200, 0, {}
        if self.ranges and asked["Range"] and asked["If-Range"] in (None, self.etag):
            start = int(asked["Range"].removeprefix("bytes=").removesuffix("-"))
            end, total = min(len(self.body), start + fault.get("span", 10**9)) - 1, len(self.body)
            status = 206 if start <= end else 416
            span = f"{start}-{end}" if status == 206 else "*"
            headers["Content-Range"] = f"bytes {span}/{total}"
        if self.etag:
            headers["ETag"] = self.etag
        end = start + fault["span"] if "span" in fault and start else None
        body = fault.get("body", self.body[start:end])
        length = fault.get("length", len(body))
        if length is not None:
            headers["Content-Length"] = str(length)
        request.send_response(fault.get("status", status))
        for name, value in (headers | fault.get("headers", {})).items():
            request.send_header(name, value)
        request.end_headers()
        body = body[: fault.get("stop")]
        request.wfile.write(body)
        request.wfile.flush()
        seen.sent = len(body)
        if fault.get("hold"):
            time.sleep(fault["hold"])
        request.close_connection = "stop" in fault or "length" in fault


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


def get(target, *places, **named):
    addresses = [place.address if isinstance(place, Server) else str(place) for place in places]
    return fetch(target, addresses, patience=QUICK, **named)


def refusal(*given, **named):
    with pytest.raises(HyConError) as caught:
        get(*given, **named)
    message = str(caught.value)
    assert "\n" not in message
    return message


def part_of(target):
    return target.with_name(f"{target.name}.part")


# places


def test_a_folder_a_file_address_and_a_server_all_give_the_same_bytes(whole, serve, tmp_path):
    made = tmp_path / "made it 100%.csd"
    made.write_bytes(whole)
    for number, place in enumerate((made, made.as_uri(), serve(whole))):
        target = tmp_path / f"got-{number}" / "words.csd"
        assert get(target, place) == digest(whole)
        assert target.read_bytes() == whole
        assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_the_next_place_is_asked_when_one_has_no_intact_file(whole, serve, target, tmp_path):
    (tmp_path / "short.csd").write_bytes(whole[:-100])
    servers = [
        serve(b"", itertools.repeat({"status": 404, "body": b"gone"})),
        serve(PAGE),
        serve(whole[:-100]),
        serve(whole, itertools.repeat({"length": len(whole) + 50}), ranges=False),
        serve(b""),
        serve(whole),
    ]
    places = [tmp_path / "nowhere", tmp_path / "short.csd", "http://127.0.0.1:9/x", *servers]
    get(target, *places, sha256=digest(whole))
    assert target.read_bytes() == whole
    # the last two are asked for the rest first: another length was claimed of what came
    assert [len(server.log) for server in servers] == [1, 1, 1, 3, 2, 2]


def test_when_no_place_has_it_each_is_named_with_its_reason_and_nothing_is_left(
    whole, serve, target, tmp_path
):
    gone = serve(b"", itertools.repeat({"status": 404}))
    page, other = serve(PAGE), serve(whole)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    closed = f"http://127.0.0.1:{port}/x"
    places = [tmp_path / "nowhere", gone, page, "ftp://old.example.org/x", other, closed]
    message = refusal(target, *places, sha256="0" * 64, size=len(whole))
    found = f"found sha256 {digest(whole)} ({len(whole)} bytes), expected sha256 {'0' * 64}"
    for part in (
        f"{target}: could not be fetched: {tmp_path}/nowhere (no such file); ",
        f"{gone.address} (status 404)",
        f"{page.address} (is an HTML page, not the file)",
        "ftp://old.example.org/x (ftp://old.example.org is not an address that can be fetched)",
        f"{other.address} ({found} ({len(whole)} bytes) by corpora.yaml)",
        f"{closed} (Connection refused, 2 times)",
        "If another version is meant, change sha256 in corpora.yaml.",
        f"Put the file there by hand (words.csd, sha256 {'0' * 64} ({len(whole)} bytes)), or name "
        "a folder or an address that holds it: --config mirror=FOLDER",
    ):
        assert part in message
    assert not list(target.parent.iterdir())


def test_a_failed_fetch_leaves_an_older_file_alone_and_one_that_succeeds_replaces_it(
    whole, serve, target
):
    target.parent.mkdir()
    target.write_bytes(b"older")
    refusal(target, "nowhere")
    assert target.read_bytes() == b"older"
    get(target, serve(whole))
    assert target.read_bytes() == whole


def test_redirects_are_followed_among_servers_and_nowhere_else(whole, serve, target, tmp_path):
    (tmp_path / "secret.csd").write_bytes(whole)
    there = serve(whole)

    def moved(location):
        return serve(b"", itertools.repeat({"status": 302, "headers": {"Location": location}}))

    message = refusal(target, moved(f"file://{tmp_path}/secret.csd"), moved("http://["))
    assert "(redirects from http: to file:, which is not followed)" in message
    assert "(redirects to what is no address)" in message
    assert "(redirects more than 10 times)" in refusal(target, moved("/again"))
    with pytest.raises(transfer.Refused, match="from https: to http:, which is not followed"):
        download._redirected("https://a.example.org/x", "http://a.example.org/x")
    get(target, moved(there.address))
    assert target.read_bytes() == whole


def test_no_name_is_taken_from_a_server_and_a_password_is_told_to_nobody(
    whole, serve, target, manifest
):
    named = {"headers": {"Content-Disposition": 'attachment; filename="../evil"'}}
    server = serve(whole, [{"status": 404}, named])
    address = server.address.replace("http://", "http://me:secret@")
    said = []
    message = refusal(target, address)
    get(target, address, manifest=manifest, corpus="mosi", say=said.append)
    assert "secret" not in f"{message} {said} {manifest.read_text()}"
    assert server.log[1].headers["Authorization"]
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]
    assert recorded(manifest, "mosi", "words.csd").source == server.address


# formats


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("words.csd", PAGE, "is an HTML page, not the file"),
        ("words.csd", b"", "is empty"),
        ("words.csd", b"\x89HDF\r\n\x1a\n", "is not a computational sequence, or is cut short"),
        ("words.hdf5", b"not it", "is not a computational sequence, or is cut short"),
        ("folds.json", b" \n" + PAGE, "is an HTML page, not the file"),
        ("folds.json", b'{"train": [', "is not JSON, or is cut short"),
        ("folds.json", b"[" * 100_000, "is not JSON, or is cut short"),
        ("features.pkl", PAGE, "is an HTML page, not the file"),
        ("features.pkl", b"\x80\x04\x95\x10", "is not a pickle, or is cut short"),
        ("features.pkl", b"Not found.", "is not a pickle, or is cut short"),
    ],
)
def test_what_is_not_of_its_format_is_refused_wherever_it_is(
    name, body, reason, serve, tmp_path, manifest
):
    assert f"({reason})" in refusal(tmp_path / "raw" / name, serve(body))
    there = tmp_path / name
    there.write_bytes(body)
    message = refusal(there, manifest=manifest, corpus="mosi")
    again = "delete or move the file to have it fetched again"
    assert message == f"{there}: {reason}; {again}"
    assert there.read_bytes() == body
    assert not manifest.exists()


class Trap:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", [Trap(), {"train": [Trap()]}, [1]])
def test_a_pickle_is_looked_at_and_never_opened(protocol, content, serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    get(tmp_path / "features.pkl", serve(pickle.dumps(content, protocol)))
    assert not (tmp_path / "unpickled").exists()


def test_a_sequence_whose_data_lie_in_another_file_is_refused(whole, target, tmp_path):
    with h5py.File(tmp_path / "link.csd", "w") as file:
        file["root"] = h5py.ExternalLink(tmp_path / "made.csd", "/root")
    assert "is not a computational sequence" in refusal(target, tmp_path / "link.csd")


# servers that stumble


def test_a_broken_download_goes_on_where_it_broke_off(whole, serve, target):
    server = serve(whole, [{"stop": DROP}])
    get(target, server)
    first, second = server.log
    start = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert DROP - download.PIECE < start <= DROP
    assert second.headers["If-Range"] == '"1"'
    assert first.headers["Accept-Encoding"] == "identity"
    assert second.sent == len(whole) - start
    assert target.read_bytes() == whole
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(whole, serve, target):
    server = serve(whole, [{"stop": DROP}, {"status": 503}, {"status": 500}])
    message = refusal(target, server)
    kept = part_of(target).stat().st_size
    assert f"{kept / 1000:.3g} kB of it are kept in words.csd.part for the next run" in message
    side = json.loads(target.with_name("words.csd.part.json").read_text())
    assert side == {"address": server.address, "validator": '"1"', "total": len(whole)}
    get(target, server)
    assert server.log[-1].range == f"bytes={kept}-"
    assert server.log[-1].sent == len(whole) - kept
    assert target.read_bytes() == whole


CALL = """
import sys
from pathlib import Path
from hycon.corpus.fetch import fetch
fetch(Path(sys.argv[1]), [sys.argv[2]])
"""


def test_a_download_that_was_killed_goes_on(whole, serve, target):
    server = serve(whole, [{"stop": DROP, "hold": 20}])
    process = subprocess.Popen([sys.executable, "-c", CALL, str(target), server.address])
    deadline = time.monotonic() + 10
    while transfer.length(part_of(target)) < DROP - download.PIECE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part_of(target).stat().st_size
    assert kept < len(whole)
    get(target, server)
    assert [request.range for request in server.log] == [None, f"bytes={kept}-"]
    assert server.log[-1].sent == len(whole) - kept
    assert target.read_bytes() == whole
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_a_part_that_is_whole_is_taken_without_asking_for_more(whole, serve, target, monkeypatch):
    server = serve(whole)
    monkeypatch.setattr("hycon.corpus.fetch._verify", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get(target, server)
    monkeypatch.undo()
    get(target, server)
    assert len(server.log) == 1
    assert target.read_bytes() == whole


def test_a_server_that_ignores_ranges_starts_over(whole, serve, target):
    server = serve(whole, [{"stop": DROP}], ranges=False)
    get(target, server)
    assert server.log[1].range
    assert server.log[1].sent == len(whole)
    assert target.read_bytes() == whole


def test_a_file_that_changed_meanwhile_starts_over(whole, serve, target, tmp_path):
    server = serve(whole, [{"stop": DROP}, *[{"status": 503}] * 2])
    refusal(target, server)
    server.body, server.etag = sequence(tmp_path / "new.csd", seed=1), '"2"'
    get(target, server)
    assert server.log[-1].headers["If-Range"] == '"1"'
    assert target.read_bytes() == server.body != whole


@pytest.mark.parametrize("etag", [None, 'W/"1"'])
def test_without_a_mark_of_its_version_a_part_is_continued_only_if_the_digest_is_known(
    whole, serve, target, etag
):
    fresh = serve(whole, [{"stop": DROP}], etag=etag)
    get(target, fresh)
    assert [request.sent for request in fresh.log] == [DROP, len(whole)]
    known = serve(whole, [{"stop": DROP}], etag=etag)
    get(target, known, sha256=digest(whole))
    assert known.log[1].headers["If-Range"] is None
    assert known.log[1].sent < len(whole) - DROP + download.PIECE


def test_a_date_marks_a_version_where_there_is_no_strong_etag(whole, serve, target):
    date = formatdate(0, usegmt=True)
    fault = {"stop": DROP, "headers": {"Last-Modified": date}}
    server = serve(whole, [fault], etag='W/"1"')
    get(target, server)
    assert server.log[1].headers["If-Range"] == date


def test_another_place_continues_a_part_if_the_digest_is_known(whole, serve, target):
    first, second = (serve(whole, [{"stop": DROP}, *[{"status": 503}] * 2]), serve(whole))
    get(target, first, second, sha256=digest(whole))
    assert second.log[0].sent < len(whole) - DROP + download.PIECE
    assert second.log[0].headers["If-Range"] is None
    assert target.read_bytes() == whole


def test_another_place_starts_from_the_beginning_if_no_digest_is_known(whole, serve, target):
    first, second = (serve(whole, [{"stop": DROP}, *[{"status": 503}] * 2]), serve(whole))
    get(target, first, second)
    assert [request.range for request in second.log] == [None]
    assert target.read_bytes() == whole


@pytest.mark.parametrize("left", [b"damaged", b"x" * 700_000, None])
def test_a_bad_part_costs_one_more_download_and_poisons_nothing(whole, serve, target, left):
    target.parent.mkdir()
    # None: as long as the file
    part_of(target).write_bytes(left or b"x" * len(whole))
    server = serve(whole)
    get(target, server, sha256=digest(whole))
    assert server.log[-1].range is None
    assert server.log[-1].sent == len(whole)
    assert target.read_bytes() == whole


def test_a_page_in_place_of_the_rest_leaves_what_came(whole, serve, target):
    server = serve(whole, [{"stop": DROP}, {"status": 200, "body": PAGE}])
    message = refusal(target, server)
    kept = part_of(target).stat().st_size
    assert f"{server.address} (is an HTML page, not the file)" in message
    get(target, server)
    assert server.log[-1].sent == len(whole) - kept


def test_an_answer_that_goes_on_elsewhere_is_not_appended(whole, serve, target):
    strange = {"status": 206, "headers": {"Content-Range": f"bytes 5-9/{len(whole)}"}}
    server = serve(whole, [{"stop": DROP}, strange])
    get(target, server)
    assert [bool(request.range) for request in server.log] == [False, True, False]
    assert target.read_bytes() == whole


def test_a_server_that_claims_too_much_is_believed_once_nothing_more_is_there(whole, serve, target):
    server = serve(whole, [{"length": len(whole) + 50}])
    part = part_of(target)
    get(target, server)
    assert server.log[1].range
    assert target.read_bytes() == whole
    assert not part.exists()


def test_a_server_that_claims_too_little_has_no_intact_file(whole, serve, target):
    server = serve(whole, itertools.repeat({"length": len(whole) - 50}))
    assert "(is not a computational sequence, or is cut short)" in refusal(target, server)
    assert len(server.log) == 1
    assert not list(target.parent.iterdir())


def test_another_length_than_expected_is_refused_before_anything_comes(whole, serve, target):
    message = refusal(target, serve(whole), size=5)
    assert f"(offers {len(whole)} bytes, expected 5)" in message
    assert "change size in corpora.yaml" in message


def test_a_compressed_answer_is_taken_and_not_continued(whole, serve, target):
    packed = {"body": gzip.compress(whole), "headers": {"Content-Encoding": "gzip"}}
    server = serve(whole, [packed | {"stop": 50_000}, packed])
    get(target, server)
    assert [request.range for request in server.log] == [None, None]
    assert target.read_bytes() == whole


# patience


def test_a_server_that_is_overloaded_is_asked_again(whole, serve, target):
    server = serve(whole, [{"status": 503}, {"status": 408}])
    said = []
    get(target, server, say=said.append)
    assert len(server.log) == 3
    assert f"{server.address}: status 503; again in 0 s" in said


@pytest.mark.parametrize("wait", ["7", formatdate(time.time() + 3600, usegmt=True), "soon"])
def test_a_server_may_ask_for_a_minute_and_no_more(whole, serve, target, wait, monkeypatch):
    slept = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    server = serve(whole, [{"status": 429, "headers": {"Retry-After": wait}}])
    if wait.endswith("GMT"):
        message = refusal(target, server)
        assert "(status 429, asks to come back in 3" in message
        assert slept == []
        return
    get(target, server)
    assert slept == [7.0] if wait == "7" else slept[0] < 0.1
    assert len(server.log) == 2


def test_pauses_double_up_to_a_bound(whole, serve, target, monkeypatch):
    slept = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    server = serve(whole, itertools.repeat({"status": 500}))
    with pytest.raises(HyConError, match=r"status 500, 7 times"):
        fetch(target, [server.address], patience=Patience(attempts=7))
    for pause, least in zip(slept, [1, 2, 4, 8, 16, 30], strict=True):
        assert least <= pause <= 1.25 * least


def test_a_silent_server_is_given_up_and_asked_again(whole, serve, target):
    server = serve(whole, [{"stop": DROP, "hold": 0.8}])
    patience = Patience(attempts=2, pause=0.01, read=0.2)
    said = []
    fetch(target, [server.address], say=said.append, patience=patience)
    assert f"{server.address}: broke off (nothing came for 0.2 s); again in 0 s" in said
    assert server.log[1].sent < len(whole) - DROP + download.PIECE
    assert target.read_bytes() == whole


def test_attempts_that_make_progress_do_not_count(whole, serve, target):
    server = serve(whole, itertools.repeat({"stop": 100_000}, 100))
    patience = Patience(attempts=2, pause=0.0)
    fetch(target, [server.address], patience=patience)
    assert len(server.log) > 5
    assert target.read_bytes() == whole


def test_a_server_that_sends_a_byte_each_time_keeps_nobody_for_ever(whole, serve, target):
    server = serve(whole, itertools.chain([{"stop": DROP}], itertools.repeat({"span": 1})))
    message = refusal(target, server)
    kept = part_of(target).stat().st_size
    assert f"({kept} of {len(whole)} bytes came, 3 times)" in message
    assert [request.sent for request in server.log] == [DROP, 1, 1]


def test_a_file_that_comes_in_spans_is_put_together(whole, serve, target):
    get(target, serve(whole, [{"stop": DROP}, *[{"span": 50_000}] * 10]))
    assert target.read_bytes() == whole


def test_without_a_declared_length_no_more_is_taken_than_expected(whole, serve, target):
    body = whole + bytes(10**6)
    server = serve(body, itertools.repeat({"length": None}))
    message = refusal(target, server, size=len(whole))
    assert f"(sends more than the expected {len(whole)} bytes)" in message
    assert not list(target.parent.iterdir())
    get(target, serve(whole, [{"length": None}]), size=len(whole))
    assert target.read_bytes() == whole


def test_bytes_that_came_before_are_no_progress(whole, serve, target):
    server = serve(whole, itertools.repeat({"stop": DROP}), ranges=False)
    refusal(target, server)
    # the first attempt counts, since it broke off, too
    assert len(server.log) == 3


# what is there


def test_no_place_is_asked_when_the_file_is_there(whole, serve, target, manifest):
    server = serve(whole)
    named = {"manifest": manifest, "corpus": "mosi"}
    get(target, server, **named)
    assert len(server.log) == 1
    written = manifest.stat()
    assert get(target, server, **named) == digest(whole)
    assert len(server.log) == 1
    assert manifest.stat() == written
    known = Known(digest(whole), len(whole), server.address)
    assert recorded(manifest, "mosi", "words.csd") == known


def test_a_file_put_there_by_hand_is_checked_and_remembered(whole, serve, target, manifest):
    target.parent.mkdir()
    target.write_bytes(whole)
    server = serve(whole)
    named = {"sha256": digest(whole), "manifest": manifest, "corpus": "mosi"}
    assert get(target, server, **named) == digest(whole)
    assert server.log == []
    known = Known(digest(whole), len(whole), "put there by hand")
    assert recorded(manifest, "mosi", "words.csd") == known
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_another_file_than_the_catalogue_names_is_refused_with_both_digests(
    whole, serve, target, manifest
):
    target.parent.mkdir()
    target.write_bytes(whole)
    server = serve(whole)
    named = {"sha256": "0" * 64, "size": 5, "manifest": manifest, "corpus": "mosi"}
    assert refusal(target, server, **named) == (
        f"{target}: found sha256 {digest(whole)} ({len(whole)} bytes), expected sha256 {'0' * 64} "
        "(5 bytes) by corpora.yaml; delete or move the file to have it fetched again; if another "
        "version is meant, change sha256 in corpora.yaml"
    )
    assert server.log == []
    assert target.read_bytes() == whole
    assert not manifest.exists()


def test_another_file_than_the_manifest_remembers_is_refused_with_its_source(
    whole, serve, target, manifest, tmp_path
):
    server = serve(whole)
    named = {"manifest": manifest, "corpus": "mosi"}
    get(target, server, **named)
    other = sequence(tmp_path / "other.csd", seed=1)
    target.write_bytes(other)
    expected = f"sha256 {digest(whole)} ({len(whole)} bytes) by {manifest} (from {server.address})"
    remedy = f"if another version is meant, take mosi/words.csd out of {manifest}"
    message = refusal(target, server, **named)
    assert f"found sha256 {digest(other)} ({len(other)} bytes), expected {expected}; " in message
    assert message.endswith(remedy)
    target.unlink()
    server.body = other
    message = refusal(target, server, **named)
    assert f"{server.address} (found sha256 {digest(other)}" in message
    assert remedy[1:] in message
    assert not list(target.parent.iterdir())


def test_the_catalogue_has_the_last_word_and_the_manifest_follows(whole, serve, target, manifest):
    record(manifest, "mosi", "words.csd", Known("0" * 64, 5, "http://example.org"))
    server = serve(whole)
    get(target, server, sha256=digest(whole), manifest=manifest, corpus="mosi")
    known = Known(digest(whole), len(whole), server.address)
    assert recorded(manifest, "mosi", "words.csd") == known


def test_a_manifest_that_cannot_be_read_stops_before_anything_is_asked(
    whole, serve, target, manifest
):
    manifest.write_text("{")
    server = serve(whole)
    assert refusal(target, server, manifest=manifest).startswith(f"{manifest}: not valid JSON")
    assert server.log == []


def test_a_folder_where_the_file_should_be_is_named(target, manifest):
    target.mkdir(parents=True)
    assert refusal(target, manifest=manifest) == (
        f"{target}: is not a file; delete or move it to have it fetched"
    )


def test_of_two_who_fetch_the_same_file_one_waits_and_takes_it(whole, serve, target, manifest):
    server = serve(whole, [{"stop": DROP, "hold": 0.3}])
    digests, said = [], []

    def run():
        named = {"manifest": manifest, "corpus": "mosi", "say": said.append}
        digests.append(get(target, server, **named))

    both = [threading.Thread(target=run) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert digests == [digest(whole)] * 2
    assert f"{target}: waits for another process that fetches it" in said
    assert len(server.log) == 2
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


# room and progress


def test_too_small_a_disk_is_told_before_anything_is_written(
    whole, serve, target, tmp_path, monkeypatch
):
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 2000, 2000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
    needs = f"needs {len(whole) / 1000:.3g} kB, 2 kB free at {target.parent}; make room there"
    assert refusal(target, serve(whole)) == f"{part_of(target)}: {needs}"
    assert refusal(target, tmp_path / "made.csd") == f"{target}.copy: {needs}"
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("place", ["server", "folder"])
def test_a_disk_that_is_full_is_not_the_places_fault(whole, serve, target, place, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    target.parent.mkdir()
    for suffix in (".part", ".copy"):
        target.with_name(f"words.csd{suffix}").symlink_to("/dev/full")
    monkeypatch.setattr("hycon.corpus.download.discard", lambda _: None)
    source = serve(whole) if place == "server" else target.parent.parent / "made.csd"
    message = refusal(target, source)
    assert "cannot be written (No space left on device); make room or give access" in message


def test_without_a_terminal_progress_is_a_line_that_starts_where_it_went_on(
    whole, serve, target, capsys, monkeypatch
):
    monkeypatch.setattr(transfer, "SECONDS_BETWEEN_LINES", 0.0)
    get(target, serve(whole, [{"stop": DROP}]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("words.csd:  1")
    assert "B/s" in lines[0]
    assert lines[-1].startswith("sha256 of words.csd: 100%")
