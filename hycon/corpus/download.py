"""Download over HTTP, with resumption and a limited number of retries."""

import http.client
import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from hycon.atomic_io import write_json
from hycon.corpus.formats import PAGE, is_page
from hycon.corpus.transfer import Differs, Refused, amount, check_room, length, shown, writing
from hycon.untrusted.safe_json import read_json

if TYPE_CHECKING:
    from requests import Response, Session

PIECE = 1 << 16  # bytes that an interrupted connection may lose
PROGRESS = 1 << 20  # bytes, or 1% of a smaller file: with less, an attempt got nowhere
HOPS = 10
# bytes of one file of unknown size; the largest of CMU-MOSEI has tens of GB
LARGEST = 200 * 10**9
# a compressed answer may become so many times its length, or 100 MB
EXPANSION, SMALL = 100, 100_000_000
# validators that may be sent back to a server: a strong ETag, a date
VALIDATORS = {"ETag": r'"[!#-~]{1,200}"', "Last-Modified": r"[A-Za-z0-9 ,:+-]{1,60}"}
REMEDY = "give the file's size in corpora.yaml if it is right"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Patience:
    """How often a place is asked, and how long it is waited for (seconds)."""

    attempts: int = 4  # in a row without progress
    pause: float = 1.0  # before the second attempt; doubles with each
    longest_pause: float = 30.0
    retry_after: float = 60.0  # the longest wait that a server may ask for
    connect: float = 10.0
    read: float = 60.0  # without a byte


PATIENCE = Patience()


class _Stumbled(Exception):
    """A temporary failure. `wait`: seconds requested by the server; `shut`: connection refused."""

    def __init__(self, reason: str, wait: float = 0.0, shut: bool = False) -> None:
        super().__init__(reason)
        self.wait, self.shut = wait, shut


@dataclass(frozen=True)
class _Wanted:
    address: str
    part: Path
    size: int | None
    anywhere: bool
    patience: Patience


@dataclass(frozen=True)
class _Kept:
    """A partial file: bytes so far, length of the whole file, and its version (ETag)."""

    size: int = 0
    total: int | None = None
    validator: str | None = None


def download(
    address: str,
    part: Path,
    size: int | None = None,
    anywhere: bool = False,
    say: Say = lambda _: None,
    patience: Patience = PATIENCE,
) -> None:
    """Download the file at an address to `part`, resuming if that is safe.

    It is safe if the partial file came from the same address and version, or if `anywhere` is set.
    `part`.json records the address and version. An interrupted connection leaves both files.

    Args:
        address: http:// or https://.
        part: the partial file.
        size: expected size in bytes, if known.
        anywhere: whether to resume bytes from any address, because a digest is checked later.
        say: receives a line of progress.
        patience: attempts, pauses and timeouts.

    Raises:
        Refused: this address does not work.
        HyConError: the disk is full or not writable.
    """
    import requests

    wanted = _Wanted(address, part, size, anywhere, patience)
    failures, mark = 0, length(part)
    with requests.Session() as session:
        # redirects are followed here: requests would read a redirect's whole body, however long
        session.resolve_redirects = lambda *_, **__: iter(())
        while True:
            try:
                return _attempt(session, wanted, say)
            except _Stumbled as trouble:
                progress = length(part) - mark
                if progress >= _enough(part):
                    failures, mark = 0, length(part)
                failures += 1
                if failures >= (min(2, patience.attempts) if trouble.shut else patience.attempts):
                    times = f", {failures} times" if failures > 1 else ""
                    raise Refused(f"{trouble}{times}") from None
                pause = min(patience.longest_pause, patience.pause * 2 ** (failures - 1))
                wait = max(trouble.wait, pause * random.uniform(1, 1.25))
                say(f"{bare(address)}: {trouble}; again in {wait:.0f} s")
            time.sleep(wait)


def discard(part: Path) -> None:
    """Remove a partial file and its record."""
    _side(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def bare(address: str) -> str:
    """Return an address without user and password."""
    return re.sub(r"^(https?://)[^/?#]*@", r"\1", address, flags=re.IGNORECASE)


def _attempt(session: "Session", wanted: _Wanted, say: Say) -> None:
    kept = _kept(wanted)
    if kept.size and kept.size == kept.total:
        return
    response = _ask(session, wanted, kept)
    if kept.size and response.status_code in (206, 416) and not _fits(response, kept):
        response.close()
        kept = _Kept()
        response = _ask(session, wanted, kept)
    with response:
        if kept.size and response.status_code == 416:
            return
        if kept.size and response.status_code == 206:
            say(f"{bare(wanted.address)}: resumed after {amount(kept.size)}")
            _receive(response, wanted, replace(kept, total=kept.total or _range(response)[1]))
        elif response.status_code == 200:
            _receive(response, wanted, _new(response))
        else:
            raise _trouble_of_status(response, wanted.patience)


def _kept(wanted: _Wanted) -> _Kept:
    """Return the partial file, or None if resuming it is not safe."""
    size = length(wanted.part)
    address, validator, total = _remembered(wanted.part)
    if address != bare(wanted.address):
        validator = None
    return _Kept(size, total, validator) if validator or wanted.anywhere else _Kept()


def _remembered(part: Path) -> tuple[str | None, str | None, int | None]:
    """Return which address a part came from, the mark of its version and the whole's length."""
    try:
        side = read_json(_side(part))
        address, validator, total = side["address"], side["validator"], side["total"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None, None
    marked = isinstance(validator, str) and any(
        re.fullmatch(form, validator) for form in VALIDATORS.values()
    )
    return address, validator if marked else None, total if type(total) is int else None


def _new(response: "Response") -> _Kept:
    """Return size and version of a file from the response headers."""
    if response.headers.get("Content-Encoding", "identity") != "identity":
        return _Kept()  # lengths and versions are those of the compressed file
    text = response.headers.get("Content-Length", "")
    total = int(text) if re.fullmatch("[0-9]{1,18}", text) else None
    found = ((response.headers.get(name, ""), form) for name, form in VALIDATORS.items())
    validator = next((value for value, form in found if re.fullmatch(form, value)), None)
    return _Kept(0, total, validator)


def _fits(response: "Response", kept: _Kept) -> bool:
    """Return whether a response continues the partial file, or reports that it is complete."""
    start, total = _range(response)
    if response.status_code == 416:
        return total == kept.size
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    same = None in (total, kept.total) or total == kept.total
    return plain and same and start == kept.size


def _range(response: "Response") -> tuple[int | None, int | None]:
    """Return the first byte of a response and the length of the whole file, None if unknown."""
    text = response.headers.get("Content-Range", "")
    form = r"bytes (?:([0-9]{1,18})-[0-9]{1,18}|\*)/(?:([0-9]{1,18})|\*)"
    found = re.fullmatch(form, text)
    start, total = found.groups() if found else (None, None)
    return (int(start) if start else None), (int(total) if total else None)


def _ask(session: "Session", wanted: _Wanted, kept: _Kept) -> "Response":
    """Return the response to a request for the missing bytes, following redirects."""
    import urllib3

    headers = {"Accept-Encoding": "identity"}
    if kept.size:
        headers["Range"] = f"bytes={kept.size}-"
    if kept.size and kept.validator:
        headers["If-Range"] = kept.validator
    url, patience = wanted.address, wanted.patience
    timeout = (patience.connect, patience.read)
    for _ in range(HOPS):
        try:
            response = session.get(
                url, headers=headers, stream=True, timeout=timeout, allow_redirects=False
            )
            location = session.get_redirect_target(response)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            raise _trouble(error, patience) from None
        if location is None:
            return response
        response.close()
        url = _redirected(url, location)
    raise Refused(f"redirects more than {HOPS} times")


def _redirected(url: str, location: str) -> str:
    try:
        new = urljoin(url, location)
        old_scheme, scheme = urlsplit(url).scheme, urlsplit(new).scheme
    except ValueError:
        raise Refused("redirects to an invalid address") from None
    if scheme == "https" or scheme == old_scheme == "http":
        return new
    raise Refused(f"redirects from {old_scheme}: to {scheme}:, which is not followed")


def _receive(response: "Response", wanted: _Wanted, kept: _Kept) -> None:
    """Append the body of a response to the partial file."""
    part, total = wanted.part, kept.total
    pieces = _pieces(response, wanted.patience)
    first = next(pieces, b"")
    # before the partial file changes: it may contain hours of download from another address
    if not kept.size and (not first or is_page(first)):
        raise Refused(PAGE if first else "is empty")
    if wanted.size is not None and total not in (None, wanted.size):
        raise Differs(f"offers {total} bytes, expected {wanted.size}")
    if wanted.size is None and total is not None and total > LARGEST:
        raise Refused(f"offers {total} bytes, the limit is {LARGEST}; {REMEDY}")
    if total is not None:
        check_room(part, total - length(part))
    if not kept.size:
        discard(part)
    done, excess = kept.size, None
    with writing(part), part.open("ab" if kept.size else "wb") as file:
        # written while the partial file is empty, so that it never describes another version
        mark = {"validator": kept.validator, "total": total}
        write_json(_side(part), {"address": bare(wanted.address), **mark})
        for piece in shown(chain([first], pieces), part.stem, total, done):
            done += file.write(piece)
            came = response.raw.tell()  # as it travelled
            excess = _excess(done, max(0, done - kept.size - SMALL), came, wanted)
            if excess or (wanted.size is not None and done > wanted.size):
                break
    if excess:
        discard(part)
        raise Refused(excess)
    if wanted.size is not None and done > wanted.size:
        discard(part)
        raise Differs(f"sends more than the expected {wanted.size} bytes")
    if total is not None and done != total:
        raise _Stumbled(f"{done} of {total} bytes came")


def _excess(done: int, new: int, came: int, wanted: _Wanted) -> str | None:
    """Return why no more is taken of an answer, None if more may come."""
    if new > EXPANSION * came:
        return f"decompresses to more than {EXPANSION} times its length, which is the limit"
    if wanted.size is None and done > LARGEST:
        return f"sends more than {LARGEST} bytes, the limit; {REMEDY}"
    return None


def _pieces(response: "Response", patience: Patience) -> Iterator[bytes]:
    import urllib3

    try:
        yield from response.iter_content(PIECE)
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise _trouble(error, patience, began=True) from None


def _trouble(error: Exception, patience: Patience, began: bool = False) -> Exception:
    """Return the kind of a failed request: Refused, or _Stumbled if it may be temporary."""
    import requests

    cause: BaseException = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    shut = isinstance(error, requests.ConnectTimeout)
    if shut:
        text = f"no connection within {patience.connect:g} s"
    elif isinstance(cause, http.client.IncompleteRead):
        text = "the connection ended early"
    elif isinstance(cause, TimeoutError):
        text = f"nothing came for {patience.read:g} s"
    else:
        text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    if began:
        return _Stumbled(f"broke off ({text})")
    passing = isinstance(error, (requests.ConnectionError, requests.Timeout))
    if not passing or "certificate" in text.lower():
        return Refused(text)
    return _Stumbled(
        text, shut=shut or isinstance(cause, (ConnectionRefusedError, socket.gaierror))
    )


def _trouble_of_status(response: "Response", patience: Patience) -> Exception:
    status = response.status_code
    if status not in (408, 429) and status < 500:
        return Refused(f"status {status}")
    wait = _retry_after(response)
    if wait > patience.retry_after:
        return Refused(f"status {status}, asks to come back in {wait:.0f} s")
    return _Stumbled(f"status {status}", wait=wait)


def _retry_after(response: "Response") -> float:
    """Return the seconds that a server asks to wait, 0 if it does not."""
    text = response.headers.get("Retry-After", "")
    if re.fullmatch("[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _side(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _enough(part: Path) -> int:
    """Return how many new bytes count as progress."""
    total = _remembered(part)[2]
    return PROGRESS if total is None else max(1, min(PROGRESS, total // 100))
