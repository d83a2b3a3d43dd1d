"""Runs a function over untrusted pages so that a page which hangs, crashes or eats memory costs itself alone.

Each process keeps one clean child (started, not forked: a Dask worker has threads). A batch goes over at once through a
shared file, answers come back through another, and one message tells that all is done: no fork, no round trip a page.
Answers outlive the child, so its death costs the page it was at, and a new child goes on with the next.

The kernel enforces the limits (see `curation.extraction.isolated_child`). Time is processor time, so that a busy
machine does not decide what is in a corpus; a page that waits instead of computing is given up after `PATIENCE` times
as many seconds on the clock. A crash or a lack of memory is believed only when a fresh child repeats it: an operator's
`kill` costs no page, nor does memory that earlier pages left in pieces. Memory is limited on Linux only.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from curation.errors import StepFailed
from curation.extraction.isolated_child import ANSWER, FAILED, RECORD, RECYCLED, write_all

PATIENCE = 6
"""Seconds on the clock for each second of processor time allowed: a busy machine is no hang."""

START_SECONDS = 120
"""How long a child may take to start and to import what it needs."""

STUCK_SECONDS = 60
"""Seconds beyond the limits of two pages after which a child that answers none is killed from here."""

KEPT_BYTES = 32 << 20
"""How much of the file of pages stays for the next batch: memory got anew costs more than memory written over."""

_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from curation.extraction.isolated_child import main; main()"
)


@dataclass(frozen=True, slots=True)
class Function:
    """What the child runs: `factory` ("package.module:name") called with `arguments` gives a function of a page's text.

    Its answer must be plain: None, numbers, strings, or lists of them.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PageLimits:
    """What a page may take: `seconds` of processor time, `megabytes` of memory beyond what the child itself holds."""

    seconds: float
    megabytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a page: its `value`, or its `failure` (timeout, crash, memory, error) and the `cause`.

    cause: the clock that ran out, the signal or exit code of a crash, the class of an exception.
    """

    value: Any = None
    failure: str | None = None
    cause: str | None = None


def run(function: Function, pages: pa.StringArray, limits: PageLimits) -> list[Answer]:
    """An answer for each of `pages`, in order; a null page counts as an empty one.

    Calls from several threads take turns. Raises StepFailed if no child can be started.
    """
    if len(pages) == 0:
        return []
    with _LOCK:
        return _supervisor().run(function, pages, limits)


def close() -> None:
    """End this process's child, if there is one; the next `run` starts another."""
    with _LOCK:
        for supervisor in _SUPERVISORS:
            supervisor.end_child()


class _Child:
    """A process that answers requests, and our end of the socket to it."""

    def __init__(self, pages: int, answers: int) -> None:
        self.fresh = True
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.control, theirs = socket.socketpair()
        command = [
            sys.executable,
            "-P",
            "-c",
            _BOOT,
            json.dumps(sys.path),
            *map(str, (theirs.fileno(), pages, answers)),
        ]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                pass_fds=(theirs.fileno(), pages, answers),
                env=os.environ | {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"},
            )
        except OSError as error:
            raise StepFailed(f"cannot start a process for extraction: {error}") from error
        finally:
            theirs.close()

    def request(self, message: Mapping[str, Any]) -> bool:
        """Send a request; whether the child has loaded its function and begun."""
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
            return self.heard(START_SECONDS) == b"r"
        except OSError:
            return False

    def heard(self, seconds: float) -> bytes | None:
        """The child's next message, b"" if it died, None after `seconds` of silence."""
        self.control.settimeout(seconds)
        try:
            return self.control.recv(1)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    def end(self) -> int:
        """Kill the child unless it is dead already; its exit code, negative for a signal."""
        self.control.close()
        self.process.kill()
        return self.process.wait()

    def complaint(self) -> str:
        """The last line that the child wrote before it began its first page."""
        self.errors.seek(0)
        lines = self.errors.read().decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "no message")


class _Supervisor:
    """The two shared files, and the child that works on them."""

    def __init__(self) -> None:
        self.pages, self.answers = _shared_file("pages"), _shared_file("answers")
        self.child: _Child | None = None

    def end_child(self) -> int:
        code = self.child.end() if self.child is not None else 0
        self.child = None
        return code

    def run(self, function: Function, pages: pa.StringArray, limits: PageLimits) -> list[Answer]:
        """See `run`; each round of the loop is the work of one child, to the last page or to its death."""
        answers: list[Answer] = []
        try:
            _hand_over(self.pages, pages)
            while len(answers) < len(pages):
                answers += self.round(function, len(answers), len(pages), limits)
        except BaseException:
            self.end_child()
            raise
        finally:
            os.ftruncate(self.pages, min(os.fstat(self.pages).st_size, KEPT_BYTES))
        return answers

    def round(self, function: Function, first: int, count: int, limits: PageLimits) -> list[Answer]:
        """Answers for pages from `first` on; fewer than asked for, even none, if the child ended early."""
        os.ftruncate(self.answers, 0)
        patience = limits.seconds * PATIENCE
        request = {"factory": function.factory, "arguments": dict(function.arguments), "first": first, "count": count}
        child = self.begin(request | {"seconds": limits.seconds, "patience": patience, "megabytes": limits.megabytes})
        fresh, child.fresh = child.fresh, False
        stuck = self.wait(child, 2 * patience + STUCK_SECONDS)
        found = _read_answers(self.answers)
        if stuck is not None:
            code = self.end_child()
            if stuck:
                found.append(Answer(failure="timeout", cause="no sign of life"))
            elif code != RECYCLED or not found:
                found.append(_verdict(code))
        if found[-1:] and found[-1].failure in ("crash", "memory") and not (fresh and len(found) == 1):
            self.end_child()
            found.pop()
        return found

    def begin(self, request: Mapping[str, Any]) -> _Child:
        """A child that has accepted the request: the one there is, else a new one."""
        if self.child is not None and not self.child.request(request):
            self.end_child()
        if self.child is None:
            self.child = _Child(self.pages, self.answers)
            if not self.child.request(request):
                complaint = self.child.complaint()
                code = self.end_child()
                raise StepFailed(f"the process for extraction did not start (exit code {code}): {complaint}")
        return self.child

    def wait(self, child: _Child, patience: float) -> bool | None:
        """None when the child has finished its request, False when it has died, True when it shows no sign of life."""
        size = -1
        while (message := child.heard(patience)) is None:
            before, size = size, os.fstat(self.answers).st_size
            if size == before:
                return True
        return None if message == b"d" else False


_LOCK = threading.Lock()
_SUPERVISORS: list[_Supervisor] = []


def _supervisor() -> _Supervisor:
    """This process's own, made at its first use."""
    if not _SUPERVISORS:
        _SUPERVISORS.append(_Supervisor())
        atexit.register(close)
    return _SUPERVISORS[0]


def _forget() -> None:
    """A forked process talks neither to its parent's child nor waits for its parent's threads."""
    global _LOCK
    _LOCK = threading.Lock()
    _SUPERVISORS.clear()


os.register_at_fork(after_in_child=_forget)


def _shared_file(name: str) -> int:
    """The descriptor of a file in memory, or in the folder for temporary files where the system has no such thing."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _verdict(code: int) -> Answer:
    """The answer for the page at which a child ended with exit code `code`."""
    if -code in (signal.SIGPROF, signal.SIGALRM):
        return Answer(failure="timeout", cause="processor time" if -code == signal.SIGPROF else "clock time")
    return Answer(failure="crash", cause=signal.Signals(-code).name if code < 0 else f"exit code {code}")


def _hand_over(descriptor: int, pages: pa.StringArray) -> None:
    """Write pages to a file: where each begins and ends (count + 1 int64), then their UTF-8."""
    pages = pages.cast(pa.large_string())
    _, offsets_buffer, data = pages.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[pages.offset : pages.offset + len(pages) + 1]
    head = 8 * (len(pages) + 1)
    write_all(descriptor, memoryview(offsets - offsets[0] + head).cast("B"), 0)
    if data is not None:
        write_all(descriptor, memoryview(data)[offsets[0] : offsets[-1]], head)


def _read_answers(descriptor: int) -> list[Answer]:
    """The whole records of a file; one that was cut by the death of its writer is left out."""
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
    if kind == ANSWER:
        return Answer(json.loads(payload))
    if kind == FAILED:
        return Answer(failure="error", cause=payload.decode("utf-8", "replace"))
    return Answer(failure="memory", cause="MemoryError")
