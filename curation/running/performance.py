"""Time and memory of a task, separate from its counts: they differ between equal runs, counts never do.

Parts of a task are measured in processor time, so that they add up however threads and processes wait for each other:
the time of the thread, and what child processes computed for it.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, local
from typing import Any, TypeVar

Item = TypeVar("Item")

_elsewhere = local()


def processor_ns() -> int:
    """Nanoseconds of processor time of this thread, and of child processes for it (`add_elsewhere`)."""
    return time.thread_time_ns() + getattr(_elsewhere, "nanoseconds", 0)


def add_elsewhere(nanoseconds: int) -> None:
    """Count what a child process computed for this thread."""
    _elsewhere.nanoseconds = getattr(_elsewhere, "nanoseconds", 0) + nanoseconds


def child_ns(pid: int) -> int:
    """Nanoseconds of processor time of another process so far; 0 if it has ended, or on other systems than Linux."""
    if sys.platform != "linux":
        return 0
    try:
        return time.clock_gettime_ns(~pid << 3 | 2)  # the kernel's number for the clock of a process
    except OSError:
        return 0


class Meter:
    """Collects time by name from several threads; measures total time from its creation."""

    def __init__(self) -> None:
        self._started = time.perf_counter_ns()
        self._nanoseconds: Counter[str] = Counter()
        self._lock = Lock()

    def add(self, nanoseconds: Mapping[str, int]) -> None:
        """Add nanoseconds by name."""
        with self._lock:
            self._nanoseconds.update(nanoseconds)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the processor time of the block under `name`."""
        started = processor_ns()
        try:
            yield
        finally:
            self.add({name: processor_ns() - started})

    def each(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; the processor time of making them is added under `name`."""
        iterator, end = iter(items), object()
        while True:
            with self.timed(name):
                item = next(iterator, end)
            if item is end:
                return
            yield item  # type: ignore[misc]

    def report(self) -> dict[str, Any]:
        """Total seconds, seconds of processor time by name, and peak memory in bytes."""
        return {
            "seconds": (time.perf_counter_ns() - self._started) / 1e9,
            "stages": {name: value / 1e9 for name, value in sorted(self._nanoseconds.items())},
            "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
