"""The reader on mutated archives of every packing: every byte and record is accounted for, and nothing hangs."""

from __future__ import annotations

import gzip
import io
from collections import Counter

import zstandard
from archives import page, response, warcinfo
from fuzzing import fuzz

from curation.archives.ledger import Loss
from curation.archives.reader import ReadSettings, UnreadableArchive, read_batches

HTTP = ("HTTP/1.1 200 OK", "Content-Type: text/html", "Content-Length: 500")
RECORDS = [
    warcinfo(),
    response("https://a.org/1", page("one", "Some text. " * 20)),
    response("https://a.org/1", "GET", kind="request", http=(), headers=()),
    response("https://a.org/2", page("two", "Other text. " * 40), http=HTTP),
]
ARC = b"filedesc://x.arc 0.0.0.0 20240101000000 text/plain 20\n1 0 Maker\nURL IP Ar\n\n" + b"".join(
    b"http://a.org/%d b 1.2.3.4 20240102030405 text/html 39\nHTTP/1.1 200 OK\r\n\r\n<html>page %d</html>\n\n" % (n, n)
    for n in range(3)
)


def zstd_with_dictionary() -> bytes:
    dictionary = zstandard.train_dictionary(2000, RECORDS * 60)
    content = dictionary.as_bytes()
    head = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
    return head + b"".join(map(zstandard.ZstdCompressor(dict_data=dictionary).compress, RECORDS))


PLAIN = b"".join(RECORDS)
SEEDS = [
    PLAIN,
    b"".join(gzip.compress(record, mtime=0) for record in RECORDS),
    gzip.compress(PLAIN, mtime=0),
    b"".join(gzip.compress(PLAIN[start : start + 300], mtime=0) for start in range(0, len(PLAIN), 300)),
    b"".join(map(zstandard.compress, RECORDS)),
    zstd_with_dictionary() + zstd_with_dictionary(),
    gzip.compress(RECORDS[1]) + RECORDS[1] + zstandard.compress(RECORDS[3]),
    PLAIN.replace(b"\r\n", b"\n"),
    ARC,
    gzip.compress(ARC, mtime=0),
]
WORDS = [
    b"WARC/1.0\r\n",
    b"WARC/1.0\r\nAB:",
    b"\r\n\r\n",
    b"\n\n",
    b"Content-Length: 9\r\n",
    b"WARC-Type: response\r\n",
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\xff\xff\0\0WARC/1.0\r\nAB:x",
    b"\x28\xb5\x2f\xfd\x24",
    b"\x28\xb5\x2f\xfd\x00\x58\xfb\xff\x0fW",
    b"\x5d\x2a\x4d\x18",
    b"\x5d\x2a\x4d\x18\x04\0\0\0\x37\xa4\x30\xec",
    b"http://a/ 1.1.1.1 20200101000000 text/html 9\n",
    b" a 200001010000 ",
    b"\0" * 600,
    *RECORDS[1:3],
]


def check(data: bytes) -> None:
    """Read everything; bytes and records add up, and the losses listed are within the file and in order."""
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    try:
        batches = list(read_batches(io.BytesIO(data), "x", ReadSettings(), counts, losses=losses))
    except UnreadableArchive:
        batches = []
    assert sum(counts[f"bytes.{kind}"] for kind in ("records", "padding", "lost")) == len(data)
    total: Counter[str] = Counter()
    for name, count in counts.items():
        total[name.partition(".")[0]] += count
    assert total["records"] == total["pages"] + total["passed"] + total["skipped"], counts
    assert total["pages"] == sum(map(len, batches))
    assert sum(loss.bytes for loss in losses) <= counts["bytes.lost"]
    place = 0
    for loss in losses:
        assert place <= loss.offset <= loss.offset + loss.bytes <= len(data)
        place = loss.offset + loss.bytes


def test_any_archive_is_accounted_for() -> None:
    """No exception but UnreadableArchive, no hang, and every byte and record in one of the counts."""
    fuzz(check, SEEDS, WORDS)
