"""Windows: the kernels agree with regular expressions, and include everything that recognizers need."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import recognizers, windows
from curation.pii.find import KINDS
from curation.pii.recognizers import Span
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


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.text("0127 -x٣\u00a0", max_size=40), max_size=5), st.integers(1, 9), st.integers(0, 5), st.booleans()
)
def test_windows_with_groups_of_digits(texts: list[str], least: int, more: int, checked: bool) -> None:
    """A window is chosen if some groups of ASCII digits, one character apart, have as many digits as wanted; and the
    last one is a check digit, if it must be."""
    view = characters(*texts)
    found = windows.number_windows(view)
    expected = []
    for row, start, end, digits in found.tolist():
        groups = [match.span() for match in re.finditer("[0-9]+", texts[row][start:end])]
        chains = [groups[first : last + 1] for first in range(len(groups)) for last in range(first, len(groups))]
        joined = [
            "".join(texts[row][start + begin : start + stop] for begin, stop in chain)
            for chain in chains
            if all(behind[0] - before[1] == 1 for before, behind in itertools.pairwise(chain))
        ]
        sizes = [len(one) for one in joined if not checked or recognizers.has_check_digit(one)]
        if any(least <= size <= least + more for size in sizes):
            expected.append([row, start, end, digits])
    assert windows.grouped(view, found, least, least + more, checked).tolist() == expected


@pytest.mark.parametrize(("kind", "recognize"), [("credit_card", recognizers.cards), ("us_ssn", recognizers.ssns)])
def test_no_number_is_in_other_windows(kind: str, recognize: Callable[[str], Iterator[Span]]) -> None:
    """Whatever a recognizer finds has the number of digits for which windows are chosen."""
    digits, found = KINDS[kind].digits, 0
    assert digits is not None
    chance = random.Random(4)
    for _ in range(3000):
        sizes = chance.choice(
            ((4, 4, 4, 4), (4, 6, 5), (16,), (12,), (4, 4, 4), (4, 4, 4, 4, 3), (3, 2, 4), (5, 4), (9,))
        )
        groups = ["".join(chance.choices("0123456789", k=size)) for size in sizes]
        text = windows.plain(chance.choice(" -.\u00a0\u2011").join(["4" + groups[0][1:], *groups[1:]]))
        for span in recognize(text):
            found += 1
            assert digits[0] <= sum(map(str.isdigit, text[span.start : span.end])) <= digits[1]
            view = characters(text)
            assert len(windows.grouped(view, windows.number_windows(view), *digits)) == 1
    assert found > 100
