"""Charsets are decoded as browsers decode them."""

from __future__ import annotations

import hashlib

import pytest
from growth import assert_fast

from curation.archives.decoding import MAX_REPAIRS, UTF_32, codec_of, decode

DIGESTS = {
    "ibm866": "2e3f89d51df1",
    "iso-8859-2": "da4d3b2f8f06",
    "iso-8859-3": "c1d9ce25d376",
    "iso-8859-4": "54140e6e75ba",
    "iso-8859-5": "537298156695",
    "iso-8859-6": "2b716bc800e7",
    "iso-8859-7": "8d94b0308cf4",
    "iso-8859-8": "ade2c0790e86",
    "iso-8859-8-i": "ade2c0790e86",
    "iso-8859-10": "129e084c5bc4",
    "iso-8859-13": "20a9bcd40636",
    "iso-8859-14": "80050213abdb",
    "iso-8859-15": "b9a4a2394ee5",
    "iso-8859-16": "c2bb18a77fe0",
    "koi8-r": "25a9da95cf2d",
    "koi8-u": "79b0a6e96024",
    "macintosh": "94dcdcc19412",
    "windows-874": "4bb5efdc1a28",
    "windows-1250": "52665a0c49e7",
    "windows-1251": "153baf169d84",
    "windows-1252": "9ba654722668",
    "windows-1253": "fa630499b7db",
    "windows-1254": "612d01246f4b",
    "windows-1255": "16925d6a9d5c",
    "windows-1256": "ae636a90722c",
    "windows-1257": "abd51531663d",
    "windows-1258": "ded84db6d51e",
    "x-mac-cyrillic": "ab39a8a69bbb",
}
"""Charset → the beginning of the SHA-256 of the bytes 0x80 to 0xFF as Chromium's TextDecoder decodes them."""

EVERY_CHARSET = [*DIGESTS, "utf-8", "gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr", "utf-16le"]


@pytest.mark.parametrize("label", DIGESTS)
def test_single_byte_charsets_equal_those_of_browsers(label: str) -> None:
    """Each byte of a single-byte charset is decoded to the character that browsers show."""
    text, errors = decode(bytes(range(128, 256)), _codec(label))
    assert hashlib.sha256(text.encode()).hexdigest().startswith(DIGESTS[label])
    assert errors == text.count("\ufffd")


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("gb2312", b"\x80 \xa3\xa0 \xa6\xd9 \xa8\xbc", "€ \u3000 ︐ ḿ"),
        ("gbk", b"\x81\x30\x81\x30 \x80\x81\x40", "\x80 €丂"),
        ("shift_jis", b"\x87\x40 \x81\x60 \xb1 \xa0 \xfd", "① ～ ｱ \ufffd \ufffd"),
        ("euc-jp", b"\xad\xa1 \x8f\xb0\xa1 \x8e\xb1 \xf9\xa1", "① 丂 ｱ 纊"),
        ("iso-2022-jp", b'\x1b$B-!$"\x1b(I1\x1b(B', "①あｱ"),
        ("big5", b"\xa1\x45 \xa1\xe3 \xf9\xd6 \x88\x62", "‧ ～ 碁 Ê̄"),
        ("euc-kr", b"\x81\x41 \xb0\xa1", "갂 가"),
        ("iso-2022-kr", b"\x1b$)C\x0e0!\x0f", "가"),
        ("hz-gb-2312", b"~{<:Ky2;~}", "己所不"),
        ("koi8-u", b"\xae\xbe", "ўЎ"),
        ("x-mac-ukrainian", b"\xff", "€"),
    ],
)
def test_characters_that_pythons_codecs_lack_or_map_otherwise(label: str, data: bytes, text: str) -> None:
    """Extensions of vendors, the euro sign of GBK and the like are decoded as browsers do, or at all."""
    assert decode(data, _codec(label))[0] == text


@pytest.mark.parametrize(
    ("codec", "data", "text"),
    [
        ("utf-16-le", b"a\0\0\xd8b\0\0", "a\ufffdb\ufffd"),
        ("utf-16-be", b"\0a\xdc\0\xd8\0\xdc\0", "a\ufffd\U00010000"),
        ("utf-16-le", b"\0\xd8\0\xd8\0\xdc\0\xdc", "\ufffd\U00010000\ufffd"),
        (UTF_32[0], b"a\0\0\0\0\xd8\0\0", "a\ufffd"),
    ],
)
def test_lone_surrogates_are_replaced(codec: str, data: bytes, text: str) -> None:
    """Half a pair and half a unit become U+FFFD, and are counted."""
    assert decode(data, codec) == (text, text.count("\ufffd"))


@pytest.mark.parametrize("unit", [b"\x80", b"\xff", b"\xa1 ", b"\xad\xa1", b"\0\xd8", b"\x1b$B-!\xff", b"\xe9abc"])
@pytest.mark.parametrize("label", EVERY_CHARSET)
def test_any_bytes_are_decoded_fast(label: str, unit: bytes) -> None:
    """Four megabytes of undefined bytes take less than a second in every charset."""
    data = unit * (4_000_000 // len(unit))
    assert_fast(lambda data: decode(data, _codec(label)), data)


def test_repairs_are_bounded() -> None:
    """Missing characters are looked up until there are more than any page has; then the codec's own text counts."""
    assert decode(b"\xad\xa1\n" * MAX_REPAIRS, "euc_jp") == ("①\n" * MAX_REPAIRS, 0)
    assert decode(b"\xad\xa1\n" * (MAX_REPAIRS + 1), "euc_jp")[1] > MAX_REPAIRS


def _codec(label: str) -> str:
    codec = codec_of(label)
    assert codec is not None
    return codec
