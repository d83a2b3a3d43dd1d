from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import pytest
from object_storage import Quiet, serving

from curation.archives import http_requests, patience
from curation.archives.http_requests import retry_after
from curation.archives.streams import open_stream
from curation.errors import WriteFailed
from curation.running import retries

DATA = random.Random(3).randbytes(12 << 20)


class Handler(Quiet, BaseHTTPRequestHandler):
    """Gives parts of DATA, or the next status of `server.statuses`."""

    def do_HEAD(self) -> None:
        """The size of DATA."""
        self.do_GET()

    def do_GET(self) -> None:
        """A part of DATA."""
        server: Any = self.server
        server.requests += 1
        status = next(server.statuses, 200)
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        body = DATA[int(first) : int(last) + 1 if last else None] if status == 200 else b""
        if status == 200 and not server.gives_ranges:
            body, last = DATA, ""
        self.send_response(206 if status == 200 and last else status)
        if server.gives_length:
            self.send_header("Content-Length", str(server.gives_length * len(body)))
        if server.gives_length != 1:
            self.send_header("Connection", "close")
        self.send_header("Accept-Ranges", "bytes" if server.gives_ranges else "none")
        if status == 429:
            self.send_header("Retry-After", server.retry_after)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: server.most])
            self.close_connection |= len(body) > server.most


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with serving(Handler) as made:
        made.statuses, made.requests, made.slept = iter(()), 0, []
        made.gives_ranges, made.gives_length, made.retry_after, made.most = True, 1, "7", len(DATA)
        monkeypatch.setattr(http_requests, "_GIVES_RANGES", {})
        made.url += "/a.warc"
        clock = SimpleNamespace(sleep=made.slept.append, monotonic=lambda: 100.0 + sum(made.slept))
        for module in (patience, retries):
            monkeypatch.setattr(module, "time", clock)
        yield made


def test_failed_requests_change_no_byte(server: Any) -> None:
    """If many requests fail, also while the file is sought, what is read is the same, and every pause is bounded."""
    chance = random.Random(1)
    server.statuses = iter(lambda: 503 if chance.random() < 0.3 else 200, None)
    with open_stream(server.url) as stream:
        for _ in range(20):
            place = chance.randrange(len(DATA))
            assert stream.seek(place) == place
            assert stream.read(5000) == DATA[place : place + 5000]
            assert stream.tell() == min(place + 5000, len(DATA))
        assert stream.seek(0, 2) == len(DATA)
        assert stream.read(1) == b""
        stream.seek(0)
        assert stream.read() == DATA
    assert server.slept
    assert max(server.slept) <= retries.RETRY_SECONDS / 3


def test_storage_that_stays_down_is_an_os_error(server: Any) -> None:
    """After pauses that double, for a third of the seconds in which a task is tried, the failure is an OSError."""
    with open_stream(server.url) as stream:
        server.statuses = iter(lambda: 503, None)
        with pytest.raises(OSError, match=r"a\.warc: HTTP status 503; given up after \d+ s"):
            stream.read(10)
    seconds = retries.RETRY_SECONDS / retries.LEAST_TRIES
    assert sum(server.slept) <= seconds < sum(server.slept) + 1.5 * retries.FIRST_PAUSE * 2 ** len(server.slept)
    pauses = [retries.FIRST_PAUSE * 2**number for number in range(len(server.slept))]
    assert all(0.5 <= slept / pause <= 1.5 for slept, pause in zip(server.slept, pauses, strict=True))


@pytest.mark.parametrize("status", [403, 404])
def test_what_will_not_pass_is_raised_at_once(server: Any, status: int) -> None:
    """A missing file and denied access are not waited for."""
    server.statuses = iter(lambda: status, None)
    with pytest.raises(OSError):
        open_stream(server.url)
    assert not server.slept


def test_an_error_that_is_not_about_storage_is_raised_as_it_is() -> None:
    """A fault in the code is not taken for one of storage, for which the whole task would be tried again."""
    with pytest.raises(ZeroDivisionError):
        patience.Patience("https://example.org/a.warc")(lambda: 1 // 0)


def test_retry_after_is_honored(server: Any) -> None:
    """A server that asks for 7 seconds gets them."""
    with open_stream(server.url) as stream:
        server.statuses = iter([429])
        assert stream.read(10) == DATA[:10]
    assert server.slept == [7.0]


def test_a_wait_beyond_what_is_left_is_not_begun(server: Any) -> None:
    """A server that asks for more seconds than a request may take is given up at once."""
    server.statuses, server.retry_after = iter([200, 429, 429]), "3600"
    with pytest.raises(OSError, match="429, and asks to wait for 3600 s; given up after 0 s"):
        open_stream(server.url)
    assert not server.slept


def test_retry_after_is_a_number_or_a_date() -> None:
    """Both are seconds from now; anything else, and a date that is over, is 0."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    assert 90 < retry_after({"Retry-After": soon}) <= 100
    values = ("1.5", "-3", "Thu, 01 Jan 1970 00:00:00 GMT", "nan", "later", "")
    assert [retry_after({"Retry-After": value}) for value in values] == [1.5, 0, 0, 0, 0, 0]
    assert retry_after({}) == retry_after(None) == 0


@pytest.mark.parametrize("length", [1, 0], ids=["with length", "without length"])
def test_a_server_without_ranges_gives_the_whole_file(server: Any, length: int) -> None:
    """A file is read and sought though its server ignores ranges, and also if it does not say how long the file is."""
    server.gives_ranges, server.gives_length = False, length
    with open_stream(server.url) as stream:
        assert stream.read(5) == DATA[:5]
        assert stream.seek(9_000_000) == 9_000_000
        assert stream.read() == DATA[9_000_000:]
        assert stream.seek(-3, 2) == len(DATA) - 3
        assert stream.read(9) == DATA[-3:]


def test_a_file_that_is_cut_off_is_not_taken_as_whole(server: Any) -> None:
    """Without ranges, a connection that ends before the length that was announced is a failure."""
    server.gives_ranges, server.gives_length = False, 2
    with pytest.raises(OSError, match=server.url):
        open_stream(server.url)


def test_connections_that_always_break_cost_time_only(server: Any) -> None:
    """If every connection breaks after 100 kB, what has arrived is kept, and each request begins where it ended."""
    server.most = 100_000
    with open_stream(server.url) as stream:
        assert stream.read(300_000) == DATA[:300_000]
        stream.seek(len(DATA) - 250_000)
        server.requests = 0
        assert stream.read() == DATA[-250_000:]
    assert server.requests == 3


def test_a_download_that_always_breaks_ends(server: Any) -> None:
    """Without ranges, what breaks after 100 kB cannot be continued, and the error says so within the seconds given."""
    server.gives_ranges, server.most = False, 100_000
    with pytest.raises(OSError, match=r"after \d+ of 12582912 bytes .*cannot continue a download.*given up after"):
        open_stream(server.url)
    assert sum(server.slept) <= retries.RETRY_SECONDS / retries.LEAST_TRIES


def test_a_full_disk_is_not_waited_for(server: Any) -> None:
    """Without ranges, a download that this machine cannot keep ends at once: no server can help."""
    server.gives_ranges, server.gives_length = False, 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(WriteFailed, match=r"cannot keep .*a\.warc on disk"), open_stream(server.url) as stream:
            stream.read(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not server.slept
