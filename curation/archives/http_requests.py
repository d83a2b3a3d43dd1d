"""Requests to HTTP servers, each made once: what a server says about a file, a part of the file, or all of it.

`curation.archives.patience` says whether and when to make a request again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from fsspec.asyn import sync

from curation import __version__
from curation.archives.commoncrawl.addresses import CONTACT_VARIABLE
from curation.running.answers import describe
from curation.store.storage import is_io

STALL_SECONDS = 30.0
"""Seconds without a byte after which a request has failed."""

CHUNK = 1 << 17
"""Bytes passed on at once, and so the most that is lost when the process is killed."""

TEMPORARY_STATUSES = (408, 425, 429)
"""Statuses below 500 that may change."""

_GONE = (404, 410, 416)
"""Statuses of a file, or a part of one, that the server does not have."""

_DENIED = (401, 403, 407)

_VERSIONS = ("ETag", "Last-Modified", "Content-MD5")

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class NotOnServer(FileNotFoundError):
    """A file, or a part of one, that the server does not have."""


class RequestFailed(OSError):
    """A request without the answer that it is about.

    Args:
        cause: Name under which it is counted: the status, cut, stalled, wrong_range, connection.
        message: What happened.
        status: The HTTP status, if that is what is wrong.
        asked: Seconds to wait for, as the server says.
    """

    def __init__(self, cause: str, message: str, status: int | None = None, asked: float = 0.0) -> None:
        super().__init__(message)
        self.cause, self.status, self.asked = cause, status, asked


class NoRanges(RequestFailed):
    """The server answers a request for a part of a file with all of it."""

    def __init__(self) -> None:
        super().__init__("wrong_range", "asked for a part of a file, got all of it")


def user_agent(contact: str = "") -> str:
    """The value of the header User-Agent, with a contact, or else the one in CURATE_CONTACT."""
    contact = contact or os.environ.get(CONTACT_VARIABLE, "")
    return f"curation/{__version__}" + (f" ({contact})" if contact and is_contact(contact) else "")


def is_contact(text: str) -> bool:
    """Whether a text can be sent in a header."""
    return text.isascii() and text.isprintable()


def http_info(fs: Any, url: str) -> dict[str, Any]:
    """Name, size and version of a file on an HTTP server, in the form of fsspec's `info`, by one HEAD request.

    A server that refuses HEAD, or does not tell the size of the file itself, is asked for the first byte instead.

    Args:
        fs: fsspec's file system for HTTP.
        url: The file's URL.

    Raises:
        NotOnServer: There is no such file.
        RequestFailed: The request failed, or its answer is an error.
    """
    return dict(sync(fs.loop, _info, fs, url))


async def _info(fs: Any, url: str) -> dict[str, Any]:
    async with await _answer(fs, "HEAD", url) as answer:
        refuses_head = answer.status == 501 or (
            400 <= answer.status < 500 and answer.status not in (*_GONE, *TEMPORARY_STATUSES)
        )
        if not refuses_head:
            _check_status(answer, url)
            is_packed = answer.headers.get("Content-Encoding", "identity") != "identity"  # then it is another size
            if "Content-Length" in answer.headers and not is_packed:
                return _found(url, answer, int(answer.headers["Content-Length"]))
    async with await _answer(fs, "GET", url, Range="bytes=0-0") as answer:
        if answer.status != 416:  # an empty file
            _check_status(answer, url)
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if answer.status == 200:
            total = answer.headers.get("Content-Length", "")
        return _found(url, answer, int(total) if total.isdecimal() else 0)


def _found(url: str, answer: Any, size: int) -> dict[str, Any]:
    version = next((answer.headers[name] for name in _VERSIONS if answer.headers.get(name)), "")
    return {"name": url, "size": size, "type": "file", "ETag": version}


def gives_ranges(fs: Any, url: str) -> bool:
    """Whether a server answers a request for one byte with it. An error counts as yes: the next request reports it."""
    return bool(sync(fs.loop, _gives_ranges, fs, url))


async def _gives_ranges(fs: Any, url: str) -> bool:
    server = urlsplit(url).netloc
    if server not in _GIVES_RANGES:
        async with await _answer(fs, "GET", url, Range="bytes=1-1") as answer:
            if answer.status >= 400:
                return True
            _GIVES_RANGES[server] = answer.status == 206
    return _GIVES_RANGES[server]


_GIVES_RANGES: dict[str, bool] = {}
"""By host and port of a server that has been asked."""


def receive(fs: Any, url: str, start: int, stop: int, received: Callable[[bytes], Any], contact: str = "") -> None:
    """Pass the bytes of a part of a file on as they arrive.

    Args:
        fs: fsspec's file system for HTTP.
        url: The file's URL.
        start: First byte.
        stop: End, exclusive.
        received: Called with the bytes, in order, also with those before a failure.
        contact: As in `user_agent`.

    Raises:
        NotOnServer: There is no such file, or it ends before `stop`; what there is has been passed on.
        NoRanges: The server gives whole files only.
        RequestFailed: Not all of the bytes have arrived.
    """
    sync(fs.loop, _receive, fs, url, start, stop, received, contact)


async def _receive(fs: Any, url: str, start: int, stop: int, received: Callable[[bytes], Any], contact: str) -> None:
    headers = {"Range": f"bytes={start}-{stop - 1}", **({"User-Agent": user_agent(contact)} if contact else {})}
    async with await _answer(fs, "GET", url, **headers) as answer:
        _check_status(answer, url)
        if answer.status == 200:
            raise NoRanges
        total = _total(answer, start, stop)
        end = min(stop, total)
        if await _pass_on(answer, end - start, received) < end - start:
            raise RequestFailed("cut", "the answer broke off")
        if end < stop:
            raise NotOnServer(f"{url} ends at {total}")


def _total(answer: Any, start: int, stop: int) -> int:
    """The size of the file, `stop` if unknown, if the answer is the part that was asked for."""
    given = answer.headers.get("Content-Range", "")
    if not given and answer.headers.get("Content-Length") == str(stop - start):
        return stop
    match = _RANGE.fullmatch(given)
    total = int(match[3]) if match and match[3] != "*" else stop
    if match is None or int(match[1]) != start or int(match[2]) + 1 != min(stop, total):
        what = f"Content-Range {given[:100]!r}" if given else "no Content-Range"
        raise RequestFailed("wrong_range", f"asked for bytes {start}-{stop - 1}, got {what}")
    return total


def download(fs: Any, url: str, write: Callable[[bytes], Any]) -> None:
    """Pass all bytes of a file on, for servers that give no parts of files, or no sizes.

    Args:
        fs: fsspec's file system for HTTP.
        url: The file's URL.
        write: Called with the bytes, in order.

    Raises:
        NotOnServer: There is no such file.
        RequestFailed: Not all of the bytes have arrived.
    """
    sync(fs.loop, _download, fs, url, write)


async def _download(fs: Any, url: str, write: Callable[[bytes], Any]) -> None:
    async with await _answer(fs, "GET", url) as answer:
        _check_status(answer, url)
        await _pass_on(answer, None, write)


async def _answer(fs: Any, method: str, url: str, **headers: str) -> Any:
    """The answer to a request of fsspec's file system for HTTP, with its options, to be used in `async with`.

    The file is asked for as it is: an archive's own compression is no encoding of the transfer.
    """
    from aiohttp import ClientTimeout

    session = await fs.set_session()
    timeout = ClientTimeout(total=None, sock_connect=STALL_SECONDS, sock_read=STALL_SECONDS)
    options = {"allow_redirects": True, "timeout": timeout, **fs.kwargs}
    sent = {"User-Agent": user_agent(), **options.pop("headers", {}), "Accept-Encoding": "identity", **headers}
    try:
        return await session.request(method, fs.encode_url(url), headers=sent, **options)
    except TimeoutError as error:
        raise RequestFailed("stalled", f"no answer in {STALL_SECONDS:.0f} s") from error
    except Exception as error:
        if not is_io(error):
            raise
        raise RequestFailed("connection", _explain(error)) from error


def _check_status(answer: Any, url: str) -> None:
    """Raise unless the answer has a file, or a part of one."""
    status = answer.status
    if status in _GONE:
        raise NotOnServer(f"{url}: HTTP status {status}")
    if status not in (200, 206):
        denied = "access denied: " if status in _DENIED else ""
        raise RequestFailed(str(status), f"{denied}HTTP status {status}", status, retry_after(answer.headers))


async def _pass_on(answer: Any, size: int | None, received: Callable[[bytes], Any]) -> int:
    """Pass up to `size` bytes of an answer on, None for all; returns how many there were."""
    at = 0
    while size is None or at < size:
        most = CHUNK if size is None else min(CHUNK, size - at)
        failure = None
        try:
            data = await answer.content.read(most)
        except Exception as error:
            if not is_io(error):
                raise
            failure = error
            answer.content.set_exception(None)  # else aiohttp keeps what arrived before it
            data = answer.content.read_nowait(-1 if size is None else size - at)
        if data:
            received(data)
            at += len(data)
        if isinstance(failure, TimeoutError):
            raise RequestFailed("stalled", f"no data in {STALL_SECONDS:.0f} s") from failure
        if failure is not None:
            expected = answer.headers.get("Content-Length")
            of = f" of {expected}" if expected else ""
            raise RequestFailed("cut", f"the answer broke off after {at}{of} bytes") from failure
        if not data:
            break
    return at


def _explain(error: Exception) -> str:
    """An error of aiohttp in one line, where its own message is none."""
    from aiohttp import ClientResponseError, TooManyRedirects

    if isinstance(error, TooManyRedirects):
        return "too many redirects"
    if isinstance(error, ClientResponseError):
        return "the answer is not valid HTTP"
    return describe(error)


def retry_after(headers: Any) -> float:
    """Seconds in the header Retry-After, which are a number or a date; 0 without a valid one.

    Args:
        headers: The headers of an answer; None or anything else if there are none.
    """
    value = headers.get("Retry-After", "") if isinstance(headers, Mapping) else ""
    with suppress(ValueError):
        return max(0.0, float(value))
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(value)
        return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return 0.0
