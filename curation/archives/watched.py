"""Reads archives in a child process, so that a record that hangs or crashes costs only itself.

The child reads batches ahead and passes each in a shared file, without a copy on this side. Before every record it
notes in shared memory which one comes and sets a timer of the kernel, whose default action ends the process even inside
C code that never returns. Time is processor time, so that neither a busy machine nor a slow network costs a record. A
child that ends early is replaced: the new one reads the archive again, leaves out the record at which the last one
ended, and passes on only the batches that are missing. A crash counts only if it happens again at the same place, so
that an operator's `kill` costs nothing.
"""

from __future__ import annotations

import atexit
import mmap
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from curation.archives import watched_child
from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.read import read_input, read_row
from curation.archives.reader import ReadSettings
from curation.archives.watched_child import DECODING, OPENING, STATE
from curation.errors import StepFailed, UnreadableArchive
from curation.running.child import Child, describe_exit, shared_file
from curation.running.performance import add_elsewhere, child_ns
from curation.stages.batch import Batch

CHILD_MODULE = watched_child.__name__

MAX_FAILURES = 16
"""Records of one archive that may be left out; after that, reading ends where the next one fails."""


def prepare(source: Input) -> None:
    """Start the child process that `read_watched` needs for an input, without waiting for it."""
    if not source.path.startswith("memory://"):
        with _borrowed() as reader:
            reader.start()


def read_watched(
    source: Input,
    settings: ReadSettings,
    counts: Counter[str],
    losses: list[Loss],
    advanced: Callable[[int], None] = lambda offset: None,
) -> Iterator[Batch]:
    """Read the documents of an input as `read_input` does, in a child process that survives no record it cannot read.

    Args:
        source: The input. One in this process's own memory (`memory://`) is read in this process.
        settings: Table [read] of the recipe.
        counts: Updated at the end with the counts of `read_input`; a record left out is `skipped.too_slow` or
            `skipped.crash`.
        losses: What could not be read is appended to it at the end.
        advanced: Called with the file offset up to which the file was read, before each batch.

    Yields:
        Batches in file order.

    Raises:
        UnreadableArchive: Nothing in the file can be read, or reading it ends the child wherever it begins.
        OSError: The file cannot be read.
        StepFailed: The child process cannot be started.
    """
    if source.path.startswith("memory://"):
        with source.open() as stream:
            yield from read_input(stream, source, settings, counts, losses=losses)
        return
    with _borrowed() as reader:
        yield from reader.read(source, settings, counts, losses, advanced)


def read_watched_row(source: Input, row: int, settings: ReadSettings) -> Batch | None:
    """Read the document at a row of a file that is no archive, or None, as `read_row` does, in a child process.

    Args:
        source: The file. One in this process's own memory (`memory://`) is read in this process.
        row: The number of the row, as in the column `row`.
        settings: Table [read] of the recipe.

    Raises:
        UnreadableArchive: Nothing in the file can be read, or reading the row ends the child.
        OSError: The file cannot be read.
        StepFailed: The child process cannot be started.
    """
    if source.path.startswith("memory://"):
        with source.open() as stream:
            return read_row(stream, source, row, settings)
    with _borrowed() as reader:
        batches = list(reader.read(source, settings, Counter(), [], row=row))
    return batches[0] if batches else None


class _ReadingProcess:
    """A child process, replaced when it ends, and our ends of the channels to it."""

    def __init__(self) -> None:
        self.child: Child | None = None
        self.environment: dict[str, str] = {}
        self.state_file = shared_file("state")
        os.ftruncate(self.state_file, STATE.size)
        self.state = mmap.mmap(self.state_file, STATE.size)

    def start(self) -> Child:
        """The child that is running, or a new one, which has this process's environment as it is now."""
        environment = dict(os.environ)
        if self.child is not None and self.child.process.poll() is None and self.environment == environment:
            return self.child
        self.end()
        self.environment = environment
        control, theirs = socket.socketpair()
        files, their_files = socket.socketpair()
        with theirs, their_files:
            descriptors = (theirs.fileno(), their_files.fileno(), self.state_file)
            self.child = Child(CHILD_MODULE, "reading", descriptors)
        self.control, self.files = Connection(control.detach()), files
        return self.child

    def end(self) -> int:
        """End the child; returns its exit code."""
        if self.child is None:
            return 0
        code = self.child.end()
        self.control.close()
        self.files.close()
        self.child = None
        return code

    def read(
        self,
        source: Input,
        settings: ReadSettings,
        counts: Counter[str],
        losses: list[Loss],
        advanced: Callable[[int], None] = lambda offset: None,
        row: int | None = None,
    ) -> Iterator[Batch]:
        """See `read_watched`, and `read_watched_row` for a row; each round of the loop is the work of one child."""
        left_out: dict[int, str] = {}
        stop: tuple[int, str] | None = None
        crashed_at, passed_on = None, 0
        while True:
            child = self.start()
            computed = child_ns(child.process.pid)
            self.state[:] = STATE.pack(-1, -1)
            try:
                self.control.send((source, row, settings, left_out, stop, passed_on))
                for batch in self._batches(advanced):
                    passed_on += 1
                    yield batch
                add_elsewhere(max(child_ns(child.process.pid) - computed, 0))
                break
            except (EOFError, ConnectionError):
                pass  # the child ended
            except BaseException:
                self.end()  # whoever uses the batches stopped, or the archive cannot be read
                raise
            phase, number = STATE.unpack(self.state)
            line = self.child.error_line() if self.child is not None else ""
            code = self.end()
            if phase < 0:
                raise StepFailed(f"the process for reading ended before it began ({describe_exit(code)}): {line}")
            is_slow = code == -signal.SIGPROF
            if not is_slow and crashed_at != (phase, number):
                crashed_at = phase, number
                continue
            cause = "too_slow" if is_slow else "crash"
            if phase == DECODING and number not in left_out and len(left_out) < MAX_FAILURES:
                left_out[number] = cause
            elif phase != OPENING and (stop is None or number < stop[0]):
                stop = number, cause
            elif is_slow:
                raise UnreadableArchive(f"reading it takes longer than {settings.max_seconds:g} s (read.max_seconds)")
            else:
                raise UnreadableArchive(f"reading it ends the process ({describe_exit(code)}: {line.strip()})")
        read, lost, error = self._received
        counts.update(read)
        losses.extend(lost)
        if error is not None:
            raise error

    def _batches(self, advanced: Callable[[int], None]) -> Iterator[Batch]:
        """Batches until the child says that it has finished, then what it counted is in `_received`."""
        while True:
            message = self.control.recv()
            if not isinstance(message, int):
                self._received: tuple[Counter[str], list[Loss], BaseException | None] = message
                return
            _, (descriptor, *_), _, _ = socket.recv_fds(self.files, 1, 1)
            try:
                memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)
            with pa.ipc.open_stream(pa.py_buffer(memory)) as stream:
                batch = Batch(stream.read_next_batch())
            self.control.send(None)
            advanced(message)
            yield batch


_LOCK = threading.Lock()
_IDLE: list[_ReadingProcess] = []


class _borrowed:  # noqa: N801
    """A reader that nobody else uses, returned when the context closes."""

    def __enter__(self) -> _ReadingProcess:
        with _LOCK:
            self.reader = _IDLE.pop() if _IDLE else _ReadingProcess()
        return self.reader

    def __exit__(self, *error: Any) -> None:
        with _LOCK:
            _IDLE.append(self.reader)


def close() -> None:
    """End the child processes that are not in use."""
    with _LOCK:
        for reader in _IDLE:
            reader.end()


def _forget() -> None:
    """Reset a forked process, so that it does not use its parent's children."""
    global _LOCK
    _LOCK = threading.Lock()
    _IDLE.clear()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)
