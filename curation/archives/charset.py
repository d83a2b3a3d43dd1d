"""Convert a page to UTF-8 by byte order mark, HTTP header, meta tag or detection, and report which one decided.

A declared charset is read as browsers read it (WHATWG labels: latin1 means windows-1252), except where that would lose
text. Valid UTF-8 is taken as UTF-8 whatever is declared, because text in another charset is hardly ever valid UTF-8; a
few characters in an East Asian charset may be, so for those the declaration wins. If the declared charset cannot decode
the bytes but another one can, the other is used. If none can, the part that decodes is kept and U+FFFD replaces the
rest. Bytes that already are UTF-8 are never copied.
"""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

import numpy as np
import pyarrow as pa

from curation.text.valid import valid_text

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

META_BYTES = 4096
"""How far into a page to look for a meta declaration; the standard says 1024, but real pages put it later."""

CONCLUSIVE_BYTES = 24
"""With at least this many non-ASCII bytes, valid UTF-8 outweighs an East Asian label: a two-byte character of GBK looks
like UTF-8 about once in seven, so twelve in a row do once in 10^10."""

BYTES_PER_ERROR = 50
"""One wrong byte in this many non-ASCII bytes is accepted before a declared charset is doubted."""

_META = re.compile(rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([a-zA-Z0-9_:.\-]+)""", re.IGNORECASE)
_XML = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([a-zA-Z0-9_:.\-]+)["']""")
_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([a-zA-Z0-9_:.\-]+)""", re.IGNORECASE)

_WIDER = {"gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs", "iso8859-11": "cp874"}
"""Python's codecs for WHATWG charsets that hold more characters than Python's codec of the same name."""

_EAST_ASIAN = ("gb18030", "cp932", "cp949", "big5hkscs", "euc_jp")

_ASCII = bytes(range(128))


def to_utf8(data: bytes | memoryview, content_type: str) -> tuple[bytes | memoryview, str]:
    """Convert a page to valid UTF-8 without a byte order mark.

    Args:
        data: The body of the response.
        content_type: The value of the HTTP Content-Type header, or "".

    Returns:
        The UTF-8 bytes, and how the charset was chosen: bom, http_header, meta, detected, utf8_despite_declaration,
        declaration_failed (a charset other than the declared one decoded it) or replaced (none decoded all of it).
    """
    head = bytes(data[:META_BYTES])
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return _replaced(data[len(bom) :], encoding), "bom"
    declared, source = _declared(head, content_type)
    valid = is_utf8(data)
    if valid and (declared is None or declared == "utf-8"):
        return data, source or "detected"
    data = bytes(data)
    if valid and not (declared == "iso2022_jp" and b"\x1b" in data):
        return _valid(data, str(declared), source)
    if declared is None:
        return _undeclared(data)
    if declared == "utf-8":
        return _broken_utf8(data, "declaration_failed")
    text = _strict(data, declared)
    if text is not None:
        return text, source
    replaced = data.decode(declared, "replace")
    guess = _detect(data)
    if guess is None or guess == declared or replaced.count("\ufffd") * BYTES_PER_ERROR <= _non_ascii(data):
        return _encode(replaced), "replaced"
    text = _strict(data, guess)
    return (_encode(replaced), "replaced") if text is None else (text, "declaration_failed")


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether the bytes are valid UTF-8 (without surrogates). Arrow's check is used, which decodes nothing."""
    ends = np.array([0, len(data)], dtype=np.int64)
    try:
        pa.LargeStringArray.from_buffers(1, pa.py_buffer(ends), pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _declared(head: bytes, content_type: str) -> tuple[str | None, str]:
    header = _HEADER.search(content_type)
    if header is not None and (encoding := _codec(header[1])) is not None:
        return encoding, "http_header"
    meta = _META.search(head) or _XML.search(head)
    if meta is not None and (encoding := _codec(meta[1].decode("ascii"))) is not None:
        # The declaration was found by reading ASCII, so the page is not in a 16-bit charset, whatever it declares.
        return ("utf-8" if encoding.startswith("utf-16") else encoding), "meta"
    return None, ""


def _valid(data: bytes, declared: str, source: str) -> tuple[bytes, str]:
    """Decode bytes that are valid UTF-8 but declared as another charset."""
    if data.isascii() and not declared.startswith("utf-16"):
        return data, source
    if declared in _EAST_ASIAN and _non_ascii(data) < CONCLUSIVE_BYTES:
        text = _strict(data, declared)
        if text is not None:
            return text, source
    return data, "utf8_despite_declaration"


def _undeclared(data: bytes) -> tuple[bytes, str]:
    return _broken_utf8(data, "detected")


def _broken_utf8(data: bytes, otherwise: str) -> tuple[bytes, str]:
    """Decode bytes that are not valid UTF-8, though most may be: a page cut inside a character, a stray byte."""
    text = data.decode("utf-8", "replace")
    errors = text.count("\ufffd") - data.count("\ufffd".encode())
    good = len(text) - len(data.translate(None, bytes(range(128, 256)))) - errors
    if good >= errors:
        return text.encode(), "replaced"
    guess = _detect(data) or "cp1252"
    decoded = None if guess == "utf-8" else _strict(data, guess)
    if decoded is not None:
        return decoded, otherwise
    return _encode(data.decode("cp1252" if guess == "utf-8" else guess, "replace")), "replaced"


def _strict(data: bytes, encoding: str) -> bytes | None:
    try:
        return data.decode(encoding).encode()
    except (UnicodeDecodeError, UnicodeEncodeError):
        return None


def _replaced(data: bytes | memoryview, encoding: str) -> bytes | memoryview:
    if encoding == "utf-8" and is_utf8(data):
        return data
    return _encode(bytes(data).decode(encoding, "replace"))


def _encode(text: str) -> bytes:
    """Encode as UTF-8, with U+FFFD for a lone surrogate."""
    return valid_text(text).encode()


def _non_ascii(data: bytes) -> int:
    return len(data.translate(None, _ASCII))


def _detect(data: bytes) -> str | None:
    from resiliparse.parse.encoding import detect_encoding

    return _codec(detect_encoding(data) or "")


@lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Python's codec for a charset label as browsers read it, or None for an unknown label."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    name = "mac-cyrillic" if label.lower() == "x-mac-cyrillic" else map_encoding_to_html5(label, fallback_utf8=False)
    try:
        codec = codecs.lookup(name).name if name else None
    except LookupError:
        return None
    return _WIDER.get(codec, codec) if codec else None
