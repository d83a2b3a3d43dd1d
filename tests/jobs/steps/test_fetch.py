"""`curate fetch`: records chosen in the index, and what a misbehaving server, a kill and a bad request cost."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commoncrawl import CRAWL, CrawlPage, Misbehavior, crawl_server, pages, write_crawl_data
from object_storage import environment, free_port
from processes import contents
from s3_server import s3_server

from curation.archives.commoncrawl.client import RateLimiter, RequestSettings
from curation.archives.commoncrawl.index import IndexQuery
from curation.archives.inputs import Input
from curation.archives.pages import read_archives
from curation.errors import InputError, OutputError, StepFailed, UsageError, WriteFailed
from curation.jobs.steps.fetch.archives import append
from curation.jobs.steps.fetch.fetch import FetchResult, _refused, fetch, make_request
from curation.jobs.steps.fetch.select import SelectTask
from curation.jobs.steps.progress import Progress
from curation.running import retries
from curation.running.answers import TaskFailure
from curation.running.cluster import Cluster
from curation.store.folder import Folder
from curation.store.lease import LEASE

pytest.importorskip("duckdb")

GERMAN = "content_languages = 'deu' and fetch_status = 200 and url_host_tld = 'de'"
FAST = RequestSettings(rate=2000, parallel=4)
FILTER = ["url.builtin_lists=false", 'url.extra_words=["porn"]']
BANNED = CrawlPage("https://www.porn-sex-xxx.de/page/x", "<p>x</p>", "deu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A crawl of 5 archives, and the rows of its index."""
    folder = tmp_path_factory.mktemp("commoncrawl")
    return folder, write_crawl_data(folder, [*pages(150), BANNED], archives=5)


@pytest.fixture
def server(made: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with crawl_server(made[0]) as server:
        monkeypatch.setenv("CURATE_COMMONCRAWL", server.url)
        monkeypatch.setenv("CURATE_COMMONCRAWL_INDEX", server.url)
        monkeypatch.setenv("CURATION_RETRY_SECONDS", "3")
        monkeypatch.setattr(retries, "FIRST_PAUSE", 0.05)
        yield server


def fetched(out: Path, where: str = GERMAN, *, words: list[str] | None = None, **more: Any) -> FetchResult:
    settings, urls, dry = [*FILTER, *more.get("settings", [])], more.get("urls"), more.get("dry_run", False)
    size = more.get("file_bytes", 20_000)
    request = make_request(words or [f"cc:{CRAWL}"], where, urls, None, settings, size)
    return fetch(request, str(out), FAST, Cluster(), 1, Progress("silent"), dry)


def members(folder: Path, rows: list[dict[str, Any]]) -> Counter[bytes]:
    """The bytes of records in the archives of the crawl."""
    found: Counter[bytes] = Counter()
    for row in rows:
        start = row["warc_record_offset"]
        found[(folder / row["warc_filename"]).read_bytes()[start : start + row["warc_record_length"]]] += 1
    return found


def german(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["content_languages"] == "deu" and "porn" not in row["url"]]


def written(out: Path) -> Counter[bytes]:
    """The gzip members of the fetched files."""
    found: Counter[bytes] = Counter()
    for path in sorted((out / "warc").glob("*.warc.gz")):
        data = path.read_bytes()
        starts = [match.start() for match in re.finditer(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00", data)]
        found.update(data[start:stop] for start, stop in zip(starts, [*starts[1:], len(data)], strict=True))
    return found


def test_what_is_fetched_is_what_the_archives_have(made: Any, server: Any, tmp_path: Path) -> None:
    """The records, byte for byte, in files of the stated size, for at most 1.1 times their bytes; no record twice."""
    folder, rows = made
    result = fetched(tmp_path / "out")
    wanted = german(rows)
    assert written(tmp_path / "out") == members(folder, wanted)
    assert (result.exit_code, result.written, result.lost) == (0, len(wanted), {})
    size = sum(row["warc_record_length"] for row in wanted)
    assert (result.plan.records, result.plan.bytes) == (len(wanted), size)
    assert size <= server.seen.sent == result.plan.download <= 1.1 * size
    assert sum(server.seen.ranges.values()) == result.plan.requests < len(wanted)
    files = sorted((tmp_path / "out" / "warc").iterdir())
    assert [path.name for path in files] == [f"{CRAWL}-{number:05d}.warc.gz" for number in range(len(files))]
    assert len(files) == result.plan.files > 1
    assert all(path.stat().st_size <= 20_000 for path in files)


def test_a_run_reads_the_files(made: Any, server: Any, tmp_path: Path) -> None:
    """A run of the folder reads the same pages as one of the archives would, with their dump."""
    folder, rows = made
    fetched(tmp_path / "out")

    def read(path: Path) -> dict[str, tuple[str, str, str]]:
        batches = (batch.to_pylist() for batch in read_archives(path))
        return {row["url"]: (row["html"], row["date"], row["dump"]) for batch in batches for row in batch}

    whole, part = read(folder / "crawl-data" / CRAWL / "segments"), read(tmp_path / "out")
    assert part == {row["url"]: whole[row["url"]] for row in german(rows)}
    assert {dump for _, _, dump in part.values()} == {CRAWL}


def test_the_url_filter_comes_before_the_download(made: Any, server: Any, tmp_path: Path) -> None:
    """Records that the URL filter removes are counted by reason and not asked for; --set changes the filter."""
    result = fetched(tmp_path / "out")
    assert result.found.removed == {"url.hard_word": 1}
    assert not any(b"porn" in gzip.decompress(record) for record in written(tmp_path / "out"))
    other = fetched(tmp_path / "other", settings=["url.extra_words=[]", 'url.extra_domains=["host1.de"]'])
    assert set(other.found.removed) == {"url.domain"}
    assert (other.written or 0) + other.found.removed["url.domain"] == (result.written or 0) + 1


def test_a_dry_run_asks_for_no_record(server: Any, tmp_path: Path) -> None:
    """A dry run plans what is then fetched, asks for nothing in an archive, and what it chose is used."""
    plan = fetched(tmp_path / "out", dry_run=True)
    assert (server.seen.sent, plan.written) == (0, None)
    assert not (tmp_path / "out" / "warc").exists()
    read = server.seen.index_bytes
    result = fetched(tmp_path / "out")
    assert result.plan == plan.plan
    footer = server.seen.index_bytes - read  # of the file whose columns the condition is checked with
    assert footer < read


def test_a_second_time_nothing_is_done(server: Any, tmp_path: Path) -> None:
    """The same command again asks for no record and changes no byte."""
    first = fetched(tmp_path / "out")
    before, sent = contents(tmp_path / "out"), server.seen.sent
    assert fetched(tmp_path / "out") == first
    assert (contents(tmp_path / "out"), server.seen.sent) == (before, sent)
    with pytest.raises(OutputError, match=r"another request \(where\)"):
        fetched(tmp_path / "out", "url_host_tld = 'org'")
    assert contents(tmp_path / "out") == before


def test_what_was_only_planned_may_be_planned_anew(made: Any, server: Any, tmp_path: Path) -> None:
    """After a dry run, another condition may be given for the same folder, of which nothing of the first is left."""
    fetched(tmp_path / "out", "url_host_tld = 'org'", dry_run=True)
    fetched(tmp_path / "out")
    fetched(tmp_path / "clean")
    assert contents(tmp_path / "out") == contents(tmp_path / "clean")


def test_a_second_driver_is_refused(server: Any, tmp_path: Path) -> None:
    """A folder in which a fetch is active is refused, and left as it is; afterwards, it has no lease."""
    out, seen = tmp_path / "out", []

    def choose(method: str, path: str, wanted: str) -> None:
        if "/warc/CC-MAIN" in path and not seen:
            seen.append(path)
            with pytest.raises(OutputError, match=f"another run is active there: process {os.getpid()}"):
                fetched(out)

    server.choose = choose
    assert fetched(out).exit_code == 0
    assert seen
    assert not (out / LEASE).exists()


def test_every_request_says_who_asks(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests for lists and sizes have the user agent too, with the contact in CURATE_CONTACT."""
    monkeypatch.setenv("CURATE_CONTACT", "me@example.org")
    fetched(tmp_path / "out", words=["cc:latest"])
    assert {*server.seen.requests} == {"GET", "HEAD"}
    (agent,) = server.seen.agents
    assert re.fullmatch(r"curation/\S+ \(me@example\.org\)", agent)


def test_sizes_are_asked_for_at_the_same_rate(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request for the size of an index file waits for its turn, as all other requests do."""
    seen: list[str] = []
    wait = RateLimiter.wait

    def waited(limiter: RateLimiter, stopped: Event) -> None:
        wait(limiter, stopped)
        seen.append("turn")

    monkeypatch.setattr(RateLimiter, "wait", waited)
    server.choose = lambda method, path, wanted: seen.append(f"{method} {path}")
    request = make_request([f"cc:{CRAWL}"], GERMAN, None, None, FILTER, 20_000)
    fetch(request, str(tmp_path), RequestSettings(rate=500, parallel=1), Cluster(), 1, Progress("silent"), dry_run=True)
    sizes = [number for number, each in enumerate(seen) if each.startswith("HEAD") and each.endswith(".parquet")]
    assert len(sizes) > 1
    assert {seen[number - 1] for number in sizes} == {"turn"}


def test_a_list_of_addresses(made: Any, server: Any, tmp_path: Path) -> None:
    """--urls fetches what is listed and names what the crawl does not have; --where narrows it."""
    (tmp_path / "urls.txt").write_text("# list\nhost0.de\nwww.host2.org/page/10\nnosuch.example\nhost2.org/nosuch\n")
    result = fetched(tmp_path / "out", "", urls=str(tmp_path / "urls.txt"))
    wanted = [
        row for row in made[1] if row["url_host_registered_domain"] == "host0.de" or row["url"].endswith("org/page/10")
    ]
    assert written(tmp_path / "out") == members(made[0], wanted)
    assert sorted(result.not_found) == ["host2.org/nosuch", "nosuch.example"]
    narrow = fetched(tmp_path / "narrow", "url_host_tld = 'org'", urls=str(tmp_path / "urls.txt"))
    assert narrow.written == 1


def test_crawls_segments_and_samples(made: Any, server: Any, tmp_path: Path) -> None:
    """Parts of a crawl that are named twice count once; a sample of archives grows."""
    words = [f"cc:{CRAWL}/segments/170.0", "cc:latest/segments/170.0"]
    part = fetched(tmp_path / "part", words=words)
    assert written(tmp_path / "part") == members(
        made[0], [row for row in german(made[1]) if row["warc_segment"] == "170.0"]
    )
    assert part.exit_code == 0
    small = fetched(tmp_path / "small", settings=["read.sample=0.5", "read.seed=0"])
    large = fetched(tmp_path / "large", settings=["read.sample=0.9", "read.seed=0"])
    assert 0 < (small.written or 0) < (large.written or 0)
    assert written(tmp_path / "small") <= written(tmp_path / "large")


class Flaky:
    """A share of all requests fails, in every way."""

    def __init__(self, share: float) -> None:
        self.share, self.random = share, random.Random(4)

    def __call__(self, method: str, path: str, wanted: str) -> Misbehavior | None:
        if self.random.random() >= self.share:
            return None
        kinds = [
            Misbehavior(status=503), Misbehavior(status=429, retry_after="0.1"), Misbehavior(redirect="/elsewhere"),
            Misbehavior(status=403, retry_after="0.1"), Misbehavior(status=500),
        ]  # fmt: skip
        if wanted:
            kinds += [Misbehavior(keep=0.5), Misbehavior(shift=3)]
        return self.random.choice(kinds)


def test_failing_requests_cost_no_record(made: Any, server: Any, tmp_path: Path) -> None:
    """With a third of all requests failing, all records are there, and no byte of one is received twice."""
    fetched(tmp_path / "clean", file_bytes=100_000)
    clean = server.seen.sent
    server.choose = Flaky(0.35)
    result = fetched(tmp_path / "out", file_bytes=100_000)
    assert result.exit_code == 0
    assert sum(result.failures.values()) >= 3
    assert contents(tmp_path / "out", "warc") == contents(tmp_path / "clean", "warc")
    received = sum(
        json.loads(path.read_text())["bytes"] for path in (tmp_path / "out" / "performance" / "fetch").iterdir()
    )
    assert received == clean


def test_garbled_bytes_are_asked_for_again(made: Any, server: Any, tmp_path: Path) -> None:
    """Bytes that are not the record by its digest are asked for once more."""
    server.choose = lambda method, path, wanted: Misbehavior(forged="/warc/CC-MAIN" in path and next(turns, False))
    turns = iter([True, False, True])
    result = fetched(tmp_path / "out")
    assert result.exit_code == 0
    assert written(tmp_path / "out") == members(made[0], german(made[1]))


def test_records_that_changed_or_vanished_are_counted(tmp_path: Path, server: Any) -> None:
    """An archive that is gone, cut, or has other records costs these records, by cause; the others are fetched."""
    folder = tmp_path / "crawl"
    rows = write_crawl_data(folder, pages(60), archives=4)
    paths = sorted({row["warc_filename"] for row in rows})
    (folder / paths[0]).unlink()
    data = (folder / paths[1]).read_bytes()
    (folder / paths[1]).write_bytes(data[: len(data) // 2])
    data = (folder / paths[2]).read_bytes()
    (folder / paths[2]).write_bytes(bytes(len(data) // 2) + data[len(data) // 2 :][::-1])
    changed = [row for row in rows if row["warc_filename"] == paths[3]][:2]
    table = folder / f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-00000.gz.parquet"
    index = pq.read_table(table)
    urls = [row["url"] for row in changed]
    rewritten = [{**row, "content_digest": "A" * 32} if row["url"] in urls else row for row in index.to_pylist()]
    index = pa.Table.from_pylist(rewritten, schema=index.schema)
    pq.write_table(index, table, row_group_size=8)
    with crawl_server(folder) as other:
        os.environ["CURATE_COMMONCRAWL"] = other.url
        result = fetched(tmp_path / "out", "true")
    of = Counter(row["warc_filename"] for row in rows)
    assert result.exit_code == 1
    assert set(result.lost) == {"gone", "damaged", "changed"}
    assert result.lost["gone"] >= of[paths[0]] + of[paths[1]] // 3
    assert result.lost["changed"] == len(set(urls) & {*index["url"].to_pylist()})
    assert (result.written or 0) + sum(result.lost.values()) == len(rows)
    assert written(tmp_path / "out") <= members(folder, [row for row in rows if row["warc_filename"] in paths[1:]])
    record = json.loads((tmp_path / "out" / "fetch.json").read_text())
    assert (record["records"], record["lost"]) == (result.written, result.lost)
    assert {"archive", "offset", "cause"} == set(record["lost_records"][0])


def test_rows_that_make_no_sense(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without a possible place are counted, and archives that are not of the crawl are not read."""
    folder = tmp_path / "crawl"
    rows = write_crawl_data(folder, pages(30), archives=2, index_files=1)
    (tmp_path / "outside.gz").write_bytes(b"secret")
    bad = [
        {"warc_record_offset": -5},
        {"warc_record_length": 0},
        {"warc_record_length": 2**31 - 1},
        {"warc_record_offset": None},
        {"warc_record_offset": 2**62},
        {"warc_filename": f"crawl-data/{CRAWL}/../../../outside.gz"},
        {"warc_filename": None},
        {"url": None, "content_digest": None},
    ]
    table = folder / f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-00000.gz.parquet"
    changed = [{**row, **(bad[number] if number < len(bad) else {})} for number, row in enumerate(rows)]
    schema = pq.read_schema(table)
    wide = schema.set(schema.get_field_index("warc_record_offset"), pa.field("warc_record_offset", pa.int64()))
    named = [{**row, "content_digest": row["content_digest"] and f"sha1:{row['content_digest']}"} for row in changed]
    pq.write_table(pa.Table.from_pylist([*named, named[-1]], schema=wide), table)
    monkeypatch.setenv("CURATE_COMMONCRAWL", str(folder))
    result = fetched(tmp_path / "out", "true", settings=["url.builtin_lists=true"])
    assert result.found.removed == {"index.no_place": 5, "url.no_url": 1}
    assert written(tmp_path / "out") == members(folder, rows[len(bad) :])
    assert result.exit_code == 0


def test_an_index_file_that_cannot_be_read_is_quarantined(tmp_path: Path, server: Any) -> None:
    """A damaged file of the index is named, the records of the others are fetched, and the exit code is 1."""
    folder = tmp_path / "crawl"
    rows = write_crawl_data(folder, pages(40), archives=2)
    table = folder / f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-00001.gz.parquet"
    kept = {*pq.read_table(table.with_name("part-00000.gz.parquet"))["url"].to_pylist()}
    table.write_bytes(table.read_bytes()[:-9])
    with crawl_server(folder) as other:
        os.environ["CURATE_COMMONCRAWL"] = other.url
        result = fetched(tmp_path / "out", "true")
        again = fetched(tmp_path / "out", "true")
    assert written(tmp_path / "out") == members(folder, [row for row in rows if row["url"] in kept])
    assert [entry["path"].rpartition("/")[2] for entry in result.found.quarantined] == [table.name]
    assert result.exit_code == again.exit_code == 1


def test_an_index_file_that_ends_its_worker_is_named(tmp_path: Path) -> None:
    """The cause of a worker's end names no file, so the error of the step does."""
    source = Input("crawl/part-00007.gz.parquet", 8, "")
    task = SelectTask(Folder(str(tmp_path)), source, IndexQuery(()), (), FAST, "")
    with pytest.raises(StepFailed, match=r"^select: crawl/part-00007\.gz\.parquet: its worker died 3 times$"):
        _refused(TaskFailure(task, "its worker died 3 times", kind="workers"))


def test_what_was_fetched_stays_if_the_index_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be read any more is an error, and removes no file that was fetched."""
    folder = tmp_path / "crawl"
    write_crawl_data(folder, pages(30), archives=2)
    monkeypatch.setenv("CURATE_COMMONCRAWL", str(folder))
    (tmp_path / "list").write_text("org\nde\n")
    fetched(tmp_path / "out", "", urls=str(tmp_path / "list"))
    before = contents(tmp_path / "out", "warc")
    for table in folder.rglob("*.parquet"):
        table.write_bytes(b"garbage")
    for name in ("out", "new"):
        with pytest.raises(InputError, match="2 index files cannot be read"):
            fetched(tmp_path / name, "", urls=str(tmp_path / "list"))
    assert contents(tmp_path / "out", "warc") == before != {}
    assert not [path for path in (tmp_path / "new").rglob("*") if path.is_file()]
    with pytest.raises(InputError, match="not Parquet"):
        fetched(tmp_path / "other", "true")


def test_a_server_that_only_answers_503_stops_the_step(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends within the budget, with what was fetched kept, and resumes when the server is well again."""
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "1")
    allowed = iter(range(6))
    server.choose = lambda method, path, wanted: (
        Misbehavior(status=503) if "/warc/CC-MAIN" in path and next(allowed, None) is None else None
    )
    began = time.monotonic()
    with pytest.raises(StepFailed, match=r"^fetch: .*HTTP status 503.*the same command resumes"):
        fetched(tmp_path / "out", file_bytes=40_000)
    assert time.monotonic() - began < 10
    assert sum(server.seen.ranges.values()) == 6
    server.choose = lambda method, path, wanted: None
    result = fetched(tmp_path / "out", file_bytes=40_000)
    assert max(server.seen.ranges.values()) == 1
    assert sum(server.seen.ranges.values()) == result.plan.requests
    assert not (tmp_path / "out" / "_parts").exists()


@pytest.mark.parametrize(
    ("words", "where", "message"),
    [
        (["cc:CC-MAIN-2099-99"], "true", "no crawl CC-MAIN-2099-99"),
        (["cc:CC-MAIN-2024-51"], "true", "no crawl CC-MAIN-2024-51"),
        ([f"cc:{CRAWL}/wet"], "true", "WARC archives only"),
        (["crawl.warc.gz"], "true", "not a crawl"),
        (None, "language = 'deu'", "language"),
        (None, "url_host_tld = 'zz'", "no record of the crawl matches"),
        (None, "url like '%porn-sex-xxx%'", "all 1 records that match were removed: url."),
        (None, "", "--where or --urls"),
        (None, "content_languages", "content_languages is not a condition; its type is VARCHAR"),
        (None, "url_host_name::int = 3", "--where: Conversion Error"),
        ([f"cc:{CRAWL}/segments/nosuch"], "true", f"no record of {CRAWL}/segments/nosuch matches"),
    ],
)
def test_what_cannot_be_fetched(server: Any, tmp_path: Path, words: list[str] | None, where: str, message: str) -> None:
    """What does not exist, or selects nothing, is a usage error in one line that leaves no file."""
    with pytest.raises(UsageError, match=rf"^[^\n]*{re.escape(message)}[^\n]*$"):
        fetched(tmp_path / "out", where, words=words)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_no_network(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening at the address is a usage error."""
    monkeypatch.setenv("CURATE_COMMONCRAWL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InputError, match=r"^input cc:[^\n]+$"):
        fetched(tmp_path / "out")


def test_other_folders_are_not_touched(server: Any, tmp_path: Path) -> None:
    """A folder with something else in it is refused."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"not empty and not a fetch \(has notes\.txt\)"):
        fetched(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


class FullDisk(io.FileIO):
    """A file on a disk with room for ten more bytes, which takes four at once."""

    room = 10

    def write(self, data: Any) -> int:
        """As much as fits."""
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        size = min(len(data), self.room, 4)
        self.room -= size
        return super().write(data[:size])


def test_a_full_disk_leaves_no_half_of_what_arrived(tmp_path: Path) -> None:
    """Bytes that do not all fit are not kept, so that the size of the file still says what is missing."""
    with FullDisk(tmp_path / "part", "ab") as file:
        append(file, b"1234567")
        with pytest.raises(WriteFailed, match="No space left"):
            append(file, b"890123")
    assert (tmp_path / "part").read_bytes() == b"1234567"


def test_an_index_that_cannot_be_had_for_now_is_not_quarantined(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failing requests for the index stop the step, and the same command resumes."""
    monkeypatch.setenv("CURATION_RETRY_SECONDS", "0.5")
    server.choose = lambda method, path, wanted: Misbehavior(status=503 if "part-00001" in path and wanted else 0)
    with pytest.raises(StepFailed, match=r"^select: .*HTTP status 503"):
        fetched(tmp_path / "out")
    server.choose = lambda method, path, wanted: None
    assert fetched(tmp_path / "out").exit_code == 0


def test_crawls_on_s3_and_on_disk(made: Any, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket and a folder with the crawl give the same files as the HTTP server."""
    fetched(tmp_path / "http")
    monkeypatch.setenv("CURATE_COMMONCRAWL", str(made[0]))
    fetched(tmp_path / "disk")
    assert contents(tmp_path / "disk", "warc") == contents(tmp_path / "http", "warc")
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()  # one of another test has another endpoint
    objects = {
        f"crawls/{path.relative_to(made[0])}": path.read_bytes() for path in made[0].rglob("*") if path.is_file()
    }
    with s3_server(objects) as bucket:
        for name, value in environment(f"http://127.0.0.1:{bucket.server_port}").items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CURATE_COMMONCRAWL", "s3://crawls")
        fetched(tmp_path / "s3")
    assert contents(tmp_path / "s3", "warc") == contents(tmp_path / "http", "warc")


class FarCluster(Cluster):
    """Runs tasks in this process as they arrive at another one."""

    def map(self, function: Any, items: Any, finished: Any = None, copies: bool = False) -> Any:
        """As in Cluster, with pickled tasks."""
        return super().map(function, [pickle.loads(pickle.dumps(item)) for item in items])


def test_workers_share_rate_and_requests(made: Any, server: Any, tmp_path: Path) -> None:
    """Tasks can be sent to workers, each of which makes its share of the requests; more workers need more requests."""
    fetched(tmp_path / "one")
    request = make_request([f"cc:{CRAWL}"], GERMAN, None, None, FILTER, 20_000)
    server.seen.times.clear()
    server.seen.most_at_once = 0
    fetch(request, str(tmp_path / "two"), RequestSettings(rate=80, parallel=3), FarCluster(), 2, Progress("silent"))
    assert contents(tmp_path / "two", "warc") == contents(tmp_path / "one", "warc")
    times = server.seen.times[-20:]
    assert times[-1] - times[0] >= 19 / 40 * 0.9
    with pytest.raises(UsageError, match="--parallel 4"):
        fetch(request, str(tmp_path / "no"), RequestSettings(parallel=3), FarCluster(), 4, Progress("silent"))


CHILD = """
import os, sys, duckdb, fsspec.implementations.http, pandas
from curation.archives.commoncrawl.client import RequestSettings
from curation.jobs.steps.fetch.fetch import fetch, make_request
from curation.jobs.steps.progress import Progress
from curation.running.cluster import Cluster
crawl, where, out, *settings = sys.argv[1:]
request = make_request([crawl], where, None, None, settings, 1_000_000)
for _ in sys.stdin:
    child = os.fork()
    if not child:
        fetch(request, out, RequestSettings(rate=500, parallel=2), Cluster(), 1, Progress("silent"))
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""
"""Begins a fetch in a new process for each line that it reads, so that the modules are imported once."""


def test_killed_at_ten_moments(made: Any, server: Any, tmp_path: Path) -> None:
    """Killed at ten random moments, the files are the same, and no byte that was on disk is asked for again."""
    clean = fetched(tmp_path / "clean", file_bytes=1_000_000)
    server.delay = 0.06
    chance, out = random.Random(5), tmp_path / "out"
    words = [sys.executable, "-c", CHILD, f"cc:{CRAWL}", GERMAN, str(out), *FILTER]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    kills, kept = 0, 0
    with subprocess.Popen(words, **pipes) as parent:  # type: ignore[call-overload]
        for _ in range(40):
            server.seen.sent = 0
            print(file=parent.stdin)
            child = int(parent.stdout.readline())
            if kills < 10:
                until = time.monotonic() + 60
                while not server.seen.sent and time.monotonic() < until:
                    time.sleep(0.005)
                time.sleep(chance.random() * 0.12)
                os.kill(child, signal.SIGKILL)
            ended = int(parent.stdout.readline())
            if not ended:
                break
            assert ended == signal.SIGKILL
            before, kept = kept, sum(path.stat().st_size for path in out.glob("_parts/*"))
            kills += kept > before  # one in the middle of fetching
            assert kept - before <= server.seen.sent
        parent.stdin.close()
    assert kills >= 3
    assert server.seen.sent == clean.plan.download - kept
    assert contents(out, "warc") == contents(tmp_path / "clean", "warc")
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]
    assert not (out / "_parts").exists()
