"""`curate status`: how far a run is, from its folder alone."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from archives import write_crawl
from processes import contents, curate

from curation.errors import OutputError
from curation.jobs.inspect.status import run_status, to_json
from curation.store.folder import Folder
from curation.store.lease import LEASE, leased, machine
from curation.store.paths import RUN


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three archives, of which one cannot be read, after the filter step."""
    folder = tmp_path_factory.mktemp("status")
    (folder / "crawl").mkdir()
    write_crawl(folder / "crawl", 2)
    (folder / "crawl" / "bad.warc.gz").write_bytes(b"no archive" * 99)
    done = curate("filter", folder / "crawl", "--out", folder / "out", "--workers", "0", "--json")
    assert done.returncode == 1, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    shards = {event["shard"] for event in events if event["event"] == "progress" and event.get("shard")}
    assert len(shards) == 2
    assert all(event["seconds"] > 0 for event in events if event.get("shard"))
    return folder / "out"


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "out")
    return tmp_path / "out"


def step(**values: Any) -> dict[str, Any]:
    facts = {"step": "filter", "unit": "shards", "total": 3, "done": 2, "already": 0, "seconds": 60.0}
    return {**facts, "seconds_left": 30.0, "slowest": [{"shard": "x", "worker": "w", "seconds": 40.0}], **values}


def test_without_a_driver(out: Path) -> None:
    """Steps are counted by their manifests, the slowest inputs are from performance/, quarantined ones are named."""
    status = run_status(str(out))
    assert status.state == "none"
    counts = {each.step: (each.done, each.total) for each in status.steps}
    assert counts["filter"] == (2, 3)
    assert counts["corpus"] == (0, 3)
    assert counts["dedup"] == (0, 1)
    assert len(status.slowest) == 2
    assert [Path(entry["path"]).name for entry in status.quarantined] == ["bad.warc.gz"]


def test_a_run_of_some_steps_is_done_with_them(made: Path, tmp_path: Path) -> None:
    """The other steps were not asked for, and quarantined inputs are not waited for."""
    out = tmp_path / "out"
    done = curate("run", made.parent / "crawl", "--out", out, "--workers", "0", "--steps", "filter,dedup")
    assert done.returncode == 1, done.stderr
    text, values = curate("status", out, settings=()), curate("status", out, "--json", settings=())
    assert "no run is active here, and the steps asked for are done" in text.stdout
    shares = {words[1]: words[-2] for line in text.stdout.splitlines() if (words := re.split(" *│ *", line))[2:]}
    assert (shares["corpus"], shares["tokens"]) == ("67%", "not asked for")
    assert json.loads(values.stdout)["asked"] == ["filter", "dedup"]
    shutil.rmtree(out / "manifests" / "corpus")
    assert not run_status(str(out)).is_done_as_asked
    assert not run_status(str(made)).is_done_as_asked


def test_while_a_driver_works(out: Path) -> None:
    """Its step, rate, end, workers and longest tasks are told, in text and as JSON."""
    running = [{"shard": "web-1", "worker": "tcp://b:1", "seconds": 720.0}]
    facts = {"workers": 4, "queued": "job 7 is in the queue", "running": running, "step": step()}
    with leased(Folder(str(out)), lambda: facts, print):
        text, values = curate("status", out, settings=()), curate("status", out, "--json", settings=())
    assert text.returncode == values.returncode == 0, text.stderr
    assert "running: process" in text.stdout
    assert "filter: 2 of 3 shards, 120 per hour, 4 workers, job 7 is in the queue, ends about" in text.stdout
    assert "running longest: web-1, 12 min on tcp://b:1" in text.stdout
    assert "slowest: x, 40 s on w" in text.stdout
    parsed = json.loads(values.stdout)
    assert (parsed["state"], parsed["shards_per_hour"], parsed["workers"]) == ("running", 120, 4)
    assert parsed["queued"] == "job 7 is in the queue"
    assert parsed["running"] == facts["running"]


def test_a_second_run_into_the_folder_is_refused(out: Path) -> None:
    """With code 2 and one line that names the process that works there; the files stay as they are."""
    with leased(Folder(str(out)), dict, print):
        before = contents(out)
        done = curate("filter", "--out", out, "--workers", "0")
        assert contents(out) == before
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert f"another run is active there: process {os.getpid()} on" in line


def test_states_of_a_driver(out: Path) -> None:
    """One of this machine has ended if its process has; one of another machine is silent if it renews nothing."""
    folder = Folder(str(out))
    old = {"renewed": "2020-01-01T00:00:00+00:00"}
    for values, state in (
        ({**machine(), "pid": 1 << 22}, "ended"),
        ({**machine(), "host": "elsewhere", **old}, "silent"),
        ({**machine(), "host": "elsewhere", "renewed": "2999-01-01T00:00:00+00:00"}, "running"),
    ):
        folder.write_json(LEASE, values)
        assert run_status(str(out)).state == state


def test_what_a_driver_that_has_ended_did(out: Path) -> None:
    """Its last words are told as such, since nothing runs any more and more may be done."""
    running = [{"shard": "web-1", "worker": "tcp://b:1", "seconds": 720.0}]
    Folder(str(out)).write_json(LEASE, {**machine(), "pid": 1 << 22, "running": running, "step": step(done=1)})
    text = curate("status", out, settings=()).stdout
    assert "run the same command again to resume" in text
    assert "last heard of: filter: 1 of 3 shards" in text
    assert "was running: web-1, 12 min on tcp://b:1" in text


@pytest.mark.parametrize(
    "lease",
    [b"", b"[1]", b'{"queued": [2]}', b'{"step": 3, "workers": "many", "running": 7, "renewed": 1}',
     b'{"running": [1, {"seconds": "x"}]}',
     json.dumps({"step": step(seconds_left=1e300, total="x", slowest={}), "workers": 1e99}).encode()],
)  # fmt: skip
def test_a_lease_of_anybody_is_shown_as_far_as_it_can_be(out: Path, lease: bytes) -> None:
    """Whatever the file has, nothing fails and nothing is run."""
    Folder(str(out)).write(LEASE, lease)
    status = run_status(str(out))
    assert {each.step for each in status.steps} >= {"filter", "tokens"}
    json.dumps(to_json(status))


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": ' + b"9" * 5000 + b"}", b"\xff", b"[" * 100_000, b"[]"])
def test_a_run_that_cannot_be_read_is_refused(out: Path, content: bytes) -> None:
    """The error names run.json."""
    (out / RUN).write_bytes(content)
    with pytest.raises(OutputError, match=r"run\.json: not a curate run"):
        run_status(str(out))


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    """It is an error that says so."""
    with pytest.raises(OutputError, match="not a curate run"):
        run_status(str(tmp_path))
