"""Convert a page to UTF-8 by byte order mark, HTTP header, meta tag or detection, and report which one decided.

The first of these rules that applies decides:

1. A byte order mark, also one of UTF-32. Without one, UTF-16 is recognized by its NULs, whatever is declared.
2. Valid UTF-8 is UTF-8, because text in another charset is hardly ever valid UTF-8. Two kinds of declarations outweigh
   that: an East Asian one for a few characters, which may be valid by chance, and one of a charset that consists of
   ASCII bytes (ISO-2022-JP), which is also detected.
3. Bytes that are mostly valid UTF-8 are UTF-8, with U+FFFD for the rest: half of the characters outside ASCII, or nine
   of ten if only another charset is declared. So is a page declared as UTF-8 with a single wrong byte.
4. A declared charset that decodes the bytes, but for one error in fifty bytes outside ASCII; a byte that is a control
   character there, as many are in the wrong single-byte charset, counts as an error. If header and `<meta>` declare
   different charsets that both do, detection judges: the declared charset whose text is most like the detected one's,
   or the header's if both are.
5. Detection (`detection`), unless it fails too.

Declarations are read as browsers read them (WHATWG labels: latin1 means windows-1252), and so are the bytes
(`decoding`). If nothing decodes all bytes, U+FFFD replaces the rest. Bytes that already are UTF-8 are never copied.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter

import numpy as np
import pyarrow as pa

from curation.archives.declaration import header_charset, meta_charset
from curation.archives.decoding import EAST_ASIAN, SEVEN_BIT, UTF_16, decode
from curation.archives.detection import detect, detect_seven_bit, detect_utf_16, sample

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_BOM_BYTES = frozenset(bom[:1] for bom, _ in _BOMS)

META_BYTES = 4096
"""How far into a page to look for a meta declaration; the standard says 1024, but real pages put it later."""

LATE_META_BYTES = 1 << 20
"""How far to look in a page that is not UTF-8 and declares nothing before."""

CONCLUSIVE_BYTES = 24
"""With at least this many non-ASCII bytes, valid UTF-8 outweighs an East Asian label: a two-byte character of GBK looks
like UTF-8 about once in seven, so twelve in a row do once in 10^10."""

BYTES_PER_ERROR = 50
"""One wrong byte in this many non-ASCII bytes is accepted before a declared charset is doubted."""

UTF_8_PER_ERROR = 10
"""With this many valid characters for each wrong byte, a page is UTF-8 although it declares another charset."""


_CONTROLS = re.compile("[\x80-\x9f]")
"""Characters that browsers have for bytes that a single-byte charset does not use."""


def to_utf8(data: bytes | memoryview, content_type: str, *, is_html: bool = True) -> tuple[bytes | memoryview, str]:
    """Convert a page to valid UTF-8 without a byte order mark.

    Args:
        data: The body of the response.
        content_type: The value of the HTTP Content-Type header, or "".
        is_html: Whether a `<meta>` declares something; in plain text it is text.

    Returns:
        The UTF-8 bytes, and how the charset was chosen: bom, http_header, meta, detected, utf8_despite_declaration,
        declaration_failed (a charset other than the declared one decoded it) or replaced (none decoded all of it).
    """
    head = bytes(data[:META_BYTES])
    for bom, marked in _BOMS if head[:1] in _BOM_BYTES else ():
        if head.startswith(bom) and (marked != "utf-32-le" or len(data) % 4 == 0):
            return _after_bom(data[len(bom) :], marked), "bom"
    header = header_charset(content_type)
    if (b"\0" in head or header in UTF_16) and (codec := detect_utf_16(data, header)) is not None:
        otherwise = "declaration_failed" if header else "detected"
        return _decoded(bytes(data), codec, "http_header" if header in UTF_16 else otherwise)
    declared, source = (header, "http_header") if header else (meta_charset(head) if is_html else None, "meta")
    if is_utf8(data):
        return _valid(data, head, declared, source)
    data = bytes(data)
    choices = {header: "http_header"} if header and header not in UTF_16 else {}
    if is_html and (meta := meta_charset(data[:LATE_META_BYTES])):
        choices.setdefault(meta, "meta")
    return _not_utf8(data, choices)


def is_utf8(data: bytes | memoryview) -> bool:
    """Whether the bytes are valid UTF-8 (without surrogates). Arrow's check is used, which decodes nothing."""
    ends = np.array([0, len(data)], dtype=np.int64)
    try:
        pa.LargeStringArray.from_buffers(1, pa.py_buffer(ends), pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _after_bom(data: bytes | memoryview, codec: str) -> bytes | memoryview:
    return data if codec == "utf-8" and is_utf8(data) else decode(bytes(data), codec)[0].encode()


def _decoded(data: bytes, codec: str, source: str) -> tuple[bytes, str]:
    text, errors = decode(data, codec)
    return text.encode(), "replaced" if errors else source


def _valid(data: bytes | memoryview, head: bytes, declared: str | None, source: str) -> tuple[bytes | memoryview, str]:
    """Decode bytes that are valid UTF-8, whatever is declared."""
    if declared == "utf-8" and b"\x1b" not in head:
        return data, source
    is_ascii = not len(data) or int(np.frombuffer(data, np.uint8).max()) < 128
    if is_ascii:
        codec = declared if declared in SEVEN_BIT else detect_seven_bit(data)
        if codec is not None and (text := _seven_bit(bytes(data), codec)) is not None:
            if codec != declared:
                source = "meta" if codec == meta_charset(head) else "declaration_failed" if declared else "detected"
            return text.encode(), "replaced" if "\ufffd" in text else source
    if declared is None:
        return data, "detected"
    if declared == "utf-8" or (is_ascii and declared not in UTF_16):
        return data, source
    if declared in EAST_ASIAN and _non_ascii(data) < CONCLUSIVE_BYTES:
        text, errors = decode(bytes(data), declared)
        if not errors:
            return text.encode(), source
    return data, "utf8_despite_declaration"


def _seven_bit(data: bytes, codec: str) -> str | None:
    """The text in a charset of `SEVEN_BIT`, or None if the bytes are only ASCII or are no text in that charset."""
    if SEVEN_BIT[codec] not in data:
        return None
    text, errors = decode(data, codec)
    characters = len(text) - len(text.encode("ascii", "ignore")) - errors
    return text if characters > 2 * errors and errors <= 1 + characters // BYTES_PER_ERROR else None


def _not_utf8(data: bytes, declared: dict[str, str]) -> tuple[bytes, str]:
    """Decode bytes that are not valid UTF-8.

    Args:
        data: The page.
        declared: Codec → its source; the header's first.
    """
    part, is_cut = sample(data)
    if _is_mostly_utf8(part, [*declared]):
        return _decoded(data, "utf-8", "replaced")
    others = [codec for codec in declared if codec != "utf-8"]
    codec = next((codec for codec in others if codec in SEVEN_BIT), None) or detect_seven_bit(data)
    if codec is not None and (seven_bit := _seven_bit(data, codec)) is not None:
        return seven_bit.encode(), "replaced" if "\ufffd" in seven_bit else declared.get(codec, "detected")
    plausible = [codec for codec in others if _errors(part, codec) * BYTES_PER_ERROR <= _non_ascii(part)]
    if len(plausible) == 1:
        return _decoded(data, plausible[0], declared[plausible[0]])
    guess = detect(part, is_cut)
    if plausible:
        chosen = _most_alike(part, guess, plausible)
        return _decoded(data, chosen, declared[chosen])
    text, errors = decode(data, guess)
    if errors and others and guess not in others:
        return _decoded(data, others[0], "replaced")
    otherwise = "declaration_failed" if declared else "detected"
    return text.encode(), "replaced" if errors else declared.get(guess, otherwise)


def _errors(data: bytes, codec: str) -> int:
    """Bytes that are no text in a charset: wrong ones, and those that it maps to control characters."""
    text, errors = decode(data, codec)
    return errors + len(_CONTROLS.findall(text))


def _is_mostly_utf8(data: bytes, declared: list[str]) -> bool:
    text, errors = decode(data, "utf-8")
    valid = len(text) - (len(data) - _non_ascii(data)) - errors
    errors -= data.count("\ufffd".encode())  # neither an error nor a sign: it is pasted into pages of any charset
    if declared and "utf-8" not in declared:
        return valid >= max(UTF_8_PER_ERROR * errors, CONCLUSIVE_BYTES // 2)
    return valid >= errors or (errors == 1 and declared == ["utf-8"])


def _most_alike(data: bytes, guess: str, codecs: list[str]) -> str:
    """The codec whose text is most like that of the detected one: the one with most of its characters in common."""
    wanted = _characters(data, guess)
    return max(codecs, key=lambda codec: (wanted & _characters(data, codec)).total())


def _characters(data: bytes, codec: str) -> Counter[str]:
    return Counter(character for character in decode(data, codec)[0] if character > "\x7f")


def _non_ascii(data: bytes | memoryview) -> int:
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) & 128))
