from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from object_storage import Quiet, serving

from curation.archives import streams
from curation.archives.streams import PatientStream

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
            self.send_header("Retry-After", "7")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with serving(Handler) as made:
        made.statuses, made.requests, made.slept = iter(()), 0, []
        made.gives_ranges, made.gives_length = True, 1
        made.url += "/a.warc"
        monkeypatch.setattr(streams.time, "sleep", made.slept.append)
        yield made


def test_failed_requests_change_no_byte(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """If many requests fail, also while the file is sought, what is read is the same, and every pause is bounded."""
    chance = random.Random(1)
    server.statuses = iter(lambda: 503 if chance.random() < 0.3 else 200, None)
    monkeypatch.setattr(streams, "LONGEST_PAUSES", 1e6)
    with PatientStream(server.url) as stream:
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
    assert max(server.slept) <= 1.5 * max(streams.PAUSES)


def test_storage_that_stays_down_is_an_os_error(server: Any) -> None:
    """After pauses that double, the failure is raised as an OSError."""
    with PatientStream(server.url) as stream:
        server.statuses = iter(lambda: 503, None)
        with pytest.raises(OSError, match=r"503|a\.warc"):
            stream.read(10)
    assert len(server.slept) == len(streams.PAUSES)
    assert all(0.5 <= slept / pause <= 1.5 for slept, pause in zip(server.slept, streams.PAUSES, strict=True))


@pytest.mark.parametrize("status", [403, 404])
def test_what_will_not_pass_is_raised_at_once(server: Any, status: int) -> None:
    """A missing file and denied access are not waited for."""
    server.statuses = iter(lambda: status, None)
    with pytest.raises(OSError):
        PatientStream(server.url)
    assert not server.slept


def test_retry_after_is_honored(server: Any) -> None:
    """A server that asks for 7 seconds gets them."""
    with PatientStream(server.url) as stream:
        server.statuses = iter([429])
        assert stream.read(10) == DATA[:10]
    assert server.slept == [7.0]


def test_retry_after_is_a_number_or_a_date() -> None:
    """Both are seconds from now; anything else, and a date that is over, is 0."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100))
    assert 90 < streams.retry_after({"Retry-After": soon}) <= 100
    values = ("1.5", "-3", "Thu, 01 Jan 1970 00:00:00 GMT", "nan", "later", "")
    assert [streams.retry_after({"Retry-After": value}) for value in values] == [1.5, 0, 0, 0, 0, 0]
    assert streams.retry_after({}) == streams.retry_after(None) == 0


@pytest.mark.parametrize("length", [1, 0], ids=["with length", "without length"])
def test_a_server_without_ranges_gives_the_whole_file(server: Any, length: int) -> None:
    """A file is read and sought though its server ignores ranges, and also if it does not say how long the file is."""
    server.gives_ranges, server.gives_length = False, length
    with PatientStream(server.url) as stream:
        assert stream.read(5) == DATA[:5]
        assert stream.seek(9_000_000) == 9_000_000
        assert stream.read() == DATA[9_000_000:]
        assert stream.seek(-3, 2) == len(DATA) - 3
        assert stream.read(9) == DATA[-3:]


def test_a_file_that_is_cut_off_is_not_taken_as_whole(server: Any) -> None:
    """Without ranges, a connection that ends before the length that was announced is a failure."""
    server.gives_ranges, server.gives_length = False, 2
    with pytest.raises(OSError, match=server.url):
        PatientStream(server.url)
