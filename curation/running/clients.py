"""Dask clients: of a running scheduler, of worker processes started here. The only module that imports Dask."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from curation.errors import MissingExtra, StepFailed, UsageError
from curation.running import fork_server, job_list
from curation.running.answers import RETRIES, describe
from curation.running.terminal import one_line
from curation.running.versions import code_version

CONNECT_SECONDS = 20
"""Seconds to wait for the answer of a scheduler."""

END_SECONDS = 8
"""Seconds that ending a worker may take. A nanny waits for most of them before it kills a process that hangs."""

ADAPT_SECONDS, IDLE_LOOKS = 2, 60
"""Seconds between looks at how many jobs are wanted, and looks at which one was not needed before it is cancelled: a
job that is needed again for the next step would wait in the queue."""

REFUSED_SECONDS = 30.0
"""Seconds after a job was refused in which no other one is submitted."""

LOOK_SECONDS, LOOKS, EARLY_ENDS = 10.0, 2, 3
"""Seconds between looks at which jobs there still are, looks at which a job must be missing to have ended, since some
systems list a new one late, and the number of jobs that may end before the first worker."""

_STARTED = "curate-started"
"""Dask's topic for the start of a task on a worker."""

LISTENERS: dict[str, Callable[[Any], None]] = {}
"""Who listens to tasks of this process, by topic."""

_OVER_LIMIT = "worker-restart-memory"
"""Dask's topic for a worker that its nanny ended because of its memory."""


def import_dask() -> None:
    """Import what a worker needs of Dask."""
    import distributed.nanny  # noqa: F401


@contextmanager
def connect(scheduler: str) -> Iterator[Any]:
    """A client of a running scheduler for the duration of the block.

    Raises:
        UsageError: It cannot be reached, or one of its workers runs other code.
    """
    if "://" not in scheduler and not os.path.isfile(scheduler):  # noqa: PTH113  (Dask would wait for it forever)
        raise UsageError(f"scheduler {scheduler}: neither an address such as tcp://host:8786 nor a scheduler file")
    until = time.monotonic() + CONNECT_SECONDS
    while True:
        client = _client(scheduler)
        with client:
            try:
                _check_code(client, scheduler)
            except OSError as error:  # it was lost at this moment
                if time.monotonic() > until:
                    raise UsageError(f"scheduler {scheduler}: {describe(error)}") from error
                continue
            yield client
            return


def _client(scheduler: str) -> Any:
    """A client of the scheduler at an address or of a scheduler file.

    Raises:
        UsageError: It cannot be reached.
    """
    from distributed import Client

    try:
        if "://" in scheduler:
            return Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        return Client(scheduler_file=scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # the last two for certificates that are missing
        raise UsageError(f"scheduler {scheduler}: {describe(error)}") from error


def dashboard(client: Any) -> str:
    """Address of the dashboard; empty if the scheduler was just lost."""
    try:
        return str(client.dashboard_link)
    except OSError:
        return ""


def _check_code(client: Any, scheduler: str) -> None:
    """Raise UsageError if a worker runs other code of this package: it may lack a task or write other bytes."""
    ours = code_version()
    for worker, version in sorted(client.run(code_version, on_error="return").items()):
        if version != ours and not isinstance(version, OSError):  # of a worker that has just gone
            theirs = version if isinstance(version, str) else describe(version)
            raise UsageError(f"scheduler {scheduler}: worker {worker} runs curation {theirs}, but this process {ours}")


@contextmanager
def _loop_without_interrupts() -> Iterator[Any]:
    """An event loop in a thread that blocks SIGINT, and so do the workers that are started from it."""
    from distributed.utils import LoopRunner

    with fork_server.without_interrupts():
        runner = LoopRunner()
        runner.start()
    try:
        yield runner.loop
    finally:
        runner.stop()


@contextmanager
def start(workers: int) -> Iterator[Any]:
    """A client of new worker processes on this machine, of one thread each, for the duration of the block.

    Raises:
        StepFailed: A process ended while it started, again and again.
    """
    import dask
    import distributed.utils
    from distributed import Client

    settings = {
        "distributed.scheduler.allowed-failures": RETRIES,
        "distributed.worker.memory.terminate": 0.98,
        "distributed.worker.preload": ["curation.running.terminal"],
        "distributed.admin.tick.limit": "60s",
        # What Dask measures in workers for its dashboard, by default 50 and 100 times a second, takes 3 % of a core.
        "distributed.admin.tick.interval": "500ms",
        "distributed.worker.profile.interval": "100ms",
        # By default Dask's workers return freed memory to the system at once, so every page of the next large array
        # faults again: a fifth of the time of a step on arrays, for a few MB. None leaves the choice to the C library.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
        # A worker sets up logging before it receives this configuration; only its environment is read early enough.
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
        "distributed.worker.multiprocessing-method": "forkserver" if fork_server.is_running() else "spawn",
    }
    distributed.utils._forkserver_preload_set = True  # by `fork_server`; Dask would import all that it knows first
    with (
        dask.config.set(settings),
        _loop_without_interrupts() as loop,
        _local_cluster(workers, loop) as local,
        Client(local, set_as_default=False) as client,
    ):
        yield client
        _kill_idle(local)


def _kill_idle(local: Any) -> None:
    """Kill the workers of a cluster that have nothing left to do: by themselves, they would take seconds to end."""
    for nanny in local.workers.values():
        nanny.close_gracefully()  # it starts no other
        if nanny.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


def _local_cluster(workers: int, loop: Any) -> Any:
    """Dask's cluster of these workers; if one ends while it starts, as when it is killed, all are started again."""
    from distributed import LocalCluster

    failures = 0
    while True:
        try:
            return LocalCluster(
                loop=loop,
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit="auto",
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            )
        except RuntimeError as error:
            failures += 1
            if failures > RETRIES:
                cause = describe(error.__cause__ or error)
                raise StepFailed(f"the worker processes on this machine do not start: {cause}") from error


SYSTEMS = {
    "slurm": ("SLURMCluster", "sbatch"),
    "pbs": ("PBSCluster", "qsub"),
    "sge": ("SGECluster", "qsub"),
    "lsf": ("LSFCluster", "bsub"),
}
"""Batch systems: dask-jobqueue's class, and the program that submits a job."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Workers that are submitted to a batch system.

    Attributes:
        file: The file that describes them, for messages.
        system: One of SYSTEMS.
        options: Arguments of dask-jobqueue's class.
        minimum: Workers to keep while there is little to do.
        maximum: Workers at most.
        certificates: Folder that all nodes see, for the certificates of the run; None for connections without TLS.
    """

    file: str
    system: str
    options: Mapping[str, Any]
    minimum: int
    maximum: int
    certificates: str | None


def check_system(jobs: JobOptions) -> None:
    """Raise UsageError if jobs cannot be submitted from here: the program or dask-jobqueue is not installed."""
    if find_spec("dask_jobqueue") is None:
        raise MissingExtra("--cluster needs an extra: pip install 'curation[jobqueue]'")
    _, program = SYSTEMS[jobs.system]
    if shutil.which(program) is None:
        where = f"cluster file {jobs.file}: system = {jobs.system!r}"
        raise UsageError(f"{where}: the program {program} is not installed on this machine")


@contextmanager
def submit(
    jobs: JobOptions,
    wanted: Callable[[], int],
    failed: Callable[[str, bool], None],
    queued: Callable[[str], None] = lambda reason: None,
) -> Iterator[Any]:
    """A client of workers in jobs of a batch system, for the duration of the block.

    Jobs that end too early, as by their time limit, are submitted again. So are those that the system refuses, after
    a pause, and those that end before they have a worker.

    Args:
        jobs: What to submit.
        wanted: Called now and then: the number of workers that there is something to do for.
        failed: Called from another thread when jobs were refused or ended early, with the cause, and whether the run
            must end because no job has started a worker.

    Raises:
        UsageError: dask-jobqueue refuses the options, or the folder for certificates cannot be written.
    """
    import dask
    import dask_jobqueue
    from distributed import Client

    kind = getattr(dask_jobqueue, SYSTEMS[jobs.system][0])
    refused: dict[str, str] = {}
    with ExitStack() as stack:
        settings = {
            "distributed.scheduler.allowed-failures": RETRIES,
            "distributed.dashboard.link": "http://127.0.0.1:{port}/status",  # where it listens; Dask says the machine's
        }
        stack.enter_context(dask.config.set(settings))
        try:
            secured: dict[str, Any] = {}
            if jobs.certificates is not None:
                where = stack.enter_context(TemporaryDirectory(prefix=".curate-", dir=jobs.certificates))
                secured = {"security": True, "shared_temp_directory": where}
            shown = {"silence_logs": 50, "scheduler_options": {"dashboard_address": "127.0.0.1:0"}}
            job = _job_class(kind.job_cls, refused)
            queue = stack.enter_context(kind(job_cls=job, **secured, **shown, **jobs.options))
            for part in ("ca_file", "cert", "key") if secured else ():  # else they complain when they are collected
                stack.callback(getattr(queue, f"_job_{part}").close)
            client = stack.enter_context(Client(queue, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            raise UsageError(f"cluster file {jobs.file}: {describe(error)}") from error
        limits = {"minimum": jobs.minimum, "maximum": jobs.maximum}
        demand = _demand_class(jobs, wanted, refused, failed, queued)
        queue.adapt(Adaptive=demand, interval=f"{ADAPT_SECONDS}s", wait_count=IDLE_LOOKS, **limits)
        yield client


def _job_class(base: Any, refused: dict[str, str]) -> Any:
    """A job of dask-jobqueue. One that cannot be submitted raises nothing, but adds its name and why to `refused`."""
    from distributed.deploy.spec import ProcessInterface

    class Job(base):  # type: ignore[misc]
        submit_command = f"timeout {job_list.ANSWER_SECONDS} {base.submit_command}"
        has_worker, missing = False, 0

        async def start(self) -> None:
            try:
                await super().start()
            except Exception as error:
                refused[self.name] = _refusal(error, base.submit_command)
                await ProcessInterface.start(self)

        async def close(self) -> None:
            await super().close()
            await ProcessInterface.close(self)  # which dask-jobqueue leaves out, and Dask expects

    return Job


def _demand_class(
    jobs: JobOptions,
    wanted: Callable[[], int],
    refused: dict[str, str],
    failed: Callable[[str, bool], None],
    queued: Callable[[str], None],
) -> Any:
    """Dask's class that decides how many jobs there are; it also deals with those that fail. Arguments as above."""
    from distributed import Adaptive

    class Demand(Adaptive):
        cluster: Any
        paused_until = look_at = 0.0
        ended: int | None = 0  # jobs that ended before they had a worker; None once one had

        async def target(self) -> int:
            return wanted()

        async def safe_target(self) -> int:
            if refused:
                await self._drop_refused()
            if time.monotonic() >= self.look_at:
                self.look_at = time.monotonic() + LOOK_SECONDS
                await self._look()
            number = await super().safe_target()
            return number if time.monotonic() >= self.paused_until else min(number, len(self.plan))

        async def _drop_refused(self) -> None:
            """Let those that were refused not count as jobs."""
            await self.cluster.scale_down([*refused])  # waits for those that are being submitted
            cause = refused.popitem()[1]
            refused.clear()
            self.paused_until = time.monotonic() + REFUSED_SECONDS
            failed(f"cluster file {jobs.file}: {cause}", not self.cluster.workers and self.ended == 0)

        async def _look(self) -> None:
            """See which jobs wait in the queue, and let those that have ended be submitted again.

            Dask replaces jobs of one worker that have ended, but not those of several.
            """
            idle = {}
            for name, job in self.cluster.workers.items():
                if any(each == name or each.startswith(f"{name}-") for each in self.observed):
                    self.ended, job.has_worker, job.missing = None, True, 0
                elif job.job_id:
                    idle[name] = job
            listed = await job_list.list_jobs(jobs.system) if idle else {}
            if listed is None:
                return
            reasons = {job.job_id: listed[job.job_id] for job in idle.values() if listed.get(job.job_id)}
            more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
            queued("".join(f"job {job} is in the queue ({why}){more}" for job, why in [*reasons.items()][:1]))
            early = []
            for name, job in idle.items():
                job.missing = 0 if job.job_id in listed else job.missing + 1
                is_gone = job.missing >= LOOKS
                if is_gone and self.cluster.workers.pop(name, None) is not None:  # else it is being closed already
                    early += [] if job.has_worker else [job]
                    self.cluster._futures.add(asyncio.ensure_future(job.close()))  # the cluster's end waits for it
            if early:
                self.ended = None if self.ended is None else self.ended + len(early)
                is_final = self.ended is not None and self.ended >= EARLY_ENDS
                failed(f"cluster file {jobs.file}: {_early_end(early[0])}", is_final)

    return Demand


def _early_end(job: Any) -> str:
    """That a job ended before it had a worker, and the file that says why."""
    folder = Path(job.log_directory or ".")
    name = rf".*-{job.job_id}\.(err|out)|.*\.[eo]{job.job_id}|{job.job_id}\..*(ER|OU)"  # Slurm, LSF; SGE, PBS; PBS
    found = [path for path in folder.glob(f"*{job.job_id}*") if re.fullmatch(name, path.name)]
    if not found:
        return f"job {job.job_id} was cancelled, or ended before it had a worker; there is no output of it in {folder}"
    return f"job {job.job_id} ended before it had a worker; {max(found, key=lambda path: path.stat().st_size)} says why"


def _refusal(error: Exception, program: str) -> str:
    """Why a program did not submit a job: what it printed, without the words that dask-jobqueue adds."""
    found = re.search(r"Exit code: (-?\d+)\n.*\nstdout:\n(.*)\nstderr:\n(.*)", str(error), re.DOTALL)
    if found is None:
        return f"{program}: {one_line(str(error))}"
    code, *printed = found.groups()
    if code == "124":  # of `timeout`
        return f"{program}: no answer in {job_list.ANSWER_SECONDS} seconds"
    lines = [line.strip().removeprefix(f"{program}: ") for text in reversed(printed) for line in text.splitlines()]
    return f"{program}: {one_line('; '.join(filter(None, lines))) or f'it exits with code {code} and no message'}"


def listen(
    client: Any,
    started: Callable[[str], None],
    changed: Callable[[], None],
    over_limit: Callable[[str], None],
) -> None:
    """Hear of what happens on the cluster. The functions are called from a thread of the client.

    Args:
        client: The Dask client.
        started: Called with the key of a task that has started on its worker.
        changed: Called when a worker came or went.
        over_limit: Called with the address of a worker that its nanny ends because of its memory.
    """

    def on_change(event: tuple[float, Any]) -> None:
        if isinstance(event[1], dict) and event[1].get("action") in ("add-worker", "remove-worker"):
            changed()

    client.subscribe_topic(_STARTED, lambda event: started(str(event[1])))
    client.subscribe_topic("all", on_change)
    client.subscribe_topic(_OVER_LIMIT, lambda event: over_limit(str(event[1].get("worker"))))


def stop_listening(client: Any) -> None:
    """End `listen`. Without this, the scheduler would log that it cannot tell a client of its own end."""
    for topic in (_STARTED, "all", _OVER_LIMIT):
        with suppress(Exception):  # the client is closed
            client.unsubscribe_topic(topic)


def announce_start(key: str) -> None:
    """Say, on a worker, that a task has started."""
    tell(_STARTED, key)


def tell(topic: str, value: Any) -> None:
    """Pass a small plain value from a task to the process that started it, if it listens (`Cluster.listening`)."""
    dask_worker = sys.modules.get("distributed.worker")
    try:
        worker = dask_worker.get_worker() if dask_worker else None
    except ValueError:
        worker = None
    if worker is not None:
        worker.log_event(topic, value)
    elif topic in LISTENERS:
        LISTENERS[topic](value)


def is_dead_worker(error: BaseException) -> bool:
    """Whether Dask gave a task up because its workers died."""
    from distributed.scheduler import KilledWorker

    return isinstance(error, KilledWorker)


def is_lost(error: BaseException) -> bool:
    """Whether an answer was lost on its way; tasks return their own I/O errors."""
    from distributed import CancelledError

    return isinstance(error, (CancelledError, OSError))


def end_worker(client: Any, address: str) -> None:
    """End the process of a worker. A nanny kills it, even if it hangs, and starts another; else it is asked to end."""
    try:
        client.restart_workers([address], timeout=END_SECONDS, raise_for_error=False)
    except Exception:  # there is no nanny, or no such worker any more
        threading.Thread(target=_retire, args=(client, address), daemon=True).start()


def _retire(client: Any, address: str) -> None:
    with suppress(Exception):  # it is gone, or it hangs
        client.retire_workers([address], close_workers=True)
