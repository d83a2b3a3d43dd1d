"""Whether and when to make a request again that failed: one rule for all storage that inputs are read from."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from curation.archives.commoncrawl.addresses import is_of_commoncrawl
from curation.archives.http_requests import TEMPORARY_STATUSES, RequestFailed, retry_after
from curation.errors import CredentialsFailed, MissingExtra, WriteFailed
from curation.running.retries import LEAST_TRIES, Attempt, retry_seconds
from curation.store.storage import explain, is_about_credentials, is_io

Value = TypeVar("Value")


class Patience:
    """The tries of one request after another for a file, with the pauses of `Attempt`, at least Retry-After.

    Args:
        url: The file.
        seconds: Seconds after the first of several failures in a row in which the request is made again. None means
            so many that a task that reads files can be tried `LEAST_TRIES` times in `retry_seconds()`.
    """

    def __init__(self, url: str, seconds: float | None = None) -> None:
        self.url = url
        self.seconds = retry_seconds() / LEAST_TRIES if seconds is None else seconds
        self._temporary = (*TEMPORARY_STATUSES, 403) if is_of_commoncrawl(url) else TEMPORARY_STATUSES
        self._attempt = Attempt(url)

    def __call__(self, request: Callable[[], Value], failed: Callable[[], None] = lambda: None) -> Value:
        """What the request returns.

        Args:
            request: The request.
            failed: Called after each failure.

        Raises:
            OSError: The request failed for too long, or will not succeed.
        """
        while True:
            try:
                value = request()
            except Exception as error:
                failed()
                self.wait(error)
            else:
                self.reset()
                return value

    def given_up(self, error: RequestFailed) -> str:
        """What is wrong, and for how long requests were made, in one line."""
        waited = f", and asks to wait for {error.asked:.0f} s" if error.asked else ""
        tried = time.monotonic() - self._attempt.began
        return f"{error}{waited}; given up after {tried:.0f} s of at most {self.seconds:.0f} s"

    def reset(self) -> None:
        """Begin anew: something was received."""
        self._attempt = Attempt(self.url)

    def may_pass(self, error: Exception) -> bool:
        """Whether the request may succeed later."""
        if isinstance(error, (MissingExtra, WriteFailed)) or is_about_credentials(error) or not is_io(error):
            return False
        status = getattr(_source(error), "status", None)
        if status is None:
            return not isinstance(error, (FileNotFoundError, PermissionError))
        return not 200 <= status < 500 or status in self._temporary

    def pause(self, error: Exception) -> float | None:
        """Seconds to wait after a failure; None if it will not pass, or has lasted for too long."""
        if not self.may_pass(error):
            return None
        pause, asked = self._attempt.pause("", seconds=self.seconds), _asked(error)
        left = self._attempt.began + self.seconds - time.monotonic()
        return None if pause is None or asked > left else max(min(pause, left), asked, 0.0)

    def wait(self, error: Exception) -> None:
        """Wait after a failure.

        Raises:
            OSError: It will not pass, or has lasted for too long.
            Exception: It is not about storage, and raised as it is.
        """
        pause = self.pause(error)
        if pause is not None:
            time.sleep(pause)
            return
        if is_about_credentials(error):
            raise CredentialsFailed(f"{self.url}: {explain(error)}") from error
        if isinstance(error, RequestFailed):
            raise OSError(f"{self.url}: {self.given_up(error) if self.may_pass(error) else error}") from error
        if isinstance(error, (OSError, MissingExtra)) or not is_io(error):
            raise error
        raise OSError(f"{self.url}: {type(error).__name__}: {error}") from error


def _source(error: BaseException) -> BaseException:
    """The error that has the status and the headers of an answer, if any has."""
    return error if isinstance(error, RequestFailed) or error.__cause__ is None else error.__cause__


def _asked(error: Exception) -> float:
    """Seconds to wait for, as the server says."""
    return error.asked if isinstance(error, RequestFailed) else retry_after(getattr(_source(error), "headers", None))
