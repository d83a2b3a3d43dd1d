"""Streams of inputs that are not local: a request that fails is made again, from the same place.

A run makes many requests per archive, so that even a few failures in a thousand would cost most archives a try. A
failure that lasts is raised as an OSError, and the whole task is tried again later (`curation.running.retries`).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from curation.archives.http_requests import RequestFailed, download, gives_ranges, http_info, receive
from curation.archives.patience import Patience
from curation.errors import WriteFailed
from curation.store.storage import code, explain, file_system, is_http

Value = TypeVar("Value")

BLOCK = 5 << 20
"""Bytes that are asked for at once."""

BARE_CODES = ("400", "401", "403")
"""Codes of S3 errors that are only the HTTP status."""


def open_stream(url: str) -> HttpStream | PatientStream:
    """Open a file at a URL for reading and seeking.

    Args:
        url: An fsspec URL.

    Raises:
        OSError: A request failed for too long, or will not succeed: the file is missing or access is denied.
    """
    return HttpStream(url) if is_http(file_system(url)[0]) else PatientStream(url)


class HttpStream(io.BufferedReader):
    """A file on an HTTP server. What has arrived is not asked for again, however often connections break.

    Args:
        url: Its URL.

    Attributes:
        has_ranges: Whether parts of it can be asked for; if not, it was downloaded as a whole.

    Raises:
        OSError: As for `open_stream`.
    """

    def __init__(self, url: str) -> None:
        fs, path = file_system(url)
        patience = Patience(path)
        size = patience(partial(http_info, fs, path))["size"] if patience(partial(gives_ranges, fs, path)) else 0
        self.has_ranges = size > 0
        super().__init__(_HttpFile(fs, path, size, patience) if size else _downloaded(fs, path, patience), BLOCK)


class _HttpFile(io.RawIOBase):
    """A file on a server that gives parts of files; each read is one request, which may give less than is wanted."""

    def __init__(self, fs: Any, url: str, size: int, patience: Patience) -> None:
        self._fs, self._url, self._size, self._patience = fs, url, size, patience
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position and return it."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes, none only at the end."""
        wanted = min(len(buffer), self._size - self._at)
        got = 0

        def received(data: bytes) -> None:
            nonlocal got
            buffer[got : got + len(data)] = data
            got += len(data)

        while got == 0 < wanted:
            try:
                receive(self._fs, self._url, self._at, self._at + wanted, received)
                self._patience.reset()
            except RequestFailed as error:
                if got:
                    self._patience.reset()
                self._patience.wait(error)
        self._at += got
        return got

    def readall(self) -> bytes:
        """All bytes that are left."""
        data = bytearray(max(0, self._size - self._at))
        view, at = memoryview(data), 0
        while at < len(data):
            at += self.readinto(view[at:])
        return bytes(data)


def _downloaded(fs: Any, url: str, patience: Patience) -> io.RawIOBase:
    """The whole file in a temporary file on disk, begun anew after each failure."""
    file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def write(data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[file.write(left) :]
        except OSError as error:  # about this machine, not about the server
            raise WriteFailed(f"cannot keep {url} on disk: {explain(error)}") from error

    def attempt() -> None:
        file.seek(0)
        file.truncate()
        try:
            download(fs, url, write)
        except RequestFailed as error:
            if error.status is not None:
                raise
            raise RequestFailed(error.cause, f"{error} (the server cannot continue a download)") from error

    try:
        patience(attempt)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


class PatientStream:
    """A binary file in storage other than HTTP servers, which can be read and sought.

    Args:
        url: An fsspec URL.

    Raises:
        OSError: As for `open_stream`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file: Any = None
        self._at = 0
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
            self._file = fs.open(path, "rb")
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
