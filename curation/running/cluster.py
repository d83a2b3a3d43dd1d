"""Runs tasks on Dask; the only module that imports it.

A step passes a function and its items, one task per shard, and receives results as they complete. The number of tasks
in flight is limited, because a scheduler slows to a crawl if a million tasks are submitted at once. A task that raises
or whose worker dies is retried; after that its failure is returned as a value with its cause, so that one bad shard
never stops the others. I/O errors are retried after a pause, see `retries`, and tasks lost with their scheduler are
submitted to the next one. Without workers everything runs in this process, by default one item at a time, which suits
a debugger.
"""

from __future__ import annotations

import heapq
import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, count, islice
from multiprocessing import resource_tracker
from typing import Any, Generic, Literal, TypeVar

from curation.errors import CredentialsFailed, CurationError, MissingExtra, StepFailed, UsageError, WriteFailed
from curation.running.retries import Attempt, WorkerHealth
from curation.running.versions import code_version

Item = TypeVar("Item")
Value = TypeVar("Value")

RETRIES = 2
"""How often a task is retried after it raised or its worker died, before its item is given up."""

IN_FLIGHT_PER_WORKER = 2
"""Unfinished tasks per worker: one running and one waiting."""

CHECK_SECONDS = 2.0
"""Seconds between looks at the scheduler and the workers while no task finishes."""

SCHEDULER_SECONDS = 300.0
"""Seconds to wait for a scheduler that was lost."""

WORKERLESS_SECONDS = 600.0
"""Seconds to wait for the first or the next worker while there is none; a job queue may take minutes."""

LEAST_WAITING = 8
"""Items that wait for their next try before no new ones are started, however few workers there are."""

LONGEST_SLEEP = 5.0
"""Seconds that this process sleeps at once between tries."""

REPLACE_SECONDS, REPLACEMENTS = 30.0, 3
"""Seconds without any worker after which workers of our own, which died before they were ready, are replaced, and how
often at most."""

LOSSES = 5
"""How often an item may be lost with its scheduler before it is given up."""

FATAL = (WriteFailed, CredentialsFailed, MissingExtra)
"""Errors of tasks after which no other task would succeed either."""

Kind = Literal["input", "io", "workers", "scheduler"]
"""Why an item was given up: the item itself, I/O errors, dead workers, or a lost scheduler."""


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
        writing: Whether writing the output failed or credentials are not valid, which is not the item's fault.
        kind: What kind of cause it is.
    """

    item: Item
    cause: str
    writing: bool = False
    kind: Kind = "input"


Result = TaskResult[Item, Value] | TaskFailure[Item]


class Cluster:
    """Where tasks run. Created by `open_cluster`.

    Args:
        connect: Creates the Dask client when the first task needs it, so that a run with nothing to do starts no
            workers. Without it, tasks run in this process.
        started: Called with the number of workers and the dashboard's address once the workers have started.
        threads: Threads for tasks that run in this process.
        cores: Cores of this machine that the workers would use.
        warned: Called with a line about a worker that gets no more tasks, or about a lost scheduler.
    """

    def __init__(
        self,
        connect: Callable[[], Any] | None = None,
        started: Callable[[int, str], None] | None = None,
        threads: int = 1,
        cores: int = 1,
        warned: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._connect, self._started, self.warned = connect, started, warned
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
        return len(self.addresses()) if self.client is not None else 0

    def addresses(self) -> list[str]:
        """The addresses of the current workers."""
        return [] if self.client is None else sorted(self.client.scheduler_info(n_workers=-1)["workers"])

    def reconnect(self) -> None:
        """Wait until the client is connected again, to the same scheduler or the next one at its address or file.

        Raises:
            StepFailed: There was none in SCHEDULER_SECONDS.
        """
        self.warned("the scheduler was lost; waiting for it")
        until = time.monotonic() + SCHEDULER_SECONDS
        while self.client is None or self.client.status != "running":
            if time.monotonic() > until:
                raise StepFailed(f"the scheduler was lost and did not come back in {SCHEDULER_SECONDS:.0f} seconds")
            if self._connect is not None and (self.client is None or self.client.status == "closed"):
                with suppress(UsageError):
                    self.client = self._connect()
            time.sleep(0.5)

    def replace_workers(self) -> bool:
        """Start as many workers as at first, if they are our own; Dask does not replace one that dies as it starts."""
        local = getattr(self.client, "cluster", None)
        if local is not None:
            local.scale(len(local.worker_spec) + self.cores)
        return local is not None

    @contextmanager
    def listening(self, topic: str, heard: Callable[[Any], None]) -> Iterator[None]:
        """Call `heard` with every value that a task tells about a topic while the context is open, from any thread."""
        client = self.client
        if client is None:
            _LISTENERS[topic] = heard
            try:
                yield
            finally:
                del _LISTENERS[topic]
            return
        client.subscribe_topic(topic, lambda event: heard(event[1]))
        try:
            yield
        finally:
            with suppress(Exception):  # the scheduler may be gone, and another client have come
                client.unsubscribe_topic(topic)

    def everywhere(self, function: Callable[[], Value]) -> list[Value]:
        """What `function` returns in each worker there is now, or in this process if tasks run here.

        It does not wait for tasks to finish. Workers in which it raises are left out.
        """
        return [function()] if self.client is None else [*self.client.run(function, on_error="ignore").values()]

    def map(
        self,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        finished: Callable[[Item], Value | None] = lambda item: None,
    ) -> Iterator[Result[Item, Value]]:
        """Call `function` with each item; yields results and failures in order of completion.

        A CurationError is not retried, because it is about the input and would be raised again. Its message becomes
        the cause of the failure. An I/O error is retried after a pause, on another worker if there is one.

        Args:
            function: Must be importable by workers and return small values.
            items: The items, which may be a lazy iterable.
            finished: Asked before an item that was lost is tried again; a value means that it was finished after all.

        Raises:
            StepFailed: The scheduler was lost and did not come back, or there was no worker for too long.
        """
        waiting = iter(items)
        first = list(islice(waiting, 1))
        if not first:
            return
        items = chain(first, waiting)
        if self.client is None:
            yield from _map_in_process(function, items, self.threads)
        else:
            yield from _Dispatch(self, function, items, finished).results()

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
class _Answer(Generic[Value]):
    """What a task returns: its value, or a cause if its item is bad or cannot be read; these are not raised, so that
    Dask does not retry the task at once.

    Attributes:
        worker: Where it ran.
        value: The value.
        cause: Why there is none.
        kind: "input" or "io" if there is none.
    """

    worker: str
    value: Value | None = None
    cause: str = ""
    kind: Kind | None = None


def _run(function: Callable[[Item], Value], item: Item) -> _Answer[Value]:
    worker = _worker_address()
    try:
        return _Answer(worker, function(item))
    except FATAL:  # retried, because a network file system may recover
        raise
    except CurationError as error:
        return _Answer(worker, cause=str(error), kind="input")
    except OSError as error:
        return _Answer(worker, cause=describe(error), kind="io")


_LISTENERS: dict[str, Callable[[Any], None]] = {}
"""Who listens to tasks of this process, by topic."""


def tell(topic: str, value: Any) -> None:
    """Pass a small plain value from a task to the process that started it, if it listens (`Cluster.listening`)."""
    dask_worker = sys.modules.get("distributed.worker")
    try:
        worker = dask_worker.get_worker() if dask_worker else None
    except ValueError:
        worker = None
    if worker is not None:
        worker.log_event(topic, value)
    elif topic in _LISTENERS:
        _LISTENERS[topic](value)


def _worker_address() -> str:
    """The address of the Dask worker that this process is, empty outside of one."""
    dask_worker = sys.modules.get("distributed.worker")
    try:
        return str(dask_worker.get_worker().address) if dask_worker else ""
    except ValueError:
        return ""


def describe(error: BaseException) -> str:
    """An exception in one line: its type and the first line of its message; only the line for a CurationError."""
    lines = str(error).strip().splitlines()
    if isinstance(error, CurationError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _map_in_process(
    function: Callable[[Item], Value], items: Iterable[Item], threads: int
) -> Iterator[Result[Item, Value]]:
    if threads > 1:
        with ThreadPoolExecutor(threads, thread_name_prefix="tasks") as pool:
            yield from pool.map(partial(_run_with_retries, function), map(Attempt, items))
        return
    later = _Later[Item]()
    attempts = map(Attempt, items)
    while True:
        attempt = later.due() or (None if later.is_full(1) else next(attempts, None))
        if attempt is None and not later:
            return
        if attempt is None:
            time.sleep(later.wait(LONGEST_SLEEP))
            continue
        result = _run_with_retries(function, attempt)
        pause = attempt.pause("") if isinstance(result, TaskFailure) and result.kind == "io" else None
        if pause is None:
            yield result
        else:
            later.add(attempt, pause)


def _run_with_retries(function: Callable[[Item], Value], attempt: Attempt[Item]) -> Result[Item, Value]:
    for _ in range(RETRIES + 1):
        try:
            return _to_result(attempt.item, _run(function, attempt.item))
        except Exception as error:  # a shard's failure is reported, and the other shards continue
            failure = _to_failure(attempt.item, error)
    return failure


def _to_result(item: Item, answer: _Answer[Any]) -> Result[Item, Any]:
    return TaskResult(item, answer.value) if answer.kind is None else TaskFailure(item, answer.cause, kind=answer.kind)


def _to_failure(item: Item, error: Exception) -> TaskFailure[Item]:
    return TaskFailure(item, describe(error), isinstance(error, FATAL))


class _Later(Generic[Item]):
    """Attempts that wait until they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Attempt[Item]]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, attempt: Attempt[Item], pause: float) -> None:
        """Let an attempt wait for so many seconds."""
        heapq.heappush(self._heap, (time.monotonic() + pause, next(self._numbers), attempt))

    def due(self) -> Attempt[Item] | None:
        """The next attempt, if it is due."""
        return heapq.heappop(self._heap)[2] if self._heap and self._heap[0][0] <= time.monotonic() else None

    def wait(self, most: float) -> float:
        """Seconds until the next attempt is due, at most `most`."""
        return min(most, max(0.0, self._heap[0][0] - time.monotonic())) if self._heap else most

    def is_full(self, in_flight: int) -> bool:
        """Whether so many attempts wait that new items would most likely fail too: storage is down."""
        return len(self._heap) >= max(LEAST_WAITING, in_flight)


class _Dispatch(Generic[Item, Value]):
    """One `map` on workers: submits items as there is room, and collects what becomes of them.

    Args:
        cluster: Where they run.
        function: The function.
        items: The items.
        finished: As in `Cluster.map`.
    """

    def __init__(
        self,
        cluster: Cluster,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        finished: Callable[[Item], Value | None],
    ) -> None:
        self._cluster, self._function, self._finished = cluster, function, finished
        self._new = map(Attempt, items)
        self._later = _Later[Item]()
        self._suspects: list[Attempt[Item]] = []
        self._running: dict[Any, Attempt[Item]] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._health = WorkerHealth()
        self._workers: list[str] = []
        self._bound: dict[Any, set[str]] = {}
        self._checked, self._staffed, self._replaced = 0.0, time.monotonic(), 0

    @property
    def _client(self) -> Any:
        return self._cluster.client

    def results(self) -> Iterator[Result[Item, Value]]:
        """Yield results and failures in order of completion."""
        try:
            self._check()
            while True:
                for attempt in self._startable():
                    value = self._finished(attempt.item) if attempt.lost else None
                    if value is None:
                        self._submit(attempt)
                    else:
                        yield TaskResult(attempt.item, value)
                if not (self._running or self._later or self._suspects):
                    return
                try:
                    future = self._done.get(timeout=self._later.wait(CHECK_SECONDS))
                except queue.Empty:
                    pass
                else:
                    if future in self._running:
                        self._bound.pop(future, None)
                        result = self._collect(future, self._running.pop(future))
                        future.release()
                        if result is not None:
                            yield result
                if time.monotonic() >= self._checked + CHECK_SECONDS or self._client.status != "running":
                    self._check()
        finally:
            for future in self._running:
                future.release()

    def _startable(self) -> Iterator[Attempt[Item]]:
        """The attempts to start now. One that may kill its worker runs alone, because others would be lost with it."""
        while not any(attempt.alone for attempt in self._running.values()):
            room = max(1, len(self._workers)) * IN_FLIGHT_PER_WORKER
            if len(self._running) >= room:
                return
            attempt = self._later.due()
            if attempt is None and not self._later.is_full(room):
                attempt = next(self._new, None)
            if attempt is None and self._suspects and not (self._running or self._later):
                attempt = self._suspects.pop(0)
                attempt.alone = True
            if attempt is None:
                return
            yield attempt

    def _submit(self, attempt: Attempt[Item]) -> None:
        allowed = self._health.allowed(self._workers)
        untried = [worker for worker in allowed if worker not in attempt.failed_on] or allowed
        is_free, is_strict = len(untried) == len(self._workers), bool(self._health.suspended)
        future = self._client.submit(
            _run,
            self._function,
            attempt.item,
            pure=False,
            retries=RETRIES,
            workers=None if is_free else untried,
            allow_other_workers=not is_free and not is_strict,
        )
        self._running[future] = attempt
        if is_strict and not is_free:
            self._bound[future] = {*untried}
        future.add_done_callback(self._done.put)

    def _collect(self, future: Any, attempt: Attempt[Item]) -> Result[Item, Value] | None:
        """The outcome of an attempt, None if it is to be tried again. Dask recomputes a result lost with its worker."""
        from distributed import CancelledError
        from distributed.scheduler import KilledWorker

        try:
            answer = future.result()
        except KilledWorker:
            if attempt.alone:
                return TaskFailure(attempt.item, f"its worker died {RETRIES + 1} times", kind="workers")
            self._suspects.append(attempt)
            return None
        except FATAL as error:
            return _to_failure(attempt.item, error)
        except (CancelledError, OSError):  # a task returns its own I/O errors; this one is about asking the scheduler
            attempt.lost += 1
            if attempt.lost > LOSSES:
                return TaskFailure(attempt.item, f"lost with the scheduler {attempt.lost} times", kind="scheduler")
            self._later.add(attempt, 0)
            return None
        except Exception as error:  # a shard's failure is reported, and the other shards continue
            return _to_failure(attempt.item, error)
        result = _to_result(attempt.item, answer)
        if isinstance(result, TaskResult):
            self._health.succeeded(answer.worker)
        elif result.kind == "io":
            if self._health.failed(answer.worker, self._workers):
                self._cluster.warned(
                    f"worker {answer.worker} gets no more tasks: it fails where others succeed, the last time with "
                    f"{result.cause}"
                )
            pause = attempt.pause(answer.worker)
            if pause is not None:
                self._later.add(attempt, pause)
                return None
        return result

    def _check(self) -> None:
        """Look at the scheduler and the workers, and take back tasks that no worker may run any more.

        Raises:
            StepFailed: The scheduler does not come back, or no worker comes.
        """
        if self._client.status != "running":
            self._cluster.reconnect()
        self._workers = self._cluster.addresses()
        now = time.monotonic()
        self._checked = now
        if self._workers:
            self._staffed = now
        elif now > self._staffed + WORKERLESS_SECONDS:
            raise StepFailed(f"there has been no worker for {WORKERLESS_SECONDS:.0f} seconds")
        elif now > self._staffed + REPLACE_SECONDS * (self._replaced + 1) and self._replaced < REPLACEMENTS:
            self._replaced += self._cluster.replace_workers()
        for future in [future for future in self._running if future.status != "pending"]:
            self._done.put(future)
        self._take_back()

    def _take_back(self) -> None:
        """Submit tasks again that may only run on workers that are gone."""
        there = {*self._workers}
        for future in [each for each, allowed in self._bound.items() if not there & allowed]:
            del self._bound[future]
            self._later.add(self._running.pop(future), 0)
            future.cancel()


@contextmanager
def open_cluster(
    workers: int | None = None,
    scheduler: str | None = None,
    started: Callable[[int, str], None] | None = None,
    warned: Callable[[str], None] = lambda message: None,
) -> Iterator[Cluster]:
    """A cluster for the duration of the block.

    Args:
        workers: Number of worker processes, of one thread each, to start on this machine when they are first needed; 0
            runs tasks in this process. By default one per core.
        scheduler: Address (`tcp://host:port`) or scheduler file of a running scheduler to use instead; it is left
            running.
        started: As in `Cluster`.
        warned: As in `Cluster`.

    Raises:
        UsageError: The scheduler cannot be reached; raised immediately.
    """
    with ExitStack() as stack:
        if scheduler is not None:
            clients = [stack.enter_context(_connect(scheduler))]
            yield Cluster(
                lambda: clients.pop() if clients else stack.enter_context(_connect(scheduler)), started, warned=warned
            )
        elif workers == 0:
            yield Cluster()
        else:
            count = workers or cores()
            yield Cluster(lambda: stack.enter_context(_start(count)), started, cores=count, warned=warned)


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
def _loop_without_interrupts() -> Iterator[Any]:
    """An event loop in a thread that blocks SIGINT, and so do the workers that are started from it.

    A terminal sends Ctrl-C to all processes, and each worker would print a traceback. It ends with this process anyway.
    """
    from distributed.utils import LoopRunner

    resource_tracker.ensure_running()  # unblocks the signal in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        runner = LoopRunner()
        runner.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield runner.loop
    finally:
        runner.stop()


@contextmanager
def _start(workers: int) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.worker.preload": ["curation.running.terminal"],
        "distributed.admin.tick.limit": "60s",
        # By default Dask's workers return freed memory to the system at once, so every page of the next large array
        # faults again: a fifth of the time of a step on arrays, for a few MB. None leaves the choice to the C library.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        # A worker sets up logging before it receives this configuration; only its environment is read early enough.
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    }
    with (
        dask.config.set(settings),
        _loop_without_interrupts() as loop,
        LocalCluster(
            loop=loop,
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
