"""Find the charset that a page declares: in the Content-Type header, in a `<meta>` tag or in an XML declaration.

A `<meta>` tag is found as browsers do it ("prescan a byte stream to determine its encoding" in the HTML standard):
comments and the attributes of other tags declare nothing, `charset` within `content` counts only next to
`http-equiv="content-type"`, and a label that the Encoding standard does not know is ignored. Beyond the standard, the
contents of scripts, styles, titles and the like are skipped, as the parser does later. Time is linear for any bytes:
every repetition in the patterns is possessive or ends at a character that it cannot contain.
"""

from __future__ import annotations

import re
from functools import lru_cache

from curation.archives.decoding import UTF_16, codec_of

_ATTRIBUTE = (
    rb"([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    rb"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"([^"]*+)"?+|'([^']*+)'?+|([^\t\n\f\r >]*+)))?"""
)

# Nothing is captured within a possessive repetition: in Python 3.11, that can fail with a SystemError.
_ATTRIBUTES = rb"(?:[\t\n\f\r /]*+" + re.sub(rb"\((?!\?)", b"(?:", _ATTRIBUTE) + rb")*+[\t\n\f\r /]*+"

_RAW_TEXT = ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
"""Elements that contain no tags."""


def _any_case(name: str) -> bytes:
    """A pattern for a name, faster than with the flag IGNORECASE."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in name).encode()


_NO_META = rb"(?!%b[\t\n\f\r /])" % _any_case("meta")

_AFTER_BRACKET = (
    rb"!--(?:-?>|(?>.*?(?:-->|\Z)))",
    *(
        rb"%b(?=[\t\n\f\r />])%b(?>.*?(?:</%b(?=[\t\n\f\r />])|\Z))" % (name, _ATTRIBUTES, name)
        for name in map(_any_case, _RAW_TEXT)
    ),
    _NO_META + rb"/?+[a-zA-Z][^\t\n\f\r />]*+" + _ATTRIBUTES,
    rb"[!/?][^>]*+",
    _NO_META,
)

_UNTIL_META = re.compile(
    rb"(?:[^<]++|<(?:" + b"|".join(_AFTER_BRACKET) + rb"))*+<" + _any_case("meta") + b"(" + _ATTRIBUTES + b")",
    re.DOTALL,
)
"""Everything up to the next `<meta>` tag, and that tag's attributes."""

_ATTRIBUTE_OF_META = re.compile(_ATTRIBUTE)

_CHARSET = re.compile(rb"""charset[\t\n\f\r ]*+=[\t\n\f\r ]*+["']?+[\t\n\f\r ]*+([a-z0-9_:.\-]++)""", re.IGNORECASE)
"""A charset within a Content-Type; quotes that are not closed are forgiven."""

_XML = re.compile(rb"""\s*+<\?xml[^>]*?encoding\s*+=\s*+["']([a-z0-9_:.\-]++)["']""", re.IGNORECASE)


@lru_cache(maxsize=256)
def header_charset(content_type: str) -> str | None:
    """The codec for the charset of a Content-Type header, or None.

    >>> header_charset("text/html; charset=ISO-8859-1"), header_charset("text/html; charset=zip")
    ('cp1252', None)
    """
    return _within_content_type(content_type.encode("ascii", "replace"))


def meta_charset(data: bytes) -> str | None:
    """The codec for the charset that a page declares in `<meta>` or, if it does not there, in its XML declaration.

    >>> meta_charset(b"<!-- <meta charset=utf-8> --><meta charset=koi8-r>")
    'koi8-r'
    """
    position = 0 if b"charset" in data.lower() else len(data)
    while match := _UNTIL_META.match(data, position):
        if b"charset" in match[1].lower() and (codec := _declared(match[1])) is not None:
            return codec
        position = match.end()
    xml = _XML.match(data)
    return _not_wide(codec_of(xml[1].decode("ascii"))) if xml else None


def _declared(tag: bytes) -> str | None:
    """The codec that the attributes of a `<meta>` tag declare."""
    attributes: dict[bytes, bytes] = {}
    for name, *values in _ATTRIBUTE_OF_META.findall(tag):
        attributes.setdefault(name.lower(), b"".join(values))
    if b"charset" in attributes:
        return _not_wide(codec_of(attributes[b"charset"].rstrip(b"/").decode("ascii", "replace")))
    if attributes.get(b"http-equiv", b"").lower() == b"content-type":
        return _not_wide(_within_content_type(attributes.get(b"content", b"")))
    return None


def _within_content_type(value: bytes) -> str | None:
    match = _CHARSET.search(value)
    return codec_of(match[1].decode("ascii")) if match else None


def _not_wide(codec: str | None) -> str | None:
    """A declaration that was found by reading ASCII is not in a 16-bit charset, whatever it says."""
    return "utf-8" if codec in UTF_16 else codec
