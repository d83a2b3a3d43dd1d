"""Single requests to HTTP servers, and answers that are unusual."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from object_storage import Quiet, serving

from curation.archives.http_requests import RequestFailed, http_info, receive, user_agent
from curation.store.storage import file_system

DATA = b"0123456789" * 20


class Handler(Quiet, BaseHTTPRequestHandler):
    """Gives parts of DATA, packed for the transfer if the server's `packs` says so, with the headers in `more`."""

    def do_GET(self) -> None:
        """All of DATA, or the part of it in the header Range."""
        server: Any = self.server
        wanted = self.headers.get("Range")
        first, last = map(int, wanted.removeprefix("bytes=").split("-")) if wanted else (0, len(DATA) - 1)
        body = DATA[first : last + 1]
        headers = {"Content-Range": f"bytes {first}-{last}/{len(DATA)}"} if wanted else {}
        if server.packs:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        self.send_response(206 if wanted else 200)
        for name, value in {"Content-Length": str(len(body)), **headers, **server.more}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    with serving(Handler) as server:
        yield server


@pytest.fixture
def server(running: Any) -> Any:
    running.packs, running.more = False, {}
    return running


def received(url: str, start: int, stop: int) -> bytes:
    fs, path = file_system(url)
    parts: list[bytes] = []
    receive(fs, path, start, stop, parts.append)
    return b"".join(parts)


def test_a_size_is_that_of_the_file(server: Any) -> None:
    """A server that packs what it sends says how long that is; the size is that of the file itself."""
    for server.packs in (False, True):
        assert http_info(*file_system(server.url))["size"] == len(DATA)
        assert received(server.url, 5, 95) == DATA[5:95]


def test_a_part_without_a_range_must_have_its_length(server: Any) -> None:
    """An answer that does not say which part it is counts if it is as long as the part that was asked for."""
    server.more = {"Content-Range": ""}
    assert received(server.url, 5, 95) == DATA[5:95]
    server.packs = True
    with pytest.raises(RequestFailed, match="asked for bytes 5-94, got no Content-Range"):
        received(server.url, 5, 95)


@pytest.mark.parametrize("contact", ["müller", "me\r\nX-Header: y"])
def test_a_contact_that_cannot_be_sent_is_left_out(contact: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A contact in the environment cannot break requests, or add headers to them."""
    monkeypatch.setenv("CURATE_CONTACT", contact)
    assert user_agent() == user_agent("").partition(" ")[0]
    assert user_agent("me@example.org").endswith("(me@example.org)")
