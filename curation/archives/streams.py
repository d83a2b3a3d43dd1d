"""Streams of inputs that are not local: a request that fails is made again, from the same place.

A run makes many requests per archive, so that even a few failures in a thousand would cost most archives a try. A
failure that lasts is raised as an OSError, and the whole task is tried again later (`curation.running.retries`).
"""

from __future__ import annotations

import random
import time
from typing import Any

import fsspec

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try of a request, each varied at random by half."""

LONGEST_PAUSES = 60.0
"""Seconds of pauses per stream, and the most that a server may ask for with Retry-After."""

TEMPORARY_STATUSES = (408, 425, 429)
"""HTTP statuses below 500 that may change."""


class PatientStream:
    """A binary file at a URL, which can be read and sought.

    Args:
        url: An fsspec URL.

    Raises:
        OSError: A request failed for longer than PAUSES, or will not succeed: the file is missing or access is denied.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._file: Any = None
        self._at = 0
        self._paused = 0.0
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
            self._file = fsspec.open(self.url, "rb").open()
            if self._at:
                self._file.seek(self._at)
        return self._file

    def _read(self, size: int) -> bytes:
        file = self._open()
        data = bytes(file.read(size))
        if not data and size and self._at < (getattr(file, "size", None) or 0):
            raise OSError(f"{self.url}: no data at offset {self._at} of {file.size}")
        return data

    def _try(self, request: Any) -> Any:
        """What the request returns, made again after each failure that may pass."""
        for pause in (*PAUSES, None):
            try:
                return request()
            except Exception as error:
                self._file = None
                wait = None if pause is None else _wait(error, pause)
                if wait is None or self._paused + wait > LONGEST_PAUSES:
                    if isinstance(error, OSError):
                        raise
                    raise OSError(f"{self.url}: {type(error).__name__}: {error}") from error
                self._paused += wait
                time.sleep(wait)
        raise AssertionError


def _wait(error: Exception, pause: float) -> float | None:
    """Seconds to wait after an error, None if it will not pass."""
    cause = error.__cause__ if error.__cause__ is not None else error
    status = getattr(cause, "status", None)
    if status is None and isinstance(error, (FileNotFoundError, PermissionError)):
        return None
    if status is not None and 400 <= status < 500 and status not in TEMPORARY_STATUSES:
        return None
    try:
        asked = min(float(getattr(cause, "headers", None)["Retry-After"]), LONGEST_PAUSES)  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        asked = 0.0
    return max(asked, pause * random.uniform(0.5, 1.5))
