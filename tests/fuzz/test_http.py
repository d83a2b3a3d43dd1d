"""Fuzzes what reads HTTP responses: headers, chunks, codings and types."""

from __future__ import annotations

import gzip
import zlib
from collections import Counter

import brotli
import zstandard
from fuzzing import fuzz

from curation.archives.http import Response, decoded_body, parse_headers, parse_response, response_length, unchunk
from curation.archives.media_types import group_of, media_type, sniff
from curation.archives.reader import ReadSettings, _page
from curation.archives.records import Record

MAX_PAGE = 1 << 20
READING = ReadSettings(max_page_bytes=MAX_PAGE, types=("html", "text", "markdown"))

PAGE = b"<!DOCTYPE html><html><head><title>x</title></head><body><p>Some text. " + b"More of it. " * 20 + b"</p></html>"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Type: text/html; charset=utf-8", *lines, b"", b""))


def chunks(data: bytes, size: int) -> bytes:
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


SEEDS = [
    head() + PAGE,
    head(b"Transfer-Encoding: chunked") + chunks(PAGE, 20),
    head(b"Transfer-Encoding: gzip, chunked") + chunks(gzip.compress(PAGE), 50),
    head(b"Content-Encoding: gzip") + gzip.compress(PAGE[:90]) + gzip.compress(PAGE[90:]),
    head(b"Content-Encoding: deflate") + zlib.compress(PAGE),
    head(b"Content-Encoding: deflate") + zlib.compress(PAGE)[2:-4],
    head(b"Content-Encoding: br") + brotli.compress(PAGE),
    head(b"Content-Encoding: zstd") + zstandard.compress(PAGE),
    head(b"Content-Encoding: gzip, br") + brotli.compress(gzip.compress(PAGE)),
    head() + gzip.compress(bytes(2 << 20)),
    head(b"Content-Encoding: zstd") + zstandard.compress(bytes(2 << 20)),
    head(b"Content-Encoding: br") + brotli.compress(bytes(2 << 20)),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head() + PAGE,
    b"HTTP/1.0 200 Connection established\r\n\r\n" + head(b"Content-Length: 9") + PAGE,
    b"ICY 200 OK\nContent-Type: text/plain\n\ntext",
    b"HTTP/1.1 404\rContent-Type: a/b\r\r" + PAGE,
    b"HTTP/1.1 200 OK\r\n\r\n<?xml version='1.0'?><!-- x --><!doctype html>" + PAGE,
    b'{"a": 1}',
]

WORDS = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n", b"\n", b"\r", b"\n\n", b"\r\n\r\n", b"\0",
    b" ", b"\t", b"Content-Type: ", b"Content-Encoding: ", b"Transfer-Encoding: ", b"Content-Length: 5\r\n", b"chunked",
    b"gzip, ", b"deflate, ", b"br, ", b"zstd, ", b"text/html", b"text/plain, ", b'"', b"\\", b",", b";", b"charset=",
    b"1\r\na\r\n", b"0\r\n\r\n", b"ffffffffffffff\r\n", b"<!--", b"-->", b"<!---->", b"<?", b"<html>", b"\xff\xfe",
    b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", gzip.compress(b""), gzip.compress(b"a"), zstandard.compress(b"a"),
    b"\xef\xbb\xbf",
]  # fmt: skip


def check_response(data: bytes) -> None:
    """Any bytes are parsed and decoded, in bounds and the same way each time."""
    found = []
    for _ in range(2):
        counts: Counter[str] = Counter()
        response = parse_response(data, 0, len(data))
        body = decoded_body(response, counts, MAX_PAGE)
        assert body is None or len(body) <= max(MAX_PAGE, len(data))
        assert (body is None) == (sum(count for name, count in counts.items() if name.startswith("skipped.")) == 1)
        found.append((response.status, response.headers, bytes(body or b""), counts))
    assert found[0] == found[1]
    assert 0 <= response.status <= 999
    assert data.endswith(bytes(response.body))
    length = response_length(data)
    assert length is None or 0 < length <= len(data)
    declared = response.headers.get("content-type", "")
    essence, chosen = media_type(declared)
    assert essence == essence.lower()
    assert chosen in declared
    group = group_of(essence)
    assert group is None or group.isalpha()
    assert sniff(response.body).isalpha()
    parse_headers(data)
    read(data)


def read(data: bytes) -> None:
    """A record is one page or is counted once, as a response and as a conversion."""
    for kind in ("response", "resource", "conversion"):
        counts: Counter[str] = Counter()
        headers = {"warc-target-uri": "https://a.org/robots.txt", "content-type": data[:99].decode("latin-1")}
        page = _page(Record(0, kind, headers, data, 0, len(data)), READING, counts)
        ends = [name for name in counts.elements() if name.startswith(("pages.", "skipped."))]
        assert len(ends) == 1
        assert (page is not None) == ends[0].startswith("pages.")
        if page is not None:
            bytes(page.content).decode()


def check_round_trip(data: bytes) -> None:
    """What is chunked and packed in any number of members comes out again."""
    size = 1 + len(data) % 997
    assert unchunk(data) == unchunk(data)
    if data:
        assert unchunk(chunks(data, size)) == unchunk(chunks(data, size), exact=True) == data
    parts = [data[start : start + 4 * size] for start in range(0, min(len(data), 400 * size), 4 * size)]
    whole = b"".join(parts)
    for pack, name in ((gzip.compress, "gzip"), (zstandard.compress, "zstd")):
        packed = b"".join(map(pack, parts))
        # Data that is itself packed is unpacked too.
        assert decoded({"content-encoding": name}, packed) == decoded({}, packed) == decoded({}, whole)


def decoded(headers: dict[str, str], body: bytes) -> bytes | None:
    found = decoded_body(Response(200, headers, memoryview(body)), Counter(), MAX_PAGE)
    return None if found is None else bytes(found)


def test_responses() -> None:
    """No response raises, hangs, exceeds the limit, or is read in two ways."""
    fuzz(check_response, SEEDS, WORDS)


def test_bodies() -> None:
    """Chunks of any body, and members of it, give the body back."""
    fuzz(check_round_trip, SEEDS, WORDS)
