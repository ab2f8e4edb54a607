"""A real server on this machine that stumbles, lies and changes; and what is asked of it."""

import hashlib
import http.server
import random
import threading
import time
from types import SimpleNamespace

import h5py
import pytest

from hycon.corpus.download import Patience
from hycon.corpus.fetch import fetch
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
