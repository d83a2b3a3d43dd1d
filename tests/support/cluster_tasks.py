"""Tasks for tests of the cluster, which its workers can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from distributed import Status, get_worker

from curation.errors import InputError
from curation.running.clients import tell


def work(item: str) -> str:
    """Do what the item says: die, stop, sleep, raise, refuse or answer."""
    kind, _, rest = item.partition(":")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "die-once" and not Path(rest).exists():
        Path(rest).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "stop-once" and not Path(rest).exists():
        Path(rest).write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "sleep":
        time.sleep(float(rest.partition("-")[0]))
    if kind == "sleep-once" and not Path(rest).exists():
        Path(rest).write_text(str(os.getpid()))
        time.sleep(60)
    if kind == "unavailable":
        raise PermissionError(rest)
    if kind == "unavailable-twice":
        with Path(rest).open("a") as file:
            file.write("x")
        if Path(rest).stat().st_size < 3:
            raise OSError(f"{rest}: 503")
    if kind == "raise":
        raise ValueError("broken\nmore")
    if kind == "refuse":
        raise InputError("not an archive")
    return item.upper()


def tell_item(item: str) -> str:
    """Tell an item to whoever listens."""
    tell("items", item)
    tell("others", "other")
    return item


def pause_worker(seconds: float) -> str:
    """Let the worker be paused, as Dask does when it needs much memory, while this takes some seconds."""
    worker = get_worker()
    worker.loop.add_callback(setattr, worker, "status", Status.paused)
    time.sleep(seconds)
    return str(worker.status.name)


def change_code() -> None:
    """Make this process look like one that has another version of the package."""
    import curation.running.versions

    curation.running.versions.code_version = lambda: "9.9 (00000000)"
