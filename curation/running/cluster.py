"""Runs tasks: on Dask, or in this process.

A step passes a function and its items, one task per shard, and receives results as they complete. The number of tasks
in flight is limited, because a scheduler slows to a crawl if a million tasks are submitted at once; it follows the
number of workers. A task that raises or whose worker dies is retried; after that its failure is returned as a value
with its cause, so that one bad shard never stops the others. I/O errors are retried after a pause, see `retries`, and
tasks lost with their scheduler are submitted to the next one. How tasks are sent to workers is in `dispatch`. Without
workers everything runs in this process, by default one item at a time, which suits a debugger.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, islice
from typing import Any, Generic

from curation.errors import StepFailed, UsageError, WriteFailed
from curation.running import clients
from curation.running.answers import RETRIES, Item, Result, TaskFailure, Value, call, label, name, to_failure, to_result
from curation.running.dispatch import Dispatch, Flight, RetryQueue
from curation.running.retries import Attempt
from curation.running.worker_pool import Prove, WorkerPool, reaches_all

SCHEDULER_SECONDS = 300.0
"""Seconds to wait for a scheduler that was lost."""

RETRIES_SAID_SECONDS = 30.0
"""Seconds between two lines about items that are tried again: there is one for each of many when storage is down."""

LONGEST_SLEEP = 5.0
"""Seconds that this process sleeps at once between tries."""


class Cluster:
    """Where tasks run. Created by `open_cluster`.

    Args:
        connect: Creates the Dask client when the first task needs it, so that a run with nothing to do starts no
            workers. Without it, tasks run in this process.
        started: Called with the number of workers and the dashboard's address once the workers have started.
        threads: Threads for tasks that run in this process.
        cores: Workers that would be started.
        warned: Called with a line about workers, tasks or the scheduler, and `event` and further facts by name.
        own: Whether this process starts the workers: they need no proof, and are replaced if they die too early.
        task_timeout: Seconds that a task may take on a worker; None for no limit.

    Attributes:
        pool: The workers.
        watch: Called every few seconds while tasks run, and raises an error to stop them.
        failure: Why no job can start a worker, which ends the run; empty while one may.
        queued: Which jobs wait in the queue of a batch system, and why; empty if none does.
    """

    def __init__(
        self,
        connect: Callable[[], Any] | None = None,
        started: Callable[[int, str], None] | None = None,
        threads: int = 1,
        cores: int = 1,
        warned: Callable[..., None] = lambda message, **fields: None,
        own: bool = True,
        task_timeout: float | None = None,
    ) -> None:
        self._connect, self._started, self.warned, self._own = connect, started, warned, own
        self.threads, self.cores, self.task_timeout = threads, cores, task_timeout
        self.pool = WorkerPool(None if own else reaches_all, warned)
        self.watch: Callable[[], None] = lambda: None
        self.failure = self.queued = ""
        self._active: list[Dispatch[Any, Any]] = []
        self._said = -RETRIES_SAID_SECONDS

    @cached_property
    def client(self) -> Any | None:
        """The Dask client, or None if tasks run in this process."""
        if self._connect is None:
            return None
        client = self._connect()
        self.pool.update(client)
        if self._started is not None:
            self._started(len(self.pool.workers), clients.dashboard(client))
        return client

    @property
    def workers(self) -> int:
        """Current number of workers; 0 if tasks run in this process."""
        if self.client is not None:
            self.pool.update(self.client)
        return len(self.pool.workers)

    def require(self, prove: Prove) -> None:
        """Let each worker prove something before its first task, if the workers are not our own.

        Args:
            prove: Called on the worker: why it gets no tasks, in one line; empty if it may have some.
        """
        if not self._own:
            self.pool.prove = prove

    def _listen(self) -> None:
        def started(key: str) -> None:
            for dispatch in [*self._active]:
                dispatch.started(key)

        def changed() -> None:
            for dispatch in [*self._active]:
                dispatch.look_again()

        with suppress(Exception):  # the scheduler was lost; `reconnect` listens to the next one
            clients.listen(self.client, started, changed, self.pool.over_limit.add)

    def join(self, dispatch: Dispatch[Any, Any]) -> None:
        """Include a map that begins in what `flights` returns, and let it hear of tasks and workers."""
        self._active.append(dispatch)
        if len(self._active) == 1:
            self._listen()

    def leave(self, dispatch: Dispatch[Any, Any]) -> None:
        """The end of `join`."""
        self._active.remove(dispatch)
        if not self._active:
            clients.stop_listening(self.client)

    def flights(self) -> list[Flight[Any]]:
        """The tasks that run or wait on workers now; may be called from any thread."""
        return [flight for dispatch in [*self._active] for flight in dispatch.flights()]

    def wanted(self) -> int:
        """The number of workers that there is something to do for; may be called from any thread."""
        return sum(dispatch.wanted() for dispatch in [*self._active])

    def job_failed(self, cause: str, is_final: bool) -> None:
        """Note that jobs were refused or ended early; called from any thread.

        Args:
            cause: Why.
            is_final: Whether no job has started a worker: then the run ends. Otherwise they are submitted again.
        """
        if is_final:
            self.failure = cause
        else:
            self.warned(f"{cause}; it will be submitted again", event="resubmitted")

    def note_queued(self, reason: str) -> None:
        """Note which jobs wait in the queue, and why; called from any thread."""
        self.queued = reason

    def reconnect(self) -> None:
        """Wait until the client is connected again, to the same scheduler or the next one at its address or file.

        Raises:
            StepFailed: There was none in SCHEDULER_SECONDS.
        """
        self.warned("the scheduler was lost; waiting for it")
        until = time.monotonic() + SCHEDULER_SECONDS
        while self.client is None or self.client.status != "running":
            self.watch()
            if time.monotonic() > until:
                raise StepFailed(f"the scheduler was lost and did not come back in {SCHEDULER_SECONDS:.0f} seconds")
            if self._connect is not None and (self.client is None or self.client.status == "closed"):
                with suppress(UsageError):
                    self.client = self._connect()
            time.sleep(0.5)
        self.pool.clear()
        self._listen()

    def replace_workers(self) -> bool:
        """Start as many workers as at first, if they are our own; Dask does not replace one that dies as it starts."""
        local = getattr(self.client, "cluster", None)
        if local is not None and self._own:
            local.scale(len(local.worker_spec) + self.cores)
        return local is not None and self._own

    def say_retry(self, item: object, cause: str) -> None:
        """Say that an item met an I/O error and is tried again, unless one was named a moment ago."""
        now = time.monotonic()
        if now >= self._said + RETRIES_SAID_SECONDS:
            self._said = now
            message = f"{name(item)} failed and will be tried again: {cause}"
            self.warned(message, event="retry", shard=label(item), cause=cause)

    @contextmanager
    def listening(self, topic: str, heard: Callable[[Any], None]) -> Iterator[None]:
        """Call `heard` with every value that a task tells about a topic while the context is open, from any thread."""
        client = self.client
        if client is None:
            clients.LISTENERS[topic] = heard
            try:
                yield
            finally:
                del clients.LISTENERS[topic]
            return
        with suppress(Exception):  # the scheduler is gone; nothing depends on what is heard
            client.subscribe_topic(topic, lambda event: heard(event[1]))
        try:
            yield
        finally:
            with suppress(Exception):  # the scheduler may be gone, and another client have come
                client.unsubscribe_topic(topic)

    def everywhere(self, function: Callable[[], Value]) -> list[Value]:
        """What `function` returns in each worker there is now, or in this process if tasks run here.

        It does not wait for tasks to finish. Workers in which it raises, or that are lost, are left out.
        """
        if self.client is None:
            return [function()]
        try:
            return [*self.client.run(function, on_error="ignore").values()]
        except OSError:  # the scheduler is lost; the client will notice
            return []

    def map(
        self,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        finished: Callable[[Item], Value | None] = lambda item: None,
        copies: bool = False,
    ) -> Iterator[Result[Item, Value]]:
        """Call `function` with each item; yields results and failures in order of completion.

        A CurationError is not retried, because it is about the input and would be raised again. Its message becomes
        the cause of the failure. An I/O error is retried after a pause, on another worker if there is one.

        Args:
            function: Must be importable by workers and return small values.
            items: The items, which may be a lazy iterable.
            finished: Asked before an item that was lost is tried again; a value means that it was finished after all.
            copies: Whether two workers may make the same item at once, so that a slow one can be made twice when
                nothing else is left to start.

        Raises:
            StepFailed: The scheduler was lost and did not come back, or there was no worker for too long.
        """
        waiting = iter(items)
        first = list(islice(waiting, 1))
        if not first:
            return
        items = chain(first, waiting)
        if self.client is None:
            yield from _map_in_process(function, items, self.threads, self)
        else:
            yield from Dispatch(self, function, items, finished, copies).results()

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


def _map_in_process(
    function: Callable[[Item], Value], items: Iterable[Item], threads: int, cluster: Cluster
) -> Iterator[Result[Item, Value]]:
    if threads > 1:
        with ThreadPoolExecutor(threads, thread_name_prefix="tasks") as pool:
            yield from pool.map(partial(_run_with_retries, function), map(Attempt, items))
        return
    later = RetryQueue[Item]()
    attempts = map(Attempt, items)
    while True:
        cluster.watch()
        attempt = later.due() or (None if later.is_full(1) else next(attempts, None))
        if attempt is None and not later:
            return
        if attempt is None:
            time.sleep(later.wait(LONGEST_SLEEP))
            continue
        result = _run_with_retries(function, attempt)
        pause = attempt.pause("") if isinstance(result, TaskFailure) and result.kind == "io" else None
        if pause is None or not isinstance(result, TaskFailure):
            yield result
        else:
            cluster.say_retry(attempt.item, result.cause)
            later.add(attempt, pause)


def _run_with_retries(function: Callable[[Item], Value], attempt: Attempt[Item]) -> Result[Item, Value]:
    for _ in range(RETRIES + 1):
        started = time.monotonic()
        try:
            return to_result(attempt.item, call(function, attempt.item), "", time.monotonic() - started)
        except Exception as error:  # a shard's failure is reported, and the other shards continue
            failure = to_failure(attempt.item, error)
    return failure


@contextmanager
def open_cluster(
    workers: int | None = None,
    scheduler: str | None = None,
    started: Callable[[int, str], None] | None = None,
    warned: Callable[..., None] = lambda message, **fields: None,
    task_timeout: float | None = None,
    jobs: clients.JobOptions | None = None,
) -> Iterator[Cluster]:
    """A cluster for the duration of the block.

    Args:
        workers: Number of worker processes, of one thread each, to start on this machine when they are first needed; 0
            runs tasks in this process. By default one per core.
        scheduler: Address (`tcp://host:port`) or scheduler file of a running scheduler to use instead; it is left
            running.
        started: As in `Cluster`.
        warned: As in `Cluster`.
        task_timeout: As in `Cluster`.
        jobs: Workers to submit to a batch system instead.

    Raises:
        UsageError: The scheduler cannot be reached, or no job can be submitted from here; raised immediately.
    """
    with ExitStack() as stack:
        if scheduler is not None:
            first = [stack.enter_context(clients.connect(scheduler))]
            yield Cluster(
                lambda: first.pop() if first else stack.enter_context(clients.connect(scheduler)),
                started,
                warned=warned,
                own=False,
                task_timeout=task_timeout,
            )
        elif jobs is not None:
            clients.check_system(jobs)
            cluster = Cluster(
                lambda: stack.enter_context(
                    clients.submit(jobs, cluster.wanted, cluster.job_failed, cluster.note_queued)
                ),
                started,
                cores=jobs.maximum,
                warned=warned,
                own=False,
                task_timeout=task_timeout,
            )
            yield cluster
        elif workers == 0:
            yield Cluster()
        else:
            count = workers or cores()
            yield Cluster(
                lambda: stack.enter_context(clients.start(count)),
                started,
                cores=count,
                warned=warned,
                task_timeout=task_timeout,
            )


def cores() -> int:
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
