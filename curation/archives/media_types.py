"""What a page is by its media type: the type that is declared if it is valid (WHATWG mimesniff), else the bytes."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

GROUPS: dict[str, str] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/plain": "text",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "application/pdf": "pdf",
    "application/x-pdf": "pdf",
    "application/rss+xml": "feed",
    "application/atom+xml": "feed",
    "application/rdf+xml": "feed",
    "application/feed+json": "feed",
    "application/json": "json",
    "text/json": "json",
    "application/xml": "xml",
    "text/xml": "xml",
    "text/css": "css",
    "text/javascript": "javascript",
    "application/javascript": "javascript",
    "application/x-javascript": "javascript",
    "application/ecmascript": "javascript",
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "text/calendar": "calendar",
    "text/rtf": "office",
    "application/rtf": "office",
    "application/msword": "office",
    "application/postscript": "office",
    "application/epub+zip": "office",
    "application/zip": "archive",
    "application/x-zip-compressed": "archive",
    "application/gzip": "archive",
    "application/x-gzip": "archive",
    "application/x-tar": "archive",
    "application/x-bzip2": "archive",
    "application/x-7z-compressed": "archive",
    "application/vnd.rar": "archive",
    "application/x-rar-compressed": "archive",
    "application/java-archive": "archive",
    "application/vnd.android.package-archive": "archive",
    "application/ogg": "audio",
    "application/x-shockwave-flash": "video",
    "application/vnd.apple.mpegurl": "video",
}
"""Media type → group. Groups are what reading counts, so that a million types are not a million counters."""

_FAMILIES = (
    ("image/", "image"),
    ("audio/", "audio"),
    ("video/", "video"),
    ("font/", "font"),
    ("application/font", "font"),
    ("application/x-font", "font"),
    ("application/vnd.ms-", "office"),
    ("application/vnd.openxmlformats-", "office"),
    ("application/vnd.oasis.opendocument", "office"),
)
"""Beginning of a media type → group."""

_SUFFIXES = (("+json", "json"), ("+xml", "xml"))

OTHER = "other"

TEXTS = ("text", "markdown")
"""Groups whose content is the text of a page already."""

HTTP_TYPES = frozenset({"application/http", "message/http"})

_UNINFORMATIVE = HTTP_TYPES | {
    "*/*", "unknown/unknown", "application/unknown", "application/octet-stream", "binary/octet-stream",
}  # fmt: skip
"""Types that say nothing (WHATWG mimesniff, section 5), or nothing about the page: of bytes in general, of HTTP."""

_PART = re.compile(r'(?:[^,"]++|"(?:[^"\\]|\\.)*+"?+)++', re.DOTALL)
"""One of several values of a header; a comma in quotes does not end it."""

_TYPE = re.compile(r"[ \t\r\n]*+([!#$%&'*+.^_`|~0-9A-Za-z-]++/[!#$%&'*+.^_`|~0-9A-Za-z-]++)[ \t\r\n]*+(?:;|$)")
"""A valid media type, up to its parameters (WHATWG mimesniff, section 4.4)."""

SNIFFED = 1 << 16
"""Bytes of a body that are examined."""

_SPACE = re.compile(rb"\s*+")

_TAG = re.compile(
    rb"<(?:!doctype\s{1,99}html|html|head|body|title|script|style|div|table|p|a|b|br|h[1-6]|meta|link|iframe|font"
    rb"|article|big|blockquote|button|center|dl|em|form|frameset|header|hr|i|img|li|main|nav|noscript|ol|pre|section"
    rb"|small|span|strong|u|ul)[\s>/]",
    re.IGNORECASE,
)
"""How an HTML page begins, after the WHATWG's rules (mimesniff, section 7.1) and with more elements."""

_SIGNATURES = (
    (b"%PDF-", "pdf"), (b"%!PS-Adobe-", "office"), (b"{\\rtf", "office"), (b"\xd0\xcf\x11\xe0", "office"),
    (b"\x89PNG", "image"), (b"GIF8", "image"), (b"\xff\xd8\xff", "image"), (b"\0\0\1\0", "image"),
    (b"OggS\0", "audio"), (b"ID3", "audio"), (b"fLaC", "audio"), (b"\x1aE\xdf\xa3", "video"),
    (b"wOFF", "font"), (b"wOF2", "font"), (b"OTTO", "font"), (b"\0\1\0\0", "font"),
    (b"PK\3\4", "archive"), (b"\x1f\x8b\x08", "archive"), (b"Rar!\x1a\x07", "archive"), (b"7z\xbc\xaf", "archive"),
)  # fmt: skip
"""First bytes → group."""

_ANY_SIGNATURE = tuple(start for start, _ in _SIGNATURES)

_ELEMENT = re.compile(rb"<(rss|feed|rdf:RDF|svg|\?xml)[\s>]")
_JSON = re.compile(rb'\{\s*+["}]|\[\s*+[\[{"\]0-9]')

_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_CONTROLS = re.compile(rb"[\x01-\x08\x0b\x10-\x1a\x1c-\x1f]")
_TEXT_BYTES = 1445
"""Bytes of a text that are examined for others that no text has (WHATWG mimesniff, sections 3 and 5.2)."""


@lru_cache(maxsize=256)
def media_type(value: str) -> tuple[str, str]:
    """The media type in a Content-Type header, as the standard extracts it (WHATWG fetch, section 2.2.2).

    Args:
        value: The header's values, joined by commas. The last valid one wins.

    Returns:
        The type without parameters, lower-cased, "" if no value is valid; and the value that holds its charset (an
        earlier one of the same type if the last one has none; everything if no value is valid).

    >>> media_type("text/html; charset=utf-8, Text/HTML")
    ('text/html', 'text/html; charset=utf-8')
    >>> media_type("text/html charset=utf-8")
    ('', 'text/html charset=utf-8')
    """
    essence, chosen = "", value
    for part in _PART.findall(value) if "," in value else [value]:
        match = _TYPE.match(part)
        if match is None or match[1] == "*/*":
            continue
        if match[1].lower() != essence or "charset" in part.lower():
            chosen = part.strip()
        essence = match[1].lower()
    return essence, chosen


@lru_cache(maxsize=256)
def group_of(essence: str) -> str | None:
    """The group of a media type; OTHER for an unknown one, None for one that says nothing about the content."""
    if not essence or essence in _UNINFORMATIVE:
        return None
    known = GROUPS.get(essence)
    starts = (group for start, group in _FAMILIES if essence.startswith(start))
    ends = (group for end, group in _SUFFIXES if essence.endswith(end))
    return known or next(starts, None) or next(ends, OTHER)


def sniff(body: bytes | memoryview) -> str:
    """The group of a body without a type, by its first bytes; "binary" for unknown data that is not text."""
    if begins_html(body):
        return "html"
    head = _head(body)
    if (group := signature_group(head)) is not None:
        return group
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    element = _ELEMENT.match(text)
    if element is not None:
        start = text[:1024]
        is_feed = b"<rss" in start or b"<feed" in start or b"<rdf:RDF" in start
        return "feed" if is_feed else "image" if b"<svg" in start else "xml"
    if _JSON.match(text):
        return "json"
    return "binary" if is_binary(head) else "text"


def signature_group(head: bytes) -> str | None:
    """The group of a file by its first bytes, None if it is of no known format."""
    if not head.startswith(_ANY_SIGNATURE):
        return None
    return next(group for start, group in _SIGNATURES if head.startswith(start))


def begins_html(body: bytes | memoryview) -> bool:
    """Whether bytes begin with an HTML tag, after blanks, comments and processing instructions.

    >>> begins_html(b"<?xml version='1.0'?> <!-- made by hand --> <!DOCTYPE html>")
    True
    """
    head = _head(body)
    at = 3 if head.startswith(codecs.BOM_UTF8) else 0
    while True:
        at = _SPACE.match(head, at).end()  # type: ignore[union-attr]
        mark = b"-->" if head.startswith(b"<!--", at) else b">" if head.startswith(b"<?", at) else None
        if mark is None:
            return _TAG.match(head, at) is not None
        end = head.find(mark, at + 2)
        if end < 0:
            return False
        at = end + len(mark)


def _head(body: bytes | memoryview) -> bytes:
    """The first bytes; UTF-16 with a byte order mark as UTF-8."""
    head = bytes(body[:SNIFFED])
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return head.decode("utf-16", "replace").encode("utf-8", "replace")
    return head


def is_noise(data: bytes | memoryview) -> bool:
    """Whether data is packed, encrypted or the like: far more of its bytes are control characters than of any page.

    NULs are not counted, which UTF-16 consists of, nor SO and SI, with which ISO-2022-KR switches.
    """
    head = data[:_TEXT_BYTES]
    return len(_CONTROLS.findall(head)) > max(len(head) / 32, 3)


def is_binary(data: bytes | memoryview) -> bool:
    """Whether data has bytes that no text in UTF-8 or a single-byte charset has."""
    return _BINARY.search(data[:_TEXT_BYTES]) is not None
