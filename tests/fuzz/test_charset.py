"""Fuzzes the conversion of pages to UTF-8."""

from __future__ import annotations

import codecs

from fuzzing import fuzz

from curation.archives.charset import is_utf8, to_utf8

TEXT = "Größe, naïve café. Сегодня хорошая погода. Ο καιρός. 日本語の文章です。 모델 "

CHARSETS = (
    "utf-8", "windows-1252", "windows-1251", "windows-1253", "iso-8859-8", "koi8-u", "macintosh", "shift_jis", "euc-jp",
    "iso-2022-jp", "gb18030", "big5", "euc-kr", "utf-16", "utf-16be", "iso-2022-kr", "hz-gb-2312", "x-user-defined",
)  # fmt: skip


def seed(charset: str, codec: str, before: str = "<html><head><meta charset=%s>") -> bytes:
    page = (before.replace("%s", charset) + f"<title>{TEXT}</title></head><p>{TEXT * 3}").encode(codec, "ignore")
    return f"text/html; charset={charset}\n".encode() + page


SEEDS = [
    seed("", "utf-8", ""),
    seed("utf-8", "utf-8"),
    seed("windows-1251", "cp1251"),
    seed("windows-1252", "cp1252", "<!-- <meta charset=koi8-r> --><script>'<meta charset=big5>'</script>"),
    seed("shift_jis", "cp932"),
    seed("euc-jp", "euc_jp", '<?xml version="1.0" encoding="euc-jp"?>'),
    seed("iso-2022-jp", "iso2022_jp"),
    seed("gbk", "gb18030", "<meta http-equiv='Content-Type' content='text/html; charset=gbk'>"),
    seed("euc-kr", "cp949", ""),
    seed("big5", "big5hkscs", "<style>" + " " * 5000 + "</style><meta charset=%s>"),
    seed("utf-16", "utf-16-le"),
    seed("utf-16be", "utf-16-be"),
    seed("latin1", "utf-16"),
    seed("latin1", "utf-32"),
    seed("hz-gb-2312", "hz"),
    seed("iso-2022-kr", "iso2022_kr"),
]

WORDS = [
    *(f"charset={charset}".encode() for charset in CHARSETS),
    *(b"<meta charset=", b"<meta ", b"<!--", b"-->", b"<script>", b"</script>", b"http-equiv=content-type content='"),
    *(b"<?xml encoding=", b"charset", b" ", b'"', b"'", b">", b"\n", b"\0", b"<\0", b"\x1b$B", b"\x1b(B", b"~{"),
    *(codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE, "é".encode(), "\ufffd".encode()),
    *(b"\x80", b"\xff", b"\xa1 ", b"\xad\xa1", b"\x8f", b"\xd8\0", b"\xe2\x80", b"\x92"),
]


def check(data: bytes) -> None:
    first, _, page = data.partition(b"\n")
    content_type = first.decode("latin-1")
    found, source = to_utf8(memoryview(page), content_type)
    assert is_utf8(found)
    assert len(found) <= 4 * len(page)
    assert to_utf8(page, content_type) == (bytes(found), source)
    wide = {b"\0", b"\x1b", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    if is_utf8(page) and not any(part in page for part in wide):
        assert bytes(to_utf8(page, "")[0]) == page or b"charset" in page.lower() or b"encoding" in page.lower()


def test_to_utf8() -> None:
    """Any bytes become valid UTF-8 of bounded length, always the same; undeclared UTF-8 is unchanged."""
    fuzz(check, SEEDS, WORDS)
