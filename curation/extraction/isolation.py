"""Runs a function over untrusted pages so that a page which hangs, crashes or exhausts memory affects only itself.

Each process keeps one clean child (started, not forked: a Dask worker has threads). A batch is passed at once in a
shared file, answers come back in another, and one message says that all are done: no fork and no round trip per page.
Answers survive the child, so its death costs only the page in progress, and a new child continues with the next.

The kernel enforces the limits (see `curation.extraction.isolated_child`). Time is processor time, so that the load of
the machine does not decide what is in a corpus; a page that waits instead of computing is given up after `PATIENCE`
times as many seconds of clock time. A crash or a lack of memory counts only if a fresh child repeats it, so that
neither an operator's `kill` nor memory fragmented by earlier pages costs a page. Memory is limited on Linux only.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curation.errors import StepFailed
from curation.extraction import isolated_child
from curation.extraction.isolated_child import ANSWER, FAILED, RECORD, RECYCLED, TEXT, TEXT_HEAD, write_all
from curation.running.child import Child, describe_exit, not_shared, shared_file
from curation.running.performance import add_elsewhere, child_ns

LEAST_SECONDS, MOST_SECONDS, MOST_MEGABYTES = 1e-3, 1e6, 1 << 30
"""What the system's timers and limits take. A recipe may say "inf", which is no limit."""

PATIENCE = 6
"""Seconds of clock time allowed per second of processor time: on a busy machine a page is slow without hanging."""

START_SECONDS = 120
"""Seconds that a child may take to start and to import what it needs."""

STUCK_SECONDS = 60
"""Seconds beyond the limits of two pages after which a child that answers nothing is killed from here."""

KEPT_BYTES = 32 << 20
"""Bytes of the shared file of pages that are kept for the next batch: reusing memory is cheaper than allocating it."""


@dataclass(frozen=True, slots=True)
class Function:
    """What the child runs: the function of a page's HTML in UTF-8 that `factory` returns when called with `arguments`.

    The function must return None, numbers, strings, or lists of these.

    Attributes:
        factory: The factory, as "package.module:name".
        arguments: Its arguments by name.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """Limits of a page: `seconds` of processor time, `megabytes` (MiB) of memory beyond what the child itself uses."""

    seconds: float
    megabytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The result for a page.

    Attributes:
        value: What the function returned.
        failure: Why there is no value: "timeout", "crash", "memory" or "error". None if there is one.
        cause: The clock that ran out, the signal or exit code of a crash, or the class of an exception.
        error: The exception in one line, with its message and its place; empty if there was none.
    """

    value: Any = None
    failure: str | None = None
    cause: str | None = None
    error: str = field(default="", compare=False)


def run(function: Function, pages: pa.StringArray, limits: PageLimits) -> list[Answer]:
    """Apply a function to pages in the child process. Calls from several threads take turns.

    Args:
        function: The function.
        pages: The pages; null is the same as empty.
        limits: Limits of each page.

    Returns:
        An answer for each page, in order.

    Raises:
        StepFailed: No child can be started.
    """
    if len(pages) == 0:
        return []
    with _LOCK:
        return _supervisor().run(function, pages, limits)


def prepare(function: Function) -> None:
    """Start the child process and let it load the function of the next `run`, without waiting for it."""
    with _LOCK:
        _supervisor().prepare(function)


def close() -> None:
    """End this process's child, if there is one; the next `run` starts another."""
    with _LOCK:
        for supervisor in _SUPERVISORS:
            supervisor.end_child()


class _Child(Child):
    """A process that answers requests, and our end of the socket to it."""

    def __init__(self, pages: int, answers: int) -> None:
        self.fresh = True
        self.computed = 0
        self.control, theirs = socket.socketpair()
        with theirs:
            super().__init__(isolated_child.__name__, "extraction", (theirs.fileno(), pages, answers))

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; OSError if the child has ended."""
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def request(self, message: Mapping[str, Any]) -> bool:
        """Send a request; returns whether the child has loaded its function and begun."""
        try:
            self.send(message)
            return self.receive(START_SECONDS) == b"r"
        except OSError:
            return False

    def receive(self, seconds: float) -> bytes | None:
        """The child's next message, b"" if it died, None after `seconds` of silence."""
        self.control.settimeout(seconds)
        try:
            return self.control.recv(1)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    def end(self) -> int:
        """Kill the child if it is still running; returns its exit code, negative for a signal."""
        self.control.close()
        return super().end()


class _Supervisor:
    """The two shared files, and the child that works on them."""

    def __init__(self) -> None:
        self.pages, self.answers = shared_file("pages"), shared_file("answers")
        self.child: _Child | None = None

    def end_child(self) -> int:
        code = self.child.end() if self.child is not None else 0
        self.child = None
        return code

    def prepare(self, function: Function) -> None:
        """See `prepare`. A child that cannot load the function ends, and `begin` starts another to say why."""
        if self.child is None:
            self.child = _Child(self.pages, self.answers)
            with suppress(OSError):
                self.child.send(_named(function))

    def run(self, function: Function, pages: pa.StringArray, limits: PageLimits) -> list[Answer]:
        """See `run`; each round of the loop is the work of one child, until the last page or its death."""
        answers: list[Answer] = []
        try:
            try:
                _write_pages(self.pages, pages)
            except OSError as error:
                raise not_shared(error) from error
            while len(answers) < len(pages):
                answers += self.round(function, len(answers), len(pages), limits)
        except BaseException:
            self.end_child()
            raise
        finally:
            os.ftruncate(self.pages, min(os.fstat(self.pages).st_size, KEPT_BYTES))
        return answers

    def round(self, function: Function, first: int, count: int, limits: PageLimits) -> list[Answer]:
        """Answers for the pages from `first` on; fewer than requested, even none, if the child ended early."""
        os.ftruncate(self.answers, 0)
        seconds = min(max(limits.seconds, LEAST_SECONDS), MOST_SECONDS)
        patience = seconds * PATIENCE
        request = _named(function) | {"first": first, "count": count, "seconds": seconds, "patience": patience}
        child = self.begin(request | {"megabytes": min(limits.megabytes, MOST_MEGABYTES)})
        fresh, child.fresh = child.fresh, False
        stuck = self.wait(child, 2 * patience + STUCK_SECONDS)
        computed = child_ns(child.process.pid)
        add_elsewhere(max(computed - child.computed, 0))
        child.computed = computed
        answers = _read_answers(self.answers)
        if stuck is not None:
            code = self.end_child()
            if stuck:
                answers.append(Answer(failure="timeout", cause="no sign of life"))
            elif code != RECYCLED or not answers:
                answers.append(_answer_for_exit(code))
        if answers[-1:] and answers[-1].failure in ("crash", "memory") and not (fresh and len(answers) == 1):
            self.end_child()
            answers.pop()
        return answers

    def begin(self, request: Mapping[str, Any]) -> _Child:
        """A child that has accepted the request: the current one, or a new one."""
        if self.child is not None and not self.child.request(request):
            self.end_child()
        if self.child is None:
            self.child = _Child(self.pages, self.answers)
            if not self.child.request(request):
                error_line = self.child.error_line()
                code = self.end_child()
                raise StepFailed(f"the process for extraction did not start (exit code {code}): {error_line}")
        return self.child

    def wait(self, child: _Child, patience: float) -> bool | None:
        """None if the child has finished its request, False if it has died, True if it makes no progress."""
        size = -1
        while (message := child.receive(patience)) is None:
            before, size = size, os.fstat(self.answers).st_size
            if size == before:
                return True
        if message == b"w":
            number = (child.receive(patience) or b"\0")[0]
            raise not_shared(OSError(number, os.strerror(number)))
        return None if message == b"d" else False


_LOCK = threading.Lock()
_SUPERVISORS: list[_Supervisor] = []


def _supervisor() -> _Supervisor:
    """The supervisor of this process, created on first use."""
    if not _SUPERVISORS:
        _SUPERVISORS.append(_Supervisor())
        atexit.register(close)
    return _SUPERVISORS[0]


def _forget() -> None:
    """Reset a forked process, so that it neither uses its parent's child nor waits for its parent's threads."""
    global _LOCK
    _LOCK = threading.Lock()
    _SUPERVISORS.clear()


os.register_at_fork(after_in_child=_forget)


def _named(function: Function) -> dict[str, Any]:
    """The part of a message to the child that names a function."""
    return {"factory": function.factory, "arguments": dict(function.arguments)}


def _answer_for_exit(code: int) -> Answer:
    """The answer for the page at which a child ended with exit code `code`."""
    if -code in (signal.SIGPROF, signal.SIGALRM):
        return Answer(failure="timeout", cause="processor time" if -code == signal.SIGPROF else "clock time")
    return Answer(failure="crash", cause=describe_exit(code))


def _write_pages(descriptor: int, pages: pa.StringArray) -> None:
    """Write pages to a file: count + 1 offsets (int64) between which each page is, then their UTF-8."""
    pages = pages.cast(pa.large_string())
    _, offsets_buffer, data = pages.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[pages.offset : pages.offset + len(pages) + 1]
    head = 8 * (len(pages) + 1)
    write_all(descriptor, memoryview(offsets - offsets[0] + head).cast("B"), 0)
    if data is not None:
        write_all(descriptor, memoryview(data)[offsets[0] : offsets[-1]], head)


def _read_answers(descriptor: int) -> list[Answer]:
    """The answers in the complete records of a file; a record cut off by the death of the child is left out."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return []
    answers, position = [], 0
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as records:
        while position + RECORD.size <= size:
            kind, length = RECORD.unpack_from(records, position)
            position += RECORD.size
            if position + length > size:
                break
            answers.append(_answer(kind, records[position : position + length]))
            position += length
    return answers


def _answer(kind: int, payload: bytes) -> Answer:
    if kind == TEXT:
        start = TEXT_HEAD.size + TEXT_HEAD.unpack_from(payload)[0]
        return Answer([payload[start:].decode(), *json.loads(payload[TEXT_HEAD.size : start])])
    if kind == ANSWER:
        return Answer(json.loads(payload))
    if kind == FAILED:
        cause, _, error = payload.decode("utf-8", "replace").partition("\n")
        return Answer(failure="error", cause=cause, error=error)
    return Answer(failure="memory", cause="MemoryError")
