"""From the bytes of a page to text: byte order mark, HTTP header, meta, then detection, with the choice told.

The declared charset is honoured in the sense of browsers (WHATWG labels: latin1 means windows-1252), with two
exceptions that lose nothing: bytes that are valid UTF-8 under a single-byte label are UTF-8, since text in any other
charset is practically never valid UTF-8; and where the declared charset cannot decode the bytes but another one can,
that one is used.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

META_BYTES = 4096
"""How far into a page a meta declaration is looked for; the standard says 1024, real pages put it later."""

_META = re.compile(rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.\-]+)""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([a-zA-Z0-9_:.\-]+)["']""")
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([a-zA-Z0-9_:.\-]+)""", re.IGNORECASE)


def decode(data: bytes, content_type: str) -> tuple[str, str]:
    """The text of a page and how its charset was found.

    content_type: the HTTP header's value, or "". The second value is one of bom, http_header, meta, detected,
    utf8_despite_declaration, declaration_failed (another charset decoded it), replaced (none did whole: what cannot be
    decoded is U+FFFD).
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _clean(data[len(mark) :].decode(encoding, "replace")), "bom"
    declared, source = _declared(data, content_type)
    if declared is None:
        return _undeclared(data)
    text = _strict(data, declared)
    if text is None:
        return _after_failure(data, declared)
    if _is_single_byte(declared) and not data.isascii():
        better = _strict(data, "utf-8")
        if better is not None:
            return better, "utf8_despite_declaration"
    return _clean(text), source


def _declared(data: bytes, content_type: str) -> tuple[str | None, str]:
    header = _HEADER.search(content_type)
    if header is not None and (encoding := _codec(header[1])) is not None:
        return encoding, "http_header"
    head = data[:META_BYTES]
    meta = _META.search(head) or _XML.search(head)
    if meta is not None and (encoding := _codec(meta[1].decode("ascii"))) is not None:
        # A page that can be read far enough to find the declaration is in no 16-bit charset, whatever it says.
        return ("utf-8" if encoding.startswith("utf-16") else encoding), "meta"
    return None, ""


def _undeclared(data: bytes) -> tuple[str, str]:
    text = _strict(data, "utf-8")
    if text is not None:
        return text, "detected"
    guess = _detect(data)
    text = _strict(data, guess) if guess else None
    return (_clean(text), "detected") if text is not None else (_replaced(data, guess or "utf-8"), "replaced")


def _after_failure(data: bytes, declared: str) -> tuple[str, str]:
    for encoding in ("utf-8", _detect(data)):
        text = _strict(data, encoding) if encoding and encoding != declared else None
        if text is not None:
            return _clean(text), "declaration_failed"
    return _replaced(data, declared), "replaced"


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None


def _replaced(data: bytes, encoding: str) -> str:
    return _clean(data.decode(encoding, "replace"))


def _detect(data: bytes) -> str | None:
    from resiliparse.parse.encoding import detect_encoding

    return _codec(detect_encoding(data) or "")


@lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Python's codec for a charset label as browsers read it, or None for one that they do not know."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    try:
        name = map_encoding_to_html5(label, fallback_utf8=False)
        return codecs.lookup(name).name if name else None
    except (LookupError, TypeError, ValueError):
        return None


def _is_single_byte(encoding: str) -> bool:
    return encoding.startswith(("cp125", "iso8859", "latin", "koi8", "cp866", "mac", "cp874", "ascii"))


def _clean(text: str) -> str:
    """Text that UTF-8 can hold: a lone surrogate becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
