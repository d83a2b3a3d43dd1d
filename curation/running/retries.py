"""When a task that met an I/O error is tried again, and which workers get no more tasks.

An I/O error says nothing about the input: storage answers 503 for some seconds, a mount is missing on one machine. So
the task is tried again after a pause, twice as long every time, on a worker where it did not fail yet. Each pause is
varied at random by half, so that tasks that failed together do not come back together. A worker on which several inputs
in a row fail while other workers succeed gets no more tasks.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

RETRY_SECONDS = 180.0
"""Seconds after its first I/O error in which an item is tried again. CURATION_RETRY_SECONDS sets another number."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the first retry, and the most before a later one."""

LEAST_TRIES = 3
"""Tries of an item whose tries take longer than RETRY_SECONDS."""

FAILURES_IN_A_ROW = 3
"""Inputs that fail on a worker, one after the other, before it gets no more tasks."""


def retry_seconds() -> float:
    """The number in CURATION_RETRY_SECONDS, or RETRY_SECONDS."""
    try:
        return max(0.0, float(os.environ["CURATION_RETRY_SECONDS"]))
    except (KeyError, ValueError):
        return RETRY_SECONDS


@dataclass(eq=False, slots=True)
class Attempt(Generic[Item]):
    """The tries of one item.

    Attributes:
        item: The item.
        failed_on: Workers on which it met an I/O error.
        failures: Number of I/O errors.
        began: Time of the first of them on a monotonic clock, in seconds.
        lost: How often it was lost with its scheduler.
        deaths: How often its worker died or was ended while it ran.
        is_unsure: Whether it may have been finished without an answer.
        alone: Whether it runs while nothing else does, to show whether it kills its worker.
    """

    item: Item
    failed_on: set[str] = field(default_factory=set)
    failures: int = 0
    began: float = 0.0
    lost: int = 0
    deaths: int = 0
    is_unsure: bool = False
    alone: bool = False

    def pause(self, worker: str, now: float | None = None, seconds: float | None = None) -> float | None:
        """Seconds until the next try after an I/O error, None if there is none.

        Args:
            worker: Where it failed.
            now: Time on a monotonic clock, in seconds; None means the current time.
            seconds: Seconds after the first error in which it is tried again; None means `retry_seconds()`.
        """
        now = time.monotonic() if now is None else now
        self.failed_on.add(worker)
        self.failures += 1
        if self.failures == 1:
            self.began = now
        pause = min(FIRST_PAUSE * 2 ** (self.failures - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.5)
        budget = retry_seconds() if seconds is None else seconds
        is_over = now + pause > self.began + budget and (self.failures >= LEAST_TRIES or not budget)
        return None if is_over else pause


@dataclass(slots=True)
class WorkerHealth:
    """Which workers fail where others succeed.

    Attributes:
        suspended: Workers that get no more tasks.
    """

    suspended: set[str] = field(default_factory=set)
    _failures: dict[str, int] = field(default_factory=dict)
    _successes: dict[str, int] = field(default_factory=dict)
    _others: dict[str, int] = field(default_factory=dict)

    def succeeded(self, worker: str) -> None:
        """Record a result of a worker."""
        self._failures.pop(worker, None)
        self._successes[worker] = self._successes.get(worker, 0) + 1

    def failed(self, worker: str, known: Collection[str]) -> bool:
        """Record an I/O error of a worker; returns whether it gets no more tasks from now on.

        Args:
            worker: The worker.
            known: All workers there are.
        """
        total = sum(count for name, count in self._successes.items() if name != worker)
        if worker not in self._failures:
            self._others[worker] = total
        self._failures[worker] = self._failures.get(worker, 0) + 1
        others = {name for name in known if name != worker and name not in self.suspended}
        if worker in self.suspended or not others or self._failures[worker] < FAILURES_IN_A_ROW:
            return False
        if total == self._others[worker]:
            return False  # nobody else succeeded meanwhile: storage is down for all
        self.suspended.add(worker)
        return True

    def allowed(self, known: Collection[str]) -> list[str]:
        """The workers that get tasks; all are forgiven if no other is left."""
        left = [name for name in known if name not in self.suspended]
        if known and not left:
            self.suspended.clear()
            self._failures.clear()
            return [*known]
        return left
