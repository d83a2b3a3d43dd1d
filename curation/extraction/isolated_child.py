"""The child process of `isolation`: processes the pages in a shared file and records an answer for each.

Started as a clean process, it imports only what the function needs. The kernel enforces the limits of a page: two
interval timers, whose default action ends the process even inside C code that never returns, and a limit on the address
space. A record is written after the timers are off, so the number of complete records tells which page was in progress.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from curation.running.answers import describe, place

RECORD = struct.Struct("<BQ")
"""Head of a record: its kind, then the length in bytes of what follows."""

ANSWER, TEXT, FAILED, OUT_OF_MEMORY = range(4)
"""Kinds of records. They contain the function's answer as JSON; an answer that is a list of a text and more, as
TEXT_HEAD, the rest as JSON and the text; the name of the exception it raised, and in the next line its message and
place; and nothing."""

TEXT_HEAD = struct.Struct("<I")
"""Length of the JSON in a record of the kind TEXT."""

RECYCLED = 75
"""Exit code of a child that ends between two pages because it uses too much memory."""

GROWTH_LIMIT = 300 << 20
"""Bytes by which the resident memory of the child may grow before it ends after a page: parsers' caches and fragmented
memory are never returned to the system."""

_PAGE_SIZE = resource.getpagesize()


def main() -> None:
    """Serve requests, one JSON line each, on the given socket until the parent closes it or ends."""
    control = socket.socket(fileno=int(sys.argv[2]))
    pages, out = int(sys.argv[3]), int(sys.argv[4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # if the machine runs out of memory, kill this process, not its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    most = 0
    for line in control.makefile("rb"):
        request = json.loads(line)
        function = _prepare(request["factory"], json.dumps(request["arguments"], sort_keys=True))
        most = most or _sizes()[1] + GROWTH_LIMIT
        if "count" not in request:  # the function is only to be loaded
            continue
        control.sendall(b"r")
        _silence()
        try:
            _Batch(request, function, pages, out, control, most).run()
            control.sendall(b"d")
        except OSError as error:  # an answer cannot be written, whatever the page
            control.sendall(b"w" + bytes([error.errno or 0]))


@functools.cache
def _prepare(factory: str, arguments: str) -> Callable[[bytes], Any]:
    """The function that the factory "package.module:name" returns for these arguments (JSON)."""
    module, _, name = factory.partition(":")
    function: Callable[[bytes], Any] = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    gc.collect()
    gc.freeze()
    return function


def _silence() -> None:
    """Discard what libraries print; before this, stderr is kept to report a failed start."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    os.close(devnull)


class _Batch:
    """The pages of one request, from its first page to the last."""

    def __init__(
        self,
        request: Mapping[str, Any],
        function: Callable[[bytes], Any],
        pages: int,
        out: int,
        control: socket.socket,
        most: int,
    ) -> None:
        self.function, self.out, self.most, self.position = function, out, most, 0
        self.parent = select.poll()
        self.parent.register(control, 0)  # which tells only that the other end is closed
        self.first, self.count = request["first"], request["count"]
        self.seconds, self.patience = request["seconds"], request["patience"]
        self.memory = mmap.mmap(pages, os.fstat(pages).st_size, access=mmap.ACCESS_READ)
        self.view = memoryview(self.memory)
        self.offsets = array("q", self.memory[: 8 * (self.count + 1)])
        self.allowance = request["megabytes"] << 20

    def run(self) -> None:
        """Write a record for each page; end the process if it has grown too large or the parent has ended."""
        for page in range(self.first, self.count):
            kind, answer = self.answer(page)
            record = RECORD.pack(kind, len(answer)) + answer
            write_all(self.out, memoryview(record), self.position)
            self.position += len(record)
            if self.parent.poll(0):
                os._exit(0)
            if page + 1 < self.count and (kind == OUT_OF_MEMORY or _sizes()[1] > self.most):
                os._exit(RECYCLED)
        self.view.release()
        self.memory.close()

    def answer(self, page: int) -> tuple[int, bytes]:
        """Kind and content of the record of one page, computed under the limits."""
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        signal.setitimer(signal.ITIMER_REAL, self.patience)
        _limit_address_space(_sizes()[0] + self.allowance)
        try:
            html = bytes(self.view[self.offsets[page] : self.offsets[page + 1]])
            return _record(self.function(html))
        except MemoryError:
            return OUT_OF_MEMORY, b""
        except BaseException as error:
            return FAILED, f"{type(error).__name__}\n{describe(error)} ({place(error)})".encode("utf-8", "replace")
        finally:
            _limit_address_space(resource.RLIM_INFINITY)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _record(answer: Any) -> tuple[int, bytes]:
    """Kind and content of the record of an answer."""
    if isinstance(answer, list) and answer and isinstance(answer[0], str):
        rest = _encoded(answer[1:])
        return TEXT, TEXT_HEAD.pack(len(rest)) + rest + answer[0].encode("utf-8", "replace")
    return ANSWER, _encoded(answer)


def _encoded(answer: Any) -> bytes:
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


def write_all(descriptor: int, data: memoryview, position: int) -> None:
    """Write all of `data` at `position` of a file, in as many calls as the system needs."""
    while len(data):
        written = os.pwrite(descriptor, data, position)
        position, data = position + written, data[written:]


def _limit_address_space(ceiling: int) -> None:
    if sys.platform != "linux":
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard != resource.RLIM_INFINITY:
        ceiling = hard if ceiling == resource.RLIM_INFINITY else min(ceiling, hard)
    resource.setrlimit(resource.RLIMIT_AS, (ceiling, hard))


def _sizes() -> tuple[int, int]:
    """Address space and resident memory of this process in bytes; on other systems than Linux, 0 and its peak."""
    if sys.platform != "linux":
        return 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total, resident = os.pread(_statm(), 100, 0).split()[:2]
    return int(total) * _PAGE_SIZE, int(resident) * _PAGE_SIZE


@functools.cache
def _statm() -> int:
    return os.open("/proc/self/statm", os.O_RDONLY)
