"""Extract the page from an HTTP response: parse the headers and undo the encodings that were really applied.

Archives disagree with their own headers: bodies are stored decoded under headers that say chunked or gzip, lengths are
wrong, streams are cut. A declared encoding is tried; a body that does not decode is kept as it is, and each case is
counted.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass

_FOLD = re.compile(r"\r?\n[ \t]+")

_ENCODINGS = ("gzip", "x-gzip", "deflate", "br", "zstd")
NON_SPACE = re.compile(rb"\S")
_CHUNK_BYTES = 1 << 20
_WITH_MAGIC = ("gzip", "x-gzip", "zstd")

_PAGE = re.compile(rb"\s{0,256}<(?:!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
"""How an uncompressed page begins."""


@dataclass(frozen=True, slots=True)
class Response:
    """A parsed HTTP response.

    Attributes:
        status: Status code, 0 if there is no status line.
        headers: Header values by lower-cased name.
        body: A view of the record's buffer.
    """

    status: int
    headers: dict[str, str]
    body: memoryview


def parse_response(buffer: bytes, start: int, end: int) -> Response:
    """Parse the HTTP response in `buffer[start:end]`; without a status line all of it is body."""
    if not buffer.startswith(b"HTTP/", start, end):
        return Response(0, {}, memoryview(buffer)[start:end])
    middle = header_end(buffer, start, end)
    block = buffer[start : end if middle < 0 else middle]
    body = memoryview(buffer)[end if middle < 0 else middle : end]
    first, _, rest = block.partition(b"\n")
    parts = first.split(None, 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1][:3].isdigit() and len(parts[1]) == 3 else 0
    return Response(status, parse_headers(rest), body)


def response_length(content: bytes) -> int | None:
    """Length in bytes of an HTTP response by its own Content-Length.

    None if the header is missing or wrong: the body is shorter, or something other than whitespace follows it.
    """
    response = parse_response(content, 0, len(content))
    stated = response.headers.get("content-length", "")
    if not (response.status and stated.isascii() and stated.isdigit()):
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

    >>> parse_headers(b"WARC-Type: response\\r\\nX: a\\r\\n b")
    {'warc-type': 'response', 'x': 'a b'}
    """
    try:
        text = block.decode()
    except UnicodeDecodeError:
        text = block.decode("latin-1")
    headers: dict[str, str] = {}
    for line in (_FOLD.sub(" ", text) if "\n " in text or "\n\t" in text else text).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers


def decoded_body(response: Response, counts: Counter[str], max_bytes: int) -> bytes | memoryview | None:
    """The decoded body, or None (counted as skipped) if it unpacks to more than `max_bytes`."""
    body: bytes | memoryview = response.body
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        dechunked = unchunk(bytes(body))
        counts["transfer.chunked" if dechunked is not None else "transfer.not_chunked_as_declared"] += 1
        body = body if dechunked is None else dechunked
    names = [name.strip() for name in response.headers.get("content-encoding", "").lower().split(",")]
    for name in reversed([name for name in names if name in _ENCODINGS]):
        unpacked, complete = (b"", False) if _PAGE.match(body) else _unpack(bytes(body), name, max_bytes)
        if len(unpacked) > max_bytes:
            counts["skipped.too_large"] += 1
            return None
        # Formats without a magic number can unpack a few bytes from any data.
        if unpacked and (complete or name in _WITH_MAGIC or _PAGE.match(unpacked)):
            counts[f"content.{name}" if complete else f"content.{name}_cut"] += 1
            body = unpacked
        elif body:
            counts["content.not_encoded_as_declared"] += 1
    return body


def unchunk(data: bytes) -> bytes | None:
    """Decode the body of a chunked transfer, up to where it is cut; None if it does not begin with a chunk.

    >>> unchunk(b"3\\r\\nabc\\r\\n2;x=1\\r\\nde\\r\\n0\\r\\n\\r\\n")
    b'abcde'
    """
    parts: list[bytes] = []
    position = 0
    while position < len(data):
        end = data.find(b"\n", position, position + 1024)
        size = _chunk_size(data[position:end]) if end >= 0 else None
        if size is None:
            if not parts:
                return None
            parts.append(data[position:])
            break
        if size == 0:
            break
        parts.append(data[end + 1 : end + 1 + size])
        position = end + 1 + size
        if data.startswith(b"\r\n", position):
            position += 2
        elif data.startswith(b"\n", position):
            position += 1
    return b"".join(parts)


def _chunk_size(line: bytes) -> int | None:
    digits = line.partition(b";")[0].strip()
    if not digits or len(digits) > 15 or digits.strip(b"0123456789abcdefABCDEF"):
        return None
    return int(digits, 16)


def _unpack(data: bytes, name: str, limit: int) -> tuple[bytes, bool]:
    """Unpack as much as possible, at most `limit` + 1 bytes.

    Returns:
        The unpacked bytes, empty if nothing can be unpacked, and whether the stream was complete.
    """
    if name == "br":
        return _unbrotli(data, limit)
    if name == "zstd":
        return _unzstd(data, limit)
    for bits in (31,) if "gzip" in name else (15, -15):
        engine = zlib.decompressobj(bits)
        try:
            unpacked = engine.decompress(data, limit + 1)
        except zlib.error:
            unpacked = _inflate_stepwise(data, bits, limit)
        if unpacked:
            return unpacked, engine.eof
    return b"", False


def _inflate_stepwise(data: bytes, bits: int, limit: int) -> bytes:
    """Unpack the bytes before the damage."""
    engine = zlib.decompressobj(bits)
    parts: list[bytes] = []
    for start in range(0, len(data), 512):
        try:
            parts.append(engine.decompress(data[start : start + 512], limit + 1))
        except zlib.error:
            break
    return b"".join(parts)[: limit + 1]


def _unbrotli(data: bytes, limit: int) -> tuple[bytes, bool]:
    import brotli

    engine = brotli.Decompressor()
    parts: list[bytes] = []
    size = 0
    try:
        while size <= limit and not engine.is_finished():
            part = engine.process(data, output_buffer_limit=_CHUNK_BYTES)
            if not part:
                break
            parts.append(part)
            size += len(part)
            data = b""
    except brotli.error:
        return b"".join(parts), False
    return b"".join(parts), bool(engine.is_finished())


def _unzstd(data: bytes, limit: int) -> tuple[bytes, bool]:
    import zstandard

    reader = zstandard.ZstdDecompressor().stream_reader(data)
    parts: list[bytes] = []
    try:
        while size := len(part := reader.read(_CHUNK_BYTES)):
            parts.append(part)
            limit -= size
            if limit < 0:
                break
    except zstandard.ZstdError:
        return b"".join(parts), False
    return b"".join(parts), True
