"""Polite requests: what a misbehaving server costs, how fast they come, and when they end."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from commoncrawl import Misbehavior, crawl_server
from object_storage import free_port

from curation.archives import http_requests
from curation.archives.commoncrawl import client as client_module
from curation.archives.commoncrawl.client import Client, RequestSettings
from curation.archives.http_requests import NotOnServer
from curation.errors import StepFailed
from curation.running import retries

DATA = bytes(range(256)) * 1200
NAME = "crawl-data/CC-MAIN-2025-08/segments/1/warc/CC-MAIN-x.warc.gz"
FAST = RequestSettings(rate=2000, parallel=4)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("served")
    (folder / NAME).parent.mkdir(parents=True)
    (folder / NAME).write_bytes(DATA)
    with crawl_server(folder) as server:
        yield server


@pytest.fixture
def server(running: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    running.choose = lambda method, path, wanted: None
    running.seen.__init__()
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "2")
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(http_requests, "STALL_SECONDS", 0.2)
    monkeypatch.setenv("CURATE_COMMONCRAWL", running.url)
    return running


def first(*wrong: Misbehavior) -> Any:
    """The first requests meet these misbehaviors, later ones none."""
    left = list(wrong)
    return lambda method, path, wanted: left.pop(0) if left else None


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        (Misbehavior(status=503), "503"),
        (Misbehavior(status=403), "403"),
        (Misbehavior(status=429, retry_after="0.2"), "429"),
        (Misbehavior(status=500), "500"),
        (Misbehavior(keep=0.4), "cut"),
        (Misbehavior(stall=0.5), "stalled"),
        (Misbehavior(shift=7), "wrong_range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_passes_costs_no_byte(server: Any, wrong: Misbehavior, cause: str) -> None:
    """After each misbehavior the bytes are the right ones, each received once, and the failure is counted by cause."""
    server.choose = first(wrong, wrong)
    client = Client(FAST)
    assert client.read(f"{server.url}/{NAME}", 1000, 201_000) == DATA[1000:201_000]
    assert client.failures == {cause: 2}
    assert client.report() == {"requests": 3, "bytes": 200_000, "failures": {cause: 2}}


def test_a_server_that_always_breaks_off_is_read_in_pieces(server: Any) -> None:
    """If every answer breaks off after 40 kB, each request begins where the last one ended, and no byte is lost."""
    server.choose = lambda method, path, wanted: Misbehavior(most=40_000)
    client = Client(FAST)
    assert client.read(f"{server.url}/{NAME}", 0, 200_000) == DATA[:200_000]
    assert client.report() == {"requests": 5, "bytes": 200_000, "failures": {"cut": 4}}


def test_too_many_redirects(server: Any) -> None:
    """Redirects in a circle end the step, and the message says so."""
    server.choose = lambda method, path, wanted: Misbehavior(redirect="/elsewhere")
    with pytest.raises(StepFailed, match=r"too many redirects; given up after"):
        Client(FAST).read(f"{server.url}/{NAME}", 0, 10)


def test_redirects_are_followed(server: Any) -> None:
    """A redirect leads to the same bytes."""
    server.choose = first(Misbehavior(redirect="/elsewhere"))
    assert Client(FAST).read(f"{server.url}/{NAME}", 5, 500) == DATA[5:500]


def test_a_request_is_made_again_for_what_is_missing(server: Any) -> None:
    """What was passed on is not asked for again."""
    asked: list[str] = []

    def choose(method: str, path: str, wanted: str) -> Misbehavior:
        asked.append(wanted)
        return Misbehavior(stall=1.0 if len(asked) == 1 else 0.0)

    server.choose = choose
    assert Client(FAST).read(f"{server.url}/{NAME}", 0, 200_000) == DATA[:200_000]
    assert asked == ["bytes=0-199999", "bytes=100000-199999"]


@pytest.mark.parametrize("missing", ["file", "start", "end"])
def test_what_is_not_there(server: Any, missing: str) -> None:
    """NotOnServer is raised at once for a file that is missing or too short; what there is has been passed on."""
    name = "nosuch.warc.gz" if missing == "file" else NAME
    start = len(DATA) + (5 if missing == "start" else -5)
    got: list[bytes] = []
    client = Client(FAST)
    with pytest.raises(NotOnServer):
        client.copy(f"{server.url}/{name}", start, start + 10, got.append)
    assert b"".join(got) == (DATA[-5:] if missing == "end" else b"")
    assert client.requests == 1


@pytest.mark.parametrize("retry_after", ["", "1"])
def test_a_server_that_only_fails_ends_within_the_budget(server: Any, retry_after: str) -> None:
    """A server that always answers 503 ends the step within CURATION_RETRY_SECONDS, and the message says so."""
    server.choose = lambda method, path, wanted: Misbehavior(status=503, retry_after=retry_after)
    began = time.monotonic()
    with pytest.raises(StepFailed, match=r"HTTP status 503.* of at most 2 s .*the same command resumes"):
        Client(FAST).read(f"{server.url}/{NAME}", 0, 10)
    assert time.monotonic() - began < 3
    assert server.seen.requests["GET"] <= 10


def test_a_wait_beyond_the_budget_is_not_begun(server: Any) -> None:
    """A server that asks to wait for longer than the budget ends the step at once."""
    server.choose = lambda method, path, wanted: Misbehavior(status=429, retry_after="3600")
    began = time.monotonic()
    with pytest.raises(StepFailed, match="asks to wait for 3600 s"):
        Client(FAST).read(f"{server.url}/{NAME}", 0, 10)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("wrong", [Misbehavior(status=401), Misbehavior(whole=True)])
def test_what_does_not_pass_ends_at_once(server: Any, wrong: Misbehavior) -> None:
    """A refusal, or a server that gives no parts of files, ends the step after one request."""
    server.choose = lambda method, path, wanted: wrong
    client = Client(FAST)
    with pytest.raises(StepFailed):
        client.read(f"{server.url}/{NAME}", 0, 10)
    assert client.requests == 1


def test_no_server(server: Any) -> None:
    """Nobody listening is retried, and then ends the step."""
    with pytest.raises(StepFailed, match=r"127\.0\.0\.1:\d+"):
        Client(FAST).read(f"http://127.0.0.1:{free_port()}/x", 0, 10)


def test_retry_after_is_kept(server: Any) -> None:
    """All requests of the process wait for as long as Retry-After says, as a number or a date."""
    for least, seconds in ((0.6, 0.6), (0.8, 0.0)):
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=1.9), usegmt=True)  # in whole seconds
        value = f"{seconds}" if seconds else date
        server.choose = first(Misbehavior(status=503, retry_after=value))
        server.seen.times.clear()
        with ThreadPoolExecutor(3) as pool:
            client = Client(RequestSettings(rate=50, parallel=1))
            read = [pool.submit(client.read, f"{server.url}/{NAME}", 0, 10) for _ in range(3)]
            assert {each.result() for each in read} == {DATA[:10]}
        assert server.seen.times[1] - server.seen.times[0] >= least


def test_pauses_grow_and_vary(server: Any) -> None:
    """Each pause is about twice as long as the one before, and no two clients wait for the same time."""
    firsts = []
    for _ in range(2):
        server.choose = first(*[Misbehavior(status=503)] * 4)
        server.seen.times.clear()
        Client(FAST).read(f"{server.url}/{NAME}", 0, 10)
        times = server.seen.times
        pauses = [after - before for before, after in pairwise(times)]
        assert sum(pauses[2:]) > sum(pauses[:2])
        firsts.append(round(pauses[0], 4))
    assert firsts[0] != firsts[1]


def test_rate_and_number_of_requests_are_bounded(server: Any) -> None:
    """Threads of one process together make no more requests per second, and at once, than they may."""
    server.delay = 0.05
    try:
        request_settings = RequestSettings(rate=40, parallel=2, contact="mail@example.org")
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda start: Client(request_settings).read(f"{server.url}/{NAME}", start, start + 5), range(20)
                )
            )
    finally:
        server.delay = 0.0
    times = server.seen.times
    assert server.seen.most_at_once <= 2
    assert times[-1] - times[0] >= 19 / 40 * 0.9
    assert all("mail@example.org" in agent and agent.startswith("curation/") for agent in server.seen.agents)


def test_other_storage(tmp_path: Path) -> None:
    """Files on any other file system are read too, and are NotOnServer in the same cases."""
    path = tmp_path / "x"
    path.write_bytes(DATA)
    client = Client(FAST)
    assert client.read(str(path), 10, 20) == DATA[10:20]
    for url, start in ((str(path), len(DATA) - 5), (str(path), 2**62), (str(tmp_path / "nosuch"), 0)):
        with pytest.raises(NotOnServer):
            client.read(url, start, start + 10)


def test_a_part_after_the_end_on_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's answer to a request for bytes after the end, which is EINVAL in s3fs, means that they are not there."""

    class Beyond:
        protocol = "s3"

        def cat_file(self, path: str, start: int, end: int) -> bytes:
            raise OSError(errno.EINVAL, "The requested range is not satisfiable")

    monkeypatch.setattr(client_module, "file_system", lambda url: (Beyond(), url))
    with pytest.raises(NotOnServer):
        Client(FAST).read("s3://bucket/archive", 5, 10)
