"""Tasks on workers that come and go, hang, take too long, or should have none, with real processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from cluster_tasks import work
from dask_processes import SUPPORT, start_scheduler, start_worker
from distributed.security import Security
from object_storage import free_port

from curation.errors import StepFailed, UsageError
from curation.running import clients, dispatch
from curation.running.answers import Result, TaskFailure, TaskResult
from curation.running.cluster import Cluster, open_cluster
from curation.running.worker_pool import Worker

PATIENCE = 60.0


@dataclass
class Said:
    """What a cluster warned of."""

    lines: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, message: str, **fields: Any) -> None:
        """Take a warning."""
        self.lines.append(message)
        self.events.append(fields)


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@dataclass
class Background:
    """A map that runs in a thread.

    Attributes:
        results: The results so far.
    """

    cluster: Cluster
    items: Iterable[str]
    copies: bool = False
    results: list[Result[str, str]] = field(default_factory=list)
    error: BaseException | None = None

    def __enter__(self) -> Background:
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self) -> None:
        """The map."""
        try:
            for result in self.cluster.map(work, self.items, copies=self.copies):
                self.results.append(result)
        except BaseException as error:
            self.error = error

    def __exit__(self, *error: object) -> None:
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def in_flight(self) -> int:
        """Number of tasks that run or wait on workers."""
        return len(self.cluster.flights())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a scheduler without workers."""
    with ExitStack() as stack:
        number = free_port()
        start_scheduler(stack, number)
        yield number


@contextmanager
def connected(port: int, said: Said, protocol: str = "tcp") -> Iterator[Cluster]:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with open_cluster(scheduler=f"{protocol}://127.0.0.1:{port}", warned=said) as cluster:
                assert cluster.client is not None
                yield cluster
                return
        except UsageError:  # the scheduler has just been started
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look more often, and lose patience sooner."""
    for name, seconds in (
        ("CHECK_SECONDS", 0.2),
        ("WAITING_SECONDS", 0.3),
        ("SILENT_SECONDS", 3.0),
        ("LOSER_SECONDS", 1.0),
        ("SLOW_SECONDS", 1.0),
    ):
        monkeypatch.setattr(dispatch, name, seconds)


@pytest.mark.usefixtures("fast")
def test_workers_come_and_go_during_a_map(port: int) -> None:
    """A driver may start first: it says that there is no worker; then two tasks per worker are in flight, as many as
    there are now, and a worker that is killed costs no item."""
    said = Said()
    given: list[str] = []
    enough = threading.Event()

    def items() -> Iterator[str]:
        while not enough.is_set():
            given.append(f"sleep:0.1-{len(given)}")
            yield given[-1]

    with ExitStack() as stack, connected(port, said) as cluster, Background(cluster, items()) as running:
        stack.callback(enough.set)
        wait_until(lambda: any("no worker for" in line for line in said.lines))
        assert running.in_flight() == 0
        first = start_worker(stack, port)
        wait_until(lambda: running.results)
        assert running.in_flight() <= 2
        start_worker(stack, port)
        wait_until(lambda: running.in_flight() > 2)
        first.send_signal(signal.SIGKILL)
        wait_until(lambda: 0 < running.in_flight() <= 2)
        enough.set()
    assert sorted(result.item for result in running.results) == sorted(given)
    assert all(isinstance(result, TaskResult) for result in running.results)


@pytest.mark.usefixtures("fast")
def test_a_worker_with_other_code_that_joins_late_gets_no_task(port: int) -> None:
    """It is named with both versions, while the other worker does everything."""
    said = Said()
    items = [f"sleep:0.1-{number}" for number in range(8)]
    with ExitStack() as stack, connected(port, said) as cluster, Background(cluster, items) as running:
        start_worker(stack, port, other_code=True)
        wait_until(lambda: any("gets no tasks: it runs curation 9.9 (00000000)" in line for line in said.lines))
        assert running.in_flight() == 0
        start_worker(stack, port)
        wait_until(lambda: len(running.results) == len(items))
        (refused,) = cluster.pool.refused
    assert {result.worker == refused for result in running.results if isinstance(result, TaskResult)} == {False}


@pytest.mark.usefixtures("fast")
def test_a_cluster_of_refused_workers_is_an_error(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no worker proves what it has to, the step fails with the reason instead of waiting for ten minutes."""
    monkeypatch.setattr(dispatch, "REFUSED_SECONDS", 0.5)
    with ExitStack() as stack, connected(port, Said()) as cluster:
        start_worker(stack, port)
        cluster.require(NotHere(os.getpid()))
        with pytest.raises(StepFailed, match=r"no worker can be used; tcp://.*: it sees no storage"):
            list(cluster.map(work, ["a"]))


@dataclass(frozen=True)
class NotHere:
    """A proof that fails in every other process."""

    pid: int

    def __call__(self) -> str:
        """Why the worker gets no tasks."""
        return "" if os.getpid() == self.pid else "it sees no storage"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """Two workers with nannies on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{SUPPORT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        with open_cluster(2) as cluster:
            yield cluster


@pytest.fixture
def said(own: Cluster, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What they warn of. A worker is ended in 5 seconds, in 4 of which its nanny waits for it."""
    monkeypatch.setattr(clients, "END_SECONDS", 5)
    monkeypatch.setattr(own, "warned", Said())
    return own.warned  # type: ignore[return-value]


@pytest.mark.usefixtures("fast")
def test_a_hung_worker(own: Cluster, said: Said, tmp_path: Path) -> None:
    """A stopped worker is reported, another one makes its item, and it is ended before the map is."""
    item = f"stop-once:{tmp_path / 'pid'}"
    results = [*own.map(work, [item, *"abcd"], copies=True)]
    assert sorted(result.value for result in results) == sorted(each.upper() for each in (item, *"abcd"))
    assert any("has not answered for" in line for line in said.lines)
    assert {"copy", "ended", "slow"} <= {event.get("event") for event in said.events}
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    assert sorted(own.each(work, ["e", "f"])) == ["E", "F"]


@pytest.mark.usefixtures("fast")
def test_a_task_that_takes_too_long(own: Cluster, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a time limit, the worker is ended and the item tried again; one that always takes too long is given up."""
    monkeypatch.setattr(dispatch, "RETRIES", 1)
    monkeypatch.setattr(own, "task_timeout", 2.0)
    once = f"sleep-once:{tmp_path / 'pid'}"
    results = {result.item: result for result in own.map(work, [once, "a", "sleep:50"])}
    assert isinstance(results[once], TaskResult)
    assert isinstance(results["a"], TaskResult)
    assert results["sleep:50"] == TaskFailure(
        "sleep:50", "took longer than 2 s 2 times (--task-timeout)", kind="workers"
    )
    assert sum(event.get("event") == "timeout" for event in said.events) == 3
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_what_memory_says_about_a_death() -> None:
    """A worker that was near its limit, or that its nanny ended, died of memory; others of anything."""
    worker = Worker(1, memory=29 << 27, memory_limit=4 << 30)
    assert worker.cause_of_death(over_limit=False) == "; it used 91% of its memory limit (4 GiB) when it was last seen"
    assert "more memory than its limit (4 GiB)" in worker.cause_of_death(over_limit=True)
    assert Worker(1, memory=1 << 30, memory_limit=4 << 30).cause_of_death(over_limit=False) == ""
    assert Worker(1, memory=1 << 30).cause_of_death(over_limit=False) == ""


def test_a_worker_that_dies_of_memory(
    own: Cluster, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item is tried again, and the probable cause is printed immediately."""
    monkeypatch.setattr(dispatch, "WAITING_SECONDS", PATIENCE)
    monkeypatch.setattr(own.pool, "cause_of_death", lambda worker: "; it used 91% of its memory")
    monkeypatch.setattr(own, "_said", -dispatch.WORKERLESS_SECONDS)
    item = f"die-once:{tmp_path / 'died'}"
    assert [*own.each(work, [item])] == [item.upper()]
    assert said.lines == [f"shard {item} failed and will be tried again: its worker died; it used 91% of its memory"]


@pytest.fixture
def tls(tmp_path: Path) -> dict[str, str]:
    """Dask's settings for connections with certificates, as variables of the environment."""
    pytest.importorskip("cryptography")
    made = Security.temporary()
    files = {"ca": made.tls_ca_file, "cert": made.tls_client_cert, "key": made.tls_client_key}
    for name, text in files.items():
        (tmp_path / f"{name}.pem").write_text(text)
    prefix, variables = "DASK_DISTRIBUTED__COMM__TLS__", {"CA_FILE": str(tmp_path / "ca.pem")}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables |= {f"{role}__{part.upper()}": str(tmp_path / f"{part}.pem") for part in ("cert", "key")}
    encrypted = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
    return {**{f"{prefix}{name}": value for name, value in variables.items()}, **encrypted}


def test_a_cluster_with_certificates(tls: dict[str, str]) -> None:
    """With the variables in docs/clusters.md, connections are encrypted; without them, a connection is refused."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "clusters.md").read_text(encoding="utf-8")
    assert all(f"export {name}=" in page for name in tls)
    with ExitStack() as stack:
        number = free_port()
        start_scheduler(stack, number, "tls", **tls)
        start_worker(stack, number, protocol="tls", **tls)
        settings = {name.removeprefix("DASK_").lower().replace("__", "."): value for name, value in tls.items()}
        with dask.config.set(settings), connected(number, Said(), "tls") as cluster:
            assert cluster.gather(work, ["a"]) == ["A"]
        with pytest.raises(UsageError, match=r"scheduler tls://.*TLS"), clients.connect(f"tls://127.0.0.1:{number}"):
            pass
