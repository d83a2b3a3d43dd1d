"""Windows: the kernels agree with regular expressions, and include everything that recognizers need."""

from __future__ import annotations

import re

import pyarrow as pa
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import windows
from curation.text import views

Window = list[int]
ALPHABET = st.sampled_from([*"a@＠.:/-+(0123459 xX\nDEde_%", "é", "邮", "Ж", "٣", "\u00a0", "–", "😀"])
TEXTS = st.lists(st.text(ALPHABET, max_size=60), max_size=5)


def characters(*texts: str | None) -> views.Characters:
    return views.characters(pa.array(texts, pa.string()))


def runs(texts: list[str], members: str, wanted: str, minimum: int) -> list[Window]:
    """Maximal runs of `members` with enough of `wanted`, found by expressions in the texts as recognizers see them."""
    return [
        [row, *match.span(), count]
        for row, text in enumerate(texts)
        for match in regex.finditer(f"[{members}]+", windows.shown(text))
        if (count := len(regex.findall(wanted, match[0]))) >= minimum
    ]


@settings(deadline=None, derandomize=True)
@given(TEXTS)
def test_runs_are_those_of_expressions(texts: list[str]) -> None:
    """E-mail, address and number windows are the maximal runs that regular expressions find."""
    view = characters(*texts)
    assert windows.email_windows(view).tolist() == runs(texts, r"\w@＠﹫!#$%&'*+\-/=?\^`{|}~.", "[@＠﹫%]", 1)
    dotted, coloned = (runs(texts, r"\w.:/%", character, count) for character, count in ((r"\.", 3), (":", 2)))
    expected = {tuple(window[:3]) for window in (*dotted, *coloned)}
    assert [tuple(window[:3]) for window in windows.address_windows(view).tolist()] == sorted(expected)
    numbers = runs(texts, r"\d" + "".join(map(re.escape, windows.NUMBER_PUNCTUATION)), r"\d", windows.MIN_PHONE_DIGITS)
    assert windows.number_windows(view).tolist() == numbers


@settings(deadline=None, derandomize=True)
@given(TEXTS)
def test_account_windows_follow_anchors(texts: list[str]) -> None:
    """An IBAN window begins with two letters and two digits at the start of a word; overlapping ones are merged."""
    expected: list[Window] = []
    for row, text in enumerate(texts):
        for match in re.finditer(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}", text):
            start, end = match.start(), min(match.start() + windows.IBAN_REACH, len(text))
            if expected and expected[-1][0] == row and expected[-1][2] >= start:
                start = expected.pop()[1]
            expected.append([row, start, end, 0])
    assert windows.iban_windows(characters(*texts)).tolist() == expected


def test_more_windows_than_expected() -> None:
    """All windows are found even if there are more than the initial capacity."""
    assert len(windows.email_windows(characters("a@b " * 5000, None, "c@d"))) == 5001
    assert len(windows.iban_windows(characters(("DE89 " + "x" * 60 + "! ") * 5000))) == 5000


def test_whole_texts() -> None:
    """A secret is searched in complete texts; a null and an empty text have none."""
    assert windows.whole_texts(characters("ab", None, "", "é")).tolist() == [[0, 0, 2, 0], [3, 0, 1, 0]]


def test_number_punctuation_covers_libphonenumber() -> None:
    """All characters that libphonenumber accepts in a number can be in a window."""
    from phonenumbers import phonenumberutil as util

    allowed = regex.compile(f"[{util._VALID_PUNCTUATION}{util._PLUS_CHARS}]", regex.IGNORECASE)
    codes = [code for code in range(0x110000) if allowed.match(chr(code))]
    assert codes
    assert all(windows.classes()[code] & windows.NUMBER for code in codes)


def test_shown_keeps_positions() -> None:
    """The forms that recognizers see keep all positions; letters of joined scripts become line ends."""
    text = "请写信给a@b.cn。Tel\u00a01–2 ภาษา ٣ 한국어에서"
    for view in (windows.shown, windows.plain, windows.capital):
        assert len(view(text)) == len(text)
    assert windows.shown(text) == "\n" * 4 + "a@b.cn。Tel\u00a01–2 " + "\n" * 4 + " ٣ " + "\n" * 5
    assert windows.capital("de89\u00a01–2") == "DE89 1-2"


def test_capital_codes() -> None:
    """The table of `capital` has its characters of ASCII, and none for other characters."""
    everything = "".join(map(chr, range(0x110000)))
    expected = [ord(one) if one.isascii() and one != "\n" else 0 for one in windows.capital(everything)]
    expected[ord("\n")] = ord("\n")
    assert windows.capital_codes().tolist() == expected
