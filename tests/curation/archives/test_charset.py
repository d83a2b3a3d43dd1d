"""Pages in any charset become the right UTF-8."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from growth import assert_fast
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.archives.charset import BYTES_PER_ERROR, LATE_META_BYTES, META_BYTES, to_utf8
from curation.archives.reader import ReadSettings, read_batches

RUSSIAN = "Сегодня хорошая погода, и мы идём гулять в парк."
JAPANESE = "日本語の文章です。今日は良い天気ですね。"
CHINESE = "模型的训练需要大量的文本。"
KOREAN = "오늘은 날씨가 좋아서 우리는 공원에 산책하러 갑니다."


def decoded(data: bytes, charset: str = "") -> tuple[str, str]:
    raw, how = to_utf8(data, f"text/html; charset={charset}" if charset else "")
    return bytes(raw).decode(), how


@pytest.mark.parametrize(
    ("data", "content_type", "text", "choice"),
    [
        ("é".encode("latin-1"), "text/html; charset=ISO-8859-1", "é", "http_header"),
        (b"\x93x\x94", "text/html; charset=latin1", "“x”", "http_header"),
        ("<meta charset='windows-1251'>Привет".encode("cp1251"), "text/html", "Привет", "meta"),
        ("Привет".encode("cp1251") * 1, "text/html; charset=windows-1251", "Привет", "http_header"),
        ("<meta charset=shift_jis>日本語".encode("shift_jis"), "", "日本語", "meta"),
        ("<meta charset=utf-16>é".encode(), "", "é", "meta"),
        (b"\xef\xbb\xbf" + "é".encode(), "text/html; charset=latin1", "é", "bom"),
        ("é, ö".encode(), "text/html; charset=iso-8859-1", "é, ö", "utf8_despite_declaration"),
        ("é".encode(), "", "é", "detected"),
        ("日本語".encode(), "text/html; charset=nonsense", "日本語", "detected"),
        ("naïve café".encode("cp1252"), "text/html; charset=utf-8", "naïve café", "declaration_failed"),
        ("Größe, Füße, schön".encode() + b"\xe4", "", "Größe, Füße, schön\ufffd", "replaced"),
        ("Größe, Füße".encode()[:-2], "text/html; charset=utf-8", "Größe, Fü\ufffd", "replaced"),
        ("模".encode("gbk"), "text/html; charset=gb2312", "模", "http_header"),
        (
            "模型的训练需要大量的文本。".encode(),
            "text/html; charset=gb2312",
            "模型的训练需要大量的文本。",
            "utf8_despite_declaration",
        ),
        ("日本語".encode("iso2022_jp"), "text/html; charset=iso-2022-jp", "日本語", "http_header"),
        ("①㈱".encode("cp932"), "text/html; charset=shift_jis", "①㈱", "http_header"),
        ("똠방각하".encode("cp949"), "text/html; charset=euc-kr", "똠방각하", "http_header"),
        (b"plain", "text/html; charset=utf-16", "plain", "utf8_despite_declaration"),
        ("é".encode("utf-16"), "text/html; charset=utf-8", "é", "bom"),
        (
            "Сегодня хорошая погода, и мы идём гулять в парк.".encode("cp1251"),
            "text/html",
            "Сегодня хорошая погода, и мы идём гулять в парк.",
            "detected",
        ),
        (b"abc", "text/html; charset='UTF8'", "abc", "http_header"),
    ],
)
def test_charsets(data: bytes, content_type: str, text: str, choice: str) -> None:
    """Byte order mark, header, meta and detection decide in this order; a declaration that fails is overruled."""
    raw, how = to_utf8(data, content_type)
    found = bytes(raw).decode()
    assert found.endswith(text)
    assert how == choice


@settings(deadline=None, derandomize=True)
@given(
    st.binary(max_size=200),
    st.sampled_from(["", "text/html; charset=utf-8", "x; charset=utf-16", "x; charset=gbk", "x; charset=utf-7"]),
)
def test_any_bytes_become_valid_utf8(data: bytes, content_type: str) -> None:
    """Any bytes under any declaration become valid UTF-8 without a lone surrogate."""
    text = bytes(to_utf8(data, content_type)[0]).decode()
    assert text.encode().decode() == text


@pytest.mark.parametrize(
    ("name", "text", "pages"),
    [
        ("01-euc-kr-undeclared", "한반도평화교섭본부", 2),
        ("02-utf16-header-no-bom", "The harbour town", 3),
        ("03-meta-not-a-declaration", "café in Köln", 5),
    ],
)
def test_pages_that_were_decoded_wrongly(shared_data: Path, name: str, text: str, pages: int) -> None:
    """Each page of the archive contains the text, without a NUL or U+FFFD."""
    found = pages_of(shared_data / "cases" / f"{name}.warc.gz")
    assert len(found) == pages
    for page in found:
        assert text in page
        assert not {"\0", "\ufffd"} & set(page)


def test_a_late_meta_tag_counts(shared_data: Path) -> None:
    """The pages that declare their charset after six kilobytes hold the same text as those that do so at once."""
    for page in pages_of(shared_data / "cases" / "04-late-meta.warc.gz"):
        assert not any("\x80" <= character < "\xa0" or character == "\ufffd" for character in page)


def pages_of(path: Path) -> list[str]:
    with path.open("rb") as stream:
        batches = list(read_batches(stream, path.name, ReadSettings(), Counter()))
    return [row["html"] for batch in batches for row in batch.table.to_pylist()]


@pytest.mark.parametrize("distance", [META_BYTES + 1, LATE_META_BYTES - 100])
def test_a_meta_tag_far_into_the_page_counts_if_the_page_is_not_utf8(distance: int) -> None:
    """A late declaration is used where no other is, also against what detection would say."""
    page = b"<p>" + b" " * distance + b"<meta charset=windows-1251>" + "й".encode("cp1251")
    assert decoded(page)[0].endswith("й")
    assert decoded(page)[1] == "meta"


@pytest.mark.parametrize(
    ("header", "meta", "text"),
    [
        ("iso-8859-1", "windows-1251", RUSSIAN),
        ("koi8-r", "windows-1251", RUSSIAN),
        ("windows-1251", "koi8-r", RUSSIAN),
        ("iso-8859-1", "iso-8859-2", "Příliš žluťoučký kůň úpěl ďábelské ódy."),
        ("iso-8859-1", "shift_jis", JAPANESE),
        ("iso-8859-1", "iso-2022-jp", JAPANESE),
        ("utf-8", "gbk", CHINESE),
        ("utf-8", "iso-2022-jp", JAPANESE),
        ("gbk", "euc-kr", KOREAN),
        ("shift_jis", "windows-1252", "Größe, Füße, schön, für, überall"),
    ],
)
def test_a_right_meta_tag_outweighs_a_wrong_header(header: str, meta: str, text: str) -> None:
    """Detection judges between two declarations that both decode the bytes; one that fails has no say."""
    page = f"<meta charset={meta}><p>{text}".encode(meta)
    assert decoded(page, header) == (f"<meta charset={meta}><p>{text}", "meta")


@pytest.mark.parametrize(
    ("header", "meta", "text"),
    [
        ("windows-1251", "iso-8859-1", RUSSIAN),
        ("windows-1252", "windows-1251", "Größe, Füße, schön, für, überall"),
        ("shift_jis", "utf-8", JAPANESE),
        ("windows-1250", "windows-1252", "é"),
    ],
)
def test_a_right_header_outweighs_a_wrong_meta_tag(header: str, meta: str, text: str) -> None:
    """The header wins if it is right, and where both declarations give the same text."""
    page = f"<meta charset={meta}><p>{text}".encode(header)
    assert decoded(page, header) == (f"<meta charset={meta}><p>{text}", "http_header")


@pytest.mark.parametrize(
    ("declared", "actual", "text"),
    [("iso-8859-1", "shift_jis", JAPANESE * 5), ("iso-8859-2", "cp1250", "Šťastný „člověk“ šetří žež. " * 5)],
)
def test_a_charset_that_gives_control_characters_is_doubted(declared: str, actual: str, text: str) -> None:
    """Bytes that a declared single-byte charset does not use count as errors; detection takes over."""
    assert decoded(text.encode(actual), declared) == (text, "declaration_failed")


@pytest.mark.parametrize("declared", ["", "utf-8", "windows-1251", "gbk"])
def test_one_wrong_byte_does_not_make_utf8_another_charset(declared: str) -> None:
    """A page that is UTF-8 but for a stray byte stays UTF-8, whatever it declares."""
    text = "Größe, Füße, schön. " * 20
    assert decoded(text.encode() + b"\xe4.", declared) == (text + "\ufffd.", "replaced")


def test_a_single_wrong_byte_in_declared_utf8_is_replaced() -> None:
    """ASCII with one byte that is not UTF-8 is what it declares; undeclared, it is windows-1252."""
    assert decoded(b"a caf\xe9 here", "utf-8") == ("a caf\ufffd here", "replaced")
    assert decoded(b"a caf\xe9 here") == ("a café here", "detected")


def test_signs_of_lost_characters_are_no_evidence() -> None:
    """U+FFFD in UTF-8, pasted into a page, is evidence neither for UTF-8 nor against it."""
    assert decoded("naïve ".encode("cp1252") + b"\xef\xbf\xbd", "")[0] == "naïve ï¿½"
    assert decoded("Größe \ufffd\ufffd\ufffd ".encode() + b"\xe4")[0] == "Größe \ufffd\ufffd\ufffd \ufffd"


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize("declared", ["", "utf-16", "utf-16le", "utf-16be", "utf-8", "windows-1252"])
@pytest.mark.parametrize(
    "text",
    ["<html><p>Plain text", f"<html><head><title>{JAPANESE}</title>", f"<html><p>{JAPANESE}一　之一　" + "模一" * 900],
)
def test_utf16_without_a_byte_order_mark(order: str, declared: str, text: str) -> None:
    """UTF-16 is recognized by its NULs, in the order of its bytes, whatever is declared."""
    assert decoded(text.encode(f"utf-16-{order}"), declared)[0] == text


@pytest.mark.parametrize("order", ["le", "be"])
def test_declared_utf16_without_markup(order: str) -> None:
    """Where a text has no NUL either, the order is that in which the high bytes vary less."""
    for text in (JAPANESE, f"{JAPANESE} 12 一　{JAPANESE}", f"{JAPANESE}丼乺"):
        assert decoded(text.encode(f"utf-16-{order}"), "utf-16") == (text, "http_header")


@pytest.mark.parametrize("data", [b"<p>a\0b</p> and more text", b"\0", b"a\0", "é\0".encode()])
def test_stray_nuls_are_not_utf16(data: bytes) -> None:
    """UTF-8 with a NUL is UTF-8."""
    assert decoded(data) == (data.decode(), "detected")


def test_utf16_is_not_believed_of_other_bytes() -> None:
    """A page of bytes that declares UTF-16 in its header is read as what it is."""
    assert decoded("<p>naïve café".encode("cp1252"), "utf-16")[0] == "<p>naïve café"
    assert decoded("<p>naïve café".encode(), "utf-16") == ("<p>naïve café", "utf8_despite_declaration")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "utf-32-be"])
def test_byte_order_marks(codec: str) -> None:
    """A mark outweighs every declaration and is removed, also that of UTF-32, which browsers do not know."""
    mark = b"\0\0\xfe\xff" if codec == "utf-32-be" else b""
    assert decoded(mark + "Größe".encode(codec), "windows-1251") == ("Größe", "bom")


@pytest.mark.parametrize(("codec", "text"), [("iso2022_jp", JAPANESE), ("iso2022_kr", KOREAN)])
@pytest.mark.parametrize("declared", ["", "windows-1252"])
def test_undeclared_charsets_of_ascii_bytes(codec: str, text: str, declared: str) -> None:
    """ISO-2022-JP and ISO-2022-KR are recognized by their escape sequences, also late and after a wrong declaration."""
    page = "<p>" + "x" * 10_000 + text
    assert decoded(page.encode(codec), declared)[0] == page


def test_a_cut_page_in_iso_2022_jp_is_decoded_up_to_the_cut() -> None:
    """An error in ISO-2022-JP does not leave the escape sequences as text."""
    text, how = decoded(JAPANESE.encode("iso2022_jp")[:-4], "iso-2022-jp")
    assert text.startswith(JAPANESE[:-2])
    assert how == "replaced"
    assert decoded(JAPANESE.encode("iso2022_jp") + b"\xff") == (JAPANESE + "\ufffd", "replaced")


@pytest.mark.parametrize(
    ("label", "codec", "text"), [("hz-gb-2312", "hz", CHINESE), ("iso-2022-kr", "iso2022_kr", KOREAN)]
)
def test_charsets_that_browsers_refuse_are_decoded(label: str, codec: str, text: str) -> None:
    """The text of the standard's "replacement" charsets is not lost."""
    assert decoded(text.encode(codec), label) == (text, "http_header")
    assert decoded(b"var a = '~{}';", "hz-gb-2312") == ("var a = '~{}';", "http_header")


@pytest.mark.parametrize("label", ["zip", "unicode_escape", "idna"])
def test_codecs_are_no_charsets(label: str) -> None:
    """A codec of Python's that is no charset is not used on a page."""
    assert decoded("\\u0041 é".encode(), label) == ("\\u0041 é", "detected")


def test_errors_are_tolerated_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declared charset is kept, and not judged by detection, with one error in fifty bytes; the error is replaced."""
    monkeypatch.setattr("curation.archives.charset.detect", lambda text, is_cut: "cp1252")
    text = "š" * BYTES_PER_ERROR
    assert decoded(text[1:].encode("cp1257") + b"\xa1", "windows-1257") == (text[1:] + "\ufffd", "replaced")
    assert decoded(text[2:].encode("cp1257") + b"\xa1", "windows-1257")[1] == "declaration_failed"


def test_a_declared_charset_is_kept_where_detection_fails_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the detected charset decodes the bytes no better than the declared one, the declared one's text is used."""
    monkeypatch.setattr("curation.archives.charset.detect", lambda text, is_cut: "cp1253")
    assert decoded("가".encode("cp949") + b"\xff", "euc-kr") == ("가\ufffd", "replaced")


@pytest.mark.parametrize("charset", ["iso-8859-8", "windows-1253", "gbk", "euc-jp", "big5", "iso-2022-jp", "utf-8", ""])
@pytest.mark.parametrize(
    "unit", [b"\xa1 ", b"\x80", b"\xad\xa1", b"<b \xe9", b'\x1b$B$"\xff', b"<meta charset=gbk>\xd2"]
)
def test_time_is_bounded(charset: str, unit: bytes) -> None:
    """Four megabytes of the worst bytes take less than a second."""
    data = unit * (4_000_000 // len(unit))
    assert_fast(lambda data: to_utf8(data, f"text/html; charset={charset}"), data)


def test_utf8_is_not_copied() -> None:
    """Valid UTF-8 comes back as the same object."""
    data = memoryview(b"<meta charset=utf-8>" + "é".encode())
    assert to_utf8(data, "")[0] is data
    assert to_utf8(data, "text/html; charset=utf-8")[0] is data
