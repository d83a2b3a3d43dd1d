"""Dask, all of it: the one module that imports it.

A step hands over a function and its items, one task a shard, and gets results back as they finish. A bounded number of
tasks is in flight, since a scheduler that is told of a million tasks at once chokes on them. A task that raises or
whose worker dies is tried again; after that its failure comes back as a value, named, so that one bad shard never stops
the others. With no workers everything runs in this process, by default one item after the other, which is what a
debugger wants.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from curation.errors import CurationError, StepFailed, UsageError, WriteFailed
from curation.running.versions import code_version

Item = TypeVar("Item")
Value = TypeVar("Value")

RETRIES = 2
"""Times a task is tried again after it raised or its worker died, before its item is given up."""

IN_FLIGHT_PER_WORKER = 2
"""Tasks submitted and unfinished for each worker: one at work, one waiting beside it."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[Item, Value]):
    """An item and what the function made of it."""

    item: Item
    value: Value


@dataclass(frozen=True, slots=True)
class TaskFailure(Generic[Item]):
    """An item given up, and why, in one line. writing: it is the output's fault, not the item's."""

    item: Item
    cause: str
    writing: bool = False


class Cluster:
    """Where tasks run. Made by `open_cluster`; without `connect` they run in this process.

    connect: makes the Dask client, when the first task needs it: a run with nothing to do starts no workers.
    started: told the number of workers and the dashboard's address once they are there. threads: of this process, for
    tasks that run in it. cores: of this machine, that the workers would take.
    """

    def __init__(
        self,
        connect: Callable[[], Any] | None = None,
        started: Callable[[int, str], None] | None = None,
        threads: int = 1,
        cores: int = 1,
    ) -> None:
        self._connect, self._started = connect, started
        self.threads, self.cores = threads, cores

    @cached_property
    def client(self) -> Any | None:
        """The Dask client, or None when tasks run in this process."""
        if self._connect is None:
            return None
        client = self._connect()
        if self._started is not None:
            self._started(len(client.scheduler_info(n_workers=-1)["workers"]), client.dashboard_link)
        return client

    @property
    def workers(self) -> int:
        """Workers there are now; 0 when tasks run in this process."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"]) if self.client is not None else 0

    def everywhere(self, function: Callable[[], Value]) -> list[Value]:
        """What `function` returns in each worker there is now, or in this process if tasks run here.

        It does not wait for tasks to finish. Workers in which it raises are left out.
        """
        return [function()] if self.client is None else [*self.client.run(function, on_error="ignore").values()]

    def map(
        self, function: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
        """Call `function` with each item somewhere; yields in the order of completion.

        `function` must be importable by workers and its result small. A CurationError is not tried again: it is about
        the input, and would come back. Its message is the cause.
        """
        waiting = iter(items)
        first = list(islice(waiting, 1))
        if not first:
            return
        items = chain(first, waiting)
        if self.client is None:
            yield from _map_here(function, items, self.threads)
        else:
            yield from _map_there(self.client, function, items, max(1, self.workers) * IN_FLIGHT_PER_WORKER)

    def gather(
        self, function: Callable[[Item], Value], items: Sequence[Item], advance: Callable[[], None] = lambda: None
    ) -> list[Value]:
        """`each`, with the values in the order of the items. advance: called whenever one is there."""
        indexed = {}
        for position, value in self.each(_Indexed(function), list(enumerate(items))):
            indexed[position] = value
            advance()
        return [indexed[position] for position in range(len(items))]

    def each(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """`map` for steps in which every item must succeed: values in the order of completion.

        Raises StepFailed at the first item given up.
        """
        for result in self.map(function, items):
            if isinstance(result, TaskFailure):
                raise StepFailed(f"{_name(function)}: {result.cause}")
            yield result.value


def _name(function: Any) -> str:
    inner = getattr(function, "func", getattr(function, "function", function))
    return str(getattr(inner, "__name__", type(inner).__name__))


@dataclass(frozen=True, slots=True)
class _Indexed(Generic[Item, Value]):
    function: Callable[[Item], Value]

    def __call__(self, pair: tuple[int, Item]) -> tuple[int, Value]:
        return pair[0], self.function(pair[1])


@dataclass(frozen=True, slots=True)
class _Refused:
    """A CurationError on its way back from a worker: a result, so that Dask does not try again."""

    cause: str


def _attempt(function: Callable[[Item], Value], item: Item) -> Value | _Refused:
    try:
        return function(item)
    except WriteFailed:  # tried again: a file system across a network may be back
        raise
    except CurationError as error:
        return _Refused(str(error))


def describe(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    if isinstance(error, CurationError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _map_here(
    function: Callable[[Item], Value], items: Iterable[Item], threads: int
) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
    attempt = partial(_try, function)
    if threads == 1:
        yield from map(attempt, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="tasks") as pool:
        yield from pool.map(attempt, items)


def _try(function: Callable[[Item], Value], item: Item) -> TaskResult[Item, Value] | TaskFailure[Item]:
    for _ in range(RETRIES + 1):
        try:
            return _settled(item, _attempt(function, item))
        except Exception as error:  # a shard's failure is reported by name; the other shards go on
            failed = _failed(item, error)
    return failed


def _settled(item: Item, value: Value | _Refused) -> TaskResult[Item, Value] | TaskFailure[Item]:
    return TaskFailure(item, value.cause) if isinstance(value, _Refused) else TaskResult(item, value)


def _failed(item: Item, error: Exception) -> TaskFailure[Item]:
    return TaskFailure(item, describe(error), isinstance(error, WriteFailed))


def _map_there(
    client: Any, function: Callable[[Item], Value], items: Iterable[Item], in_flight: int
) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
    from distributed import as_completed

    waiting = iter(items)
    tasks: dict[Any, Item] = {}

    def submit(item: Item) -> Any:
        return client.submit(_attempt, function, item, pure=False, retries=RETRIES)

    def start(item: Item) -> Any:
        future = submit(item)
        tasks[future] = item
        return future

    suspects: list[Item] = []
    running = as_completed([start(item) for item in islice(waiting, in_flight)])
    for future in running:
        item = tasks.pop(future)
        for following in islice(waiting, 1):
            running.add(start(following))
        result = _result(item, future)
        if result is None:
            suspects.append(item)
        else:
            yield result
        future.release()
    # A dying worker takes along what waits beside the task that kills it. Alone, each shows whether it is the one.
    for item in suspects:
        alone = submit(item)
        result = _result(item, alone)
        alone.release()
        yield result or TaskFailure(item, f"its worker died {RETRIES + 1} times")


def _result(item: Item, future: Any) -> TaskResult[Item, Any] | TaskFailure[Item] | None:
    """What became of an item, None if its workers died. A result that was lost with its worker is waited for again."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        return _settled(item, future.result())
    except KilledWorker:
        return None
    except CancelledError:
        return TaskFailure(item, "cancelled: the scheduler gave the task up")
    except Exception as error:  # a shard's failure is reported by name; the other shards go on
        return _failed(item, error)


@contextmanager
def open_cluster(
    workers: int | None = None,
    scheduler: str | None = None,
    memory_limit: str | None = None,
    started: Callable[[int, str], None] | None = None,
) -> Iterator[Cluster]:
    """A cluster for the time of the block.

    scheduler: address (`tcp://host:port`) or scheduler file of a running one; it is left running. Else `workers`
    processes of one thread are started here when they are first needed (default: one a core), 0 for none. started: as
    in Cluster. UsageError if the scheduler cannot be reached, at once.
    """
    with ExitStack() as stack:
        if scheduler is not None:
            client = stack.enter_context(_connect(scheduler))
            yield Cluster(lambda: client, started)
        elif workers == 0:
            yield Cluster()
        else:
            count = workers or cores()
            yield Cluster(lambda: stack.enter_context(_start(count, memory_limit)), started, cores=count)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _connect(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    if "://" not in scheduler and not os.path.isfile(scheduler):  # noqa: PTH113  (Dask would wait for it without end)
        raise UsageError(f"scheduler {scheduler}: neither an address such as tcp://host:8786 nor a scheduler file")
    try:
        client = Client(scheduler, timeout=20) if "://" in scheduler else Client(scheduler_file=scheduler, timeout=20)
    except (OSError, ValueError) as error:
        raise UsageError(f"scheduler {scheduler}: {describe(error)}") from error
    with client:
        _check_code(client, scheduler)
        yield client


def _check_code(client: Any, scheduler: str) -> None:
    """UsageError if a worker has other code of this package: it might not know a task, or give other bytes."""
    own = code_version()
    for worker, found in sorted(client.run(code_version, on_error="return").items()):
        if found != own:
            there = found if isinstance(found, str) else describe(found)
            raise UsageError(f"scheduler {scheduler}: worker {worker} has another curation: {there}; here it is {own}")


@contextmanager
def _start(workers: int, memory_limit: str | None) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.admin.tick.limit": "60s",
        # Dask has workers give freed memory back at once, which faults every page of the next large array in again: a
        # fifth of the time of a step that handles arrays, for a few MB. None leaves it to the C library.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        # A worker configures its logging before it knows this configuration: only its environment is early enough.
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory_limit or "auto",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as local,
        Client(local) as client,
    ):
        yield client
