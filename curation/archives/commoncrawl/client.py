"""Reads parts of files from a server politely: few requests at a time, at a bounded rate, slower when it asks for that.

CommonCrawl shares its servers among all users, and asks them to slow down on every error. So a throttled request stops
all requests of this process for a while, twice as long each time, and at least as long as `Retry-After` says. A request
that failed otherwise is made again after such a pause, for the bytes that are missing. A server that fails for
`retry_seconds()` without a byte between ends the step, which can be resumed.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import BoundedSemaphore, Event, Lock
from typing import Any
from urllib.parse import urlsplit

from curation.archives.http_requests import NoRanges, NotOnServer, RequestFailed, receive
from curation.archives.patience import Patience
from curation.errors import CredentialsFailed, CurationError, StepFailed
from curation.running.answers import describe
from curation.running.retries import retry_seconds
from curation.store.storage import explain, file_system, is_about_credentials, is_http, is_io

THROTTLED = frozenset({"403", "429", "503"})
"""Statuses by which a server says that there are too many requests, from all users together."""


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

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until a request may be made, which the block makes."""
        with self._limiter.slots:
            self._limiter.wait(self._stopped)
            if self._stopped.is_set():
                raise self._reason
            yield

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

        patience, before = Patience(url, retry_seconds()), at
        while at < stop:
            try:
                with self.turn():
                    with self._lock:
                        self.requests += 1
                    self._request(url, at, stop, received)
            except NoRanges as error:
                raise StepFailed(
                    f"{_server(url)}: {error}; records can only be fetched from servers that give parts of files"
                ) from error
            except RequestFailed as error:
                if at > before:
                    patience.reset()
                    before = at
                self._wait(url, patience, error)

    def _wait(self, url: str, patience: Patience, error: RequestFailed) -> None:
        """Wait after a failure; StepFailed if that has lasted for too long, or will not pass."""
        with self._lock:
            self.failures[error.cause] += 1
        if not patience.may_pass(error):
            raise StepFailed(f"{url}: {error}") from error
        pause = patience.pause(error)
        if pause is None:
            raise StepFailed(
                f"{_server(url)}: {patience.given_up(error)} (CURATION_RETRY_SECONDS); what was fetched is kept, and "
                "the same command resumes"
            ) from error
        if error.asked or error.cause in THROTTLED:
            self._limiter.hold(pause)
        self._stopped.wait(pause)

    def _request(self, url: str, start: int, stop: int, received: Callable[[bytes], None]) -> None:
        """One request for bytes of a file."""
        fs, path = file_system(url)
        if is_http(fs):
            receive(fs, path, start, stop, received, self.settings.contact)
            return
        try:
            data = bytes(fs.cat_file(path, start=start, end=stop))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotOnServer(url) from error
        except CurationError:
            raise
        except Exception as error:
            if is_about_credentials(error):
                raise CredentialsFailed(f"{url}: {explain(error)}") from error
            if getattr(error, "errno", None) == errno.EINVAL:  # S3's answer to a range after the end
                raise NotOnServer(url) from error
            if is_io(error):
                raise RequestFailed("connection", describe(error)) from error
            raise
        received(data)
        if len(data) < stop - start:
            raise NotOnServer(f"{url} ends at {start + len(data)}")


def _server(url: str) -> str:
    return urlsplit(url).netloc or url
