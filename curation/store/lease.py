"""The lease: a file in the output folder that says which driver works there, so that a second one is refused.

    .driver.json    the driver's machine, process and command, when it last renewed this, and how far it is

The file is created only if it does not exist: by O_EXCL on a disk, by a conditional PUT on S3. Its driver renews it
every few seconds and removes it at its end. A lease is stale, and the next driver takes it over,

- if it is of this machine and its process has ended, or
- if it is of another machine and was not renewed while the next driver watched it for STALE_SECONDS. What counts is
  that the file changes, so the clocks of the two machines do not matter.

A driver that finds the lease of another one in place of its own was suspended for too long. It stops, and what it had
made is kept.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from curation.errors import OutputError, StepFailed
from curation.store.folder import Folder
from curation.store.storage import code, explain, is_io, protocols

LEASE = ".driver.json"
"""Path of the lease in the output folder. Hidden, so that it is not part of the output."""

RENEW_SECONDS = 10.0
"""Seconds between renewals."""

STALE_SECONDS = 60.0
"""Seconds for which a lease of another machine is watched before it is taken over."""

LOOK_SECONDS = 2.0
"""Seconds between looks at a lease that is watched."""

CLOCK_SECONDS = 5.0
"""Seconds by which the start of a process, which is derived from the time of the boot, may seem to move."""

CONDITIONAL = frozenset({"s3", "s3a"})
"""Protocols of storage on which an object can be created only if it does not exist."""


def machine() -> dict[str, Any]:
    """What identifies this machine, or the container on it that has process ids of its own."""
    identity = ""
    with suppress(OSError):  # other systems than Linux
        identity = (
            f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
        )
    return {"host": socket.gethostname(), "machine": identity}


def read_lease(folder: Folder) -> dict[str, Any] | None:
    """The lease as it is now; empty if it cannot be read, because it is being written; None if there is none."""
    folder.fs.invalidate_cache()
    try:
        values = folder.read_json(LEASE)
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def is_alive_here(lease: Mapping[str, Any]) -> bool | None:
    """Whether the process of a lease runs on this machine; None if the lease is of another one."""
    if any(lease.get(name) != value for name, value in machine().items()):
        return None
    try:
        process = psutil.Process(lease["pid"])
        is_same = abs(process.create_time() - lease["process_started"]) < CLOCK_SECONDS
        return bool(is_same and process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def describe_lease(lease: Mapping[str, Any]) -> str:
    """Whose a lease is: "process 4711 on host, since 2026-11-28T10:00:00+00:00"."""
    return f"process {lease.get('pid', '?')} on {lease.get('host', '?')}, since {lease.get('since', '?')}"


class Lease:
    """The lease of this process on a folder.

    Args:
        folder: The output folder.
        facts: Called for each renewal: what else the file says, as plain values.
        warned: Called with a line about storage on which a lease is not safe, or while another lease is watched.
    """

    def __init__(self, folder: Folder, facts: Callable[[], Mapping[str, Any]], warned: Callable[[str], None]) -> None:
        self._folder, self._facts, self._warned = folder, facts, warned
        self.token = uuid.uuid4().hex
        self._since = _now()
        self._started = psutil.Process().create_time()
        self._lost, self._is_cut_off = "", False
        self._ended = threading.Event()

    def acquire(self) -> None:
        """Create the lease, taking over a stale one.

        Raises:
            OutputError: Another driver works in the folder.
        """
        while not self._create():
            self._wait_until_stale()
        if not (self._folder.is_local or {*protocols(self._folder.fs)} & CONDITIONAL):
            self._warned("this storage cannot refuse a second run into the same folder; do not start one")
        elif not self._folder.is_local and self._create():
            self._warned("this storage ignores conditional requests: do not start a second run into the same folder")
        if (read_lease(self._folder) or {}).get("token") != self.token:
            raise OutputError(f"{self._folder.url}: another run has just been started there")

    def check(self) -> None:
        """Raise StepFailed if another driver took the folder over."""
        if self._lost:
            raise StepFailed(self._lost)

    def renew(self) -> None:
        """Write the lease again, unless it is another driver's now. Storage that fails is named and tried later."""
        try:
            found = read_lease(self._folder)
            if found and found.get("token") != self.token:
                self._lost = (
                    f"{self._folder.url}: taken over by {describe_lease(found)}, because this run was suspended"
                )
                return
            if self._folder.is_local:
                self._folder.write(LEASE, self._content(), sync=False)
            else:
                self._folder.fs.pipe_file(self._folder.path(LEASE), self._content())
            self._is_cut_off = False
        except Exception as error:
            if not is_io(error):
                raise
            if not self._is_cut_off:
                self._warned(f"{self._folder.url} cannot be reached for now: {explain(error)}")
            self._is_cut_off = True

    def release(self) -> None:
        """Remove the lease, if it is still this driver's."""
        self._ended.set()
        try:
            if (read_lease(self._folder) or {}).get("token") == self.token:
                self._folder.remove(LEASE)
        except Exception as error:  # it becomes stale
            if not is_io(error):
                raise

    def keep(self) -> None:
        """Renew the lease until it is released; runs in a thread."""
        while not self._ended.wait(RENEW_SECONDS) and not self._lost:
            self.renew()

    def _content(self) -> bytes:
        values = {**machine(), "pid": os.getpid(), "process_started": self._started, "token": self.token}
        values |= {"since": self._since, "renewed": _now(), **self._facts()}
        return (json.dumps(values, ensure_ascii=False) + "\n").encode()

    def _create(self) -> bool:
        """Create the file; False if it exists."""
        fs, path = self._folder.fs, self._folder.path(LEASE)
        self._folder.check_no_link(LEASE)
        try:
            if self._folder.is_local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                with Path(path).open("xb") as file:
                    file.write(self._content())
            elif {*protocols(fs)} & CONDITIONAL:
                fs.pipe_file(path, self._content(), mode="create")
            elif self._folder.exists(LEASE):
                return False
            else:
                fs.pipe_file(path, self._content())
        except FileExistsError:
            return False
        except Exception as error:
            if not _is_refusal(error):
                raise OutputError(f"cannot write to {self._folder.url}: {explain(error)}") from error
            return False
        return True

    def _wait_until_stale(self) -> None:
        """Wait until the lease that is there is stale, and remove it.

        Raises:
            OutputError: It is not stale.
        """
        first, until, is_told = read_lease(self._folder), time.monotonic() + STALE_SECONDS, False
        while (now := read_lease(self._folder)) is not None:
            alive = is_alive_here(now)
            if alive or (alive is None and now != first and now):
                raise OutputError(f"{self._folder.url}: another run is active there: {describe_lease(now)}")
            if alive is False or time.monotonic() > until:
                self._folder.remove(LEASE)
                return
            if not is_told:
                self._warned(
                    f"waiting {STALE_SECONDS:.0f} s to see whether another run is active here: {describe_lease(now)}"
                )
                is_told = True
            time.sleep(LOOK_SECONDS)


def _is_refusal(error: BaseException) -> bool:
    """Whether S3 refused to create what exists, or what another process creates at this moment."""
    codes = {code(each) for each in (error, error.__cause__) if each is not None}
    return not codes.isdisjoint({"PreconditionFailed", "ConditionalRequestConflict"})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def leased(folder: Folder, facts: Callable[[], Mapping[str, Any]], warned: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lease of a folder for the duration of the block.

    Args:
        folder: The output folder.
        facts: As in `Lease`.
        warned: As in `Lease`.

    Raises:
        OutputError: Another driver works in the folder.
    """
    lease = Lease(folder, facts, warned)
    lease.acquire()
    threading.Thread(target=lease.keep, name="lease", daemon=True).start()
    try:
        yield lease
    finally:
        lease.release()
