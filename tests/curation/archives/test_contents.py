"""Contents with wrong lengths, converted line ends or damage behind them: read in full, or counted as lost."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Callable

import pytest
from archives import page, response

from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings, read_batches

URLS = [f"http://a.org/{number}" for number in range(5)]
PAGES = {url: page(url, "Some text of the page. " * (10 + number)) for number, url in enumerate(URLS)}


def read(data: bytes) -> tuple[dict[str, str], Counter[str], list[Loss]]:
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    batches = list(read_batches(io.BytesIO(data), "x", ReadSettings(), counts, losses=losses))
    assert sum(counts[f"bytes.{kind}"] for kind in ("records", "padding", "lost")) == len(data)
    return {row["url"]: row["html"] for batch in batches for row in batch.table.to_pylist()}, counts, losses


def arc_record(url: str, body: str, change: int = 0) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body.encode()
    return f"{url} 1.2.3.4 20240102030405 text/html {len(block) + change}\n".encode() + block + b"\n"


def warc_record(url: str, body: str, change: int = 0) -> bytes:
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html")
    size = len(("\r\n".join(http) + "\r\n\r\n").encode() + body.encode())
    return response(url, body, http=http, length=size + change)


@pytest.mark.parametrize("make", [warc_record, arc_record], ids=["warc", "arc"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "one member"])
@pytest.mark.parametrize("change", [*range(-40, 41), 150, 400, 5000])
def test_a_length_that_is_off_loses_nothing(
    make: Callable[..., bytes], pack: Callable[[bytes], bytes], change: int
) -> None:
    """Wherever a stated end falls, inside the content, its end marks or the next header, all pages are whole."""
    records = [make(url, PAGES[url], change if url == URLS[2] else 0) for url in URLS]
    found, counts, losses = read(pack(b"".join(records)))
    assert list(found) == URLS
    assert {url: html.strip() for url, html in found.items()} == PAGES
    assert not losses
    assert not [name for name in counts if name.startswith("skipped")]


@pytest.mark.parametrize("change", [0, -20, 10, 300])
def test_a_short_last_record_is_not_used_in_part(change: int) -> None:
    """A file that ends inside its last record loses that record, whatever length it states."""
    data = b"".join([*(warc_record(url, PAGES[url]) for url in URLS[:4]), warc_record(URLS[4], PAGES[URLS[4]], change)])
    found, counts, losses = read(data[:-60])
    assert found == {url: PAGES[url] for url in URLS[:4]}
    assert counts["skipped.truncated"] == 1
    assert losses[-1].offset + losses[-1].bytes == len(data) - 60


@pytest.mark.parametrize("make", [warc_record, arc_record], ids=["warc", "arc"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "one member"])
@pytest.mark.parametrize("kept", [60, 100, 300])
def test_a_record_that_breaks_off_in_a_line_costs_only_itself(
    make: Callable[..., bytes], pack: Callable[[bytes], bytes], kept: int
) -> None:
    """The first line of the next record, which follows without a line end, ends it: that record is not part of it."""
    records = [make(url, PAGES[url]) for url in URLS]
    start = records[2].index(b"HTTP/1.1")
    records[2] = records[2][: start + kept]
    found, counts, _ = read(pack(b"".join(records)))
    assert found == {url: PAGES[url] for url in URLS if url != URLS[2]}
    assert counts["skipped.wrong_length"] == 1


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "one member"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.65, 0.8, 1])
@pytest.mark.parametrize("zeros", [64, 200_000])
def test_storage_that_was_never_written_holds_nothing(pack: Callable[[bytes], bytes], share: float, zeros: int) -> None:
    """Zeros behind the end of a file that breaks off, as a download leaves them, are no part of a page."""
    bodies = {url: page(url, " ".join(map(str, range(place, 4000, 7)))) for place, url in enumerate(URLS)}
    data = pack(b"".join(warc_record(url, body) for url, body in bodies.items()))
    data = data[: int(share * len(data))]
    found, counts, losses = read(data + bytes(zeros))
    expected, _, lost = read(data)
    assert found == expected
    assert counts["pages.html"] == len(found)
    assert [(loss.cause, loss.records) for loss in losses] == [(loss.cause, loss.records) for loss in lost]


def test_line_ends_converted_by_a_tool() -> None:
    """An archive whose CRLF became LF is read in full, also where pages have line ends of their own."""
    bodies = {url: html.replace("<p>", "\r\n<p>\r\n") for url, html in PAGES.items()}
    data = b"".join(warc_record(url, body) for url, body in bodies.items()).replace(b"\r\n", b"\n")
    found, counts, losses = read(data)
    assert found == {url: body.replace("\r\n", "\n") for url, body in bodies.items()}
    assert counts["repaired.line_ends"] == 5
    assert not losses


def test_two_damaged_first_lines_are_two_lost_records() -> None:
    """Each record whose first line is damaged is counted; the records around them are read."""
    records = [warc_record(url, PAGES[url]) for url in URLS]
    records[1] = records[1].replace(b"WARC/1.0", b"WAR~/1.0")
    records[2] = records[2].replace(b"WARC/1.0\r\n", b"")
    for pack in (bytes, gzip.compress):
        found, counts, losses = read(pack(b"".join(records)))
        assert list(found) == [URLS[0], URLS[3], URLS[4]]
        assert counts["skipped.damaged_header"] == sum(loss.records for loss in losses) == 2


def test_a_damaged_header_behind_a_short_length_is_not_part_of_the_page() -> None:
    """A page whose length is too short ends before the damaged header of the next record."""
    records = [warc_record(URLS[0], PAGES[URLS[0]], -20), warc_record(URLS[1], PAGES[URLS[1]]).replace(b"WARC/1", b"X")]
    found, counts, _ = read(b"".join([*records, warc_record(URLS[2], PAGES[URLS[2]])]))
    assert found == {url: PAGES[url] for url in (URLS[0], URLS[2])}
    assert counts["skipped.damaged_header"] == 1


def block_of(record: bytes) -> bytes:
    return record.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n\r\n")


DIGESTS: dict[str, Callable[[bytes], str]] = {
    "sha1 in base 32": lambda data: "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode(),
    "sha1 in lower case": lambda data: "SHA1:" + base64.b32encode(hashlib.sha1(data).digest()).decode().lower(),
    "sha256 in hexadecimal": lambda data: "sha256:" + hashlib.sha256(data).hexdigest(),
    "sha-256 in base 64": lambda data: "sha-256:" + base64.b64encode(hashlib.sha256(data).digest()).decode(),
    "md5": lambda data: "md5:" + hashlib.md5(data).hexdigest().upper(),
}


def signed_record(url: str, field: str, digest: Callable[[bytes], str]) -> bytes:
    block = block_of(warc_record(url, PAGES[url]))
    content = block if field == "WARC-Block-Digest" else block.partition(b"\r\n\r\n")[2]
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html")
    return response(url, PAGES[url], http=http, headers=(f"{field}: {digest(content)}",))


@pytest.mark.parametrize("name", DIGESTS)
@pytest.mark.parametrize("field", ["WARC-Block-Digest", "WARC-Payload-Digest"])
def test_a_digest_confirms_what_a_damaged_member_held(name: str, field: str) -> None:
    """Of a member whose checksum fails, records are used whose digest agrees, and no others."""
    records = [signed_record(url, field, DIGESTS[name]) for url in URLS[:3]]
    records[1] = records[1].replace(b"Some text", b"Some tixt", 1)
    packed = bytearray(gzip.compress(b"".join(records), mtime=0))
    packed[-6] ^= 1
    found, counts, _ = read(bytes(packed) + gzip.compress(warc_record(URLS[3], PAGES[URLS[3]])))
    assert found == {url: PAGES[url] for url in (URLS[0], URLS[2], URLS[3])}
    assert counts["repaired.confirmed_by_digest"] == 2
    assert counts["skipped.damaged_gzip"] == 1


@pytest.mark.parametrize("size", [3, 3000])
def test_without_a_digest_a_damaged_member_is_lost(size: int) -> None:
    """Also where the damage comes long after a record: what was unpacked before a checksum fails may be wrong."""
    records = [warc_record(f"http://b.org/{number}", page("x", "Text. " * number)) for number in range(size)]
    packed = bytearray(gzip.compress(b"".join(records), mtime=0))
    packed[-6] ^= 1
    found, counts, losses = read(bytes(packed) + gzip.compress(warc_record(URLS[3], PAGES[URLS[3]])))
    assert list(found) == [URLS[3]]
    assert counts["skipped.damaged_gzip"] == sum(loss.records for loss in losses) == size
    assert counts["bytes.lost"] > 0.99 * len(packed) - 64


def test_a_segment_is_counted_as_cut() -> None:
    """The first segment of a record is a page that is cut; its continuation is passed over."""
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html")
    first = response(URLS[0], PAGES[URLS[0]], http=http, headers=("WARC-Segment-Number: 1",))
    rest = response(URLS[0], "more", kind="continuation", http=(), headers=("WARC-Segment-Number: 2",))
    found, counts, _ = read(first + rest)
    assert list(found) == URLS[:1]
    assert counts["cut_by_segments"] == counts["passed.continuation"] == 1
