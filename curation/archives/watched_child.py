"""The child process of `watched`: reads archives and passes each batch on in a file in memory.

It imports what reading needs and nothing else. The kernel ends it if the work between two calls of its watch takes
longer than the recipe allows.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import resource
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.read import read_input, read_row
from curation.archives.reader import ReadSettings
from curation.archives.watch import Watch
from curation.running.child import not_shared, shared_file
from curation.stages.batch import Batch

STATE = struct.Struct("<qq")
"""What is noted in shared memory: a phase, and the number of the record that it is about."""

OPENING, SPLITTING, DECODING = 0, 1, 2
"""Phases: before the first record, the search for the next one, and the decoding of one."""

MOST_SECONDS = 1e6
"""Longest time that a timer of the kernel is set to; a recipe may say "inf"."""

AHEAD = 2
"""Batches passed on that the parent has not taken."""


def main() -> None:
    """Serve requests until the parent closes the channel or ends."""
    control, files = Connection(int(sys.argv[2])), socket.socket(fileno=int(sys.argv[3]))
    state = mmap.mmap(int(sys.argv[4]), STATE.size)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # if the machine runs out of memory, kill this process, not its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            _serve(control.recv(), (control, files, state))


class _Limits(Watch):
    """Ends this process if the work between two calls takes too long."""

    def __init__(
        self, state: mmap.mmap, seconds: float, left_out: Mapping[int, str], stop: tuple[int, str] | None
    ) -> None:
        self._state, self._seconds, self._left_out, self._stop = state, seconds, left_out, stop
        self._number = 0

    def opening(self) -> None:
        """Note that the work begins."""
        self._note(OPENING)

    def splitting(self) -> str | None:
        """The cause to end reading before the next record, or None."""
        self._note(SPLITTING)
        return self._stop[1] if self._stop is not None and self._number >= self._stop[0] else None

    def decoding(self) -> str | None:
        """The cause to leave out the record, or None."""
        self._note(DECODING)
        self._number += 1
        return self._left_out.get(self._number - 1)

    def advancing(self) -> None:
        """Start the time again."""
        signal.setitimer(signal.ITIMER_PROF, min(self._seconds, MOST_SECONDS))

    def _note(self, phase: int) -> None:
        self._state[:] = STATE.pack(phase, self._number)
        self.advancing()


def _serve(
    request: tuple[Input, int | None, ReadSettings, Mapping[int, str], tuple[int, str] | None, int], channels: Any
) -> None:
    """Read one input, or one row of it: pass on its batches from number `first` on, then the counts and losses, or the
    error."""
    source, row, settings, left_out, stop, first = request
    control, files, state = channels
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    error: Exception | None = None
    watch = _Limits(state, settings.max_seconds, left_out, stop)
    waiting = 0
    watch.opening()
    try:
        with source.open() as stream:
            batches: Iterable[Batch | None] = (
                read_input(stream, source, settings, counts, losses=losses, watch=watch)
                if row is None
                else [read_row(stream, source, row, settings, watch)]
            )
            for number, batch in enumerate(batches):
                if number < first or batch is None:
                    continue
                _pass_on(batch.table, stream.tell(), control, files)
                waiting += 1
                while waiting > AHEAD or control.poll():
                    control.recv()
                    waiting -= 1
    except (EOFError, ConnectionError):
        raise
    except Exception as failure:
        error = _portable(failure)
    signal.setitimer(signal.ITIMER_PROF, 0)
    while waiting:
        control.recv()
        waiting -= 1
    control.send((counts, losses, error))


def _pass_on(table: pa.RecordBatch, offset: int, control: Connection, files: socket.socket) -> None:
    """Pass on a batch: it is written before it is announced, as the parent then waits for nothing else."""
    descriptor = shared_file("batch")
    try:
        try:
            with pa.OSFile(f"/dev/fd/{descriptor}", "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_batch(table)
        except OSError as error:
            raise not_shared(error) from error
        control.send(offset)
        socket.send_fds(files, [b"b"], [descriptor])
    finally:
        os.close(descriptor)


def _portable(error: Exception) -> Exception:
    """The error itself if it survives the way to the parent, else its text."""
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
    except Exception:
        return OSError(f"{type(error).__name__}: {error}")
