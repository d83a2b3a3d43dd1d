"""The headers of WARC and ARC records."""

from __future__ import annotations

import re
from typing import NamedTuple

from curation.archives.http import parse_headers
from curation.archives.start_lines import MAX_DIGITS, ArcLine

MAX_HEADER = 1 << 16
"""Longest record header in bytes; anything longer is not a header."""

USUAL_HEADER = 1 << 12
"""Bytes in which most headers end. One that does not is given up if another record begins in them."""

KINDS = frozenset(("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"))
"""Record types of WARC 1.1; any other is counted as unknown."""

_NOT_A_FIELD = re.compile(rb"\n(?![a-z-]{2,64}+[ \t]{0,64}+:)")


class Header(NamedTuple):
    """The header of a record.

    Attributes:
        kind: WARC type, or unknown.
        headers: As in `Record`; empty if the kind is not wanted.
        length: Stated length of the content in bytes.
        size: Length of the header in bytes.
        is_arc: Whether it is the line of an ARC record.
    """

    kind: str
    headers: dict[str, str]
    length: int
    size: int
    is_arc: bool = False


def read_warc_header(data: bytes, start: int, fields: int, end: int, wanted: frozenset[str]) -> Header | None:
    """The header of a WARC record, or None if it is damaged.

    Args:
        data: Unpacked bytes.
        start: Where the header begins.
        fields: Where its fields begin, after the first line.
        end: Where the content begins.
        wanted: Kinds of records whose fields are read.
    """
    lowered = data[fields - 1 : end].lower()
    length = _field(lowered, b"content-length")
    if not length.isdigit() or len(length) > MAX_DIGITS or _NOT_A_FIELD.match(lowered) or b"\nwarc/" in lowered:
        return None
    kind = _field(lowered, b"warc-type").decode("latin-1")
    if not kind:
        return None
    headers = parse_headers(data[fields:end]) if kind in wanted else {}
    return Header(kind if kind in KINDS else "unknown", headers, int(length), end - start)


def read_arc_header(line: ArcLine) -> Header | None:
    """The header of an ARC record, or None if its length is no number."""
    if line.length is None:
        return None
    url = line.url.decode("utf-8", "replace")
    kind = "filedesc" if url.startswith("filedesc:") else "response"
    content_type = line.content_type.decode("latin-1")
    headers = {"warc-target-uri": url, "warc-date": _iso(line.date.decode()), "content-type": content_type}
    return Header(kind, headers, line.length, line.size, is_arc=True)


def _field(lowered: bytes, name: bytes) -> bytes:
    """The first value of a field in a lower-cased header that begins with a newline; empty if there is none."""
    start = lowered.find(b"\n" + name + b":")
    end = lowered.find(b"\n", start + 1)
    if start < 0 or lowered[end + 1 : end + 2] in (b" ", b"\t"):
        return parse_headers(lowered).get(name.decode(), "").encode()
    return lowered[start + len(name) + 2 : end].strip()


def _iso(date: str) -> str:
    """20140401000000 → 2014-04-01T00:00:00Z; shorter dates are padded with zeros, longer ones are cut."""
    d = date.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
