"""Damage in archives of every packing: intact records are read unchanged, the rest is counted, nothing crashes."""

from __future__ import annotations

import gzip
import io
import random
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
import zstandard
from archives import page, response, warcinfo
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.reader import ReadSettings, UnreadableArchive, read_batches

WORDS = random.Random(1).choices([f"w{number:x}" for number in range(5000)], k=6000)
PAGES = {
    f"https://a.org/{number}": page(str(number), " ".join(WORDS[number * 500 : number * 500 + 90 * (number + 1)]))
    for number in range(7)
}
RECORDS = [
    warcinfo(),
    *(
        record
        for url, html in PAGES.items()
        for record in (response(url, "GET", kind="request", http=(), headers=()), response(url, html))
    ),
]


def blocks(records: Sequence[bytes]) -> list[bytes]:
    """gzip members that ignore record boundaries, as bgzip cuts them."""
    data = b"".join(records)
    return [gzip.compress(data[start : start + 700], mtime=0) for start in range(0, len(data), 700)]


def pairs(records: Sequence[bytes]) -> list[bytes]:
    return [gzip.compress(b"".join(records[start : start + 2]), mtime=0) for start in range(0, len(records), 2)]


PACKINGS: dict[str, Callable[[Sequence[bytes]], list[bytes]]] = {
    "gzip": lambda records: [gzip.compress(record, mtime=0) for record in records],
    "zstd": lambda records: [zstandard.ZstdCompressor(write_checksum=True).compress(record) for record in records],
    "plain": list,
    "pairs": pairs,
    "blocks": blocks,
    "one member": lambda records: [gzip.compress(b"".join(records), mtime=0)],
    "mixed": lambda records: [
        (gzip.compress, zstandard.compress, bytes)[number % 3](record) for number, record in enumerate(records)
    ],
}
PACKED = {name: pack(RECORDS) for name, pack in PACKINGS.items()}
packings = st.sampled_from(list(PACKINGS))
checked = settings(deadline=None, derandomize=True, max_examples=250)


def read(data: bytes) -> tuple[dict[str, str], Counter[str]]:
    """Pages by URL, and counts; checks that every record is counted as a page, passed or skipped."""
    counts: Counter[str] = Counter()
    try:
        batches = list(read_batches(io.BytesIO(data), "x", ReadSettings(), counts))
    except UnreadableArchive:
        batches = []
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    assert len({row["url"] for row in rows}) == len(rows)
    total: Counter[str] = Counter()
    for key, count in counts.items():
        total[key.partition(".")[0]] += count
    assert total["records"] == total["pages"] + total["skipped"] + total["passed"]
    assert counts["pages.html"] == len(rows)
    assert total["bytes"] == len(data)
    return {row["url"]: row["html"] for row in rows}, counts


@pytest.mark.parametrize("name", PACKINGS)
def test_sound_archives_are_read_completely(name: str) -> None:
    """Whatever the packing, all pages are read and nothing is skipped."""
    found, counts = read(b"".join(PACKED[name]))
    assert found == PAGES
    assert not [key for key in counts if key.startswith(("skipped", "repaired"))]


def complete_records(name: str, cut: int) -> int:
    """Number of records that are complete before a cut in the packed bytes."""
    data = b"".join(PACKED[name])[:cut]
    if name in ("zstd", "mixed"):
        sizes = [len(part) for part in PACKED[name]]
        return sum(sum(sizes[: number + 1]) <= cut for number in range(len(sizes)))
    unpacked = b""
    while data and name != "plain":
        engine = zlib.decompressobj(31)
        unpacked += engine.decompress(data)
        data = engine.unused_data
    unpacked = unpacked or data
    return sum(len(b"".join(RECORDS[: number + 1])) <= len(unpacked) for number in range(len(RECORDS)))


@checked
@given(packings, st.floats(0, 1))
def test_a_cut_file_is_read_up_to_the_cut(name: str, share: float) -> None:
    """All records complete before the cut are read; a record that is cut is counted, never read in part."""
    data = b"".join(PACKED[name])
    cut = int(share * len(data))
    found, counts = read(data[:cut])
    complete = complete_records(name, cut)
    urls = list(PAGES)[: max(0, (complete - 1) // 2)]
    assert list(found)[: len(urls)] == urls
    assert found == {url: PAGES[url] for url in found}
    sizes = [len(part) for part in PACKED[name]]
    if name in ("gzip", "plain") and sum(sizes[:complete]) + 16 < cut < sum(sizes[: complete + 1]) - 16:
        assert counts["skipped.truncated"] == 1


@checked
@given(st.sampled_from(["gzip", "zstd", "plain", "pairs", "mixed"]), st.data())
def test_a_flipped_byte_costs_only_its_member(name: str, data: st.DataObject) -> None:
    """Records in other members, or after the start of the next uncompressed record, are read unchanged."""
    parts = list(PACKED[name])
    number = data.draw(st.integers(0, len(parts) - 1))
    place = data.draw(st.integers(0, len(parts[number]) - 1))
    broken = bytearray(parts[number])
    broken[place] ^= data.draw(st.integers(1, 255))
    found, _ = read(b"".join([*parts[:number], bytes(broken), *parts[number + 1 :]]))
    size = 2 if name == "pairs" else 1
    touched = {(record - 1) // 2 for record in range(number * size, number * size + size)}
    untouched = {url: html for at, (url, html) in enumerate(PAGES.items()) if at not in touched}
    assert {url: html for url, html in found.items() if url in untouched} == untouched
    if name in ("gzip", "zstd", "pairs"):
        assert found == {url: PAGES[url] for url in found}


@checked
@given(
    st.sampled_from(["gzip", "zstd", "plain", "pairs", "mixed", "one member"]),
    st.integers(1, len(RECORDS) - 1),
    st.one_of(
        st.binary(min_size=1, max_size=300),
        st.sampled_from(
            [
                b"\0" * 70_000,
                b"\r\n\r\n",
                b"\x1f\x8b\x08\0 no member",
                b"\x28\xb5\x2f\xfd no frame",
                b"WARC/1.0\r\n",
                b"WARC/1.0\r\nWARC-Type: response\r\n\r\n",
                gzip.compress(b"no record"),
                random.Random(2).randbytes(3 << 20),
            ]
        ),
    ),
)
def test_garbage_between_records_costs_nothing(name: str, place: int, garbage: bytes) -> None:
    """All pages are read, whatever lies between two members or uncompressed records."""
    parts = RECORDS if name == "one member" else PACKED[name]
    place = min(place, len(parts) - 1)
    data = b"".join([*parts[:place], garbage, *parts[place:]])
    found, _ = read(gzip.compress(data) if name == "one member" else data)
    assert found == PAGES


@pytest.mark.parametrize("name", PACKINGS)
@pytest.mark.parametrize("length", [0, 3, 10**5, 10**12])
def test_a_wrong_length_costs_only_its_record(name: str, length: int) -> None:
    """A length that is too short, too long or absurd loses no other record."""
    url = list(PAGES)[2]
    records = [*RECORDS[:6], response(url, PAGES[url], length=length), *RECORDS[7:]]
    found, _ = read(b"".join(PACKINGS[name](records)))
    found.pop(url, None)
    assert found == {other: html for other, html in PAGES.items() if other != url}


@pytest.mark.parametrize("name", PACKINGS)
def test_a_page_complete_by_its_http_header_is_read(name: str) -> None:
    """A record whose length is too long is still read if its HTTP Content-Length is right."""
    url = list(PAGES)[-1]
    body = PAGES[url].encode()
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html", f"Content-Length: {len(body)}")
    records = [*RECORDS[:-1], response(url, body, http=http, length=len(body) + 500)]
    found, counts = read(b"".join(PACKINGS[name](records)))
    assert found == PAGES
    assert counts["repaired.length_too_long"] == 1


@checked
@given(st.binary(max_size=2000), st.sampled_from([b"", b"WARC/1.0\r\n", b"\x1f\x8b\x08", b"filedesc:"]))
def test_any_bytes_can_be_read(data: bytes, head: bytes) -> None:
    """Any bytes can be read without an exception other than UnreadableArchive."""
    read(head + data)
