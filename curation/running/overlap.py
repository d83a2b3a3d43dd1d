"""Process several batches of a task concurrently, with results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def overlapped(function: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """`map(function, items)` with up to `threads` concurrent calls while items are read and results are used.

    Useful for calls that wait for other processes or run without the GIL. At most `threads` + 1 items are in memory.
    """
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Out]] = deque()
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
