"""Time and memory of a task, separate from its counts: they differ between equal runs, counts never do."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any


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
        """Add the time of the block under `name`."""
        started = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add({name: time.perf_counter_ns() - started})

    def report(self) -> dict[str, Any]:
        """Total seconds, seconds by name (which may add up to more, as threads overlap) and peak memory in bytes."""
        return {
            "seconds": (time.perf_counter_ns() - self._started) / 1e9,
            "stages": {name: value / 1e9 for name, value in sorted(self._nanoseconds.items())},
            "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
