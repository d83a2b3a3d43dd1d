"""Extract the page from an HTTP response: parse the headers and undo the codings that were really applied.

Archives disagree with their own headers: bodies are stored decoded under headers that say chunked or gzip, or packed
under headers that do not, lengths are wrong, streams are cut. A declared coding is tried, and so is the one by which a
body begins; a body that does not decode is kept as it is. Each case is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

from curation.archives.codings import MAGIC, unpack
from curation.archives.media_types import is_binary

MAX_HEADER_BYTES = 1 << 18
"""Header fields beyond this many bytes are not read; browsers refuse a response with more."""

MAX_VALUE = 1 << 12
"""Longest value of a field in characters, or of several fields of one name together; the rest is not read."""

MAX_RESPONSES = 32
"""Most responses in one record, all but the last being interim ones."""

MAX_CODINGS = 8
"""Most codings that are undone; a body in more is skipped. Real ones have one or two."""

MAX_DIGITS = 15
"""Most digits in a length; anything longer is not a length."""

NON_SPACE = re.compile(rb"\S")

_FIELDS = ("content-type", "content-encoding", "transfer-encoding", "content-length")

_FIELD = re.compile(
    rb"[\r\n](" + "|".join(_FIELDS).encode() + rb")[ \t]*+:((?:[^\r\n]++|(?:\r\n|\r|\n)(?=[ \t]))*+)", re.IGNORECASE
)
"""A header field that matters, with its folded lines. Lines end in CRLF, LF or CR."""

_STATUS_LINE = re.compile(
    rb"[\0\s]{0,1024}+(?:HTTP/[^\s]{0,16}+|ICY(?=[ \t]+\d))(?:[ \t]++(\d{3})(?!\d))?+([^\r\n]*+)", re.IGNORECASE
)
"""What precedes it are blank lines, or the NULs of a crawler; ICY is how radio servers say HTTP."""

_TUNNEL = re.compile(rb"[ \t]*connection established", re.IGNORECASE)
_NEXT_STATUS_LINE = re.compile(rb"\n(?=HTTP/\d)")
_PAGE_LINE = re.compile(rb"\n(?=<(?:!doctype|html)[\s>])", re.IGNORECASE)
_FOLD, _FOLDED = re.compile(r"\r?\n[ \t]+"), re.compile(rb"\n[ \t]")

_CODING = re.compile(r"[a-z0-9-]+")
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "br": "br", "zstd": "zstd", "chunked": "chunked"}
_WITHOUT_MAGIC = ("deflate", "br")

_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,256}<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
"""How an uncompressed page begins."""

_BLANK_LINES = re.compile(
    rb"[\r\n\0]{1,64}+(?=\x1f\x8b\x08|\x28\xb5\x2f\xfd|[0-9a-f]{1,15}[ \t]*+[;\r\n])", re.IGNORECASE
)
"""What some servers and crawlers write between the header and a packed or chunked body."""

_CHUNK_SIZE = re.compile(rb"[ \t]{0,16}[0-9a-f]{1,15}[ \t]*+[;\r\n]", re.IGNORECASE)
"""How a chunked body begins."""


class Response(NamedTuple):
    """A parsed HTTP response.

    Attributes:
        status: Status code, 0 if there is no status line.
        headers: Values of Content-Type, Content-Encoding, Transfer-Encoding and Content-Length by lower-cased name;
            several values of one are joined by ", ".
        body: A view of the record's buffer.
    """

    status: int
    headers: dict[str, str]
    body: memoryview


def parse_response(buffer: bytes, start: int, end: int) -> Response:
    """Parse the HTTP response in `buffer[start:end]`; without a status line all of it is body.

    Interim responses (1xx), and a proxy's reply to CONNECT, are passed over if another response follows.
    """
    status = 0
    headers: dict[str, str] = {}
    for _ in range(MAX_RESPONSES):
        line = _STATUS_LINE.match(buffer, start, end)
        if line is None:
            break
        status = int(line[1] or 0)
        is_interim = status // 100 == 1
        headers, start = _header(buffer, line, end, is_interim=is_interim)
        is_tunnel = status // 100 == 2 and (not headers or _TUNNEL.match(line[2]) is not None)
        if not (is_interim or is_tunnel):
            break
    return Response(status, headers, memoryview(buffer)[start:end])


def _header(buffer: bytes, line: re.Match[bytes], end: int, *, is_interim: bool) -> tuple[dict[str, str], int]:
    """The header fields after a status line, and the position of the body."""
    start = line.end()
    middle = _http_header_end(buffer, start, end)
    block = buffer[start : min(middle, start + MAX_HEADER_BYTES)]
    cut = _NEXT_STATUS_LINE.search(block) if is_interim else None
    if cut is None and b"\n<" in block:
        cut = _PAGE_LINE.search(block)
    if cut is not None:  # the blank line is missing
        middle, block = start + cut.end(), block[: cut.end()]
    headers: dict[str, str] = {}
    for name, value in _FIELD.findall(block):
        key, text = name.decode().lower(), _text(b" ".join(value.split()))
        headers[key] = (f"{headers[key]}, {text}" if key in headers else text)[:MAX_VALUE]
    return headers, middle


def _http_header_end(buffer: bytes, start: int, end: int) -> int:
    """Position after the blank line that ends a header, or `end`; the end of the status line shows what ends a line."""
    if buffer.startswith(b"\r", start) and not buffer.startswith(b"\r\n", start):
        blank = b"\n\r\r\n" if buffer.startswith(b"\r\r\n", start) else b"\r\r"
        middle = buffer.find(blank, start, end)
        return end if middle < 0 else middle + len(blank)
    middle = header_end(buffer, start, min(end, start + MAX_HEADER_BYTES))
    middle = header_end(buffer, start, end) if middle < 0 else middle
    return end if middle < 0 else middle


def response_length(content: bytes) -> int | None:
    """Length in bytes of an HTTP response by its own Content-Length.

    None if the header is missing or wrong: the body is shorter, or something other than whitespace follows it.
    """
    response = parse_response(content, 0, len(content))
    stated = response.headers.get("content-length", "").partition(",")[0]
    if not (response.status and stated.isascii() and stated.isdigit() and len(stated) <= MAX_DIGITS):
        return None
    length, rest = int(stated), response.body[int(stated) :]
    return None if len(response.body) < length or NON_SPACE.search(rest) else len(content) - len(rest)


def header_end(data: bytes, start: int, stop: int) -> int:
    """Position after the blank line that ends a header, or -1; lines end in CRLF or LF."""
    end = data.find(b"\n\r\n", start, stop)
    bare = data.find(b"\n\n", start, stop if end < 0 else end)
    return end + 3 if bare < 0 <= end else bare + 2 if bare >= 0 else -1


def parse_headers(block: bytes) -> dict[str, str]:
    """Parse headers: names are lower-cased, the first of several values wins, folded lines are joined.

    Fields beyond `MAX_HEADER_BYTES` are not read.

    >>> parse_headers(b"WARC-Type: response\\r\\nX: a\\r\\n b")
    {'warc-type': 'response', 'x': 'a b'}
    """
    text = _text(block[:MAX_HEADER_BYTES])
    headers: dict[str, str] = {}
    for line in (_FOLD.sub(" ", text) if _FOLDED.search(block) else text).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def decoded_body(response: Response, counts: Counter[str], max_bytes: int) -> bytes | memoryview | None:
    """The body without the codings that were applied to it, declared or not.

    Args:
        response: The response.
        counts: Updated with `content.<coding>` or `transfer.chunked` for each coding that is undone, and with what was
            declared wrongly or not at all.
        max_bytes: Largest body in bytes.

    Returns:
        The body, or None (counted as skipped) if it unpacks to more than `max_bytes` or has too many codings.
    """
    body: bytes | memoryview = response.body
    headers = response.headers
    if "content-encoding" not in headers and "transfer-encoding" not in headers and (not body or _PAGE.match(body)):
        return body
    declared = [*_codings(response, "content-encoding"), *_codings(response, "transfer-encoding")]
    if len(declared) > MAX_CODINGS:
        counts["skipped.too_many_encodings"] += 1
        return None
    failed: set[str] = set()
    undone = 0
    while body and undone <= MAX_CODINGS:
        name = declared.pop() if declared else ""
        found = None if name in failed else _undo_one(body, name, max_bytes)
        if found is None and not name:
            return body
        if found is None:
            failed.add(name)
            counts["transfer.not_chunked_as_declared" if name == "chunked" else "content.not_encoded_as_declared"] += 1
            continue
        coding, body, is_complete = found
        if len(body) > max_bytes:
            counts["skipped.too_large"] += 1
            return None
        undone += 1
        failed.clear()
        counts["transfer.chunked" if coding == "chunked" else f"content.{coding}{'' if is_complete else '_cut'}"] += 1
        if coding != name:
            counts["transfer.undeclared" if coding == "chunked" else "content.undeclared"] += 1
    if body:
        counts["skipped.too_many_encodings"] += 1
        return None
    return body


def _codings(response: Response, header: str) -> list[str]:
    """The known codings that a header declares, in the order in which they were applied; chunked counts once."""
    names = [_CODINGS[word] for word in _CODING.findall(response.headers.get(header, "").lower()) if word in _CODINGS]
    return [name for place, name in enumerate(names) if name != "chunked" or "chunked" not in names[place + 1 :]]


def _undo_one(body: bytes | memoryview, declared: str, limit: int) -> tuple[str, bytes, bool] | None:
    """Undo one coding.

    Args:
        body: The body, not empty.
        declared: The coding that is said to be next; "" if no more are.
        limit: Largest body in bytes.

    Returns:
        The coding that was found, the body without it (more than `limit` bytes if it is larger) and whether it was
        complete; None if the body is in no coding.
    """
    if (blank := _BLANK_LINES.match(body)) is not None:
        body = body[blank.end() :]
    if declared == "chunked" or (not declared and _CHUNK_SIZE.match(body)):
        joined = unchunk(body, exact=not declared)
        if joined is not None or declared:
            return None if joined is None else ("chunked", joined, True)
    if _PAGE.match(body):
        return None
    for coding, start in MAGIC.items():
        if start.match(body) is not None:
            data, is_complete = unpack(body, coding, limit)
            return (coding, data, is_complete) if data or is_complete else None
    # Without a magic number it must be what is declared, or unpack to something better than this.
    may_be_packed = is_binary(body)
    for coding in sorted(_WITHOUT_MAGIC, key=lambda name: name != declared):
        if coding == declared or may_be_packed:
            data, is_complete = unpack(body, coding, limit)
            sure = coding == declared and (is_complete or len(data) > limit or _PAGE.match(data) is not None)
            if data and (sure or (is_complete and not is_binary(data))):
                return coding, data, is_complete
    return None


def unchunk(data: bytes | memoryview, *, exact: bool = False) -> bytes | None:
    """Decode the body of a chunked transfer, up to where it is cut; None if it does not begin with a chunk.

    Args:
        data: The body.
        exact: Whether to return None as well for a body that is cut or has anything else that is not as it should be.

    >>> unchunk(b"3\\r\\nabc\\r\\n2;x=1\\r\\nde\\r\\n0\\r\\n\\r\\n")
    b'abcde'
    """
    if not _CHUNK_SIZE.match(data):
        return None
    import numpy as np

    from curation.archives.chunk_kernel import join_chunks

    joined = np.empty(len(data), np.uint8)
    size, is_exact = join_chunks(np.frombuffer(data, np.uint8), joined)
    return None if size < 0 or (exact and not is_exact) else joined[:size].tobytes()
