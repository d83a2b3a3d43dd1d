"""One `map` on workers: which item is sent to which worker and when, and what becomes of it.

This process chooses the worker of every task, so that it knows what each one runs and for how long, and a worker that
joins gets nothing before it is admitted (see `worker_pool`). A worker has one task more than it has threads, so that it
never waits for the next one.

A task may die with its worker, hang, or be slow. When nothing is left to start, a task that takes much longer than the
others gets a second copy on an idle worker, and the first of the two to finish counts. The other one ends before the
step does: it may finish for a while, then its worker is restarted. So nothing of a step is written after its end.
"""

from __future__ import annotations

import heapq
import queue
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Generic

from curation.errors import StepFailed
from curation.running import clients
from curation.running.answers import (
    FATAL,
    RETRIES,
    Item,
    Result,
    TaskAnswer,
    TaskFailure,
    TaskResult,
    Value,
    call,
    label,
    name,
    to_failure,
    to_result,
)
from curation.running.retries import Attempt, WorkerHealth

if TYPE_CHECKING:
    from curation.running.cluster import Cluster

CHECK_SECONDS = 2.0
"""Seconds between looks at the scheduler and the workers."""

SOON_SECONDS = 0.2
"""Seconds until the next look after a worker came, went or answered; thousands may do so at once."""

WORKERLESS_SECONDS = 600.0
"""Seconds to wait for the first or the next worker while there is none, beyond the time that jobs wait in a queue."""

REFUSED_SECONDS = 90.0
"""Seconds to wait for a worker that may have tasks while there are only others: they are asked three times."""

WAITING_SECONDS = 30.0
"""Seconds between two lines that say that there is no worker."""

MANY = 1 << 20
"""Number of workers that are wanted while any item is not started."""

LEAST_WAITING = 8
"""Items that wait for their next try before no new ones are started, however few workers there are."""

REPLACE_SECONDS, REPLACEMENTS = 30.0, 3
"""Seconds without any worker after which workers of our own, which died before they were ready, are replaced, and how
often at most."""

LOSSES = 5
"""How often an item may be lost with its scheduler before it is given up."""

SLOW_SECONDS, SLOW_SHARE = 600.0, 5.0
"""A task is reported as slow after SLOW_SECONDS or SLOW_SHARE times the median of the step, whichever is longer, and
again each time its duration has doubled."""

SILENT_SECONDS = 30.0
"""Seconds without a sign of life after which a worker hangs. Workers give one at least every few seconds."""

STUCK_SECONDS = 30.0
"""Seconds after which a worker is restarted that starts no tasks because of its memory, and runs none."""

COPY_SECONDS, COPY_SHARE = 30.0, 2.0
"""A task gets a second copy after COPY_SECONDS or COPY_SHARE times the median of the step, whichever is longer."""

LOSER_SECONDS = 10.0
"""Seconds at the end of a step for a copy that is not needed any more to finish, before its worker is restarted."""

RESULT_SECONDS = 20.0
"""Seconds to wait for the value of a finished task, which its worker holds."""


def run_task(function: Callable[[Item], Value], item: Item, key: str) -> TaskAnswer[Value]:
    """The task on a worker: says that it has started, and answers."""
    clients.announce_start(key)
    return call(function, item)


class RetryQueue(Generic[Item]):
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


@dataclass(eq=False, slots=True)
class Flight(Generic[Item]):
    """An attempt that was sent to a worker.

    Attributes:
        attempt: The attempt.
        worker: Address of the worker.
        future: Its Dask future.
        started: When it started there, on a monotonic clock in seconds; None while it waits.
        told: Seconds that it had taken when it was last reported as slow.
    """

    attempt: Attempt[Item]
    worker: str
    future: Any = None
    started: float | None = None
    told: float = 0.0

    def seconds(self) -> float:
        """Seconds since it started; 0 while it waits."""
        return 0.0 if self.started is None else time.monotonic() - self.started


@dataclass
class Flights(Generic[Item]):
    """The attempts that are on workers, by key."""

    by_key: dict[str, Flight[Item]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_key)

    def of(self, attempt: Attempt[Item]) -> list[str]:
        """The keys of the copies of an attempt."""
        return [key for key, flight in self.by_key.items() if flight.attempt is attempt]

    def per_worker(self) -> Counter[str]:
        """Number of attempts on each worker."""
        return Counter(flight.worker for flight in self.by_key.values())


class Dispatch(Generic[Item, Value]):
    """One `map` on workers: submits items as there is room, and collects what becomes of them.

    Args:
        cluster: Where they run.
        function: The function.
        items: The items.
        finished: As in `Cluster.map`.
        copies: Whether slow items get a second copy.
    """

    def __init__(
        self,
        cluster: Cluster,
        function: Callable[[Item], Value],
        items: Iterable[Item],
        finished: Callable[[Item], Value | None],
        copies: bool = False,
    ) -> None:
        self._cluster, self._function, self._finished, self._copies = cluster, function, finished, copies
        self._new = map(Attempt, items)
        self._next = next(self._new, None)
        self._later = RetryQueue[Item]()
        self._suspects: list[Attempt[Item]] = []
        self._running, self._losers = Flights[Item](), Flights[Item]()
        self._events: queue.SimpleQueue[Callable[[], None] | str] = queue.SimpleQueue()
        self._health = WorkerHealth()
        self._durations: list[float] = []
        self._workers: list[str] = []
        self._stuck: dict[str, float] = {}  # since when workers are paused that run nothing which could free memory
        self._checked, self._staffed, self._replaced = 0.0, time.monotonic(), 0
        self._told = self._hoped = self._staffed

    @property
    def _client(self) -> Any:
        return self._cluster.client

    def results(self) -> Iterator[Result[Item, Value]]:
        """Yield results and failures in order of completion."""
        try:
            self._cluster.join(self)
            yield from self._check()
            while True:
                for attempt in self._startable():
                    value = self._finished(attempt.item) if attempt.is_unsure else None
                    if value is None:
                        self._submit(attempt)
                    else:
                        yield TaskResult(attempt.item, value)
                if not (self._running or self._later or self._suspects) and self._next is None:
                    break
                yield from self._step()
            self._end_losers()
        finally:
            for flight in [*self._running.by_key.values(), *self._losers.by_key.values()]:
                if flight.future is not None:  # None if a signal came while it was submitted
                    flight.future.release()
            self._cluster.leave(self)

    def _step(self) -> Iterator[Result[Item, Value]]:
        """Wait for what happens next and deal with it."""
        pause = max(0.0, self._checked + CHECK_SECONDS - time.monotonic())
        try:
            event = self._events.get(timeout=pause if self._is_full() else self._later.wait(pause))
        except queue.Empty:
            pass
        else:
            if callable(event):
                event()
            elif event in self._running.by_key:
                flight = self._running.by_key[event]
                result = self._collect(event, flight)
                if result is not None:
                    yield result
            elif event in self._losers.by_key:
                self._losers.by_key.pop(event).future.release()
        if time.monotonic() >= self._checked + CHECK_SECONDS or self._client.status != "running":
            yield from self._check()

    def started(self, key: str) -> None:
        """Note that a task has started on its worker, if it is one of these; called from any thread."""
        now = time.monotonic()

        def note() -> None:
            for flights in (self._running, self._losers):
                if key in flights.by_key:
                    flights.by_key[key].started = now

        self._events.put(note)

    def look_again(self) -> None:
        """Have the workers looked at soon; called from any thread."""

        def note() -> None:
            self._checked = min(self._checked, time.monotonic() + SOON_SECONDS - CHECK_SECONDS)

        self._events.put(note)

    def flights(self) -> list[Flight[Item]]:
        """What runs or waits on workers; called from any thread."""
        return [*self._running.by_key.copy().values()]

    def wanted(self) -> int:
        """Number of tasks that could run at once now, if there were workers; called from any thread."""
        return MANY if self._next is not None else len(self._running) + len(self._later) + len(self._suspects)

    def _is_full(self) -> bool:
        """Whether every worker has as many tasks as it takes at once."""
        busy = self._running.per_worker()
        return all(busy[address] >= self._slots(address) for address in self._health.allowed(self._workers))

    def _slots(self, address: str) -> int:
        """Number of tasks that a worker takes at once: those that run, and one more."""
        return self._cluster.pool.workers[address].threads + 1

    def _startable(self) -> Iterator[Attempt[Item]]:
        """The attempts to start now. One that may kill its worker runs alone, because others would be lost with it."""
        while not any(flight.attempt.alone for flight in self._running.by_key.values()):
            if self._is_full():
                return
            attempt = self._later.due()
            if (
                attempt is None
                and self._next is not None
                and not self._later.is_full(sum(map(self._slots, self._workers)))
            ):
                attempt, self._next = self._next, next(self._new, None)
            if attempt is None and self._suspects and not (self._running or self._later):
                attempt = self._suspects.pop(0)
                attempt.alone = True
            if attempt is None:
                return
            yield attempt

    def _submit(self, attempt: Attempt[Item], workers: list[str] | None = None) -> None:
        """Send an attempt to the least busy of these workers, of all by default; if possible, where it did not fail."""
        allowed = self._health.allowed(self._workers) if workers is None else workers
        untried = [worker for worker in allowed if worker not in attempt.failed_on] or allowed
        busy = self._running.per_worker() + self._losers.per_worker()
        worker = min(untried, key=lambda address: (busy[address] / self._slots(address), address))
        key = f"curate-{uuid.uuid4().hex}"
        flight = self._running.by_key[key] = Flight(attempt, worker)
        flight.future = self._client.submit(
            run_task, self._function, attempt.item, key, key=key, retries=RETRIES, workers=[worker]
        )
        flight.future.add_done_callback(lambda _: self._events.put(key))

    def _collect(self, key: str, flight: Flight[Item]) -> Result[Item, Value] | None:
        """The outcome of an attempt; None if it is to be tried again, or another copy of it runs."""
        attempt = flight.attempt
        try:
            answer: TaskAnswer[Value] = flight.future.result(timeout=RESULT_SECONDS)
        except FATAL as error:
            return self._settle(key, to_failure(attempt.item, error))
        except Exception as error:
            if clients.is_dead_worker(error):
                return self._died(key, times=RETRIES + 1)
            if not clients.is_lost(error):
                return self._settle(key, to_failure(attempt.item, error))
            if self._drop(key):
                return None
            attempt.lost, attempt.is_unsure = attempt.lost + 1, True
            if attempt.lost > LOSSES:
                cause = f"lost with the scheduler {attempt.lost} times"
                return TaskFailure(attempt.item, cause, kind="scheduler")
            self._later.add(attempt, 0)
            return None
        result = to_result(attempt.item, answer, flight.worker, flight.seconds())
        if isinstance(result, TaskResult):
            self._health.succeeded(flight.worker)
            self._durations.append(flight.seconds())
        elif result.kind == "io":
            if self._health.failed(flight.worker, self._workers):
                self._cluster.warned(
                    f"worker {flight.worker} gets no more tasks: it fails where others succeed, the last time with "
                    f"{result.cause}"
                )
            pause = attempt.pause(flight.worker)
            if pause is not None:
                if not self._drop(key):
                    self._cluster.say_retry(attempt.item, result.cause)
                    self._later.add(attempt, pause)
                return None
        return self._settle(key, result)

    def _settle(self, key: str, result: Result[Item, Value]) -> Result[Item, Value] | None:
        """The result of an attempt. After a success its other copies are not needed; a failure waits for them."""
        others = self._drop(key)
        if isinstance(result, TaskFailure):
            return None if others else result
        for other in others:
            flight = self._running.by_key.pop(other)
            if flight.started is None and not self._silence(flight.worker):  # it waits; one that hangs may have started
                flight.future.cancel()
            else:
                self._losers.by_key[other] = flight
        return result

    def _drop(self, key: str) -> list[str]:
        """Forget a flight; returns the keys of the other copies of its attempt, which still run."""
        flight = self._running.by_key.pop(key)
        flight.future.release()
        return self._running.of(flight.attempt)

    def _died(self, key: str, times: int = 1, cause: str = "") -> TaskFailure[Item] | None:
        """Deal with a flight whose worker is gone, or was ended for a cause; a failure if its item is given up."""
        flight = self._running.by_key[key]
        attempt = flight.attempt
        if self._drop(key):
            return None
        attempt.is_unsure = True
        attempt.deaths += times
        memory = self._cluster.pool.cause_of_death(flight.worker)
        if attempt.deaths > RETRIES and (attempt.alone or cause):
            return TaskFailure(attempt.item, cause or f"its worker died {RETRIES + 1} times{memory}", kind="workers")
        if times and memory:
            self._cluster.say_retry(attempt.item, f"its worker died{memory}")
        if attempt.deaths <= RETRIES:
            self._suspects.append(attempt) if attempt.alone else self._later.add(attempt, 0)
        else:
            attempt.deaths = 0
            self._suspects.append(attempt)
        return None

    def _check(self) -> Iterator[Result[Item, Value]]:
        """Look at the scheduler, the workers and the tasks they run.

        Raises:
            StepFailed: The scheduler does not come back, or no worker comes.
        """
        self._cluster.watch()
        if self._client.status != "running":
            self._cluster.reconnect()
        self._checked = time.monotonic()
        self._cluster.pool.update(self._client, self.look_again)
        paused = self._cluster.pool.paused
        self._workers = [each for each in self._cluster.pool.usable if each not in paused and not self._silence(each)]
        busy = {flight.worker for flight in self._running.by_key.values() if flight.started is not None}
        self._stuck = {each: self._stuck.get(each, self._checked) for each in paused - busy}
        self._wait_for_workers()
        yield from self._find_dead()
        for key, flight in list(self._losers.by_key.items()):
            if flight.future.status != "pending" or flight.worker not in self._cluster.pool.workers:
                self._losers.by_key.pop(key).future.release()
        self._report_slow()
        self._restart_stuck()
        yield from self._end_late()
        if self._copies:
            self._copy_slow()

    def _find_dead(self) -> Iterator[Result[Item, Value]]:
        """Deal with flights whose worker is gone. Those that were still waiting there did not cause its death."""
        ahead: Counter[str] = Counter()
        for key, flight in list(self._running.by_key.items()):
            if flight.future.status != "pending":
                self._events.put(key)
            elif flight.worker not in self._cluster.pool.workers:
                threads = self._cluster.pool.gone[flight.worker].threads
                result = self._died(key, times=int(ahead[flight.worker] < threads or flight.started is not None))
                ahead[flight.worker] += 1
                if result is not None:
                    yield result

    def _wait_for_workers(self) -> None:
        """Say now and then that there are no workers, and stop when there have been none for too long."""
        pool, now = self._cluster.pool, time.monotonic()
        if self._workers or pool.paused - self._stuck.keys():
            self._staffed = self._told = self._hoped = now
            return
        if self._cluster.queued:
            self._hoped = now
        waited = now - self._staffed
        if self._cluster.failure:
            raise StepFailed(self._cluster.failure)
        if pool.is_refused and waited > REFUSED_SECONDS:
            address, cause = min(pool.refused.items())
            raise StepFailed(f"no worker can be used; {address}: {cause}")
        if now - self._hoped > WORKERLESS_SECONDS and self._stuck.keys() == pool.workers.keys():
            cause = self._why_stuck()
            raise StepFailed(cause or f"there has been no worker for {WORKERLESS_SECONDS:.0f} seconds")
        is_late = waited > REPLACE_SECONDS * (self._replaced + 1)
        if is_late and not self._stuck and self._replaced < REPLACEMENTS:  # those that are stuck are restarted
            self._replaced += self._cluster.replace_workers()
        if now - self._told >= WAITING_SECONDS:
            self._told = now
            without = pool.refused.keys() | self._stuck.keys()
            refused = f" ({len(without)} get no tasks)" if without else ""
            cause = self._why_stuck() or self._cluster.queued
            message = f"no worker for {waited:.0f} s{refused}; {cause or 'waiting for one'}"
            self._cluster.warned(message, event="waiting", seconds=round(waited), cause=cause)

    def _why_stuck(self) -> str:
        """Why a worker that is there starts no tasks; empty if there is none of the kind."""
        address = min(self._stuck, default="")
        return address and self._starts_none(address)

    def _starts_none(self, worker: str) -> str:
        return f"worker {worker} starts no tasks{self._cluster.pool.cause_of_death(worker)}"

    def _restart_stuck(self) -> None:
        """Restart workers that start no tasks, since nothing that they run could free their memory."""
        for worker, since in self._stuck.items():
            if time.monotonic() - since > STUCK_SECONDS:
                self._cluster.warned(f"{self._starts_none(worker)}; it is ended", event="ended", worker=worker)
                clients.end_worker(self._client, worker)
                self._stuck[worker] = time.monotonic()
                for key in [key for key, flight in self._running.by_key.items() if flight.worker == worker]:
                    self._died(key, times=0)

    def _typical(self) -> float:
        """The median duration of the tasks so far, in seconds; 0 if there are none."""
        return statistics.median(self._durations) if self._durations else 0.0

    def _silence(self, address: str) -> float:
        """Seconds since a worker was last heard of, if that is long; else 0."""
        worker = self._cluster.pool.workers.get(address)
        seconds = time.monotonic() - worker.heard if worker else 0.0
        return seconds if seconds > SILENT_SECONDS else 0.0

    def _report_slow(self) -> None:
        """Report the tasks that take long, each again when its duration has doubled."""
        least = max(SLOW_SECONDS, SLOW_SHARE * self._typical())
        for flight in self._running.by_key.values():
            silence = self._silence(flight.worker)
            seconds = max(flight.seconds(), silence)
            limit = min(least, SILENT_SECONDS) if silence else least
            if seconds < max(limit, 2 * flight.told):
                continue
            flight.told = seconds
            taken = f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"
            said = f"; the worker has not answered for {silence:.0f} s" if silence else ""
            self._cluster.warned(
                f"{name(flight.attempt.item)} has been running on worker {flight.worker} for {taken}{said}",
                event="slow",
                shard=label(flight.attempt.item),
                worker=flight.worker,
                seconds=round(seconds),
                silent_seconds=round(silence),
            )

    def _end_late(self) -> Iterator[Result[Item, Value]]:
        """End the workers of tasks that take longer than the user allows."""
        most = self._cluster.task_timeout
        for key, flight in list(self._running.by_key.items()):
            if most is not None and flight.seconds() > most and key in self._running.by_key:
                item = flight.attempt.item
                self._cluster.warned(
                    f"{name(item)} took longer than {most:.0f} s on worker {flight.worker}, which is ended",
                    event="timeout",
                    shard=label(item),
                    worker=flight.worker,
                )
                clients.end_worker(self._client, flight.worker)
                self._workers = [address for address in self._workers if address != flight.worker]
                for other in [each for each, near in self._running.by_key.items() if near.worker == flight.worker]:
                    if other != key:
                        self._died(other, times=0)
                result = self._died(key, cause=f"took longer than {most:.0f} s {RETRIES + 1} times (--task-timeout)")
                if result is not None:
                    yield result

    def _copy_slow(self) -> None:
        """Give slow tasks a second copy on idle workers, if nothing is left to start."""
        if self._next is not None or self._later or self._suspects:
            return
        busy = self._running.per_worker() + self._losers.per_worker()
        allowed = self._health.allowed(self._workers)
        idle = [worker for worker in allowed if not busy[worker]]
        least = max(COPY_SECONDS, COPY_SHARE * self._typical())
        longest: dict[str, float] = {}
        for flight in self._running.by_key.values():
            longest[flight.worker] = max(longest.get(flight.worker, 0.0), flight.seconds())
        for flight in sorted(self._running.by_key.values(), key=lambda each: -longest[each.worker]):
            is_slow = self._durations and longest[flight.worker] > least
            if not idle:
                return
            hangs = self._silence(flight.worker) > 0
            if (is_slow or hangs) and len(self._running.of(flight.attempt)) == 1:
                worker = idle.pop()
                item = flight.attempt.item
                self._cluster.warned(
                    f"{name(item)} {'hangs' if hangs else 'is slow'} on worker {flight.worker}; "
                    f"worker {worker} runs it too",
                    event="copy",
                    shard=label(item),
                    worker=worker,
                    slow_worker=flight.worker,
                )
                self._submit(flight.attempt, [worker])

    def _end_losers(self) -> None:
        """Wait for the copies that are not needed any more, then end the workers that still run one."""
        until = time.monotonic() + LOSER_SECONDS
        while self._losers and time.monotonic() < until:
            for _ in self._step():
                pass
        for worker in {flight.worker for flight in self._losers.by_key.values()}:
            self._cluster.warned(
                f"worker {worker} is ended: it still makes a shard that another one has made",
                event="ended",
                worker=worker,
            )
            clients.end_worker(self._client, worker)
