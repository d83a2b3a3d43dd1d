"""Reading archives: packings, content types, encodings and damage."""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from archives import members, page, response, warcinfo
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.reader import BATCH_BYTES, CONTENT_BYTES, ReadSettings, UnreadableArchive, read_batches
from curation.errors import ParameterError, RecipeError
from curation.stages.parameters import build
from curation.store import schema

URLS = [f"https://a.org/{number}" for number in range(6)]
RECORDS = [warcinfo(), *(response(url, page(url, f"Text of {url}. " * 40)) for url in URLS)]
PARTS = [members([record]) for record in RECORDS]
FRAMES = [zstandard.compress(record) for record in RECORDS]
SMALL_PAGES = ReadSettings(max_page_bytes=1 << 20)


def read(data: bytes, reading: ReadSettings = SMALL_PAGES, **limits: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    counts: Counter[str] = Counter()
    batches = list(read_batches(io.BytesIO(data), "dump/CC-MAIN-2024-10/x.warc.gz", reading, counts, **limits))
    assert all(batch.table.schema.equals(schema.RECORD) for batch in batches)
    return [row for batch in batches for row in batch.table.to_pylist()], counts


def urls(data: bytes) -> list[str]:
    return [row["url"] for row in read(data)[0]]


def skipped(counts: Counter[str]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if key.startswith("skipped.")}


@pytest.mark.parametrize(
    "data",
    [b"".join(PARTS), b"".join(RECORDS), b"".join(FRAMES), gzip.compress(b"".join(RECORDS), mtime=0)],
    ids=["gzip", "plain", "zstd", "one gzip member"],
)
def test_every_packing_gives_the_same_pages(data: bytes) -> None:
    """gzip and zstd per record, a single gzip member, and uncompressed files give the same pages."""
    rows, counts = read(data)
    assert [row["url"] for row in rows] == URLS
    assert all(row["html"].startswith("<!DOCTYPE html>") and row["text"] is None for row in rows)
    assert skipped(counts) == {}
    assert counts["records.response"] == 6


def test_pages_of_any_size_are_in_batches() -> None:
    """Small and large pages, also one larger than what is reserved for a batch, and one of which nothing is left."""
    sizes = [0, 1, 700_000, BATCH_BYTES - 1, 2 * BATCH_BYTES, 3, BATCH_BYTES - 700_004, CONTENT_BYTES - BATCH_BYTES + 7]
    texts = [chr(ord("a") + number) * size for number, size in enumerate(sizes)]
    records = [response("https://a.org/", b"\xef\xbb\xbf" + text.encode()) for text in texts]
    data = b"".join(gzip.compress(record, 1) for record in records)
    batches = list(read_batches(io.BytesIO(data), "x.warc.gz", ReadSettings(), Counter()))
    for batch in batches:
        batch.table.validate(full=True)
    assert [html for batch in batches for html in batch.column("html").to_pylist()] == texts
    assert [len(batch) for batch in batches] == [4, 1, 3]


def test_zstd_with_a_dictionary() -> None:
    """The dictionary in a leading skippable frame, as in the warc-zstd specification, is used."""
    dictionary = zstandard.train_dictionary(4096, RECORDS * 20)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary)
    raw = dictionary.as_bytes()
    head = b"\x5d\x2a\x4d\x18" + len(raw).to_bytes(4, "little") + raw
    assert urls(head + b"".join(compressor.compress(record) for record in RECORDS)) == URLS


def test_offsets_lead_back_to_the_record() -> None:
    """Reading from a page's offset gives that page first; pages that share a member have no offset."""
    data = b"".join(PARTS)
    for row in read(data)[0]:
        again, _ = read(data[row["warc_offset"] :])
        assert again[0]["id"] == row["id"]
    shared = read(gzip.compress(b"".join(RECORDS)))[0]
    assert all(row["warc_offset"] is None for row in shared)


def with_dictionary(records: list[bytes]) -> bytes:
    """Frames behind the dictionary that they need, in which records can be seen."""
    dictionary = zstandard.train_dictionary(4096, RECORDS * 20)
    compressor = zstandard.ZstdCompressor(dict_data=dictionary, write_checksum=True)
    return skippable(dictionary.as_bytes(), b"\x5d") + b"".join(map(compressor.compress, records))


def skippable(content: bytes, kind: bytes = b"\x50", error: int = 0) -> bytes:
    """A skippable zstd frame, whose stated size may be wrong."""
    return kind + b"\x2a\x4d\x18" + (len(content) + error).to_bytes(4, "little") + content


@pytest.mark.parametrize("before", [b"".join(RECORDS[:3]), b"".join(PARTS[:3]), b"".join(FRAMES[:3])])
def test_a_part_with_a_dictionary_may_follow_any_other(before: bytes) -> None:
    """An archive joined from one without a dictionary and one with it is read whole."""
    rows, counts = read(before + with_dictionary(RECORDS[3:]))
    assert [row["url"] for row in rows] == URLS
    assert counts["bytes.lost"] == 0


def test_more_dictionaries_than_are_kept_are_used_one_after_the_other() -> None:
    """An archive joined from many with a dictionary each is read whole, also around damage; few are kept in memory."""
    parts = [with_dictionary([record]) for _ in range(5) for record in RECORDS[:3]]
    rows, counts = read(b"garbage\n".join(parts))
    assert [row["url"] for row in rows] == [row["url"] for row in read(b"".join(RECORDS[:3]))[0]] * 5
    assert counts["bytes.lost"] == len(b"garbage\n") * (len(parts) - 1)


@pytest.mark.parametrize("damage", [b"\xff" * 40, b"garbage\n" * 99, FRAMES[2][:-9]])
def test_damage_before_a_dictionary_costs_nothing_behind_it(damage: bytes) -> None:
    """The dictionary is learned, and the records in it are not taken for records of the archive."""
    for before in (b"".join(PARTS[:3]), with_dictionary(RECORDS[:3])):
        rows, counts = read(before + damage + with_dictionary(RECORDS[3:]))
        assert [row["url"] for row in rows] == URLS
        assert counts["bytes.lost"] <= len(damage)


@pytest.mark.parametrize("error", [-3, 1, 40])
def test_a_skippable_frame_of_a_wrong_size_costs_no_record(error: int) -> None:
    """The next record is found where it is, also within what the frame says is its own."""
    rows, counts = read(b"".join(FRAMES[:3]) + skippable(b"x" * 50, error=error) + b"".join(FRAMES[3:]))
    assert [row["url"] for row in rows] == URLS
    assert counts["bytes.lost"] == 58


@settings(deadline=None, derandomize=True)
@given(st.integers(0, sum(map(len, PARTS))))
def test_a_cut_file_is_read_up_to_the_cut(cut: int) -> None:
    """Every record that is complete before the cut is read, and none in part."""
    complete, size = 0, 0
    for part in PARTS:
        size += len(part)
        complete += size <= cut
    data = b"".join(PARTS)[:cut]
    try:
        rows, _ = read(data)
    except UnreadableArchive:
        assert complete == 0
        return
    found = [row["url"] for row in rows]
    assert found[: max(0, complete - 1)] == URLS[: max(0, complete - 1)]
    for row in rows:
        assert row["html"] == page(row["url"], f"Text of {row['url']}. " * 40)


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(0, 10**6), st.integers(1, 255))
def test_damage_costs_only_its_record(number: int, place: int, flip: int) -> None:
    """A flipped byte in a member loses at most that record; all others are read unchanged."""
    parts = list(PARTS)
    broken = bytearray(parts[number])
    broken[place % len(broken)] ^= flip
    parts[number] = bytes(broken)
    rows, _ = read(b"".join(parts))
    expected = {url: page(url, f"Text of {url}. " * 40) for url in URLS}
    found = {row["url"]: row["html"] for row in rows}
    assert set(URLS) - set(found) <= {URLS[number - 1]}
    assert all(expected[url] == html for url, html in found.items())


@pytest.mark.parametrize(
    "garbage", [b"garbage" * 99, b"\0" * 512, b"\x1f\x8b\x08\x00 no member", b"WARC/ no record\r\n"]
)
@pytest.mark.parametrize("parts", [PARTS, FRAMES, RECORDS], ids=["gzip", "zstd", "plain"])
def test_garbage_between_records_costs_nothing(parts: list[bytes], garbage: bytes) -> None:
    """All records are read, whatever lies between two of them."""
    assert urls(b"".join([*parts[:3], garbage, *parts[3:]])) == URLS


@pytest.mark.parametrize("length", [3, 10**6])
def test_a_wrong_length_costs_only_its_record(length: int) -> None:
    """A Content-Length that is too short, or past the end of the member, loses no other record."""
    wrong = members([response(URLS[2], page("x", "y"), length=length)])
    found = urls(b"".join([*PARTS[:3], wrong, *PARTS[4:]]))
    assert [url for url in found if url != URLS[2]] == [url for url in URLS if url != URLS[2]]


def test_a_file_without_records_is_an_error() -> None:
    """A file without any record is refused; an empty file has no pages."""
    for data in (b"<html>no archive</html>", bytes(range(256)) * 99, gzip.compress(b"hello")):
        with pytest.raises(UnreadableArchive):
            read(data)
    assert read(b"") == ([], Counter({"file.empty": 1}))


HTML = page("title", "Some text, long enough.").encode()


def chunked(data: bytes) -> bytes:
    return (
        b"".join(b"%x\r\n%s\r\n" % (len(data[i : i + 30]), data[i : i + 30]) for i in range(0, len(data), 30))
        + b"0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "body", "counted"),
    [
        (("Transfer-Encoding: chunked",), chunked(HTML), "transfer.chunked"),
        (("Transfer-Encoding: chunked",), HTML, "transfer.not_chunked_as_declared"),
        (("Content-Encoding: gzip",), gzip.compress(HTML, mtime=0), "content.gzip"),
        (("Content-Encoding: gzip",), HTML, "content.not_encoded_as_declared"),
        (("Content-Encoding: deflate",), zlib.compress(HTML), "content.deflate"),
        (("Content-Encoding: deflate",), zlib.compress(HTML)[2:-4], "content.deflate"),
        (("Content-Encoding: br",), brotli.compress(HTML), "content.br"),
        (("Content-Encoding: zstd",), zstandard.compress(HTML), "content.zstd"),
        (
            ("Transfer-Encoding: chunked", "Content-Encoding: gzip"),
            chunked(gzip.compress(HTML, mtime=0)),
            "content.gzip",
        ),
    ],
)
def test_encodings_are_undone_if_they_were_applied(lines: tuple[str, ...], body: bytes, counted: str) -> None:
    """Chunked, gzip, deflate (both kinds), brotli and zstd are undone; a body stored decoded is kept as it is."""
    rows, counts = read(members([warcinfo(), response(URLS[0], body, http=("HTTP/1.1 200 OK", *lines))]))
    assert rows[0]["html"] == HTML.decode()
    assert counts[counted] == 1


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_decompression_bomb_is_skipped(name: str) -> None:
    """A body that unpacks to more than the limit is skipped and counted."""
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[name]
    bomb = pack(b"<html>" + b"a" * (4 << 20))
    rows, counts = read(
        members([warcinfo(), response(URLS[0], bomb, http=("HTTP/1.1 200 OK", f"Content-Encoding: {name}"))])
    )
    assert rows == []
    assert skipped(counts) == {"skipped.too_large": 1}


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("body", ["\n\nplain", "x", "<p>no doctype", '{"a": 1}', "0123456789 abc " * 50])
def test_a_body_that_is_not_packed_is_not_unpacked(name: str, body: str) -> None:
    """A body stored decoded under a header that declares an encoding is kept as it is, however it begins."""
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html", f"Content-Encoding: {name}")
    rows, counts = read(members([warcinfo(), response(URLS[0], body, http=http)]))
    assert [row["html"] for row in rows] == [body]
    assert counts["content.not_encoded_as_declared"] == 1


def test_a_packed_body_cut_short_is_read_up_to_the_cut() -> None:
    """A page that the crawler cut in the middle of its gzip stream is read up to the cut and counted."""
    text = page("x", *(f"Paragraph {number} of the page." for number in range(400)))
    http = ("HTTP/1.1 200 OK", "Content-Type: text/html", "Content-Encoding: gzip")
    rows, counts = read(members([warcinfo(), response(URLS[0], gzip.compress(text.encode())[:-200], http=http)]))
    assert text.startswith(rows[0]["html"])
    assert len(rows[0]["html"]) > len(text) // 2
    assert counts["content.gzip_cut"] == 1


@pytest.mark.parametrize(
    ("identified", "declared", "body", "skip", "source"),
    [
        ("text/html", "application/json", "<p>x</p>", None, "identified"),
        ("application/json", "text/html", "<html>x</html>", "json", "identified"),
        ("application/octet-stream", "text/html", "<html>x</html>", None, "sniffed"),
        (None, "text/html; charset=utf-8", "x", None, "http_header"),
        (None, "application/xhtml+xml", "<html/>", None, "http_header"),
        (None, "application/pdf", "<html>", "pdf", "http_header"),
        (None, None, "\n <!-- a --> <!DOCTYPE html><html>x", None, "sniffed"),
        (None, "application/octet-stream", "<html>x</html>", None, "sniffed"),
        (None, "x-world/x-3dmf", "<html>x</html>", None, "sniffed"),
        (None, "x-world/x-3dmf", "3DMF", "other", "http_header"),
        (None, None, '{"a": 1}', "json", "sniffed"),
        (None, "text/html charset=utf-8", "<html>x</html>", None, "sniffed"),
        (None, "text / html", "<html>x</html>", None, "sniffed"),
        (None, "html", "<html>x</html>", None, "sniffed"),
        (None, '"text/html"', "<html>x</html>", None, "sniffed"),
        (None, "text/html\x00", "<html>x</html>", None, "sniffed"),
        (None, "text/html,", "x", None, "http_header"),
        (None, "text/html; text/html", "x", None, "http_header"),
        (None, "text/html, text/plain", "x", "text", "http_header"),
        (None, "text/plain, text/html", "x", None, "http_header"),
        (None, "text/html; charset=utf-8, */*", "x", None, "http_header"),
    ],
)
def test_content_type(identified: str | None, declared: str | None, body: str, skip: str | None, source: str) -> None:
    """The type that the crawler identified wins, then the header's, then the one sniffed from the bytes."""
    headers = (f"WARC-Identified-Payload-Type: {identified}",) if identified else ()
    http = ("HTTP/1.1 200 OK", *((f"Content-Type: {declared}",) if declared else ()))
    rows, counts = read(members([warcinfo(), response(URLS[0], body, http=http, headers=headers)]))
    assert len(rows) == (skip is None)
    assert counts[f"type.{source}"] == 1
    assert skipped(counts) == ({f"skipped.type.{skip}": 1} if skip else {})


def test_other_records_are_only_counted() -> None:
    """Requests, metadata and resources are not pages; a conversion record (WET) is a page of plain text."""
    records = [
        warcinfo(),
        response(URLS[0], "x", kind="request"),
        response(URLS[1], "plain\ntext", kind="conversion", http=(), headers=("Content-Type: text/plain",)),
        response(URLS[2], "<html>x</html>", kind="resource", http=(), headers=("Content-Type: text/html",)),
        response("dns:a.org", "1.2.3.4", http=(), headers=("Content-Type: text/dns",)),
    ]
    rows, counts = read(members(records))
    assert [(row["url"], row["text"], row["html"]) for row in rows] == [(URLS[1], "plain\ntext", None)]
    assert counts["records.request"] == 1
    assert skipped(counts) == {"skipped.not_http": 1}
    rows, _ = read(members(records), ReadSettings(records=("resource",)))
    assert [row["html"] for row in rows] == ["<html>x</html>"]


CASES = {
    "06-interim-responses.warc.gz": (3, {}),
    "07-gzip-members.warc.gz": (1, {}),
    "08-gzip-undeclared.warc.gz": (6, {}),
    "content_encoding_gzip_two_members.warc": (1, {}),
    "content_type_text_html_space_charset.warc": (1, {}),
    "conversion_html.warc": (1, {}),
    "structure.warc.gz": (1, dict.fromkeys(("pdf", "text", "markdown", "robots_txt"), 1)),
}
"""Case → number of pages, and skipped records by type."""


@pytest.mark.parametrize("name", CASES)
def test_pages_of_the_cases(shared_data: Path, name: str) -> None:
    """Pages behind interim responses, in codings that are wrong or missing, and under malformed types are read."""
    rows, counts = read((shared_data / "cases" / name).read_bytes())
    number, skips = CASES[name]
    assert len(rows) == number
    assert all(row["html"].rstrip().startswith("<") and row["html"].rstrip().endswith("</html>") for row in rows)
    assert skipped(counts) == {f"skipped.type.{group}": count for group, count in skips.items()}


STATUSES = (100, 200, 206, 301, 404, 500, 503, 999)


def pages_of_statuses(**reading: Any) -> tuple[list[int], Counter[str]]:
    records = [
        response(str(code), page("x", "y"), http=(f"HTTP/1.1 {code} X", "Content-Type: text/html")) for code in STATUSES
    ]
    rows, counts = read(members([warcinfo(), *records]), ReadSettings(**reading))
    return [int(row["url"]) for row in rows], counts


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("2xx", [200, 206]),
        ("all", list(STATUSES)),
        (404, [404]),
        (["2xx", "404"], [200, 206, 404]),
        (["2xx", 404, "500-502"], [200, 206, 404, 500]),
        ("9xx", [999]),
    ],
)
def test_statuses_of_pages(status: Any, expected: list[int]) -> None:
    """Only pages with a wanted HTTP status are read, the others are counted, all by their class."""
    found, counts = pages_of_statuses(status=status)
    assert found == expected
    assert counts["skipped.status"] == len(STATUSES) - len(expected)
    assert counts["status.5xx"] == 2


def test_pages_of_errors_are_skipped_by_default() -> None:
    """By default a page is what has a status of success; a record without a status is read all the same."""
    assert pages_of_statuses()[0] == [200, 206]
    bare = response(URLS[0], "<html>x</html>", http=(), headers=("Content-Type: text/html",))
    assert len(read(members([warcinfo(), bare]))[0]) == 1


@pytest.mark.parametrize("status", ["none", "", [], "20x", "599-500", ["2xx", "x"], 20, 2.5, True])
def test_a_wrong_status_is_an_error(status: Any) -> None:
    """A setting that names no status is refused, with what is allowed."""
    with pytest.raises((RecipeError, ParameterError), match=r'status.*must be "all", or statuses such as "2xx", 404'):
        build(ReadSettings, {"status": status}, "x")


TEXTS = [
    response("https://a.org/html", "<html>x</html>"),
    response(
        "https://a.org/a.txt",
        "Gr\xf6\xdfe".encode("latin-1"),
        http=("HTTP/1.1 200", "Content-Type: text/plain"),
        headers=(),
    ),
    response("https://a.org/b.md", "# \ufeff é", http=("HTTP/1.1 200", "Content-Type: text/markdown"), headers=()),
    response(
        "https://a.org/robots.txt", "User-agent: *", http=("HTTP/1.1 200", "Content-Type: text/plain"), headers=()
    ),
    response("https://a.org/untyped", "plain words", http=("HTTP/1.1 200 OK",), headers=()),
    response("https://a.org/data", b"a\0\1\2", http=("HTTP/1.1 200 OK", "Content-Type: text/plain"), headers=()),
    response("https://a.org/empty", "  ", http=("HTTP/1.1 200 OK", "Content-Type: text/plain"), headers=()),
    response(
        "https://a.org/wide",
        "é".encode("utf-16-le"),
        http=("HTTP/1.1 200", "Content-Type: text/plain; charset=utf-16le"),
        headers=(),
    ),
    response(
        "https://a.org/zipped",
        gzip.compress(b"zipped text", mtime=0),
        http=("HTTP/1.1 200", "Content-Type: text/plain"),
        headers=(),
    ),
]


def test_text_and_markdown_are_read_where_they_are_wanted() -> None:
    """Plain text and Markdown become documents with a text, decoded as declared; robots.txt and binary data do not."""
    rows, counts = read(members([warcinfo(), *TEXTS]), ReadSettings(types=("text", "markdown")))
    assert {row["url"].rpartition("/")[2]: row["text"] for row in rows} == {
        "a.txt": "Größe", "b.md": "# \ufeff é", "untyped": "plain words", "wide": "é", "zipped": "zipped text"
    }  # fmt: skip
    assert all(row["html"] is None for row in rows)
    assert skipped(counts) == {
        f"skipped.{name}": 1 for name in ("type.html", "type.robots_txt", "type.binary", "empty")
    }
    assert (counts["pages.text"], counts["pages.markdown"]) == (4, 1)


def test_text_is_counted_by_default() -> None:
    """By default only HTML is read, and the other types are counted."""
    rows, counts = read(members([warcinfo(), *TEXTS]))
    assert [row["url"] for row in rows] == ["https://a.org/html"]
    assert skipped(counts)["skipped.type.markdown"] == skipped(counts)["skipped.type.robots_txt"] == 1
    assert sum(skipped(counts).values()) == 8


def test_html_in_a_text_declares_no_charset() -> None:
    """A text about HTML is UTF-8 if it can be, whatever a meta tag in it says."""
    text = "Write <meta charset=gbk> for 模型 in GBK."
    plain = response(URLS[0], text, http=("HTTP/1.1 200 OK", "Content-Type: text/plain"), headers=())
    wet = response(URLS[1], text, kind="conversion", http=(), headers=("Content-Type: text/plain",))
    rows, _ = read(members([warcinfo(), plain, wet]), ReadSettings(types=("text",)))
    assert [row["text"] for row in rows] == [text, text]


@pytest.mark.parametrize(
    ("lines", "body", "text", "html"),
    [
        (("Content-Type: text/plain",), "Größe".encode(), "Größe", None),
        (("Content-Type: text/plain; charset=iso-8859-1",), "Größe".encode("latin-1"), "Größe", None),
        (("Content-Type: text/plain; charset=windows-1251",), "Привет".encode("cp1251"), "Привет", None),
        (("Content-Type: text/markdown",), b"# x", "# x", None),
        (("Content-Type: text/html; charset=gbk",), "<p>模".encode("gbk"), None, "<p>模"),
        (("Content-Type: text/plain", "WARC-Identified-Payload-Type: text/html"), b"x", "x", None),
        (("WARC-Identified-Payload-Type: text/html",), b"<p>x", None, "<p>x"),
        ((), b"<html>x", None, "<html>x"),
        ((), b"x", "x", None),
        (("Content-Type: application/pdf",), b"x", None, None),
        ((), b"%PDF-1.4\n\0\1", None, None),
        (("Content-Type: text/html",), gzip.compress(b"<p>x", mtime=0), None, "<p>x"),
        (("Content-Type: application/http; msgtype=response",), b"HTTP/1.1 200 OK\r\n\r\n<html>x", None, "<html>x"),
    ],
)
def test_conversion_records(lines: tuple[str, ...], body: bytes, text: str | None, html: str | None) -> None:
    """A conversion is text or HTML by its own type, decoded by its own charset; what is packed is unpacked."""
    rows, counts = read(members([warcinfo(), response(URLS[0], body, kind="conversion", http=(), headers=lines)]))
    assert [(row["text"], row["html"]) for row in rows] == ([(text, html)] if text or html else [])
    assert counts["skipped.type.pdf"] == (not rows)


@pytest.mark.parametrize(
    ("declared", "body", "group"),
    [
        ("text/html", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image"),
        ("text/html; charset=utf-8", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\0\1\2", "pdf"),
        ("text/plain", b"\xff\xd8\xff\xe0\0\x10JFIF", "image"),
        ("text/plain", b"\0\1\2\3", "binary"),
        ("text/html", zlib.compress(bytes(range(256)) * 2)[9:], "binary"),
    ],
)
@pytest.mark.parametrize("kind", ["response", "conversion"])
def test_data_declared_as_text_is_no_page(kind: str, declared: str, body: bytes, group: str) -> None:
    """Images, documents and other data that are declared as HTML or text are counted by what they are."""
    http = ("HTTP/1.1 200 OK", f"Content-Type: {declared}") if kind == "response" else ()
    record = response(URLS[0], body, kind=kind, http=http, headers=(f"Content-Type: {declared}",))
    rows, counts = read(members([warcinfo(), record]), ReadSettings(types=("html", "text")))
    assert rows == []
    assert skipped(counts) == {f"skipped.type.{group}": 1}


@pytest.mark.parametrize(
    "body",
    [
        b"GIF89 is a format",
        b"<html>\x01\x02 %PDF-",
        b"\0\1 text",
        "<p>한국어 페이지 입니다".encode("iso2022_kr"),
        "<p>模型的文字".encode("utf-16-le") * 9,
    ],
)
def test_html_with_odd_bytes_is_a_page(body: bytes) -> None:
    """Control characters, or the first letters of a format, do not make a page something else."""
    assert len(read(members([warcinfo(), response(URLS[0], body, headers=())]))[0]) == 1


def test_an_http_record_without_a_header_is_sniffed() -> None:
    """The record's own type, application/http, says nothing about the page of an HTTP/0.9 server."""
    record = response(URLS[0], "<html>x</html>", http=(), headers=("Content-Type: application/http; msgtype=response",))
    assert [row["html"] for row in read(members([warcinfo(), record]))[0]] == ["<html>x</html>"]


def test_a_page_of_another_type_is_not_unpacked() -> None:
    """A body is not decoded if its type alone shows that it is not wanted."""
    http = ("HTTP/1.1 200 OK", "Content-Type: application/pdf", "Content-Encoding: gzip")
    bomb = response(URLS[0], gzip.compress(bytes(4 << 20)), http=http, headers=())
    assert skipped(read(members([warcinfo(), bomb]))[1]) == {"skipped.type.pdf": 1}


def test_types_make_few_counters() -> None:
    """A thousand unknown types are one count."""
    records = [
        response(f"https://a.org/{n}", "x", http=("HTTP/1.1 200 OK", f"Content-Type: x{n}/y{n}"), headers=())
        for n in range(1000)
    ]
    _, counts = read(members([warcinfo(), *records]))
    assert skipped(counts) == {"skipped.type.other": 1000}


def test_batch_limits_do_not_change_the_rows() -> None:
    """Smaller batches hold the same rows."""
    rows, _ = read(b"".join(PARTS))
    for limits in ({"max_documents": 1}, {"max_bytes": 2000}, {"max_documents": 4}):
        assert read(b"".join(PARTS), **limits)[0] == rows


def test_columns_of_a_page() -> None:
    """id and date are the record's; the dump is taken from the path unless the recipe names it."""
    row = read(b"".join(PARTS))[0][0]
    assert row["id"].startswith("<urn:uuid:")
    assert row["date"] == "2024-05-18T01:58:10Z"
    assert row["dump"] == "CC-MAIN-2024-10"
    assert row["file_path"].endswith("x.warc.gz")
    assert read(b"".join(PARTS), ReadSettings(dump="mine"))[0][0]["dump"] == "mine"
