"""Failures that pass cost no input and change no byte: storage that is down, a lost scheduler, a missing mount."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import psutil
import pytest
from archives import write_crawl
from dask_processes import start_scheduler, start_worker, wait_for_workers
from http_files import serving_files
from object_storage import free_port
from processes import SETTINGS, command, contents, curate

from curation.jobs.steps import run
from curation.running import dispatch

IS_LONG = bool(os.environ.get("CURATION_LONG_TESTS"))
"""Whether to run the long forms: more archives and longer outages."""

ARCHIVES = 60 if IS_LONG else 24
OUTAGE = 45.0 if IS_LONG else 3.0
PATIENCE = 240.0


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Many archives of a few pages each."""
    folder = tmp_path_factory.mktemp("crawl")
    write_crawl(folder, ARCHIVES)
    return folder


@pytest.fixture(scope="module")
def whole(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filter step on local files without a failure."""
    out = tmp_path_factory.mktemp("whole") / "out"
    done = curate("filter", crawl, "--out", out, "--workers", "0")
    assert done.returncode == 0, done.stderr
    return out


class Outage:
    """Refuses every request for some seconds after the first requests for a part of a file.

    Attributes:
        seconds: How long, once it begins; 0 for no outage.
        refused: Number of requests that were refused.
    """

    def __init__(self) -> None:
        self.seconds, self.refused = 0.0, 0
        self._until, self._parts = 0.0, 0

    def __call__(self, wanted: str | None) -> bool:
        """Whether to refuse a request with this header Range."""
        self._parts += wanted is not None
        if wanted and self.seconds and self._parts > 3:
            self._until, self.seconds = time.monotonic() + self.seconds, 0.0
        is_down = time.monotonic() < self._until
        self.refused += is_down
        return is_down

    def begin(self, seconds: float) -> None:
        """Be down for so long after three more requests for parts."""
        self.seconds, self._parts = seconds, 0


@pytest.fixture(scope="module")
def server(crawl: Path) -> Iterator[Any]:
    """An HTTP server of the archives, whose `refuses` is an `Outage`."""
    with serving_files(crawl, Outage()) as server:
        yield server


@pytest.fixture(scope="module")
def clean(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The filter step on files of the server without an outage."""
    out = tmp_path_factory.mktemp("clean") / "out"
    done = curate("filter", *server.urls, "--out", out, "--workers", "0")
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("workers", ["0", "2"])
def test_storage_that_is_down_for_seconds(server: Any, clean: Path, tmp_path: Path, workers: str) -> None:
    """Seconds in which every request is answered with 503 cost no archive and change no byte."""
    outage = server.refuses = Outage()
    outage.begin(OUTAGE)
    done = curate("filter", *server.urls, "--out", tmp_path / "out", "--workers", workers)
    assert outage.refused
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "out") == contents(clean)


def test_a_scheduler_restarted_in_the_middle(crawl: Path, whole: Path, tmp_path: Path) -> None:
    """After SIGKILL of the scheduler and its workers, the run goes on with new ones; no archive is lost."""
    port, out = free_port(), tmp_path / "out"
    with ExitStack() as stack:
        first = [start_scheduler(stack, port), *(start_worker(stack, port) for _ in range(2))]
        wait_for_workers(port, 2)
        words = command("filter", crawl, "--out", out, "--scheduler", f"tcp://127.0.0.1:{port}")
        driver = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        stack.callback(driver.kill)
        until = time.monotonic() + PATIENCE
        while not list(out.glob("manifests/filter/*.json")):
            assert driver.poll() is None, driver.stderr and driver.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.02)
        for process in first:
            process.send_signal(signal.SIGKILL)
            process.wait()
        made = {path: path.stat().st_mtime_ns for path in out.glob("manifests/filter/*.json")}
        assert len(made) < ARCHIVES
        start_scheduler(stack, port)
        start_worker(stack, port)
        _, errors = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, errors
    assert "scheduler was lost" in errors
    assert contents(out) == contents(whole)
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_a_worker_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is stopped in the middle is replaced: no archive is lost, and the bytes are the same."""
    (tmp_path / "crawl").mkdir()
    write_crawl(tmp_path / "crawl", 6)

    def filtered(name: str, workers: int) -> int:
        inputs = [str(tmp_path / "crawl")]
        return run.run_commands(["filter"], str(tmp_path / name), inputs, None, SETTINGS, workers, None, False, False)

    for name, seconds in (("SILENT_SECONDS", 4.0), ("CHECK_SECONDS", 0.5), ("LOSER_SECONDS", 1.0)):
        monkeypatch.setattr(dispatch, name, seconds)
    stopped: list[psutil.Process] = []

    def stop() -> None:
        until = time.monotonic() + PATIENCE
        while not list(tmp_path.glob("out/manifests/filter/*.json")) and time.monotonic() < until:
            time.sleep(0.02)
        workers = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
        stopped.append(workers[0])
        workers[0].suspend()

    thread = Thread(target=stop)
    thread.start()
    assert filtered("out", 2) == 0
    thread.join()
    assert not stopped[0].is_running()
    assert filtered("whole", 0) == 0
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def may_mount() -> bool:
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def test_a_worker_without_the_inputs(crawl: Path, whole: Path, tmp_path: Path) -> None:
    """One of two workers sees no inputs: it is named and gets no tasks, and no archive is lost."""
    if not may_mount():
        pytest.skip("needs the right to mount")
    port, out = free_port(), tmp_path / "out"
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{crawl}" && exec "$@"', "sh")
    with ExitStack() as stack:
        start_scheduler(stack, port)
        start_worker(stack, port, *hidden)
        start_worker(stack, port)
        wait_for_workers(port, 2)
        done = curate("filter", crawl, "--out", out, "--scheduler", f"tcp://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    assert "gets no tasks: it cannot read the input" in done.stderr
    assert "FileNotFoundError" in done.stderr
    assert contents(out) == contents(whole)


@contextmanager
def planned(then: Callable[[], object]) -> Iterator[None]:
    """Do something in each run right after its inputs were found."""
    make_plan = run.make_plan

    def make(*arguments: Any, **options: Any) -> Any:
        plan = make_plan(*arguments, **options)
        then()
        return plan

    with patch.object(run, "make_plan", make):
        yield


def test_inputs_that_stay_unavailable(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many inputs given up because of I/O errors stop the run with code 3; a rerun tries exactly those again."""
    folder, out = tmp_path / "crawl", tmp_path / "out"
    shutil.copytree(crawl, folder)
    gone = folder / "03.warc.gz"
    shutil.move(gone, folder / "kept")
    gone.symlink_to(folder / "kept")
    words = ["run", folder, "--out", out, "--workers", "0", "--steps", "filter,dedup"]
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "1")
    with planned(gone.unlink):
        done = curate(*words)
    assert done.returncode == 3, done.stderr
    assert f"{ARCHIVES - 1} of {ARCHIVES} shards made, 1 quarantined" in done.stderr
    assert "unavailable" in done.stderr
    assert "try these inputs again" in done.stderr
    assert not (out / "corpus").exists()
    (entry,) = json.loads((out / "run.json").read_text())["quarantined"]
    assert entry["path"] == str(gone)
    assert entry["kind"] == "io"
    gone.symlink_to(folder / "kept")
    again = curate(*words)
    assert again.returncode == 0, again.stderr
    assert f"filter: 1 of {ARCHIVES} shards made" in again.stderr


def test_storage_that_stays_down_stops_the_run(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If input after input is given up, the run stops with code 3 instead of trying them all; it resumes later."""
    folder, out = tmp_path / "crawl", tmp_path / "out"
    shutil.copytree(crawl, folder)
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "0")
    words = ["filter", folder, "--out", out, "--workers", "0"]
    with planned(lambda: folder.rename(tmp_path / "away")):
        done = curate(*words)
    assert done.returncode == 3, done.stderr
    assert "nothing can be read for now, 16 times in a row: FileNotFoundError" in done.stderr
    assert done.stderr.count("warning: quarantined") == 16
    (tmp_path / "away").rename(folder)
    assert curate(*words).returncode == 0
