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

from curation.archives.raw_file import RawFile
from curation.archives.reader import ReadSettings, read_batches
from curation.archives.unpack import BOMB_BYTES, BOMB_RATIO, Unpacker
from curation.archives.zstd_dictionaries import Dictionaries

URLS = [f"https://good.org/{number}" for number in range(6)]
GOOD = [response(url, page(url, "Some text. " * 30)) for url in URLS]
START = b"WARC/1.0\r\nAB:"
"""What looks like the start of a record, in as few bytes as possible."""

NESTED = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\xff\xff\0\0" + START + b"x"
"""The beginning of a gzip member that begins with a record. Its stored block ends where that of another one begins."""

RUNS = b"\x28\xb5\x2f\xfd\x00\x58\xfb\xff\x0fW"
"""A zstd frame that unpacks to 13,107 times as many bytes."""

NO_DICTIONARY = b"\x5d\x2a\x4d\x18\x04\0\0\0\x37\xa4\x30\xec"

ABSURD = b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99999999999\r\n\r\n"
SHORT = ABSURD.replace(b"99999999999", b"3") + b"abc\r\n\r\n"


def in_members(data: bytes, size: int) -> bytes:
    """Bytes in gzip members of a size that does not depend on the records."""
    return b"".join(gzip.compress(data[start : start + size], mtime=0) for start in range(0, len(data), size))


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
    "starts within lines": lambda n: START * (n // 13),
    "starts within lines in a member": lambda n: gzip.compress(START * (n // 13)),
    "long headers without a length": lambda n: (START * 4_900 + b"\r\n\r\n") * (n // 63_704 + 1),
    "members in members": lambda n: NESTED * (n // len(NESTED)),
    "frames in frames": lambda n: (b"\x28\xb5\x2f\xfd\x00\x58\xf8\xff\x03" + START) * (n // 22),
    "frames of one byte": lambda n: RUNS * (n // len(RUNS)),
    "small zstd dictionaries": lambda n: NO_DICTIONARY * (n // 12),
    "frames after zstd dictionaries": lambda n: (
        (NO_DICTIONARY + b"\x28\xb5\x2f\xfd\x00\x58\x44\0\0abcdefgh") * (n // 29)
    ),
    "ARC records in small members": lambda n: in_members(
        b"http://a/ 1.1.1.1 20200101000000 text/html 0\n" * (n // 45), 20
    ),
    "text after records in a member": lambda n: gzip.compress((SHORT + b"x") * (n // len(SHORT))),
    "ARC lines after blanks": lambda n: b"\n ab:c 1.1.1.1 20200101000000 t 16\nHTTP/1.1 200 OK\n" * (n // 52),
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
    assert_linear(read, lambda size: before + HOSTILE[name](size) + after, 1_000, factor=64)


def test_few_dictionaries_are_kept() -> None:
    """The first of a file and the last ones: each takes memory, and may be as small as twelve bytes."""
    data, size = NO_DICTIONARY * 100, len(NO_DICTIONARY)
    dictionaries = Dictionaries(RawFile(io.BytesIO(data)))
    for offset in range(0, len(data), size):
        assert dictionaries.learn(offset) == offset + size
    assert dictionaries.place(len(data) // 2) == (0, size)
    assert dictionaries.place(len(data)) == (len(data) - size, size)


def test_frames_that_are_a_bomb_together_stay_small() -> None:
    """Many frames that unpack to a thousand times as much as is usual, none of which is a bomb by itself."""
    data = RUNS * 10_000
    unpacker, size = Unpacker(io.BytesIO(data)), 0
    while (piece := unpacker.next()) is not None:
        size += len(piece.data)
    assert size < 2 * BOMB_BYTES + BOMB_RATIO * len(data)


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
