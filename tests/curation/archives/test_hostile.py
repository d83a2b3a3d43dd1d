"""Hostile bytes between good pages: all good pages are read, in time that grows with the bytes, in bounded memory."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable

import pytest
import zstandard
from archives import members, page, response
from growth import assert_linear

from curation.archives.reader import ReadSettings, read_batches

URLS = [f"https://good.org/{number}" for number in range(6)]
GOOD = [response(url, page(url, "Some text. " * 30)) for url in URLS]
ABSURD = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99999999999\r\n\r\n"


def stored_member(size: int) -> bytes:
    """The beginning of a gzip member of stored blocks, each of which looks like the start of another member."""
    block = (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" * (size // 10 + 1))[: min(size, 60_000)]
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return head + b"\0" + struct.pack("<HH", len(block), len(block) ^ 0xFFFF) + block


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "gzip magic": lambda n: b"\x1f\x8b\x08" * (n // 3),
    "gzip headers": lambda n: b"\x1f\x8b\x08\0\0\0\0\0\0\xff" * (n // 10),
    "gzip headers with names": lambda n: b"\x1f\x8b\x08\x08abcd\0\xff" * (n // 10),
    "stored blocks": lambda n: stored_member(60_000) * (n // 60_000 + 1),
    "zstd magic": lambda n: b"\x28\xb5\x2f\xfd" * (n // 4),
    "zstd frames": lambda n: b"\x28\xb5\x2f\xfd\x00\x58\x04\0\x10" * (n // 9),
    "zstd dictionaries": lambda n: b"\x5d\x2a\x4d\x18\xff\xff\xff\0\x28\xb5\x2f\xfd" * (n // 12),
    "empty members": lambda n: gzip.compress(b"", mtime=0) * (n // 20),
    "members of one byte": lambda n: gzip.compress(b"x", mtime=0) * (n // 21),
    "member of headers": lambda n: gzip.compress(b"WARC/1.0\r\n" * (n // 10), mtime=0),
    "lines of digits": lambda n: b"http://a/" + b" a 200001010000 " * (n // 16) + b"\r\n",
    "absurd lengths": lambda n: ABSURD * (n // len(ABSURD)),
    "absurd lengths in a member": lambda n: gzip.compress(ABSURD * (n // len(ABSURD)), mtime=0),
    "starts of headers": lambda n: b"WARC/1.0\r\nWARC-Type: response\r\n" * (n // 31),
    "starts of headers in a member": lambda n: gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\n" * (n // 31)),
    "blank lines": lambda n: b"\r\n" * (n // 2),
    "colons": lambda n: b"WARC/1.0\r\n" + b"a:\r\n" * (n // 4),
    "line starts": lambda n: b"\na:b" * (n // 4),
    "blank lines in a record": lambda n: ABSURD.replace(b"99999999999", b"50") + b"\n\nx" * (n // 3),
}


def read(data: bytes) -> tuple[list[str], Counter[str]]:
    counts: Counter[str] = Counter()
    urls = []
    for batch in read_batches(io.BytesIO(data), "x", ReadSettings(), counts):
        urls += batch.column("url").to_pylist()
    assert sum(counts[f"bytes.{kind}"] for kind in ("records", "padding", "lost")) == len(data)
    return urls, counts


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress, bytes], ids=["gzip", "zstd", "plain"])
def test_good_pages_survive(name: str, pack: Callable[[bytes], bytes]) -> None:
    """The pages before and after hostile bytes are read, whatever their packing."""
    parts = [*map(pack, GOOD[:3]), HOSTILE[name](40_000), *map(pack, GOOD[3:])]
    urls, _ = read(b"".join(parts))
    assert [url for url in urls if url in URLS] == URLS


@pytest.mark.parametrize("name", HOSTILE)
def test_time_is_linear(name: str) -> None:
    """Sixteen times as many hostile bytes take at most a few times as long per byte."""
    before, after = members(GOOD[:3]), members(GOOD[3:])
    assert_linear(read, lambda size: before + HOSTILE[name](size) + after, 20_000)


@pytest.mark.parametrize("name", ["zstd", "gzip", "dictionary", "window"])
def test_bombs_of_the_packing_stay_small(name: str) -> None:
    """A member, a frame or a dictionary that unpacks to gigabytes costs some megabytes, and no other record."""
    zeros = bytes(1 << 24)
    if name == "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(packer.compress(zeros) for _ in range(8)) + packer.flush()
    else:
        compressor = zstandard.ZstdCompressor(level=1).compressobj()
        if name == "window":
            parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
            compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        frame = b"".join(compressor.compress(zeros) for _ in range(16)) + compressor.flush()
        bomb = b"\x5d\x2a\x4d\x18" + len(frame).to_bytes(4, "little") + frame if name == "dictionary" else frame
    data = members(GOOD[:3]) + bomb + members(GOOD[3:])
    tracemalloc.start()
    urls, _ = read(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert urls == URLS
    assert peak < 300 << 20


@pytest.mark.parametrize(
    "junk", [b"\x1f\x8b\x08" * 99, b"\x1f\x8b\x08\0\0\0\0\0" * 99, b"\x5d\x2a\x4d\x18\x10\0\0\0\x28\xb5\x2f\xfd" * 99]
)
def test_magic_numbers_right_before_a_member_do_not_hide_it(junk: bytes) -> None:
    """Whatever number of bytes of them precedes the next record."""
    for size in range(len(junk) - 12, len(junk) + 1):
        urls, _ = read(members(GOOD[:3]) + junk[:size] + members(GOOD[3:]))
        assert urls == URLS


def test_many_lengths_beyond_the_end_cost_no_other_record() -> None:
    """In a member of many records, each record that states more than is there costs only itself."""
    records = [part for good in GOOD for part in (good, *(ABSURD,) * 9)]
    urls, counts = read(gzip.compress(b"".join(records)))
    assert urls == URLS
    assert sum(count for name, count in counts.items() if name.startswith("skipped.")) == 9 * len(GOOD)


def test_a_length_of_thousands_of_digits_costs_only_its_record() -> None:
    """In a WARC header, an HTTP header and an ARC line."""
    digits = b"9" * 5000
    broken = [
        ABSURD.replace(b"99999999999", digits),
        response("https://bad.org", "x", http=("HTTP/1.1 200 OK", f"Content-Length: {digits.decode()}"), length=900),
        b"http://a/ 1.1.1.1 20000101000000 text/html " + digits + b"\n",
    ]
    for pack in (gzip.compress, bytes):
        urls, _ = read(b"".join(pack(part) for pair in zip(GOOD, broken, strict=False) for part in pair))
        assert [url for url in urls if url in URLS] == URLS[:3]
