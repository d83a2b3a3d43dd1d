"""The lease: one driver per output folder, taken over when it is stale."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from curation.errors import OutputError, StepFailed
from curation.store import lease as module
from curation.store.folder import Folder
from curation.store.lease import LEASE, Lease, is_alive_here, leased, machine, read_lease


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch a lease of another machine for a short time."""
    monkeypatch.setattr(module, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.1)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "out"))


def make(folder: Folder, said: list[str] | None = None) -> Lease:
    return Lease(folder, lambda: {"workers": 3}, [].append if said is None else said.append)


def write(folder: Folder, **values: Any) -> None:
    folder.write_json(LEASE, {**machine(), "pid": 1, "token": "other", "since": "then", **values})


def test_a_lease_says_who_works_and_how_far(folder: Folder) -> None:
    """It has host, process and further facts while it is held, and is gone afterwards."""
    with leased(folder, lambda: {"workers": 3}, print):
        found = read_lease(folder)
        assert found is not None
        assert found.items() >= {**machine(), "workers": 3}.items()
        assert is_alive_here(found)
    assert read_lease(folder) is None


def test_a_second_driver_is_refused(folder: Folder) -> None:
    """While the process of the lease runs, the message names it, at once."""
    with leased(folder, dict, print), pytest.raises(OutputError, match=r"another run is active there: process \d+ on"):
        make(folder).acquire()
    make(folder).acquire()


def test_one_of_many_at_once_gets_it(folder: Folder) -> None:
    """Of drivers that start at the same moment, exactly one works."""

    def attempt(_: int) -> bool:
        try:
            make(folder).acquire()
        except OutputError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_the_lease_of_a_process_that_has_ended_is_taken_over(folder: Folder) -> None:
    """At once, also if its number is another process's now, or if it has ended but was not waited for."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    until = time.monotonic() + 30
    while Path(f"/proc/{ended.pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
    for pid, began in ((ended.pid, time.time()), (1 << 22, 0.0), (1, 12.0)):
        write(folder, pid=pid, process_started=began)
        said: list[str] = []
        lease = make(folder, said)
        lease.acquire()
        assert not said
        lease.release()
    ended.wait()


def test_a_lease_of_another_machine_is_taken_over_if_it_is_not_renewed(folder: Folder) -> None:
    """It is watched for some time, which is said once; its clock does not matter."""
    write(folder, host="elsewhere", renewed="2999-01-01T00:00:00+00:00")
    said: list[str] = []
    started = time.monotonic()
    make(folder, said).acquire()
    assert time.monotonic() - started > 0.5
    assert len(said) == 1
    assert "process 1 on elsewhere, since then" in said[0]


def test_a_lease_of_another_machine_that_is_renewed_is_respected(folder: Folder) -> None:
    """Whatever its clock says."""
    write(folder, host="elsewhere", renewed="1999-01-01T00:00:00+00:00")
    thread = Thread(
        target=lambda: (time.sleep(0.2), write(folder, host="elsewhere", renewed="1999-01-01T00:00:10+00:00"))
    )
    thread.start()
    with pytest.raises(OutputError, match="another run is active there: process 1 on elsewhere"):
        make(folder).acquire()
    thread.join()


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"host": 3}', b'"\xff"'])
def test_a_lease_that_cannot_be_read_is_taken_over_later(folder: Folder, content: bytes) -> None:
    """It may be half-written by a driver that died: it is watched like one of another machine."""
    folder.write(LEASE, content)
    make(folder).acquire()


def test_a_driver_that_was_suspended_too_long_stops(folder: Folder) -> None:
    """It finds another lease in place of its own, says so, and leaves it alone."""
    with leased(folder, dict, print) as lease:
        lease.check()
        write(folder)
        lease.renew()
        with pytest.raises(StepFailed, match=r"taken over by process 1 on .*, because this run was suspended"):
            lease.check()
    found = read_lease(folder)
    assert found is not None
    assert found["token"] == "other"


def test_a_lease_is_renewed_while_it_is_held(folder: Folder) -> None:
    """With the facts as they are then."""
    facts: Iterator[int] = iter(range(1000))
    with leased(folder, lambda: {"number": next(facts)}, print):
        first = read_lease(folder)
        until = time.monotonic() + 30
        while read_lease(folder) == first:
            assert time.monotonic() < until


def test_storage_that_fails_is_named_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that fails stops nothing; it is said when an outage begins, and the end of the run hides no error."""
    said: list[str] = []
    lease = make(folder, said)
    lease.acquire()

    def fail(*_: object) -> None:
        raise OSError("no route to host")

    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(module, "read_lease", fail)
            lease.renew()
            lease.renew()
            lease.check()
        lease.renew()
    monkeypatch.setattr(module, "read_lease", fail)
    lease.release()
    assert said == [f"{folder.url} cannot be reached for now: no route to host"] * 2


def test_nothing_is_written_through_a_link(folder: Folder, tmp_path: Path) -> None:
    """A lease that somebody made a symbolic link is an error, and what it points to stays."""
    Path(folder.path()).mkdir()
    (tmp_path / "precious").write_text(json.dumps({**machine(), "pid": 1 << 22}))
    Path(folder.path(LEASE)).symlink_to(tmp_path / "precious")
    with pytest.raises((OutputError, StepFailed), match="symbolic link"):
        make(folder).acquire()
    assert (tmp_path / "precious").exists()
