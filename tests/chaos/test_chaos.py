"""Random faults in seeded sequences: after each, the outputs are those of an undisturbed run, and `verify` agrees.

A sequence starts the run again and again, with one or two workers or on a cluster, and does to it what its seed says:
kills or stops the driver, a worker or the scheduler, fills the disk, or lets one in twenty requests for inputs fail.
The last start is left alone. Two sequences run in the suite, one with workers of its own and one on a cluster; there
requests fail, and the driver is killed and interrupted. Tests of the other faults are in tests/jobs/steps. With
CURATION_CHAOS=100, 100 run; CURATION_CHAOS_SEED sets the first seed, so that CURATION_CHAOS=1 CURATION_CHAOS_SEED=N
repeats one.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from archives import write_crawl
from dask_processes import start_scheduler, start_worker
from http_files import serving_files
from object_storage import free_port
from planted import SETTINGS, run, verdict_of
from processes import command, contents, workers_of

from curation.store.folder import TEMPORARY
from curation.store.lease import LEASE

IS_LONG = "CURATION_CHAOS" in os.environ
SEQUENCES = int(os.environ.get("CURATION_CHAOS", "2"))
FIRST_SEED = int(os.environ.get("CURATION_CHAOS_SEED", "1" if IS_LONG else "2"))
ARCHIVES = 5
FAULTS = 4 if IS_LONG else 2
"""Faults before the last start."""

LONGEST = 6.0
"""Seconds after which a fault comes at the latest."""

PATIENCE = 300.0
ENDS = ("kill driver", "terminate driver", "interrupt driver", "fill disk")
"""Faults after which the driver ends."""

EARLY = (-signal.SIGTERM, -signal.SIGINT)
"""Codes of a driver that gets a signal before it has loaded what handles it; nothing is written by then."""

GOES_ON = ("kill worker", "stop worker", "fail requests")
ON_CLUSTERS = ("kill scheduler",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """An HTTP server of archives, `urls`; `failing` is the share of requests that fail."""
    folder = tmp_path_factory.mktemp("crawl")
    write_crawl(folder, ARCHIVES)
    with serving_files(folder, lambda _: server.chance.random() < server.failing) as server:
        server.failing, server.chance = 0.0, random.Random(0)
        yield server


@pytest.fixture(scope="module")
def whole(server: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The contents of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run(server.urls, out)
    return contents(out)


class Nodes:
    """A scheduler and two workers, each of which can be replaced.

    Args:
        stack: Ends them.
    """

    def __init__(self, stack: ExitStack) -> None:
        self.port = free_port()
        self._stack = stack
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.start()

    def start(self) -> None:
        """Start what is not running."""
        self._running = [(kind, process) for kind, process in self._running if process.poll() is None]
        if not self.of("scheduler"):
            self._running.append(("scheduler", start_scheduler(self._stack, self.port)))
        for _ in range(2 - len(self.of("worker"))):
            self._running.append(("worker", start_worker(self._stack, self.port)))

    def of(self, kind: str) -> list[psutil.Process]:
        """The processes of a kind, "scheduler" or "worker"."""
        return [psutil.Process(process.pid) for each, process in self._running if each == kind]


def start_driver(
    urls: Sequence[str], out: Path, cluster: Nodes | int, limit: int | None, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start the run.

    Args:
        urls: The inputs.
        out: The output folder.
        cluster: The cluster, or a number of workers to start.
        limit: Maximum size of a file in bytes for it and its workers, to simulate a full disk.
        errors: Where it prints.
    """

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    where = (
        ("--workers", str(cluster)) if isinstance(cluster, int) else ("--scheduler", f"tcp://127.0.0.1:{cluster.port}")
    )
    words = command("run", *urls, "--out", out, *where, settings=SETTINGS)
    return subprocess.Popen(
        words,
        preexec_fn=limited if limit is not None else None,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )


def workers_there(driver: subprocess.Popen[bytes], cluster: Nodes | int) -> list[psutil.Process]:
    if isinstance(cluster, Nodes):
        return cluster.of("worker")
    with suppress(psutil.Error):
        return workers_of(driver.pid)
    return []


def watch(driver: subprocess.Popen[bytes], cluster: Nodes | int, seconds: float) -> bool:
    """Wait for the driver to end, as long as that; meanwhile, start again what ended on the cluster."""
    until = time.monotonic() + seconds
    while driver.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
        if isinstance(cluster, Nodes):
            cluster.start()
    return driver.poll() is not None


def do(fault: str, driver: subprocess.Popen[bytes], cluster: Nodes | int, server: Any, chance: random.Random) -> None:
    """Do what the fault says, to whatever is there at this moment."""
    if fault.endswith("driver"):
        number = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}[fault.split()[0]]
        driver.send_signal(number)
    elif fault == "fail requests":
        server.failing = 0.05
    elif fault == "kill scheduler" and isinstance(cluster, Nodes):
        for process in cluster.of("scheduler"):
            process.kill()
    elif fault in ("kill worker", "stop worker"):
        with suppress(psutil.Error, IndexError):
            worker = chance.choice(workers_there(driver, cluster))
            if fault == "kill worker":
                worker.kill()
            else:
                worker.suspend()
                time.sleep(2)
                worker.resume()


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + SEQUENCES))
def test_a_sequence(server: Any, whole: dict[str, str], tmp_path: Path, seed: int) -> None:
    """Every byte is that of an undisturbed run, no partial file is left, and verify finds nothing wrong."""
    chance = random.Random(seed)
    out, story = tmp_path / "out", list[str]()
    server.failing, server.chance = 0.0, random.Random(seed)
    with ExitStack() as stack:
        cluster = Nodes(stack) if seed % 3 == 0 else 1 + seed % 2
        is_own = isinstance(cluster, int)
        faults = ENDS + GOES_ON + (() if is_own else ON_CLUSTERS)
        for number in range(FAULTS + 1):
            fault = chance.choice(faults) if number < FAULTS else "nothing"
            limit = chance.choice((512, 4096, 16384)) if fault == "fill disk" and is_own else None
            wait = chance.uniform(0, LONGEST)
            story.append(f"{fault} after {wait:.1f} s" if limit is None else f"no file above {limit} bytes")
            log = tmp_path / f"{number}.log"
            with log.open("wb") as file:
                driver = start_driver(server.urls, out, cluster, limit, file)
                watch(driver, cluster, wait if fault != "nothing" else 0)
                do(fault, driver, cluster, server, chance)
                if not watch(driver, cluster, PATIENCE):
                    driver.kill()
                    pytest.fail(f"seed {seed} hangs: {story}\n{log.read_text()}")
            errors = log.read_text()
            story.append(f"code {driver.returncode}")
            if fault in ENDS and driver.returncode in EARLY and not (out / LEASE).exists():
                continue
            assert "Traceback" not in errors, f"seed {seed}: {story}\n{errors}"
            assert driver.returncode == 0 or (fault in ENDS and driver.returncode in (3, -signal.SIGKILL)), (
                f"seed {seed}: {story}\n{errors}"
            )
    assert contents(out) == whole, f"seed {seed}: {story}"
    assert not [path for path in out.rglob(".*") if path.name.endswith(TEMPORARY)], f"seed {seed}: {story}"
    verdict = verdict_of(out)
    assert verdict.sound, f"seed {seed}: {story}\n{verdict.to_json()}"
