"""Records of WARC and ARC files: agreement with fastwarc, offsets, odd headers, and both versions of ARC."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from archives import page, response, warcinfo
from fastwarc.warc import ArchiveIterator

from curation.archives.reader import ReadSettings, read_batches
from curation.archives.record_headers import KINDS
from curation.archives.records import Record, read_records

ALL = frozenset(KINDS | {"unknown"})
URLS = [f"https://a.org/{number}" for number in range(5)]
RECORDS = [warcinfo(), *(response(url, page(url, "Some text. " * 200)) for url in URLS)]


def records(data: bytes, max_bytes: int = 1 << 20) -> tuple[list[Record], Counter[str]]:
    counts: Counter[str] = Counter()
    found = list(read_records(io.BytesIO(data), counts, ALL, max_bytes))
    assert sum(counts.pop(f"bytes.{kind}", 0) for kind in ("records", "padding", "lost")) == len(data)
    return found, counts


@pytest.mark.parametrize(
    "name", ["web/00003.warc.gz", "warc-cases/ipwb-sample-1.warc.gz", "warc-cases/warcio-example.warc"]
)
def test_sound_archives_are_read_as_by_fastwarc(shared_data: Path, name: str) -> None:
    """Type, id, offset and content of every record agree with fastwarc."""
    data = (shared_data / name).read_bytes()
    expected = [
        (str(raw.record_type), raw.record_id, raw.stream_pos, raw.reader.read())
        for raw in ArchiveIterator(io.BytesIO(data), parse_http=False)
    ]
    found, counts = records(data, 1 << 30)
    assert [(one.kind, one.headers["warc-record-id"], one.offset, one.content) for one in found] == expected
    assert not [key for key in counts if key.startswith(("skipped", "repaired"))]


def with_dictionary(parts: list[bytes]) -> list[bytes]:
    """zstd frames after a dictionary that is itself compressed."""
    dictionary = zstandard.train_dictionary(3000, parts * 50)
    raw = zstandard.compress(dictionary.as_bytes())
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    head = b"\x5d\x2a\x4d\x18" + len(raw).to_bytes(4, "little") + raw
    return [head, *map(compressor.compress, parts)]


@pytest.mark.parametrize(
    "parts",
    [RECORDS, [*map(gzip.compress, RECORDS)], [*map(zstandard.compress, RECORDS)], with_dictionary(RECORDS)],
    ids=["plain", "gzip", "zstd", "zstd with a dictionary"],
)
def test_a_page_is_read_at_its_offset(parts: list[bytes]) -> None:
    """After a seek to a page's offset that page comes first, with the same offset."""
    stream = io.BytesIO(b"".join(parts))
    rows = [row for batch in read_batches(stream, "x", ReadSettings(), Counter()) for row in batch.table.to_pylist()]
    assert [row["url"] for row in rows] == URLS
    for row in rows:
        stream.seek(row["warc_offset"])
        again = next(iter(read_batches(stream, "x", ReadSettings(), Counter(), max_documents=1)))
        assert again.table.to_pylist() == [row]


def test_odd_headers_are_read() -> None:
    """Headers with bare LF, names in any case, folded lines, spaces around colons and invalid UTF-8 are read."""
    header = (
        b"WARC/1.1\nwarc-type: Response\nWARC-RECORD-ID : <urn:uuid:1>\nWARC-Target-URI:http://a.org/\xe9\n"
        b"X-Long: a\n\tb\ncontent-length: 3\n\nabc\n\n"
    )
    found, counts = records(header * 2)
    assert [(one.kind, one.content) for one in found] == [("response", b"abc")] * 2
    assert found[0].headers["warc-record-id"] == "<urn:uuid:1>"
    assert found[0].headers["warc-target-uri"] == "http://a.org/é"
    assert found[0].headers["x-long"] == "a b"
    assert counts == {"records.response": 2}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("line", [b"", b"WARC-Type:\r\n", b"WBRC-Type: response\r\n"])
def test_a_header_without_a_type_costs_only_its_record(line: bytes, pack: type[bytes]) -> None:
    """A record that does not say what it is was damaged: it is counted as lost, not passed over."""
    broken = b"WARC/1.0\r\n" + line + b"Content-Length: 3\r\n\r\nabc\r\n\r\n"
    found, counts = records(b"".join(map(pack, (RECORDS[1], broken, RECORDS[2]))))
    assert [one.headers["warc-target-uri"] for one in found] == URLS[:2]
    assert counts == {"records.response": 2, "records.damaged": 1, "skipped.damaged_header": 1}


@pytest.mark.parametrize("header", [b"Content-Length: -1", b"Content-Length: many", b"X: y", b"no field at all"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_without_a_length_costs_only_its_record(header: bytes, pack: type[bytes]) -> None:
    """A header without a valid length is counted as damaged, and the next record is read."""
    broken = b"WARC/1.0\r\nWARC-Type: response\r\n" + header + b"\r\n\r\nabc\r\n\r\n"
    found, counts = records(b"".join(map(pack, (RECORDS[1], broken, RECORDS[2]))))
    assert [one.headers["warc-target-uri"] for one in found] == URLS[:2]
    assert counts == {"records.response": 2, "records.damaged": 1, "skipped.damaged_header": 1}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_record_that_is_too_large_is_skipped(pack: type[bytes]) -> None:
    """A record over the limit is counted and costs no other record; if the file ends in it, it is truncated."""
    large = response("https://a.org/large", "x" * 5_000_000)
    parts = [pack(part) for part in (RECORDS[1], large, RECORDS[2])]
    found, counts = records(b"".join(parts))
    assert [one.headers["warc-target-uri"] for one in found] == URLS[:2]
    assert counts == {"records.response": 3, "skipped.too_large": 1}
    _, counts = records(b"".join(parts[:2])[:-50])
    assert counts["skipped.truncated"] == 1


ARC_HEADER = b"filedesc://x.arc 0.0.0.0 20240101000000 text/plain 20\n1 0 Maker\nURL IP Ar\n\n"


def arc_record(url: str, body: bytes, fields: str = "text/html", length: int | None = None) -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    size = len(block) if length is None else length
    return f"{url} 1.2.3.4 20240102030405 {fields} {size}\n".encode() + block + b"\n"


@pytest.mark.parametrize("fields", ["text/html", "text/html 200 CHECKSUM - 1234 x.arc.gz", "text/html; charset=utf-8"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_arc(fields: str, pack: type[bytes]) -> None:
    """ARC records of versions 1 and 2, packed or not, have URL, date, a stable id and an offset."""
    parts = [pack(ARC_HEADER), *(pack(arc_record(url, page(url).encode(), fields)) for url in URLS)]
    stream = io.BytesIO(b"".join(parts))
    counts: Counter[str] = Counter()
    rows = [row for batch in read_batches(stream, "x", ReadSettings(), counts) for row in batch.table.to_pylist()]
    assert [(row["url"], row["html"], row["date"]) for row in rows] == [
        (url, page(url), "2024-01-02T03:04:05Z") for url in URLS
    ]
    assert len({row["id"] for row in rows}) == 5
    assert counts["records.response"] == 5
    assert counts["records.filedesc"] == counts["passed.filedesc"] == 1
    assert not [key for key in counts if key.startswith(("skipped", "repaired"))]
    stream.seek(rows[3]["warc_offset"])
    assert next(iter(read_batches(stream, "x", ReadSettings(), Counter()))).table.to_pylist()[0] == rows[3]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("change", [0, 1, 3, 9])
def test_arc_records_without_line_ends(change: int, pack: type[bytes]) -> None:
    """Records may follow each other directly, also where a length leads into the URL of the next header."""
    parts = [arc_record(url, b"<html>text of the page").removesuffix(b"\n") for url in URLS]
    url, _, rest = parts[1].partition(b" text/html ")
    size, _, rest = rest.partition(b"\n")
    parts[1] = b"%s text/html %d\n%s" % (url, int(size) + change, rest)
    found, counts = records(pack(b"".join([ARC_HEADER, *parts])))
    assert [one.headers["warc-target-uri"] for one in found if one.kind == "response"] == URLS
    assert not any(name.startswith("skipped.") for name in counts)
    assert counts["repaired.length_too_long"] == (change > 0)


@pytest.mark.parametrize("length", [5, 900, 10**7])
def test_a_wrong_length_in_arc(length: int) -> None:
    """A wrong length loses no other record; one that is too long is corrected by the HTTP Content-Length."""
    parts = [
        ARC_HEADER,
        *(arc_record(url, page(url).encode(), length=length if url == URLS[2] else None) for url in URLS),
    ]
    found, counts = records(b"".join(parts))
    assert [one.headers["warc-target-uri"] for one in found if one.headers["warc-target-uri"] != URLS[2]] == [
        url for url in URLS if url != URLS[2]
    ]
    if length == 900:
        assert counts["repaired.length_too_long"] == 1
        assert found[2].content.endswith(page(URLS[2]).encode())


def test_the_archive_can_name_the_dump() -> None:
    """If neither the recipe nor the path names the dump, the warcinfo record does."""
    info = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 28\r\n\r\nisPartOf: CC-MAIN-2024-22\r\n\r\n\r\n\r\n"
    for path, dump, expected in (
        ("x.warc.gz", None, "CC-MAIN-2024-22"),
        ("CC-MAIN-2020-05/x.warc.gz", None, "CC-MAIN-2020-05"),
        ("x.warc.gz", "mine", "mine"),
    ):
        batches = read_batches(io.BytesIO(info + RECORDS[1]), path, ReadSettings(dump=dump), Counter())
        assert [batch.column("dump").to_pylist() for batch in batches] == [[expected]]
