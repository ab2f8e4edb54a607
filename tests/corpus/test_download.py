"""Downloading: from servers that stumble, with patience within bounds; parts are resumed.

What the servers were asked and what they sent is asserted.
"""

import gzip
import itertools
import json
import signal
import subprocess
import sys
import time
from email.utils import formatdate

import pytest

from hycon.corpus import download, transfer
from hycon.corpus.download import Patience
from hycon.corpus.fetch import fetch
from hycon.errors import HyConError
from tests.corpus.servers import DROP, PAGE, digest, get, part_of, refusal, sequence

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


@pytest.mark.parametrize(
    "wait",
    ["7", formatdate(time.time() + 3600, usegmt=True), "soon"],
    ids=["seconds", "date", "no"],
)
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
