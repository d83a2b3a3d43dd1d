"""How records begin: the first line of a WARC record and the header line of an ARC record.

All expressions take time in proportion to what they scan: repeats are possessive and bounded, and an ARC line, whose
URL may contain spaces, is split into fields instead of matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINE = 1 << 14
"""Longest header line of an ARC record in bytes, and how far ahead a record's first lines are looked at."""

MAX_DIGITS = 15
"""Most digits in a length; anything longer is not a length."""

WARC_LINE = re.compile(rb"WARC/\d{1,3}+\.\d{1,3}+[ \t]{0,64}+\r?\n")

WARC_START = re.compile(WARC_LINE.pattern + rb"[A-Za-z-]{2,64}+[ \t]{0,64}+:")
"""The first line of a record and the name of its first field."""

MAX_START = 1 << 8
"""More than the longest match of `WARC_START`, in bytes."""

ARC_START = rb"[A-Za-z][A-Za-z0-9+.-]{0,40}+:[^\r\n]{0,16000}+\r?\n"
"""A line that begins like a URL; `arc_line` decides whether it is the header of an ARC record."""

# A line end is a part of what is searched for: it is found ten times faster than looked back at.
_ARC_LINE = re.compile(ARC_START)
_ARC_INNER = re.compile(
    rb"\n(?=" + ARC_START + rb")|(?P<fields> \d{1,3}+(?:\.\d{1,3}+){3} \d{14} [^\s]{1,100}+ \d{1,15}+\r?\n)"
)
"""The line end before an ARC record, or what follows the URL in most of their header lines."""
_URL_START = re.compile(rb"(?<![/=?&])(?:https?://|ftp://|dns:)", re.IGNORECASE)
"""Where a URL begins that is no part of another one."""
_MAX_URL = 1 << 11
_ARC_DATE = re.compile(rb"\d{12,20}")

DAMAGED_START = re.compile(
    rb"(?:[^\r\n]{1,512}+\r?\n){0,3}?WARC-(?:Type|Record-ID|Date|Target-URI|Filename|Warcinfo-ID|Concurrent-To"
    rb"|Payload-Digest|Block-Digest)[ \t]{0,64}+:",
    re.IGNORECASE,
)
"""A WARC header whose first line is damaged or missing: a field of it, after up to three other lines."""

_DAMAGED_INNER = re.compile(rb"\n\r?\n(?=" + DAMAGED_START.pattern + rb")", re.IGNORECASE)
_TYPE_FIELD = re.compile(rb"\nWARC-Type[ \t]{0,64}+:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArcLine:
    """The header line of an ARC record.

    Attributes:
        url: URL; may contain spaces.
        date: Digits of the date, 12 to 20.
        content_type: Media type without parameters, or what is in its place.
        length: Length of the content in bytes; None if it is no number.
        size: Length of the line in bytes, with its end.
    """

    url: bytes
    date: bytes
    content_type: bytes
    length: int | None
    size: int


def arc_line(data: bytes, start: int = 0) -> ArcLine | None:
    """The header line of an ARC record at a position, or None.

    Fields: URL, IP address, date, content type, more in version 2, and the length last.
    """
    line = _ARC_LINE.match(data, start)
    fields = line[0].rstrip(b"\r\n ").split(b" ") if line is not None else []
    if line is None or len(fields) < 4:
        return None
    for place in range(len(fields) - 2, 1, -1):
        if fields[place - 1] and _ARC_DATE.fullmatch(fields[place]):
            url = b" ".join(fields[: place - 1])
            content_type = fields[place + 1] if place + 2 < len(fields) else b""
            is_length = fields[-1].isdigit() and len(fields[-1]) <= MAX_DIGITS
            return ArcLine(url, fields[place], content_type, int(fields[-1]) if is_length else None, len(line[0]))
    return None


def begins_record(data: bytes, start: int = 0) -> bool:
    """Whether the first line of a WARC or ARC record is at a position."""
    return WARC_LINE.match(data, start) is not None or arc_line(data, start) is not None


def find_start(data: bytes, start: int, stop: int, *, arc: bool) -> int | None:
    """Position in [start, stop) of the first record; None if there is none.

    Args:
        data: Unpacked bytes.
        start: Where to begin.
        stop: Where to end; the first line itself may extend beyond.
        arc: Search for ARC records instead of WARC records. Both may begin within a line, as what is before them may
            break off there.
    """
    if not arc:
        match = WARC_START.search(data, start, stop + MAX_START)
        return match.start() if match is not None and match.start() < stop else None
    for match in _ARC_INNER.finditer(data, max(0, start - 1), stop + MAX_LINE):
        line = match.start() + 1
        if match["fields"]:
            place = _start_in_line(data, start, match.start())
        else:
            place = None if arc_line(data, line) is None else line
        if place is not None or line >= stop:
            return place if place is not None and place < stop else None
    return None


def _start_in_line(data: bytes, start: int, end: int) -> int | None:
    """Where the URL begins that ends before `end`, behind a record that breaks off within a line; None without one."""
    words = data[max(start, end - _MAX_URL) : end].split()
    urls = [url.start() for url in _URL_START.finditer(words[-1])] if words else []
    return end - len(words[-1]) + urls[-1] if urls else None


def find_damaged_start(data: bytes, start: int, stop: int) -> int | None:
    """Position in [start, stop) of the first WARC header with a damaged first line, after a blank line."""
    match = _DAMAGED_INNER.search(data, max(0, start - 1), stop)
    return None if match is None else match.end()


def count_types(data: bytes, start: int, stop: int) -> int:
    """Number of lines that begin in [start, stop) and state the type of a WARC record."""
    matches = _TYPE_FIELD.finditer(data, max(0, start - 1), stop + 32)
    return sum(match.start() + 1 < stop for match in matches)
