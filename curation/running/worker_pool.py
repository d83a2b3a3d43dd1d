"""The workers there are now, and which of them get tasks.

A worker of somebody else's cluster may join at any time, with other code, or without the storage of the run. So each
one proves once, by a task of its own, that it runs the same code and reaches input and output. Until then it gets no
other task. One that does not reach them is asked again later, because a mount may be late.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from curation.running.answers import describe
from curation.running.versions import code_version

ASK_AGAIN_SECONDS = 30.0
"""Seconds after which a worker that did not reach the storage is asked again."""

NEAR_LIMIT = 0.7
"""Share of its memory limit that a worker used when it was last seen, from which memory is a likely cause of death."""

Prove = Callable[[], str]
"""Run on a worker: why it gets no tasks, in one line; empty if it may have some."""


def reaches_all() -> str:
    """The proof of a worker of which nothing is asked but its code."""
    return ""


def prove_here(ours: str, prove: Prove) -> str:
    """The proof, on the worker: of the code version of the driver, then of what else is asked."""
    theirs = code_version()
    return prove() if theirs == ours else f"it runs curation {theirs}, but this process {ours}"


@dataclass(slots=True)
class Worker:
    """What the scheduler knows of a worker.

    Attributes:
        threads: Tasks that it runs at once.
        memory: Bytes of memory that it used when it was last seen.
        memory_limit: Bytes that it may use; 0 if there is no limit.
        is_paused: Whether it starts no tasks because it uses nearly all of its memory.
        heard: Time on this process's monotonic clock, in seconds, at which it was last seen to be alive.
    """

    threads: int
    memory: int = 0
    memory_limit: int = 0
    is_paused: bool = False
    heard: float = 0.0
    _last_seen: float = 0.0

    def update(self, facts: Mapping[str, Any]) -> None:
        """Take over what the scheduler says now."""
        self.threads = max(1, int(facts["nthreads"]))
        self.memory = int(facts.get("metrics", {}).get("memory", 0))
        self.memory_limit = int(facts.get("memory_limit") or 0)
        self.is_paused = facts.get("status") == "paused"
        if facts.get("last_seen", 0.0) != self._last_seen:
            self._last_seen, self.heard = facts.get("last_seen", 0.0), time.monotonic()

    def cause_of_death(self, over_limit: bool) -> str:
        """What its memory says about why it died; empty if nothing.

        Args:
            over_limit: Whether its nanny said that it ended the worker because of its memory.
        """
        limit = f"{self.memory_limit / (1 << 30):.2g} GiB" if self.memory_limit else "unknown"
        if over_limit:
            return f", because it needed more memory than its limit ({limit})"
        if self.memory_limit and self.memory > NEAR_LIMIT * self.memory_limit:
            return (
                f"; it used {self.memory / self.memory_limit:.0%} of its memory limit ({limit}) when it was last seen"
            )
        return ""


@dataclass
class WorkerPool:
    """The workers of a cluster.

    Attributes:
        prove: What each worker is asked before its first task; None for workers of our own, which need no proof.
        warned: Called with a line about a worker that gets no tasks.
        workers: All workers, by address.
        refused: Why workers get no tasks, by address.
        gone: Workers that were there once, by address.
        over_limit: Workers that their nanny ended because of their memory.
    """

    prove: Prove | None = None
    warned: Callable[..., None] = lambda message, **fields: None
    workers: dict[str, Worker] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    gone: dict[str, Worker] = field(default_factory=dict)
    over_limit: set[str] = field(default_factory=set)
    _admitted: set[str] = field(default_factory=set)
    _proofs: dict[str, Any] = field(default_factory=dict)
    _asked: dict[str, float] = field(default_factory=dict)

    @property
    def usable(self) -> list[str]:
        """Addresses of the workers that may have tasks."""
        return sorted(self._admitted)

    @property
    def paused(self) -> set[str]:
        """Addresses of the workers that start no tasks because of their memory."""
        return {address for address, worker in self.workers.items() if worker.is_paused}

    @property
    def is_refused(self) -> bool:
        """Whether there are workers, and none of them may have tasks."""
        return bool(self.workers) and len(self.refused) == len(self.workers)

    def update(self, client: Any, changed: Callable[[], None] = lambda: None) -> None:
        """Ask the scheduler which workers there are, and new ones for their proof.

        Args:
            client: The Dask client.
            changed: Called, from another thread, when a worker has answered: `update` has news then.
        """
        try:
            facts = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
        except OSError:  # the scheduler is lost; the client will notice
            return
        for address in self.workers.keys() - facts.keys():
            self._forget(address)
        for address, fact in facts.items():
            self.workers.setdefault(address, Worker(1)).update(fact)
        for address in facts:
            if self.prove is None:
                self._admitted.add(address)
            elif address not in self._admitted and address not in self._proofs and self._is_to_be_asked(address):
                self._ask(client, address, changed)
        for address, future in list(self._proofs.items()):
            if future.status != "pending":
                self._judge(address, self._proofs.pop(address))

    def clear(self) -> None:
        """Forget all workers: their scheduler was lost."""
        for address in [*self.workers]:
            self._forget(address)

    def cause_of_death(self, address: str) -> str:
        """What is known about why a worker that is gone died; empty if nothing."""
        worker = self.gone.get(address) or self.workers.get(address)
        return worker.cause_of_death(address in self.over_limit) if worker else ""

    def _forget(self, address: str) -> None:
        self.gone[address] = self.workers.pop(address)
        self._admitted.discard(address)
        for known in (self.refused, self._proofs, self._asked):
            known.pop(address, None)

    def _is_to_be_asked(self, address: str) -> bool:
        return time.monotonic() >= self._asked.get(address, -ASK_AGAIN_SECONDS) + ASK_AGAIN_SECONDS

    def _ask(self, client: Any, address: str, changed: Callable[[], None]) -> None:
        self._asked[address] = time.monotonic()
        key, where = f"curate-proof-{uuid.uuid4().hex}", [address]
        future = client.submit(prove_here, code_version(), self.prove, key=key, workers=where, priority=1)
        future.add_done_callback(lambda _: changed())
        self._proofs[address] = future

    def _judge(self, address: str, future: Any) -> None:
        if future.status not in ("finished", "error"):
            self._asked.pop(address, None)  # lost: ask again
            return
        try:
            cause = str(future.result(timeout=ASK_AGAIN_SECONDS))
        except Exception as error:  # other code may lack what is asked, or fail in any way
            cause = describe(error)
        if cause and self.prove is not None and not self.prove():  # else this process has the same trouble
            if self.refused.get(address) != cause:
                self.warned(f"worker {address} gets no tasks: {cause}", event="refused", worker=address, cause=cause)
            self.refused[address] = cause
        else:
            self.refused.pop(address, None)
            self._admitted.add(address)
