"""Runs tasks on Dask; the only module that imports it.

A step passes a function and its items, one task per shard, and receives results as they complete. The number of tasks
in flight is limited, because a scheduler slows to a crawl if a million tasks are submitted at once. A task that raises
or whose worker dies is retried; after that its failure is returned as a value with its cause, so that one bad shard
never stops the others. Without workers everything runs in this process, by default one item at a time, which suits a
debugger.
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
"""How often a task is retried after it raised or its worker died, before its item is given up."""

IN_FLIGHT_PER_WORKER = 2
"""Unfinished tasks per worker: one running and one waiting."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[Item, Value]):
    """An item and the function's return value for it."""

    item: Item
    value: Value


@dataclass(frozen=True, slots=True)
class TaskFailure(Generic[Item]):
    """An item that was given up.

    Attributes:
        item: The item.
        cause: Why, in one line.
        writing: Whether writing the output failed, which is not the item's fault.
    """

    item: Item
    cause: str
    writing: bool = False


class Cluster:
    """Where tasks run. Created by `open_cluster`.

    Args:
        connect: Creates the Dask client when the first task needs it, so that a run with nothing to do starts no
            workers. Without it, tasks run in this process.
        started: Called with the number of workers and the dashboard's address once the workers have started.
        threads: Threads for tasks that run in this process.
        cores: Cores of this machine that the workers would use.
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
        """The Dask client, or None if tasks run in this process."""
        if self._connect is None:
            return None
        client = self._connect()
        if self._started is not None:
            self._started(len(client.scheduler_info(n_workers=-1)["workers"]), client.dashboard_link)
        return client

    @property
    def workers(self) -> int:
        """Current number of workers; 0 if tasks run in this process."""
        return len(self.client.scheduler_info(n_workers=-1)["workers"]) if self.client is not None else 0

    def everywhere(self, function: Callable[[], Value]) -> list[Value]:
        """What `function` returns in each worker there is now, or in this process if tasks run here.

        It does not wait for tasks to finish. Workers in which it raises are left out.
        """
        return [function()] if self.client is None else [*self.client.run(function, on_error="ignore").values()]

    def map(
        self, function: Callable[[Item], Value], items: Iterable[Item]
    ) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
        """Call `function` with each item; yields results and failures in order of completion.

        A CurationError is not retried, because it is about the input and would be raised again. Its message becomes
        the cause of the failure.

        Args:
            function: Must be importable by workers and return small values.
            items: The items, which may be a lazy iterable.
        """
        waiting = iter(items)
        first = list(islice(waiting, 1))
        if not first:
            return
        items = chain(first, waiting)
        if self.client is None:
            yield from _map_in_process(function, items, self.threads)
        else:
            yield from _map_on_workers(self.client, function, items, max(1, self.workers) * IN_FLIGHT_PER_WORKER)

    def gather(
        self, function: Callable[[Item], Value], items: Sequence[Item], advance: Callable[[], None] = lambda: None
    ) -> list[Value]:
        """Like `each`, with the values in the order of the items; `advance` is called after each of them."""
        indexed = {}
        for position, value in self.each(_Indexed(function), list(enumerate(items))):
            indexed[position] = value
            advance()
        return [indexed[position] for position in range(len(items))]

    def each(self, function: Callable[[Item], Value], items: Iterable[Item]) -> Iterator[Value]:
        """Like `map` for steps in which every item must succeed: yields values in order of completion.

        Raises:
            StepFailed: An item was given up; WriteFailed if its output could not be written.
        """
        for result in self.map(function, items):
            if isinstance(result, TaskFailure):
                raise (WriteFailed if result.writing else StepFailed)(f"{_name(function)}: {result.cause}")
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
class _Rejection:
    """A CurationError returned from a worker as a value, so that Dask does not retry the task."""

    cause: str


def _run(function: Callable[[Item], Value], item: Item) -> Value | _Rejection:
    try:
        return function(item)
    except WriteFailed:  # retried, because a network file system may recover
        raise
    except CurationError as error:
        return _Rejection(str(error))


def describe(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message; only the line for a CurationError."""
    lines = str(error).strip().splitlines()
    if isinstance(error, CurationError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _map_in_process(
    function: Callable[[Item], Value], items: Iterable[Item], threads: int
) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
    attempt = partial(_run_with_retries, function)
    if threads == 1:
        yield from map(attempt, items)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="tasks") as pool:
        yield from pool.map(attempt, items)


def _run_with_retries(function: Callable[[Item], Value], item: Item) -> TaskResult[Item, Value] | TaskFailure[Item]:
    for _ in range(RETRIES + 1):
        try:
            return _to_result(item, _run(function, item))
        except Exception as error:  # a shard's failure is reported, and the other shards continue
            failure = _to_failure(item, error)
    return failure


def _to_result(item: Item, value: Value | _Rejection) -> TaskResult[Item, Value] | TaskFailure[Item]:
    return TaskFailure(item, value.cause) if isinstance(value, _Rejection) else TaskResult(item, value)


def _to_failure(item: Item, error: Exception) -> TaskFailure[Item]:
    return TaskFailure(item, describe(error), isinstance(error, WriteFailed))


def _map_on_workers(
    client: Any, function: Callable[[Item], Value], items: Iterable[Item], in_flight: int
) -> Iterator[TaskResult[Item, Value] | TaskFailure[Item]]:
    from distributed import as_completed

    waiting = iter(items)
    tasks: dict[Any, Item] = {}

    def submit(item: Item) -> Any:
        return client.submit(_run, function, item, pure=False, retries=RETRIES)

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
    # A dying worker also loses the tasks that wait on it. Run alone, each suspect shows whether it kills its worker.
    for item in suspects:
        alone = submit(item)
        result = _result(item, alone)
        alone.release()
        yield result or TaskFailure(item, f"its worker died {RETRIES + 1} times")


def _result(item: Item, future: Any) -> TaskResult[Item, Any] | TaskFailure[Item] | None:
    """The outcome of an item, or None if its workers died. If a result was lost with its worker, Dask recomputes it."""
    from distributed import CancelledError
    from distributed.scheduler import KilledWorker

    try:
        return _to_result(item, future.result())
    except KilledWorker:
        return None
    except CancelledError:
        return TaskFailure(item, "cancelled: the scheduler gave the task up")
    except Exception as error:  # a shard's failure is reported, and the other shards continue
        return _to_failure(item, error)


@contextmanager
def open_cluster(
    workers: int | None = None, scheduler: str | None = None, started: Callable[[int, str], None] | None = None
) -> Iterator[Cluster]:
    """A cluster for the duration of the block.

    Args:
        workers: Number of worker processes, of one thread each, to start on this machine when they are first needed; 0
            runs tasks in this process. By default one per core.
        scheduler: Address (`tcp://host:port`) or scheduler file of a running scheduler to use instead; it is left
            running.
        started: As in `Cluster`.

    Raises:
        UsageError: The scheduler cannot be reached; raised immediately.
    """
    with ExitStack() as stack:
        if scheduler is not None:
            client = stack.enter_context(_connect(scheduler))
            yield Cluster(lambda: client, started)
        elif workers == 0:
            yield Cluster()
        else:
            count = workers or cores()
            yield Cluster(lambda: stack.enter_context(_start(count)), started, cores=count)


def cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _connect(scheduler: str) -> Iterator[Any]:
    from distributed import Client

    if "://" not in scheduler and not os.path.isfile(scheduler):  # noqa: PTH113  (Dask would wait for it forever)
        raise UsageError(f"scheduler {scheduler}: neither an address such as tcp://host:8786 nor a scheduler file")
    try:
        client = Client(scheduler, timeout=20) if "://" in scheduler else Client(scheduler_file=scheduler, timeout=20)
    except (OSError, ValueError) as error:
        raise UsageError(f"scheduler {scheduler}: {describe(error)}") from error
    with client:
        _check_code(client, scheduler)
        yield client


def _check_code(client: Any, scheduler: str) -> None:
    """Raise UsageError if a worker runs other code of this package: it may lack a task or write other bytes."""
    ours = code_version()
    for worker, version in sorted(client.run(code_version, on_error="return").items()):
        if version != ours:
            theirs = version if isinstance(version, str) else describe(version)
            raise UsageError(f"scheduler {scheduler}: worker {worker} runs curation {theirs}, but this process {ours}")


@contextmanager
def _start(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.admin.tick.limit": "60s",
        # By default Dask's workers return freed memory to the system at once, so every page of the next large array
        # faults again: a fifth of the time of a step on arrays, for a few MB. None leaves the choice to the C library.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        # A worker sets up logging before it receives this configuration; only its environment is read early enough.
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit="auto",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        ) as local,
        Client(local) as client,
    ):
        yield client
