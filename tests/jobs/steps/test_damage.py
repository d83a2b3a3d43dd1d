"""Damaged inputs: named with places and causes on stderr, in run.json and in the report, and the exit code."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from archives import page, prose, response, write_archive
from processes import curate

from curation.jobs.steps.damage import describe_damage, lost_share


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """A sound archive, and one with a damaged member between two pages and garbage at its end."""
    pages = [response(f"https://a.org/{number}", page("x", *prose(number))) for number in range(4)]
    write_archive(tmp_path / "crawl" / "a.warc.gz", pages[:2])
    first, broken, last = (gzip.compress(record, mtime=0) for record in pages[1:])
    damaged = first + broken[:400] + b"\0\1\2" * 50 + broken[550:] + last + b"no record" * 20
    (tmp_path / "crawl" / "b.warc.gz").write_bytes(damaged)
    return tmp_path / "crawl"


def entry(**changes: Any) -> dict[str, Any]:
    loss = {"offset": 10, "bytes": 5, "cause": "garbage", "records": 1}
    return {"path": "a", "bytes": 100, "lost_bytes": 5, "lost_records": 1, "losses": [loss]} | changes


def test_a_run_that_lost_bytes_says_so(crawl: Path, tmp_path: Path) -> None:
    """One line names the file, bytes, records and offsets; run.json and the report list them; the exit code is 1."""
    out = tmp_path / "out"
    done = curate("run", crawl, "--out", out, "--workers", "0", "--steps", "filter,dedup")
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "lost" in line]
    assert "b.warc.gz" in line
    assert "2 records: damaged_gzip at offset" in line
    assert "garbage at offset" in line
    (found,) = json.loads((out / "run.json").read_text())["damaged"]
    size = (crawl / "b.warc.gz").stat().st_size
    assert found["bytes"] == size
    assert found["lost_bytes"] == sum(loss["bytes"] for loss in found["losses"])
    assert 180 < found["lost_bytes"] < size
    assert found["losses"][-1] == {"offset": size - 180, "bytes": 180, "cause": "garbage", "records": 1}
    report = curate("report", out, settings=[])
    assert "damaged_gzip at offset" in report.stdout
    assert "b.warc.gz" in (out / "report" / "index.html").read_text()
    again = curate("run", crawl, "--out", out, "--workers", "0", "--steps", "filter")
    assert again.returncode == 1
    assert "lost" not in again.stderr
    assert "quarantined or damaged inputs: 1; run.json and `curate status` name them" in again.stderr


def test_the_accepted_share_decides_the_exit_code(crawl: Path, tmp_path: Path) -> None:
    """A share of lost bytes up to alarms.damaged exits with 0, and changing it makes nothing again."""
    out = tmp_path / "out"
    command = ["run", crawl, "--out", out, "--workers", "0", "--steps", "filter"]
    assert curate(*command).returncode == 1
    done = curate(*command, "--set", "alarms.damaged=0.9")
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr
    assert curate(*command, "--set", "alarms.damaged=0.0001").returncode == 1
    assert curate(*command, "--set", "alarms.damaged=2").returncode == 2


def test_several_damaged_inputs_have_one_share(crawl: Path, tmp_path: Path) -> None:
    """The summary gives the share of lost bytes that alarms.damaged is compared with: of all inputs, not of those."""
    (crawl / "c.warc.gz").write_bytes((crawl / "b.warc.gz").read_bytes())
    done = curate("run", crawl, "--out", tmp_path / "out", "--workers", "0", "--steps", "filter,dedup,report")
    found = json.loads((tmp_path / "out" / "run.json").read_text())["damaged"]
    lost, size = sum(one["lost_bytes"] for one in found), sum(file.stat().st_size for file in crawl.iterdir())
    line = f"2 inputs damaged: {lost:,} bytes lost, {lost / size:.2g} of those of all inputs (see alarms.damaged)"
    assert line in done.stderr + done.stdout


def test_empty_inputs_are_named(tmp_path: Path) -> None:
    """A file without a byte loses nothing, but is hardly meant: the summary names it, each time."""
    inputs, out = tmp_path / "crawl", tmp_path / "out"
    inputs.mkdir()
    write_archive(inputs / "a.warc.gz", [response("https://a.org/", page("x", *prose(1)))])
    (inputs / "b.warc.gz").touch()
    command = ["run", inputs, "--out", out, "--workers", "0", "--steps", "filter,dedup,report"]
    for _ in range(2):
        done = curate(*command)
        assert done.returncode == 0, done.stderr
        assert f"warning: {inputs / 'b.warc.gz'}: the file is empty" in done.stdout + done.stderr
    (inputs / "c.jsonl").touch()
    done = curate(*command[:2], "--out", tmp_path / "other", *command[4:])
    assert f"warning: 2 inputs empty, such as {inputs / 'b.warc.gz'}" in done.stdout + done.stderr


def test_records_skipped_by_a_rule_and_repairs_are_no_damage(tmp_path: Path) -> None:
    """A record of another type, one that is too large and one whose length was corrected leave the exit code 0."""
    records = [
        response("https://a.org/pdf", b"%PDF", http=("HTTP/1.1 200 OK", "Content-Type: application/pdf"), headers=()),
        response("https://a.org/large", page("x", "y" * 300_000)),
        response("https://a.org/long", page("x", *prose(1)), length=10_000),
    ]
    path = write_archive(tmp_path / "a.warc.gz", records)
    done = curate("filter", path, "--out", tmp_path / "out", "--workers", "0", "--set", "read.max_page_bytes=100000")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out" / "run.json").read_text())["damaged"] == []


def test_the_share_is_of_all_inputs() -> None:
    """Lost bytes of all damaged inputs, divided by the bytes of all inputs; a loss without bytes is not nothing."""

    class Source:
        bytes = 100

    assert lost_share([entry(), entry(lost_bytes=0)], [Source(), Source()]) == 6 / 200  # type: ignore[list-item]
    assert lost_share([], []) == 0


def test_the_line_stays_short() -> None:
    """Further places are counted."""
    losses = [{"offset": n, "bytes": 1, "cause": "garbage", "records": 1} for n in range(9)]
    line = describe_damage(entry(losses=losses, lost_records=9))
    assert line.endswith("garbage at offset 2 (1 bytes), and 6 more places")
    assert describe_damage(entry(losses=losses[:4])).endswith(", and 1 more place")
