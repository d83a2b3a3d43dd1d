"""Charsets that pages declare in headers, meta tags and XML declarations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from growth import assert_linear

from curation.archives.declaration import header_charset, meta_charset


@pytest.mark.parametrize(
    ("content_type", "codec"),
    [
        ("text/html; charset=ISO-8859-1", "cp1252"),
        ('text/html;CHARSET = "windows-1251"', "cp1251"),
        ("text/html; charset='utf8", "utf-8"),
        ("text/html; charset=gb2312, text/html", "gb18030"),
        ("text/html charset=koi8-r", "koi8-r"),
        ("text/html; charset; charset=koi8-r", "koi8-r"),
        ("text/html; charset=", None),
        ("text/html; charset=nonsense", None),
        ("text/html", None),
        ("", None),
    ],
)
def test_header(content_type: str, codec: str | None) -> None:
    """The charset parameter of a Content-Type is found however sloppily it is written."""
    assert header_charset(content_type) == codec


@pytest.mark.parametrize("label", ["zip", "unicode_escape", "idna", "rot13", "utf-7", "cp037", "mbcs", "punycode"])
def test_only_labels_of_the_standard_count(label: str) -> None:
    """A name of one of Python's codecs that is no charset label of the Encoding standard is no declaration."""
    assert header_charset(f"text/html; charset={label}") is None
    assert meta_charset(f"<meta charset={label}>".encode()) is None


@pytest.mark.parametrize(
    "before",
    [
        "<!-- <meta charset=utf-8> -->",
        "<!-->",
        "<!--->",
        "<script>var s = '<meta charset=utf-8>';</script>",
        "<SCRIPT src=x>'<meta charset=utf-8>'</Script >",
        "<style><meta charset=utf-8></style>",
        "<title><meta charset=utf-8></title>",
        "<textarea><meta charset=utf-8></textarea>",
        '<a title="<meta charset=utf-8>">',
        "<a title='>' x=\"<meta charset=utf-8>\">",
        '<meta name=description content="text/html; charset=utf-8">',
        "<meta name=x data-charset=utf-8>",
        "<meta charset=nonsense>",
        '<meta charset=nonsense http-equiv=content-type content="text/html; charset=utf-8">',
        "<meta charset><metacharset=utf-8>",
        "<?php <meta charset=utf-8> ?>",
        "</p <meta charset=utf-8>",
        "a < b, 3 <4 <",
        '<p a"b>',
        "<scripts>",
    ],
)
def test_what_is_no_declaration(before: str) -> None:
    """Comments, scripts, titles, attributes and unknown labels declare nothing; the meta tag after them does."""
    assert meta_charset(before.encode() + b"<meta charset=koi8-r>") == "koi8-r"


@pytest.mark.parametrize(
    "tag",
    [
        "<meta charset=koi8-r>",
        "<META\nCHARSET = ' KOI8-R '/>",
        "<meta/charset=koi8-r/>",
        '<meta name=x charset="koi8-r" charset=utf-8>',
        '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">',
        "<meta content='text/html;charset=\"koi8-r\"' http-equiv=content-type>",
        '<?xml version="1.0" encoding="koi8-r"?><html>',
    ],
)
def test_declarations(tag: str) -> None:
    """A charset is declared by `charset`, by `content` with `http-equiv`, or by an XML declaration."""
    assert meta_charset(tag.encode()) == "koi8-r"


def test_a_meta_tag_outweighs_the_xml_declaration() -> None:
    """The XML declaration counts only without a meta tag that declares a charset."""
    assert meta_charset(b'<?xml version="1.0" encoding="utf-8"?><meta charset=koi8-r>') == "koi8-r"


@pytest.mark.parametrize(("label", "codec"), [("utf-16", "utf-8"), ("utf-16be", "utf-8"), ("x-user-defined", "cp1252")])
def test_charsets_that_a_meta_tag_cannot_mean(label: str, codec: str) -> None:
    """A tag that was read as ASCII is not in UTF-16; x-user-defined means windows-1252."""
    assert meta_charset(f"<meta charset={label}>".encode()) == codec


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<b>",
        "<!--",
        "<script>",
        "<meta ",
        "<meta charset=x>",
        "<a b='",
        '<a "',
        "<a b=",
        "</",
        "charset",
        "<?xml ",
    ],
)
def test_time_for_meta_tags_is_linear(unit: str) -> None:
    """Repeated beginnings of tags, comments and attributes take time in proportion."""
    assert_linear(meta_charset, _repeated(unit + "charset "), 20_000)


@pytest.mark.parametrize("unit", [" ", "charset", "charset ", "charset=", 'charset= "'])
def test_time_for_headers_is_linear(unit: str) -> None:
    """Blanks and repeated parts of a charset parameter take time in proportion."""
    assert_linear(lambda data: header_charset.__wrapped__("x; charset=" + data.decode()), _repeated(unit), 20_000)


def _repeated(unit: str) -> Callable[[int], bytes]:
    return lambda size: (unit * (size // len(unit) + 1)).encode()
