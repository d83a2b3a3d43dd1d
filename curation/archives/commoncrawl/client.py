"""Reads parts of files from a server politely: few requests at a time, at a bounded rate, slower when it asks for that.

CommonCrawl shares its servers among all users, and asks them to slow down on every error. So a throttled request stops
all requests of this process for a while, twice as long each time, and at least as long as `Retry-After` says. A request
that failed otherwise is made again after such a pause, for the bytes that are missing. A server that fails for
`retry_seconds()` without a byte between ends the step, which can be resumed.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import BoundedSemaphore, Event, Lock
from typing import Any
from urllib.parse import urlsplit

from fsspec.asyn import sync

from curation import __version__
from curation.archives.streams import TEMPORARY_STATUSES, request, retry_after
from curation.errors import CredentialsFailed, MissingExtra, StepFailed
from curation.running.answers import describe
from curation.running.retries import Attempt, retry_seconds
from curation.store.storage import explain, file_system, is_about_credentials, is_http, is_io

STALL_SECONDS = 30.0
"""Seconds without a byte after which a request has failed."""

CHUNK = 1 << 17
"""Bytes passed on at once, and so the most that is lost when the process is killed."""

THROTTLED = frozenset({"403", "429", "503"})
"""Statuses by which a server says that there are too many requests, from all users together."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """How a process makes requests to a server.

    Attributes:
        rate: Requests per second.
        parallel: Requests at once.
        contact: An address at which the user can be reached, sent with every request; empty for none.
    """

    rate: float = 10.0
    parallel: int = 8
    contact: str = ""

    @property
    def agent(self) -> str:
        """The value of the header User-Agent."""
        return f"curation/{__version__}" + (f" ({self.contact})" if self.contact else "")


class NotOnServer(Exception):
    """A file, or a part of one, that the server does not have."""


class _RequestFailed(Exception):
    """A request that may succeed later.

    Args:
        cause: Name under which it is counted.
        message: What happened.
        asked: Seconds to wait for, as the server says.
    """

    def __init__(self, cause: str, message: str, asked: float = 0.0) -> None:
        super().__init__(message)
        self.cause, self.asked = cause, asked


class RateLimiter:
    """Bounds the requests of a process: at most `rate` per second, at most `parallel` at once."""

    def __init__(self, rate: float, parallel: int) -> None:
        self.slots = BoundedSemaphore(parallel)
        self._gap, self._next, self._lock = 1 / rate, 0.0, Lock()

    def wait(self, stopped: Event) -> None:
        """Wait until the next request may be made, or `stopped` is set."""
        while not stopped.is_set():
            with self._lock:
                now = time.monotonic()
                if self._next <= now:
                    self._next = now + self._gap
                    return
                pause = self._next - now
            stopped.wait(pause)

    def hold(self, seconds: float) -> None:
        """Let no request through for this time."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


_limiter = cache(RateLimiter)
"""The limiter of this process for a rate and a number of requests at once."""


class Client:
    """Reads parts of files on one server.

    Args:
        settings: How to make requests.

    Attributes:
        requests: Requests made, failed ones too.
        bytes: Bytes received.
        failures: Failed requests by cause: the status, cut, stalled, wrong_range, connection.
    """

    def __init__(self, settings: RequestSettings) -> None:
        self.settings = settings
        self.requests = self.bytes = 0
        self.failures: Counter[str] = Counter()
        self._limiter, self._lock = _limiter(settings.rate, settings.parallel), Lock()
        self._stopped, self._reason = Event(), BaseException()

    def report(self) -> dict[str, Any]:
        """The counts so far, as plain values."""
        return {"requests": self.requests, "bytes": self.bytes, "failures": dict(self.failures)}

    def stop(self, reason: BaseException) -> None:
        """Let other threads make no more requests: they raise the first reason that is given."""
        with self._lock:
            if not self._stopped.is_set():
                self._reason = reason
                self._stopped.set()

    def read(self, url: str, start: int, stop: int) -> bytes:
        """The bytes of a file from `start` to before `stop`; raises as `copy` does."""
        parts: list[bytes] = []
        self.copy(url, start, stop, parts.append)
        return b"".join(parts)

    def copy(self, url: str, start: int, stop: int, write: Callable[[bytes], Any]) -> None:
        """Pass the bytes of a file on as they arrive, each once, whatever happens between.

        Args:
            url: An fsspec URL.
            start: First byte.
            stop: End, exclusive.
            write: Called with the bytes, in order.

        Raises:
            NotOnServer: There is no such file, or it ends before `stop`; what there is has been passed on.
            StepFailed: The server failed for `retry_seconds()`, refuses for good, or gives no parts of files.
            CredentialsFailed: The credentials are not valid.
        """
        at = start

        def received(data: bytes) -> None:
            nonlocal at
            write(data)
            at += len(data)
            with self._lock:
                self.bytes += len(data)

        attempt, before = Attempt(url), at
        while at < stop:
            try:
                with self._limiter.slots:
                    self._limiter.wait(self._stopped)
                    if self._stopped.is_set():
                        raise self._reason
                    with self._lock:
                        self.requests += 1
                    self._request(url, at, stop, received)
            except _RequestFailed as error:
                if at > before:
                    attempt, before = Attempt(url), at
                self._wait(url, attempt, error)

    def _wait(self, url: str, attempt: Attempt[str], error: _RequestFailed) -> None:
        """Wait after a failure; StepFailed if that has lasted for too long."""
        with self._lock:
            self.failures[error.cause] += 1
        pause, budget = attempt.pause(""), retry_seconds()
        ends = attempt.began + budget
        if pause is None or time.monotonic() + error.asked > ends:
            waited = f", and asks to wait for {error.asked:.0f} s" if error.asked else ""
            tried = time.monotonic() - attempt.began
            server = urlsplit(url).netloc or url
            raise StepFailed(
                f"{server}: {error}{waited}; given up after {tried:.0f} s of at most {budget:.0f} s "
                "(CURATION_RETRY_SECONDS); what was fetched is kept, and the same command resumes"
            )
        pause = max(min(pause, ends - time.monotonic()), error.asked)
        if error.asked or error.cause in THROTTLED:
            self._limiter.hold(pause)
        self._stopped.wait(pause)

    def _request(self, url: str, start: int, stop: int, received: Callable[[bytes], None]) -> None:
        """One request for bytes of a file."""
        fs, path = file_system(url)
        try:
            if is_http(fs):
                sync(fs.loop, _get, fs, path, start, stop, self.settings.agent, received)
                return
            data = bytes(fs.cat_file(path, start=start, end=stop))
        except (_RequestFailed, NotOnServer, StepFailed, MissingExtra):
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotOnServer(url) from error
        except Exception as error:
            if is_about_credentials(error):
                raise CredentialsFailed(f"{url}: {explain(error)}") from error
            if is_io(error):
                raise _RequestFailed("connection", describe(error)) from error
            raise
        received(data)
        if len(data) < stop - start:
            raise NotOnServer(f"{url} ends at {start + len(data)}")


async def _get(fs: Any, url: str, start: int, stop: int, agent: str, received: Callable[[bytes], None]) -> None:
    """One request for bytes of a file on an HTTP server."""
    headers = {"Range": f"bytes={start}-{stop - 1}", "User-Agent": agent}
    try:
        asked = await asyncio.wait_for(request(fs, "GET", url, **headers), STALL_SECONDS)
        response = await asyncio.wait_for(asked.__aenter__(), STALL_SECONDS)
    except TimeoutError as error:
        raise _RequestFailed("stalled", f"no answer in {STALL_SECONDS:.0f} s") from error
    try:
        total = _checked(response, url, start, stop)
        at, end = start, min(stop, total)
        while at < end:
            try:
                data = await asyncio.wait_for(response.content.read(min(CHUNK, end - at)), STALL_SECONDS)
            except TimeoutError as error:
                raise _RequestFailed("stalled", f"no data in {STALL_SECONDS:.0f} s") from error
            except Exception as error:
                if not is_io(error):
                    raise
                raise _RequestFailed("cut", f"the answer broke off: {describe(error)}") from error
            if not data:
                raise _RequestFailed("cut", "the answer broke off")
            received(data)
            at += len(data)
        if end < stop:
            raise NotOnServer(f"{url} ends at {total}")
    finally:
        response.close()


def _checked(response: Any, url: str, start: int, stop: int) -> int:
    """The size of the file, `stop` if unknown, if the answer is the part that was asked for; else raises."""
    status = response.status
    if status in (404, 410, 416):
        raise NotOnServer(f"{url}: HTTP status {status}")
    if status == 403 or status in TEMPORARY_STATUSES or status >= 500:
        raise _RequestFailed(str(status), f"HTTP status {status}", retry_after(response.headers))
    if status == 200:
        raise StepFailed(f"{urlsplit(url).netloc}: gives no parts of files; use another address of the crawl")
    if status != 206:
        raise StepFailed(f"{url}: HTTP status {status}")
    match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    total = int(match[3]) if match and match[3] != "*" else stop
    if match is None or int(match[1]) != start or int(match[2]) + 1 != min(stop, total):
        given = response.headers.get("Content-Range", "none")
        raise _RequestFailed("wrong_range", f"asked for bytes {start}-{stop - 1}, got {given[:100]}")
    return total
