"""Reading in a child process: the same pages, and a record that hangs or crashes costs only itself."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reading_faults
from archives import page, response, write_archive
from row_files import damage_statistics

from curation.archives import watched, watched_child
from curation.archives.inputs import Input, find_inputs
from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings, read_batches
from curation.archives.watched import read_watched, read_watched_row
from curation.errors import StepFailed, UnreadableArchive, WriteFailed

SETTINGS = ReadSettings(max_seconds=1.5)
GOOD = [f"https://good.org/{number}" for number in range(600)]


@pytest.fixture(autouse=True)
def _faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watched, "CHILD_MODULE", reading_faults.__name__)
    watched.close()
    watched._IDLE.clear()
    yield
    watched.close()
    watched._IDLE.clear()


def archive(folder: Path, *faults: str) -> Input:
    """600 good pages with a faulty one after every 150."""
    records = []
    for number, url in enumerate(GOOD):
        if number % 150 == 149 and number // 150 < len(faults):
            records.append(response(f"https://bad.org/{number}", page("bad", f"FAULT {faults[number // 150]} .")))
        records.append(response(url, page(url, "Some text.")))
    (source,) = find_inputs([str(write_archive(folder / "x.warc.gz", records))])
    return source


def read(source: Input) -> tuple[list[str], Counter[str], list[Loss]]:
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    batches = list(read_watched(source, SETTINGS, counts, losses))
    urls = [url for batch in batches for url in batch.column("url").to_pylist()]
    assert sum(counts[f"bytes.{kind}"] for kind in ("records", "padding", "lost")) == source.size
    return urls, counts, losses


def test_a_prepared_child_is_used(tmp_path: Path) -> None:
    """`prepare` starts the child that reads the next input, but none for an input in this process's memory."""
    source = archive(tmp_path)
    watched.prepare(replace(source, path="memory://x.warc.gz"))
    assert not watched._IDLE
    watched.prepare(source)
    (reader,) = watched._IDLE
    child = reader.child
    assert len(read(source)[0]) == len(GOOD)
    assert len(watched._IDLE) == 1
    assert reader.child is child


def test_a_child_has_the_environment_of_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that a program sets after it has read something are used for what it reads next."""
    source = archive(tmp_path)
    read(source)
    (reader,) = watched._IDLE
    before = reader.child
    monkeypatch.setenv("AWS_PROFILE", "mine")
    read(source)
    assert reader.child is not None
    assert reader.child is not before
    variables = Path(f"/proc/{reader.child.process.pid}/environ").read_bytes().split(b"\0")
    assert b"AWS_PROFILE=mine" in variables


def test_tests_may_share_a_child() -> None:
    """The name of the test is not in the environment, for which a child would be started in each test."""
    assert "PYTEST_CURRENT_TEST" not in os.environ


def test_a_child_imports_what_reading_needs() -> None:
    """It does not load numba, which takes as long as all the rest."""
    program = f"import sys, {watched_child.__name__}; print('numba' in sys.modules, 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_the_same_batches_as_without_a_child(tmp_path: Path) -> None:
    """Batches, counts and losses are those of read_batches."""
    source = archive(tmp_path)
    counts: Counter[str] = Counter()
    with source.open() as stream:
        expected = [batch.table for batch in read_batches(stream, source.path, SETTINGS, counts)]
    found: Counter[str] = Counter()
    assert [batch.table for batch in read_watched(source, SETTINGS, found, [])] == expected
    assert found == counts


@pytest.mark.parametrize("seconds", [math.inf, 1e300])
def test_time_without_a_limit(seconds: float, tmp_path: Path) -> None:
    """A limit beyond what a timer of the system takes is none."""
    source = archive(tmp_path)
    assert sum(map(len, read_watched(source, ReadSettings(max_seconds=seconds), Counter(), []))) == len(GOOD)


def test_records_that_hang_or_crash_are_left_out(tmp_path: Path) -> None:
    """They are counted by cause and named with their offsets; every other page is read, once and in order."""
    urls, counts, losses = read(archive(tmp_path, "loop", "segmentation", "loop"))
    assert urls == GOOD
    assert counts["skipped.too_slow"] == 2
    assert counts["skipped.crash"] == 1
    assert [loss.cause for loss in losses] == ["too_slow", "crash", "too_slow"]
    assert all(loss.offset > 0 and loss.records == 1 for loss in losses)


def test_batches_that_cannot_be_written(tmp_path: Path) -> None:
    """A limit on files of the child, which holds for files in memory too, ends the step at once and in one line."""
    source = archive(tmp_path)
    watched.prepare(source)
    (reader,) = watched._IDLE
    assert reader.child is not None
    resource.prlimit(reader.child.process.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    with pytest.raises(WriteFailed, match=r"^cannot write to memory that processes share: File too large$"):
        read(source)


def test_a_kill_or_a_wait_costs_nothing(tmp_path: Path) -> None:
    """A child killed from outside is replaced, and a record that waits without computing is not too slow."""
    marker = tmp_path / "killed"
    urls, counts, losses = read(archive(tmp_path, f"once {marker}", "wait"))
    assert marker.exists()
    assert [url for url in urls if url in set(GOOD)] == GOOD
    assert len(urls) == 602
    assert not losses
    assert not [name for name in counts if name.startswith("skipped")]


def test_a_hang_between_records_ends_reading_there(tmp_path: Path) -> None:
    """The pages before it are read, and the rest of the file is counted as lost."""
    source = archive(tmp_path, "loop", "split")
    urls, counts, losses = read(source)
    assert [url for url in urls if url in set(GOOD)] == GOOD[:299]
    assert counts["skipped.too_slow"] == 2
    assert counts["bytes.lost"] > 0
    assert losses[-1].offset + losses[-1].bytes == source.size


def test_too_many_failures_end_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many records left out, reading ends at the next one that fails."""
    monkeypatch.setattr(watched, "MAX_FAILURES", 1)
    urls, counts, _ = read(archive(tmp_path, "loop", "loop"))
    assert urls == GOOD[:299]
    assert counts["skipped.too_slow"] == 2


def parquet(folder: Path, damaged: str) -> Input:
    """Two row groups of three rows, the statistics of one column damaged."""
    rows = [str(number) for number in range(6)]
    path = folder / "x.parquet"
    pq.write_table(
        pa.table({"id": rows, "text": [f"Text {row}" for row in rows], "note": rows}), path, row_group_size=3
    )
    damage_statistics(path, damaged)
    return find_inputs([str(path)])[0]


def test_row_groups_that_end_the_process_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is counted with its rows, also where reading ends after too many of them."""
    for most in (16, 1, 0):
        monkeypatch.setattr(watched, "MAX_FAILURES", most)
        counts: Counter[str] = Counter()
        losses: list[Loss] = []
        assert list(read_watched(parquet(tmp_path, "text"), SETTINGS, counts, losses)) == []
        assert counts["skipped.crash"] == counts["records.row"] == 6
        assert [(loss.row, loss.records) for loss in losses] == [(0, 6)]
        assert counts["bytes.lost"] > 0


def test_columns_that_are_not_wanted_do_not_matter(tmp_path: Path) -> None:
    """Also if looking at them would end the process."""
    batches = list(read_watched(parquet(tmp_path, "note"), SETTINGS, Counter(), []))
    assert [text for batch in batches for text in batch.column("text").to_pylist()] == [f"Text {n}" for n in range(6)]


def test_a_file_that_ends_the_process_when_it_is_opened_is_refused(tmp_path: Path) -> None:
    """The error says how the process ended, and the next file is read."""
    with pytest.raises(UnreadableArchive, match=r"^reading it ends the process \(SIGABRT: what\(\)"):
        list(read_watched(parquet(tmp_path, "id"), SETTINGS, Counter(), []))
    assert read(archive(tmp_path))[0] == GOOD


def test_a_row_is_read_in_a_child(tmp_path: Path) -> None:
    """Any row of a file is found; one that ends the process is an error, and the next one is read."""
    sound, lines = parquet(tmp_path, "note"), tmp_path / "x.jsonl"
    lines.write_text("".join(f'{{"text": "Line {number}"}}\n' for number in range(600)))
    (listed,) = find_inputs([str(lines)])
    for source, row, text in ((sound, 4, "Text 4"), (listed, 599, "Line 599")):
        batch = read_watched_row(source, row, SETTINGS)
        assert batch is not None
        assert batch.column("text").to_pylist() == [text]
        assert read_watched_row(source, 600, SETTINGS) is None
    with pytest.raises(UnreadableArchive, match=r"^reading it ends the process \(SIGABRT: what\(\)"):
        read_watched_row(parquet(tmp_path, "text"), 0, SETTINGS)
    assert read_watched_row(listed, 0, SETTINGS) is not None


def test_the_time_limit_of_a_row_is_for_each_record_before_it(tmp_path: Path) -> None:
    """A row behind many others is found, although all of them together take longer than one may."""
    path = tmp_path / "x.jsonl"
    path.write_text("".join(f'{{"text": "Line {number}"}}\n' for number in range(600_000)))
    (source,) = find_inputs([str(path)])
    assert read_watched_row(source, 599_999, ReadSettings(max_seconds=0.6)) is not None


def test_errors_are_those_of_reading(tmp_path: Path) -> None:
    """A file that is no archive, or that is gone, raises what reading without a child raises; the child lives on."""
    (tmp_path / "bad.warc").write_bytes(b"nothing " * 100)
    with pytest.raises(UnreadableArchive, match="no WARC"):
        read(Input(str(tmp_path / "bad.warc"), 800, ""))
    with pytest.raises(FileNotFoundError):
        read(Input(str(tmp_path / "none.warc"), 0, ""))
    assert read(archive(tmp_path))[0] == GOOD


def test_ending_early_leaves_nothing_behind(tmp_path: Path) -> None:
    """A caller that stops after one batch can read the archive again."""
    source = archive(tmp_path)
    batches = read_watched(source, SETTINGS, Counter(), [])
    next(batches)
    batches.close()
    assert read(source)[0] == GOOD


def test_a_child_that_cannot_start_fails_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so and repeats what the child said."""
    monkeypatch.setattr(watched, "CHILD_MODULE", "no_such_module")
    with pytest.raises(StepFailed, match=r"before it began.*no_such_module"):
        read(archive(tmp_path))
