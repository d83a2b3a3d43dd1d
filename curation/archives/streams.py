"""Streams of inputs that are not local: a request that fails is made again, from the same place.

A run makes many requests per archive, so that even a few failures in a thousand would cost most archives a try. A
failure that lasts is raised as an OSError, and the whole task is tried again later (`curation.running.retries`).
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from fsspec.asyn import sync

from curation.archives.commoncrawl.addresses import is_of_commoncrawl
from curation.errors import CredentialsFailed, MissingExtra
from curation.store.storage import code, explain, file_system, is_about_credentials, is_http

Value = TypeVar("Value")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try of a request, each varied at random by half."""

LONGEST_PAUSES = 60.0
"""Seconds of pauses per stream, and the most that a server may ask for with Retry-After."""

BARE_CODES = ("400", "401", "403")
"""Codes of S3 errors that are only the HTTP status."""

TEMPORARY_STATUSES = (408, 425, 429)
"""HTTP statuses below 500 that may change."""


class Patience:
    """Makes requests again after failures that may pass, with LONGEST_PAUSES seconds of pauses in all.

    Args:
        url: What the requests are about.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._temporary = (*TEMPORARY_STATUSES, 403) if is_of_commoncrawl(url) else TEMPORARY_STATUSES
        self._paused = 0.0

    def __call__(self, request: Callable[[], Value], failed: Callable[[], None] = lambda: None) -> Value:
        """What the request returns.

        Args:
            request: The request.
            failed: Called after each failure.

        Raises:
            OSError: The request failed for longer than PAUSES, or will not succeed.
        """
        for pause in (*PAUSES, None):
            try:
                return request()
            except Exception as error:
                failed()
                wait = None if pause is None else _wait(error, pause, self._temporary)
                if wait is None or self._paused + wait > LONGEST_PAUSES:
                    if is_about_credentials(error):
                        raise CredentialsFailed(f"{self.url}: {explain(error)}") from error
                    if isinstance(error, (OSError, MissingExtra)):
                        raise
                    raise OSError(f"{self.url}: {type(error).__name__}: {error}") from error
                self._paused += wait
                time.sleep(wait)
        raise AssertionError


class PatientStream:
    """A binary file at a URL, which can be read and sought.

    Args:
        url: An fsspec URL.

    Attributes:
        has_ranges: Whether parts of it can be asked for; if not, it was downloaded as a whole.

    Raises:
        OSError: A request failed for longer than PAUSES, or will not succeed: the file is missing or access is denied.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file: Any = None
        self._at = 0
        self.has_ranges = True
        self._patience = Patience(url)
        self._try(self._open)

    def __enter__(self) -> PatientStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def tell(self) -> int:
        """The current position."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position and return it."""
        if whence == 1:
            offset, whence = self._at + offset, 0
        self._at = self._try(lambda: int(self._open().seek(offset, whence)))
        return self._at

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, or all that are left if it is negative; fewer only at the end."""
        data: bytes = self._try(lambda: self._read(size))
        self._at += len(data)
        return data

    def _open(self) -> Any:
        if self._file is None:
            fs, path = file_system(self.url)
            self.has_ranges = not is_http(fs) or sync(fs.loop, _gives_ranges, fs, path)
            self._file = fs.open(path, "rb") if self.has_ranges else sync(fs.loop, _downloaded, fs, path)
            if self._at:
                self._file.seek(self._at)
        return self._file

    def _read(self, size: int) -> bytes:
        file = self._open()
        data = bytes(file.read(size))
        if not data and size and self._at < (getattr(file, "size", None) or 0):
            raise OSError(f"{self.url}: no data at offset {self._at} of {file.size}")
        return data

    def _try(self, request: Callable[[], Value]) -> Value:
        """What the request returns, made again after each failure that may pass."""

        def attempt() -> Value:
            try:
                return request()
            except OSError as error:
                if code(error.__cause__ or error) in BARE_CODES:
                    self._ask_why()
                raise

        return self._patience(attempt, self._forget)

    def _forget(self) -> None:
        self._file = None

    def _ask_why(self) -> None:
        """Raise the error of a GET. S3 answers HEAD without a body, so that nothing but a status says what is wrong."""
        fs, path = file_system(self.url)
        fs.cat_file(path, start=0, end=1)


async def request(fs: Any, method: str, url: str, **headers: str) -> Any:
    """A request of fsspec's file system for HTTP, with its options, to be used in `async with`.

    The file is asked for as it is: an archive's own compression is no encoding of the transfer.
    """
    session = await fs.set_session()
    options = {"allow_redirects": True, **fs.kwargs}
    sent = {**options.pop("headers", {}), "Accept-Encoding": "identity", **headers}
    return session.request(method, fs.encode_url(url), headers=sent, **options)


async def _gives_ranges(fs: Any, url: str) -> bool:
    """Whether an HTTP server answers a request for one byte with it. An error counts as yes: opening tells it."""
    server = urlsplit(url).netloc
    if server not in _GIVES_RANGES:
        async with await request(fs, "GET", url, Range="bytes=1-1") as response:
            if response.status >= 400:
                return True
            _GIVES_RANGES[server] = response.status == 206
    return _GIVES_RANGES[server]


async def _downloaded(fs: Any, url: str) -> Any:
    """The whole file in a temporary file on disk, for servers that give no ranges or no length."""
    async with await request(fs, "GET", url) as response:
        fs._raise_not_found_for_status(response, url)
        file = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            async for chunk in response.content.iter_chunked(1 << 20):
                file.write(chunk)
        except BaseException:
            file.close()
            raise
    file.seek(0)
    return file


_GIVES_RANGES: dict[str, bool] = {}
"""By host and port of an HTTP server that has been asked."""


def _wait(error: Exception, pause: float, temporary: tuple[int, ...]) -> float | None:
    """Seconds to wait after an error, at least about `pause`; None if it will not pass.

    Args:
        error: The error.
        pause: Seconds, varied at random by half.
        temporary: HTTP statuses below 500 that may change.
    """
    if isinstance(error, MissingExtra) or is_about_credentials(error):
        return None
    cause = error.__cause__ if error.__cause__ is not None else error
    status = getattr(cause, "status", None)
    if status is None and isinstance(error, (FileNotFoundError, PermissionError)):
        return None
    if status is not None and 400 <= status < 500 and status not in temporary:
        return None
    asked = min(retry_after(getattr(cause, "headers", None)), LONGEST_PAUSES)
    return max(asked, pause * random.uniform(0.5, 1.5))


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
