"""Decode bytes as the WHATWG's Encoding standard says, with Python's codecs and what they lack.

Python's codecs of the same name fail on bytes that browsers decode (0x81 in windows-1252, 0x80 in gb18030, ① in
EUC-JP), and some map a few characters differently. The tables were compared with those of Chromium, byte by byte. Three
differences are left: Python lacks 191 codes of Big5 (the newest supplement of Hong Kong) and confuses two slashes
there, and six signs of EUC-JP and ISO-2022-JP are those that JIS names (〜, not ～).

Time is linear for any bytes: 32 MB take less than a second.
"""

from __future__ import annotations

import codecs
import threading
from functools import lru_cache

import numpy as np

UTF_16 = ("utf-16-le", "utf-16-be")

UTF_32 = ("utf-32-le", "utf-32-be")

SEVEN_BIT = {"iso2022_jp_ext": b"\x1b", "iso2022_kr": b"\x1b", "hz": b"~{"}
"""Charsets whose text is ASCII, and so valid UTF-8, with the bytes that show that it is more than ASCII."""

EAST_ASIAN = ("gb18030", "cp932", "cp949", "big5hkscs", "euc_jp")

MAX_REPAIRS = 10_000
"""Characters that Python's codec lacks are looked up one by one, which takes a microsecond, up to this many in a page;
a page with more errors is no text in that charset."""

_MULTI_BYTE = {*EAST_ASIAN, *SEVEN_BIT, *UTF_16, *UTF_32, "utf-8"}

_WIDER = {
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "iso8859-11": "cp874",
    "iso2022_jp": "iso2022_jp_ext",
}
"""Python's codecs for WHATWG charsets that hold more characters than Python's codec of the same name."""

_UNSUPPORTED_BY_BROWSERS = {
    "csiso2022kr": "iso2022_kr",
    "iso-2022-kr": "iso2022_kr",
    "hz-gb-2312": "hz",
}
"""Labels of the standard's "replacement" charset, as which browsers show nothing. Their text is not lost here."""

_OTHER_LABELS = {
    **_UNSUPPORTED_BY_BROWSERS,
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ukrainian": "mac-cyrillic",
    "x-user-defined": "cp1252",
}
"""Labels of the standard that resiliparse does not know. For x-user-defined the standard's rule for meta tags is used
everywhere."""

_DIFFERENT = {
    "cp1255": {0xCA: "\u05ba"},
    "koi8-u": {0xAE: "ў", 0xBE: "Ў"},
}
"""Bytes of single-byte charsets that Python's codec of the same name decodes otherwise or not at all."""

_OTHER_CHARACTERS = {
    "gb18030": dict(
        zip(
            "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7\ue81e\ue826\ue82b\ue82c\ue832\ue843"
            "\ue854\ue864",
            "\u3000︐︒︑︓︔︕︖︗︘︙ḿ龴龵龶龷龸龹龺龻",
            strict=True,
        )
    ),
    "big5hkscs": dict(zip("•､‾∼♁☉¥¢£", "‧﹑¯～⊕⊙￥￠￡", strict=True)),
    "cp932": dict.fromkeys("\uf8f0\uf8f1\uf8f2\uf8f3", "\ufffd"),
}
"""Characters to which Python's codec maps some bytes → those that the standard maps them to."""


@lru_cache(maxsize=256)
def codec_of(label: str) -> str | None:
    """Python's codec for a charset label of the WHATWG's standard, or None for any other label.

    >>> codec_of("latin1"), codec_of(" GB2312 "), codec_of("zip")
    ('cp1252', 'gb18030', None)
    """
    from resiliparse.parse.encoding import map_encoding_to_html5

    label = label.strip("\t\n\f\r ").lower()
    name = _OTHER_LABELS.get(label) or map_encoding_to_html5(label, fallback_utf8=False)
    if not name:
        return None
    codec = codecs.lookup(name).name
    return _WIDER.get(codec, codec)


def decode(data: bytes, codec: str) -> tuple[str, int]:
    """Decode as the standard says.

    Args:
        data: Any bytes.
        codec: A result of `codec_of`, or one of `UTF_32`.

    Returns:
        The text, with U+FFFD for what cannot be decoded, and the number of these.
    """
    if codec not in _MULTI_BYTE:
        text = codecs.charmap_decode(data, "strict", _table(codec))[0]
    elif codec in UTF_16:
        text = _utf_16(data, codec)
    else:
        text = data.decode(codec, "replace")
        if codec in _REPAIRS and "\ufffd" in text:
            text = _repaired(data, codec) or text
        for python, standard in _OTHER_CHARACTERS.get(codec, {}).items():
            text = text.replace(python, standard)
    return text, text.count("\ufffd")


@lru_cache
def _table(codec: str) -> str:
    """The character of each byte; U+FFFD where a charset has none. Unused bytes below 0xA0 are control characters."""
    different = _DIFFERENT.get(codec, {})
    table = [different.get(byte) or bytes([byte]).decode(codec, "replace") for byte in range(256)]
    return "".join(chr(byte) if table[byte] == "\ufffd" and byte < 0xA0 else table[byte] for byte in range(256))


def _utf_16(data: bytes, codec: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        units = np.frombuffer(data, "<u2" if codec == "utf-16-le" else ">u2", len(data) // 2).astype(np.uint16)
    high, low = units >> 10 == 0xD800 >> 10, units >> 10 == 0xDC00 >> 10
    paired = high[:-1] & low[1:]
    high[:-1] &= ~paired
    low[1:] &= ~paired
    units[high | low] = 0xFFFD
    return units.tobytes().decode(f"utf-16-{_NATIVE}") + "\ufffd" * (len(data) % 2)


_NATIVE = "le" if np.little_endian else "be"


def _repaired(data: bytes, codec: str) -> str | None:
    """The text with the characters that Python's codec lacks; None if there are too many errors."""
    _repairs.left = MAX_REPAIRS
    try:
        return data.decode(codec, _HANDLER)
    except UnicodeDecodeError:
        return None


def _repair(error: UnicodeError) -> tuple[str, int]:
    """The character for the bytes at which one of Python's codecs failed, and where to go on."""
    assert isinstance(error, UnicodeDecodeError)
    _repairs.left -= 1
    if _repairs.left < 0:
        raise error
    repaired = _REPAIRS[error.encoding](error.object[error.start : error.start + 2])
    return (repaired, error.start + (2 if error.encoding != "gb18030" else 1)) if repaired else ("\ufffd", error.end)


class _Repairs(threading.local):
    left = 0


_repairs = _Repairs()
"""The error handler of a codec gets no arguments of ours."""


def _euro(code: bytes) -> str:
    return "€" if code[:1] == b"\x80" else ""


def _vendor_character(code: bytes) -> str:
    """A character of rows 13 and 89 to 92 of JIS X 0208, which NEC and IBM added; Shift_JIS of Windows has them."""
    row, cell = ((byte & 0x7F) - 0x20 for byte in code.ljust(2))
    same_half = len({byte >> 7 for byte in code}) == 1
    if not same_half or not (row == 13 or 89 <= row <= 92) or not 1 <= cell <= 94:
        return ""
    lead = (row - 1) // 2 + (0x81 if row < 63 else 0xC1)
    trail = cell + (0x9E if row % 2 == 0 else 0x3F if cell < 64 else 0x40)
    text = bytes([lead, trail]).decode("cp932", "replace")
    return "" if "\ufffd" in text else text


_REPAIRS = {"gb18030": _euro, "euc_jp": _vendor_character, "iso2022_jp_ext": _vendor_character}

_HANDLER = "curation.archives.decoding"

codecs.register_error(_HANDLER, _repair)
