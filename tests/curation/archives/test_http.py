"""HTTP responses: headers as servers and crawlers write them, bodies in codings declared, wrong and missing."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections import Counter

import brotli
import pytest
import zstandard
from growth import assert_linear
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.http import (
    MAX_CODINGS,
    MAX_HEADER_BYTES,
    Response,
    decoded_body,
    parse_headers,
    parse_response,
    response_length,
    unchunk,
)

HTML = b"<!DOCTYPE html><html><body><p>Some text, long enough to be packed. Some text again.</p></body></html>"
LIMIT = 1 << 20


def parse(block: bytes) -> Response:
    return parse_response(b"before" + block + b"after", 6, 6 + len(block))


def decode(headers: str, body: bytes, limit: int = LIMIT) -> tuple[bytes | None, dict[str, int]]:
    counts: Counter[str] = Counter()
    lines = "".join(f"{line}\r\n" for line in headers.split("\n") if line)
    found = decoded_body(parse(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body), counts, limit)
    return None if found is None else bytes(found), dict(counts)


def chunked(data: bytes, size: int = 30) -> bytes:
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 200", 200),
        (b"HTTP/1.0 404  Not here", 404),
        (b"HTTP/2 200", 200),
        (b"HTTP/2.0 301 ", 301),
        (b"HTTP/0.9 200 OK", 200),
        (b"http/1.1 200 ok", 200),
        (b"HTTP/1.1\t 503 Down", 503),
        (b"ICY 200 OK", 200),
        (b"HTTP/1.1 200OK", 200),
        (b"HTTP/1.1 2000 OK", 0),
        (b"HTTP/1.1 OK", 0),
        (b"HTTP/1.1", 0),
        (b"HTTP/1.1 \xb2\xb2\xb2", 0),
        (b"HTTP/1.1 " + b"9" * 5000, 0),
    ],
)
def test_status_lines(line: bytes, status: int) -> None:
    """The status is read from any status line, also without a reason, of any version and in lower case."""
    response = parse(line + b"\r\nContent-Type: text/html\r\n\r\n<p>x")
    assert response.status == status
    assert response.headers["content-type"] == "text/html"
    assert bytes(response.body) == b"<p>x"


@pytest.mark.parametrize("before", [b"\0" * 512, b"\r\n\r\n", b"\n \n"])
def test_nuls_and_blank_lines_before_the_status_line_are_ignored(before: bytes) -> None:
    """A response may follow blank lines or NULs."""
    response = parse(before + b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nx")
    assert (response.status, response.headers, bytes(response.body)) == (200, {"content-type": "a/b"}, b"x")


@pytest.mark.parametrize("body", [b"<html>x", b"", b"ICY water", b"\n\nx", b"HTTPS is a protocol", b"HTTP"])
def test_without_a_status_line_all_is_body(body: bytes) -> None:
    """HTTP/0.9 and records without an HTTP header are all body."""
    assert (parse(body).status, bytes(parse(body).body)) == (0, body)


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\r\r\n"])
def test_lines_may_end_in_crlf_lf_or_cr(end: bytes) -> None:
    """Header and body are told apart whatever ends the lines, and the body is not touched."""
    lines = [b"HTTP/1.1 200 OK", b"Server: x", b"Content-Type: text/html", b"content-encoding: gzip", b"", b""]
    response = parse(end.join(lines) + b"<p>\r\rx\n\ny\r\n\r\nz")
    assert response.headers == {"content-type": "text/html", "content-encoding": "gzip"}
    assert bytes(response.body) == b"<p>\r\rx\n\ny\r\n\r\nz"


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        (b"Content-Type: text/html;\r\n charset=utf-8", "text/html; charset=utf-8"),
        (b"Content-Type:\n\ttext/html;\n\t charset=utf-8", "text/html; charset=utf-8"),
        (b"CONTENT-TYPE :text/html", "text/html"),
        (b"Content-Type: a/b\r\nX: y\r\nContent-Type: c/d", "a/b, c/d"),
        (b"X-Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Type-X: e/f", "c/d"),
        (b"X: 1\r\n Content-Type: a/b\r\nContent-Type: c/d", "c/d"),
        ("Content-Type: text/html; title=é".encode("latin-1"), "text/html; title=é"),
        ("Content-Type: text/html; title=é".encode(), "text/html; title=é"),
    ],
)
def test_header_fields(lines: bytes, value: str) -> None:
    """Folded lines are joined, names are matched in any case, and several values of a name are all kept."""
    assert parse(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\nx").headers["content-type"] == value


def test_a_header_without_a_body() -> None:
    """A response may end with its header, with or without the blank line."""
    for block in (b"HTTP/1.1 204 None\r\nContent-Type: a/b\r\n\r\n", b"HTTP/1.1 204 None\r\nContent-Type: a/b"):
        response = parse(block)
        assert (response.status, response.headers["content-type"], bytes(response.body)) == (204, "a/b", b"")


def test_a_page_that_follows_its_header_without_a_blank_line() -> None:
    """A line that begins an HTML page ends the header."""
    response = parse(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n<!DOCTYPE html><p>\n\nContent-Type: a/b\n\nx")
    assert response.headers["content-type"] == "text/html"
    assert bytes(response.body) == b"<!DOCTYPE html><p>\n\nContent-Type: a/b\n\nx"


@pytest.mark.parametrize(
    "before",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100\n\n" * 3,
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nContent-Type: a/b\r\n\r\n",
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 Connection Established\r\nContent-Length: 0\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n\r\n",
    ],
)
def test_interim_responses_are_passed_over(before: bytes) -> None:
    """The response is the one after any number of interim ones and a proxy's reply to CONNECT."""
    response = parse(before + b"HTTP/1.1 404 No\r\nContent-Type: text/html\r\n\r\n" + HTML)
    assert (response.status, response.headers) == (404, {"content-type": "text/html"})
    assert bytes(response.body) == HTML


def test_a_body_that_shows_a_response_is_a_body() -> None:
    """A response is not passed over for the text of its page."""
    response = parse(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nHTTP/1.1 404 Not found\r\n\r\nis an error.")
    assert response.status == 200
    assert response.body[:8] == b"HTTP/1.1"
    assert parse(b"HTTP/1.1 100 Continue\r\n\r\n").status == 100


def test_header_fields_are_read_up_to_a_limit() -> None:
    """Fields beyond the limit are not read, but the body begins where the header ends."""
    filler = b"x: y\r\n" * (MAX_HEADER_BYTES // 6 + 1)
    response = parse(b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n" + filler + b"Content-Encoding: br\r\n\r\n" + HTML)
    assert (response.headers, bytes(response.body)) == ({"content-type": "a/b"}, HTML)
    assert (
        len(parse(b"HTTP/1.1 200 OK\r\nContent-Type: a/b; x=" + b"y" * 9999 + b"\r\n\r\n").headers["content-type"])
        == 4096
    )
    assert "late" not in parse_headers(b"early: 1\n" + filler + b"late: 1\n")


def test_a_large_header_costs_no_memory() -> None:
    """Four million header fields take less than a megabyte."""
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + b"a:\r\n" * 4_000_000 + b"\r\n<p>x"
    tracemalloc.start()
    response = parse_response(block, 0, len(block))
    parse_headers(block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bytes(response.body) == b"<p>x"
    assert peak < 50 << 20


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"HTTP/1.1 100\n\n" * n,
        lambda n: b"HTTP/1.1 200 OK\r\n" + b"Content-Type:\r\n" * n + b"\r\n",
        lambda n: b"HTTP/1.1 200 OK\r\nContent-Type: x" + b"\r\n " * n,
        lambda n: b"HTTP/1.1 200 OK\r\nContent-Type: x" + b"\r" * n,
        lambda n: b"HTTP/1.1 200 OK\r\nContent-Type" + b" " * n,
        lambda n: b"HTTP/1.1 200 OK\r\n" + b"\n<html" * n,
        lambda n: b"\0" * n + b"HTTP/1.1 200 OK\r\n\r\n",
        lambda n: b"HTTP/1.1" + b"\t" * n,
    ],
)
def test_parsing_takes_linear_time(make) -> None:  # type: ignore[no-untyped-def]
    """No header takes more than linear time."""
    assert_linear(lambda data: parse_response(data, 0, len(data)), make, 1 << 14, factor=64)


def test_a_length_has_few_digits() -> None:
    """A Content-Length of thousands of digits is no length, and the first of several counts."""

    def length(stated: str) -> int | None:
        return response_length(f"HTTP/1.1 200 OK\r\nContent-Length: {stated}\r\n\r\nabc\r\n".encode())

    assert length("3") == len("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
    assert length("3\r\nContent-Length: 3") is not None
    assert [length(stated) for stated in ("9" * 5000, "9" * 16, "7", "1", "-3", "³", "")] == [None] * 7


def packed(coding: str, data: bytes) -> bytes:
    if coding == "raw deflate":
        return zlib.compress(data)[2:-4]
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}[coding]
    return bytes(pack(data))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
@pytest.mark.parametrize("header", ["Content-Encoding", "Transfer-Encoding"])
def test_a_declared_coding_is_undone(coding: str, header: str) -> None:
    """Every coding is undone that Content-Encoding or Transfer-Encoding declares, also before chunked."""
    name = coding.split()[-1]
    body, counts = decode(f"{header}: {name}", packed(coding, HTML))
    assert (body, counts) == (HTML, {f"content.{name}": 1})
    body, counts = decode(f"{header}: {name.upper()}\nTransfer-Encoding: chunked", chunked(packed(coding, HTML)))
    assert (body, counts) == (HTML, {"transfer.chunked": 1, f"content.{name}": 1})


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("declared", ["", "br", "gzip", "zstd", "deflate", "identity", "utf-8", "gzip, br", "br, gzip"])
def test_a_wrong_or_missing_declaration_does_not_matter(coding: str, declared: str) -> None:
    """A packed body is unpacked whatever is declared."""
    page = HTML.replace(b"again", random.Random(1).randbytes(99).hex().encode())
    body, counts = decode(f"Content-Encoding: {declared}" if declared else "", packed(coding, page))
    assert body == page
    assert counts[f"content.{coding}"] == 1
    assert counts.get("content.undeclared", 0) == (coding != declared.split(", ")[-1])


@pytest.mark.parametrize(
    "declared", ["gzip\nContent-Encoding: gzip", "gzip, gzip", "x-gzip,gzip", "gzip\nX: y", "GZIP;q=1"]
)
def test_a_coding_declared_twice_is_undone_as_often_as_it_was_applied(declared: str) -> None:
    """A body packed once is unpacked once and one packed twice is unpacked twice, however often it is declared."""
    for times, body in ((1, gzip.compress(HTML)), (2, gzip.compress(gzip.compress(HTML)))):
        found, counts = decode(f"Content-Encoding: {declared}", body)
        assert (found, counts["content.gzip"]) == (HTML, times)


@pytest.mark.parametrize("declared", ["gzip", ""])
def test_members_are_unpacked_one_after_the_other(declared: str) -> None:
    """A body of several gzip members or zstd frames is whole."""
    parts = [HTML[start : start + 7] for start in range(0, len(HTML), 7)]
    for pack in (gzip.compress, zstandard.compress):
        body, counts = decode(f"Content-Encoding: {declared}", b"".join(map(pack, parts)))
        assert body == HTML
        assert not any(name.endswith("_cut") for name in counts)


@pytest.mark.parametrize("before", [b"\r\n", b"\n\n", b"\0", b"\0" * 40 + b"\r\n"])
@pytest.mark.parametrize("declared", ["gzip", "zstd", "br", ""])
def test_blank_lines_before_a_packed_body_do_not_matter(before: bytes, declared: str) -> None:
    """They are no part of it, nor of chunks."""
    for pack in (gzip.compress, zstandard.compress):
        assert decode(f"Content-Encoding: {declared}", before + pack(HTML))[0] == HTML
    assert decode("Transfer-Encoding: chunked", before + chunked(HTML))[0] == HTML
    body = before + b"a page"
    assert decode(f"Content-Encoding: {declared}\nTransfer-Encoding: chunked", body)[0] == body


def test_a_skippable_frame_may_come_first() -> None:
    """zstd lets any frame be one without data."""
    body = b"\x5f\x2a\x4d\x18\x02\0\0\0xx" + zstandard.compress(HTML)
    for declared in ("zstd", "gzip", ""):
        assert decode(f"Content-Encoding: {declared}", body)[0] == HTML


def test_what_follows_a_packed_body_is_ignored() -> None:
    """Padding and garbage after the last member do not make the body incomplete."""
    for rest in (b"\0" * 9, b"garbage" * 400, b"\r\n", b"\x1f"):
        for pack, name in ((gzip.compress, "gzip"), (zstandard.compress, "zstd")):
            assert decode(f"Content-Encoding: {name}", pack(HTML) + rest) == (HTML, {f"content.{name}": 1})
    for coding in ("deflate", "raw deflate", "br"):
        name = coding.split()[-1]
        assert decode(f"Content-Encoding: {name}", packed(coding, HTML) + b"garbage") == (
            HTML,
            {f"content.{name}_cut": 1},
        )


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "br", "zstd"])
def test_a_body_is_read_up_to_its_damage(coding: str) -> None:
    """What comes before a cut or damage is kept and counted as cut."""
    chance = random.Random(1)
    page = b"<html>" + b"".join(b"<p>%d</p>" % chance.randrange(10**9) for _ in range(60_000))
    name, body = coding.split()[-1], packed(coding, page)
    for damaged in (body[: len(body) * 3 // 4], body[: len(body) * 3 // 4] + b"\xff" * (len(body) // 4)):
        found, counts = decode(f"Content-Encoding: {name}", damaged, 1 << 28)
        assert found is not None
        assert len(page) * 0.4 < len(found)
        assert page.startswith(found[: len(page) // 3])
        assert counts == {f"content.{name}_cut": 1}
    assert decode("Content-Encoding: gzip", gzip.compress(HTML)[:-8] + b"\xff" * 8)[0] == HTML


def test_raw_deflate_that_begins_like_zlib() -> None:
    """A raw stream is undone even if its first bytes could be a zlib header: here, of a stored block."""
    raw = b"\x78\x01\x00\xfe\xff" + HTML[:1] + packed("raw deflate", HTML[1:])
    assert decode("Content-Encoding: deflate", raw) == (HTML, {"content.deflate": 1})


def test_data_that_unpacks_to_other_data_is_kept() -> None:
    """Without a declaration or a magic number, a body is unpacked only if that makes a text of it."""
    body = zlib.compress(bytes(range(256)))
    assert decode("", body) == (body, {})
    assert decode("", zlib.compress(b"A text."))[0] == b"A text."


def test_an_empty_packed_body_is_empty() -> None:
    """A coding of nothing is nothing, and not the bytes of the coding."""
    for pack, name in ((gzip.compress, "gzip"), (zstandard.compress, "zstd")):
        assert decode(f"Content-Encoding: {name}", pack(b"")) == (b"", {f"content.{name}": 1})


def test_a_body_that_is_not_chunked_as_declared() -> None:
    """A body stored without chunks is kept, even if it begins with hexadecimal digits."""
    for body in (
        HTML,
        b"Ada\nwas first.",
        b"0\nis a number",
        b"2\n\nab",
        b"1\r\nabc",
        b"ffffffffffffffff\r\nx",
        b"3;" + b"x" * 2000,
    ):
        assert decode("Transfer-Encoding: chunked", body) == (body, {"transfer.not_chunked_as_declared": 1})


def test_chunks_that_are_not_declared() -> None:
    """A body is in chunks without saying so only if it is from the first to the last byte."""
    assert decode("", chunked(HTML)) == (HTML, {"transfer.chunked": 1, "transfer.undeclared": 1})
    assert decode("", chunked(gzip.compress(HTML)))[0] == HTML
    assert decode("Content-Encoding: gzip", chunked(gzip.compress(HTML)))[0] == HTML
    for body in (
        chunked(HTML)[:-1],
        chunked(HTML)[:-5],
        chunked(HTML) + b"x",
        chunked(HTML).replace(b"\r", b""),
        b"a\r\nb\r\n",
    ):
        assert decode("", body) == (body, {})


def test_chunked_counts_once() -> None:
    """Chunks are joined once, however often they are declared: they are never applied twice."""
    twice = chunked(chunked(b"plain"))
    assert decode("Transfer-Encoding: chunked\nTransfer-Encoding: chunked", twice)[1]["transfer.chunked"] >= 1
    body, counts = decode("Transfer-Encoding: chunked, chunked", chunked(b"b\r\nis a letter"))
    assert (body, counts) == (b"b\r\nis a letter", {"transfer.chunked": 1})


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"3\nabc\n2\nde\n0\n\n", b"abcde"),
        (b"0003 \r\nabc\r\n0\r\nTrailer: x\r\n\r\n", b"abc"),
        (b"A\r\n0123456789\r\n", b"0123456789"),
        (b"5\r\nabc", b"abc"),
        (b"3\r\nabc\r\nrest", b"abcrest"),
        (b"3\r\nabcrest", b"abcrest"),
        (b"1\r\na\r\n7fffffffffffffff\r\nb", b"a7fffffffffffffff\r\nb"),
        (b"1\r\na\r\n" + b"9" * 5000, b"a" + b"9" * 5000),
        (b"0\r\n\r\n", b""),
    ],
)
def test_chunks(data: bytes, body: bytes) -> None:
    """Chunks are joined up to where the body is cut, and what is no chunk is kept."""
    assert unchunk(data) == (None if data == b"3\r\nabcrest" else body)


@settings(deadline=None, derandomize=True)
@given(st.binary(min_size=1, max_size=3000), st.integers(1, 99))
def test_chunking_round_trips(data: bytes, size: int) -> None:
    """The chunks of any data join to the data."""
    assert unchunk(chunked(data, size)) == unchunk(chunked(data, size), exact=True) == data


def test_too_many_codings_are_skipped_at_once() -> None:
    """A body in more codings than any server applies is skipped, declared or not."""
    body = HTML
    for number in range(1, 12):
        body = gzip.compress(body, 1)
        for headers in ("", "Content-Encoding: " + "gzip, " * number):
            found, counts = decode(headers, body)
            assert found == (HTML if number <= MAX_CODINGS else None)
            assert counts.get("skipped.too_many_encodings", 0) == (number > MAX_CODINGS)
    noise = random.Random(1).randbytes(2_000_000)
    assert decode("Content-Encoding: " + "deflate," * 2000, noise)[0] is None


def test_a_coding_that_fails_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Declaring a coding again does not make it be tried again on the same bytes."""
    tried = []
    monkeypatch.setattr("curation.archives.http.unpack", lambda body, name, limit: tried.append(name) or (b"", False))
    decode("Content-Encoding: deflate, deflate, deflate", b"plain text")
    assert tried == ["deflate"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_ends_at_the_limit(coding: str) -> None:
    """Unpacking stops at the limit, in a few times its memory, whether the coding is declared or not."""
    bomb = brotli.compress(bytes(1 << 28), quality=1) if coding == "br" else packed(coding, bytes(1 << 28))
    tracemalloc.start()
    assert decode(f"Content-Encoding: {coding}", bomb, 4 << 20) == (None, {"skipped.too_large": 1})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20
    if coding in ("gzip", "zstd"):
        assert decode("", bomb, 4 << 20) == (None, {"skipped.too_large": 1})


@pytest.mark.parametrize(
    ("headers", "make"),
    [
        ("Transfer-Encoding: chunked", lambda n: b"1\r\na\r\n" * n),
        ("Transfer-Encoding: chunked", lambda n: b"1" + b" " * n),
        ("Transfer-Encoding: chunked", lambda n: b"1\r\na\r\n1;" + b"x" * n),
        ("Content-Encoding: gzip", lambda n: gzip.compress(b"a") * (n // 64)),
        ("Content-Encoding: gzip", lambda n: gzip.compress(b"") * (n // 64) + b"\x1f\x8b\x08\xff"),
        ("Content-Encoding: zstd", lambda n: zstandard.compress(b"a") * (n // 64)),
        ("Content-Encoding: deflate", lambda n: random.Random(1).randbytes(n)),
        ("Content-Encoding: br", lambda n: random.Random(1).randbytes(n)),
        ("", lambda n: b"\xef\xbb\xbf" + b" " * n + b"<"),
    ],
)
def test_decoding_takes_linear_time(headers: str, make) -> None:  # type: ignore[no-untyped-def]
    """No body takes more than linear time: chunks of one byte, tiny members, noise."""
    decode("Transfer-Encoding: chunked", chunked(HTML))  # compiles the kernel
    assert_linear(lambda body: decode(headers, body, 32 << 20), make, 1 << 15, factor=64)
