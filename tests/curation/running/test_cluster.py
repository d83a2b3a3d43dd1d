"""The cluster: the same results in this process and on workers, failures with causes, survival of dead workers."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import psutil
import pytest
from cluster_tasks import change_code, pause_worker, tell_item, work
from distributed import Client, LocalCluster
from distributed.comm import CommClosedError

from curation.errors import StepFailed, UsageError
from curation.running import clients, dispatch
from curation.running.answers import TaskFailure, TaskResult
from curation.running.cluster import Cluster, cores, open_cluster
from curation.running.dispatch import Dispatch, Flight
from curation.running.retries import Attempt
from curation.running.versions import code_version

SUPPORT = Path(__file__).resolve().parents[2] / "support"


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Cluster]:
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{SUPPORT}{os.pathsep}{path}"
    with open_cluster(2) as cluster:
        yield cluster
    os.environ["PYTHONPATH"] = path


@pytest.fixture(params=["process", "threads", "dask"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "dask":
        return request.getfixturevalue("dask_cluster")  # type: ignore[no-any-return]
    return Cluster(threads=3 if request.param == "threads" else 1)


def test_map_returns_every_item(cluster: Cluster) -> None:
    """Every item is returned once, even if there are more items than can be in flight."""
    items = [f"item{i}" for i in range(30)]
    results = list(cluster.map(work, iter(items)))
    assert sorted(r.item for r in results) == sorted(items)
    assert all(isinstance(r, TaskResult) and r.value == r.item.upper() for r in results)


def test_tasks_tell_how_far_they_are(cluster: Cluster) -> None:
    """What tasks tell about a topic reaches who listens to it, and nobody afterwards."""
    heard: list[str] = []
    items = [f"item{i}" for i in range(5)]
    with cluster.listening("items", heard.append):
        list(cluster.map(tell_item, items))
        until = time.monotonic() + 60
        while len(heard) < len(items) and time.monotonic() < until:
            time.sleep(0.02)
    list(cluster.map(tell_item, ["late"]))
    assert sorted(heard) == items


def test_failures_are_values_and_stop_nothing(cluster: Cluster) -> None:
    """An item that raises and one that is refused are returned with their causes; the others succeed."""
    results = {r.item: r for r in cluster.map(work, ["a", "raise:", "refuse:", "b"])}
    assert results["raise:"] == TaskFailure("raise:", "ValueError: broken (cluster_tasks.py, line 40, in work)")
    assert results["refuse:"] == TaskFailure("refuse:", "not an archive")
    assert isinstance(results["a"], TaskResult)
    assert isinstance(results["b"], TaskResult)


def test_an_item_that_cannot_be_read_for_now_is_tried_again(cluster: Cluster, tmp_path: Path) -> None:
    """Two I/O errors cost an item nothing but a pause of some seconds."""
    if cluster.threads > 1:
        pytest.skip("threads of this process read no inputs")
    items = ["a", f"unavailable-twice:{tmp_path / 'tries'}", "b"]
    started = time.monotonic()
    assert sorted(cluster.each(work, items)) == sorted(item.upper() for item in items)
    assert time.monotonic() - started > 1.5
    assert (tmp_path / "tries").read_text() == "xxx"


def test_a_retry_is_said_once_in_a_while(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage does not pass in silence: the first item that is tried again is named with its cause."""
    if cluster.threads > 1:
        pytest.skip("threads of this process read no inputs")
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(cluster, "warned", lambda message, event="", **_: said.append((event, message)))
    monkeypatch.setattr(cluster, "_said", -100.0)
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "1.5")
    assert len([*cluster.map(work, ["unavailable:no", "unavailable:not"])]) == 2
    retries = [message for event, message in said if event == "retry"]
    assert len(retries) == 1
    assert retries[0].endswith("failed and will be tried again: PermissionError: " + retries[0].split(": ")[-1])


def test_an_item_that_stays_unreadable_is_given_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time it is a failure of the kind "io"; other items do not wait for it."""
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "2")
    results = [*cluster.map(work, ["unavailable:no", "a", "b"])]
    assert results[-1] == TaskFailure("unavailable:no", "PermissionError: no", kind="io") or cluster.threads > 1
    assert {result.item for result in results if isinstance(result, TaskResult)} == {"a", "b"}


def test_gather_keeps_order_and_fails_loudly(cluster: Cluster) -> None:
    """Values are in the order of the items; a failure raises StepFailed with its cause."""
    assert cluster.gather(work, ["c", "a", "b"]) == ["C", "A", "B"]
    assert cluster.gather(work, []) == []
    with pytest.raises(StepFailed, match="ValueError: broken"):
        cluster.gather(work, ["a", "raise:"])


def test_every_worker_is_asked(cluster: Cluster) -> None:
    """Each worker answers once, none twice; without workers this process does."""
    answers = cluster.everywhere(os.getpid)
    assert len({*answers}) == len(answers) == max(1, cluster.workers)
    assert (os.getpid() in answers) == (cluster.workers == 0)


def test_threads_of_this_process_run_concurrently() -> None:
    """Two threads complete two tasks that wait for each other, which one thread could not."""
    barrier = threading.Barrier(2, timeout=30)
    assert len({*Cluster(threads=2).each(lambda _: barrier.wait(), range(2))}) == 2


def test_threads_start_no_more_items_after_a_failure() -> None:
    """If every item must succeed, waiting items are not started after one was given up."""
    started: list[int] = []

    def fail(item: int) -> None:
        started.append(item)
        time.sleep(0.01)
        raise ValueError

    with pytest.raises(StepFailed):
        Cluster(threads=2).gather(fail, range(1000))
    assert len({*started}) < 100


def test_a_cluster_knows_the_cores_it_would_use() -> None:
    """`cores` is the requested number of workers before any is started, and one without workers."""
    for workers, expected in ((3, 3), (0, 1), (None, cores())):
        with open_cluster(workers) as cluster:
            assert cluster.cores == expected
            assert "client" not in vars(cluster)


def test_workers_keep_the_memory_they_free(dask_cluster: Cluster) -> None:
    """Dask's setting that returns freed memory at once is not passed to workers; its others are."""
    for environment in dask_cluster.client.run(lambda: {**os.environ}).values():
        assert "MALLOC_TRIM_THRESHOLD_" not in environment
        assert environment["OMP_NUM_THREADS"] == "1"


def test_a_dying_worker_costs_only_its_item(dask_cluster: Cluster) -> None:
    """An item that kills every worker is given up after its retries; all others succeed."""
    results = {r.item: r for r in dask_cluster.map(work, ["a", "die:", "b", "c", "die:again", "d", "e"])}
    for item in ("die:", "die:again"):
        assert isinstance(results[item], TaskFailure)
        assert results[item].kind == "workers"
        assert "worker died" in results[item].cause
    assert all(isinstance(results[item], TaskResult) for item in "abcde")


def test_an_interrupt_while_a_task_is_submitted(dask_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the step as at any other moment."""

    def interrupt(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(dask_cluster.client, "submit", interrupt)
    with pytest.raises(KeyboardInterrupt):
        list(dask_cluster.map(work, ["a"]))


def test_futures_of_items_given_up_are_released(dask_cluster: Cluster) -> None:
    """The future of an item that was retried alone is released with its result, not at the end."""
    before = {*dask_cluster.client.futures}
    results = dask_cluster.map(work, ["die:", "die:again"])
    assert len(list(islice(results, 2))) == 2  # `results` is not exhausted, because no third item was requested
    until = time.monotonic() + 60
    while {*dask_cluster.client.futures} - before and time.monotonic() < until:  # they are released in the background
        time.sleep(0.05)
    assert not {*dask_cluster.client.futures} - before


def test_dask_keeps_its_default(dask_cluster: Cluster) -> None:
    """What else uses Dask in this process computes where it did before, not on workers that may end."""
    dask_cluster.gather(work, ["answer"])
    assert dask.config.get("scheduler", None) != "dask.distributed"


def test_an_item_whose_worker_died_once_is_retried(dask_cluster: Cluster, tmp_path: Path) -> None:
    """After the death of a worker the second attempt's value is returned."""
    item = f"die-once:{tmp_path / 'died'}"
    assert dask_cluster.gather(work, [item]) == [item.upper()]


@pytest.mark.parametrize("kills", [1, 100])
def test_a_worker_killed_while_it_starts(kills: int) -> None:
    """Workers are started again; if that happens again and again, the error is one line."""
    before = psutil.Process().children()
    until = time.monotonic() + 120
    killed: list[psutil.Process] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.is_set() and len(killed) < kills and time.monotonic() < until:
            for child in psutil.Process().children():
                with suppress(psutil.Error):
                    if child not in [*before, *killed] and "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
                        killed.append(child)
            time.sleep(0.01)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    message = r"^the worker processes on this machine do not start: RuntimeError: Nanny failed"
    try:
        with (
            nullcontext() if kills == 1 else pytest.raises(StepFailed, match=message),
            open_cluster(1) as cluster,
        ):
            assert cluster.gather(work, ["a"]) == ["A"]
    finally:
        ended.set()
        killer.join()
    assert killed


def test_workers_that_are_gone_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the only worker ends and nothing restarts it, another is started, and the items are done."""
    monkeypatch.setattr("curation.running.dispatch.REPLACE_SECONDS", 1.0)
    monkeypatch.setenv("PYTHONPATH", f"{SUPPORT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with open_cluster(1) as cluster:
        assert cluster.client is not None
        (nanny,) = cluster.client.cluster.workers.values()
        cluster.client.sync(nanny.close)
        assert sorted(cluster.each(work, ["a", "b"])) == ["A", "B"]


def test_a_scheduler_without_workers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no worker comes for long enough, the step fails instead of waiting forever."""
    monkeypatch.setattr("curation.running.dispatch.WORKERLESS_SECONDS", 1.0)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0") as local:
        address = local.scheduler_address
        with open_cluster(scheduler=address) as cluster, pytest.raises(StepFailed, match="no worker"):
            list(cluster.map(work, ["a"]))


@contextmanager
def one_worker(monkeypatch: pytest.MonkeyPatch, limit: str, processes: bool) -> Iterator[tuple[Cluster, list[str]]]:
    """A cluster of one worker, and what it warns of; no step waits for more than five seconds for another one."""
    monkeypatch.setenv("PYTHONPATH", f"{SUPPORT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(dispatch, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(dispatch, "WORKERLESS_SECONDS", 5.0)
    said: list[str] = []
    workers: dict[str, Any] = {"n_workers": 1, "threads_per_worker": 1, "processes": processes, "memory_limit": limit}
    with (
        LocalCluster(**workers, dashboard_address="127.0.0.1:0") as local,
        open_cluster(scheduler=local.scheduler_address, warned=lambda line, **fields: said.append(line)) as cluster,
    ):
        # A worker without memory collects garbage, which holds up its scheduler for seconds if it is that of all tests.
        gc.freeze()
        try:
            yield cluster, said
        finally:
            gc.unfreeze()


def test_a_worker_that_is_paused_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the only worker starts no tasks because of its memory, the step fails and says so; it is not replaced."""
    monkeypatch.setattr(dispatch, "WAITING_SECONDS", 0.5)
    monkeypatch.setattr(dispatch, "REPLACE_SECONDS", 0.1)
    replaced: list[Cluster] = []

    def replace(cluster: Cluster) -> bool:
        replaced.append(cluster)
        return True

    monkeypatch.setattr(Cluster, "replace_workers", replace)
    cause = r"worker \S+ starts no tasks; it used \d+% of its memory limit \(0.019 GiB\) when it was last seen"
    with one_worker(monkeypatch, "20MB", processes=False) as (cluster, said):
        with pytest.raises(StepFailed, match=f"^{cause}$"):
            list(cluster.map(work, ["a"]))
        assert re.fullmatch(rf"no worker for \d s \(1 get no tasks\); {cause}", said[0])
    assert not replaced


def test_a_worker_that_is_paused_may_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that needs so much memory that its worker is paused meanwhile is done, however long it takes."""
    monkeypatch.setattr(dispatch, "STUCK_SECONDS", 0.5)
    with one_worker(monkeypatch, "0", processes=False) as (cluster, said):
        assert list(cluster.each(pause_worker, [3.0])) == ["paused"]
        assert said == []


def test_a_worker_that_stays_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is restarted, and its tasks are done."""
    monkeypatch.setattr(dispatch, "STUCK_SECONDS", 0.5)
    with one_worker(monkeypatch, "0", processes=True) as (cluster, said):
        assert list(cluster.each(pause_worker, [0.5])) == ["paused"]
        assert sorted(cluster.each(work, ["a", "b"])) == ["A", "B"]
        assert re.fullmatch(r"worker \S+ starts no tasks; it is ended", said[0])


class LostClient:
    """A client whose scheduler has just ended."""

    scheduler = SimpleNamespace(identity=None)

    def __getattr__(self, name: str) -> Any:
        if name == "dashboard_link":
            raise CommClosedError("in TCP: reset by peer")
        return self.fail

    def fail(self, *arguments: Any, **options: Any) -> Any:
        """Fail as every request does."""
        raise CommClosedError("in TCP: reset by peer")


def test_a_scheduler_lost_between_tasks() -> None:
    """What is only asked for messages is left out; the next task notices and waits for the next scheduler."""
    started: list[tuple[int, str]] = []
    cluster = Cluster(LostClient, lambda *facts: started.append(facts), own=False)
    assert cluster.everywhere(os.getpid) == []
    assert started == [(0, "")]
    with cluster.listening("topic", started.append):
        pass
    cluster._listen()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A scheduler with one worker in another process: its address and its scheduler file."""
    file = tmp_path / "scheduler.json"
    program = (
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    c = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address='127.0.0.1:0')\n"
        "    import json\n"
        "    open(sys.argv[1], 'w').write(json.dumps({'address': c.scheduler_address, 'id': c.scheduler.id}))\n"
        "    print(c.scheduler_address, flush=True); sys.stdin.read()\n"
    )
    script = tmp_path / "scheduler.py"
    script.write_text(program)
    environment = {**os.environ, "PYTHONPATH": f"{SUPPORT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        [sys.executable, str(script), str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), str(file)
        process.kill()


def test_an_answer_that_is_lost_with_the_scheduler_is_asked_for_again() -> None:
    """If the connection breaks while a result is fetched, the item is tried again; it is not the item's fault."""

    class LostFuture:
        def result(self, timeout: float) -> None:
            raise CommClosedError("connection reset by peer")

        def release(self) -> None:
            pass

    dispatch = Dispatch[str, str](Cluster(), work, [], lambda item: None)
    attempt = Attempt("item")
    flight = dispatch._running.by_key["key"] = Flight(attempt, "tcp://worker", LostFuture())
    assert dispatch._collect("key", flight) is None
    assert attempt.lost == 1


def test_a_running_scheduler_is_used_and_left_running(running: tuple[str, str]) -> None:
    """`scheduler` is an address or a scheduler file; closing the cluster does not stop the scheduler."""
    for where in running:
        with open_cluster(scheduler=where) as cluster:
            assert cluster.workers == 1
            assert cluster.gather(work, ["x"]) == ["X"]


def test_a_scheduler_lost_while_connecting(running: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is connected to again, for some time; then the error is one line. A worker that goes meanwhile is no error."""
    lost = [CommClosedError("in TCP: reset by peer")]

    def run(client: Client, *arguments: Any, **options: Any) -> Any:
        if lost:
            raise lost.pop()
        return {"tcp://127.0.0.1:1": CommClosedError("in TCP: reset by peer")}

    monkeypatch.setattr(Client, "run", run)
    with open_cluster(scheduler=running[0]) as cluster:
        assert cluster.client is not None
    lost = [CommClosedError("in TCP: reset by peer")]
    monkeypatch.setattr(clients, "CONNECT_SECONDS", 0)
    monkeypatch.setattr(clients, "_client", lambda scheduler: Client(scheduler, timeout=5, set_as_default=False))
    with pytest.raises(UsageError, match=rf"^scheduler {running[0]}: CommClosedError: "):
        open_cluster(scheduler=running[0]).__enter__()


def test_workers_with_other_code_are_refused(running: tuple[str, str]) -> None:
    """Before any task is sent, an error names a worker whose code differs from the driver's, and both versions."""
    with Client(running[0]) as client:
        client.run(change_code)
    with pytest.raises(UsageError) as refused, open_cluster(scheduler=running[0]):
        pass
    for part in ("worker tcp://", "9.9 (00000000)", code_version()):
        assert part in str(refused.value)


def test_the_code_version_covers_all_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A change in any module, also in a linked folder, changes the version; a bytecode cache does not."""
    for folder in ("real", "package"):
        (tmp_path / folder / "running").mkdir(parents=True)
    (tmp_path / "real" / "b.py").write_text("1")
    (tmp_path / "package" / "running" / "versions.py").write_text("2")
    (tmp_path / "package" / "linked").symlink_to(tmp_path / "real")
    monkeypatch.setattr("curation.running.versions.__file__", str(tmp_path / "package" / "running" / "versions.py"))
    fresh = code_version.__wrapped__
    before = fresh()
    (tmp_path / "real" / "b.pyc").write_text("3")
    assert fresh() == before
    (tmp_path / "real" / "b.py").write_text("4")
    assert fresh() != before


def test_no_work_starts_no_workers() -> None:
    """Workers are started, and reported as started, when the first task needs them."""
    reported: list[int] = []
    with open_cluster(1, started=lambda workers, _: reported.append(workers)) as cluster:
        assert cluster.gather(work, []) == []
        assert reported == []
        assert cluster.gather(work, ["x"]) == ["X"]
        assert reported == [1]


def test_an_unreachable_scheduler_is_a_usage_error(tmp_path: Path) -> None:
    """A scheduler file that does not exist is an error immediately."""
    with pytest.raises(UsageError, match="scheduler"), open_cluster(scheduler=str(tmp_path / "none.json")):
        pass
