"""Windows: the kernels agree with regular expressions, and include everything that recognizers need."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import recognizers, windows
from curation.pii.context import NAMED
from curation.pii.find import KINDS
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


_ACCOUNTS = {"credit_card": recognizers.cards, "us_ssn": recognizers.ssns}


def _chosen(kind: str, text: str, minimum: float = 0.01, named: int = 0) -> list[tuple[int, int]]:
    """The windows of a text in which a recognizer searches."""
    view = characters(text)
    found = windows.number_windows(view)
    found = np.column_stack([found, np.full(len(found), named)])
    return [(start, end) for _, start, end, *_ in KINDS[kind].candidates(view, found, minimum).tolist()]


@pytest.mark.parametrize("kind", _ACCOUNTS)
@settings(deadline=None, derandomize=True)
@given(st.text("01245 -x.~\u00a0\u2011\uff5e٣", max_size=60))
def test_no_number_is_in_windows_that_are_not_chosen(kind: str, text: str) -> None:
    """Whatever a recognizer finds is in a window that is chosen."""
    chosen = _chosen(kind, text)
    for span in _ACCOUNTS[kind](windows.plain(text)):
        assert any(start <= span.start and span.end <= end for start, end in chosen)


@pytest.mark.parametrize("kind", _ACCOUNTS)
def test_all_forms_of_numbers_are_in_chosen_windows(kind: str) -> None:
    """The same, for numbers in the groups that the recognizers know."""
    chance, found = random.Random(4), 0
    for _ in range(6000):
        sizes = chance.choice(
            (
                *((4, 4, 4, 4), (4, 6, 5), (16,), (12,), (4, 4, 4), (4, 4, 4, 4, 3), (3, 2, 4), (5, 4), (3, 6), (9,)),
                *((4, 3, 3, 3), (4, 4, 4, 1), (7, 6), (8, 8), (10, 4), (4, 4, 8), (12, 5), (4, 4, 4, 4, 1), (19,)),
                *((4, 4, 4, 1, 3), (4, 4, 4, 2, 2), (4, 4, 4, 3, 1), (4, 4, 4, 4, 2), (4, 4, 5), (4, 3, 4, 5)),
            )
        )
        groups = ["".join(chance.choices("0123456789", k=size)) for size in sizes]
        text = chance.choice(" -.\u00a0\u2011").join([chance.choice("23456") + groups[0][1:], *groups[1:]])
        for span in _ACCOUNTS[kind](windows.plain(text)):
            found += 1
            assert any(start <= span.start and span.end <= end for start, end in _chosen(kind, text)), text
    assert found > 200


@pytest.mark.parametrize(
    ("kind", "text", "is_chosen"),
    [
        ("credit_card", "4111 1111 1111 1111", True),
        ("credit_card", "x4111-1111-1111-1111x", True),
        ("credit_card", "4111 1111 1111 1112", False),
        ("credit_card", "4111  1111 1111 1111", False),
        ("credit_card", "4111.1111.1111.1111", False),
        ("credit_card", "411 1111 1111 11111", False),
        ("credit_card", "0000000000000000", False),
        ("credit_card", "41111111111111111111", False),
        ("us_ssn", "308-63-0237", True),
        ("us_ssn", "308\u201163\u20110237", True),
        ("us_ssn", "308 63 0237", False),
        ("us_ssn", "308-63 0237", False),
        ("us_ssn", "308 63-0237", False),
        ("us_ssn", "308630237", False),
        ("us_ssn", "308--63-0237", False),
        ("us_ssn", "308-63-02371", False),
        ("us_ssn", "1-308-63-0237", True),
        ("us_ssn", "212-736-5000", False),
    ],
)
def test_only_windows_that_may_have_a_number_are_chosen(kind: str, text: str, is_chosen: bool) -> None:
    """At the usual minimum scores, and without a word that names the number."""
    assert bool(_chosen(kind, text, 0.4)) == is_chosen


@pytest.mark.parametrize("text", ["308 63 0237", "308.63.0237", "308630237", "30863-0237", "308-630237"])
def test_a_word_makes_a_window_a_candidate(text: str) -> None:
    """Some forms of social security numbers count only next to a word, or if any score does."""
    assert _chosen("us_ssn", text, 0.4, NAMED["us_ssn"])
    assert _chosen("us_ssn", text, 0.1)
    assert not _chosen("us_ssn", text, 0.4, NAMED["phone"])
