"""The kernels for card and social security numbers find what the expressions for them do."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from account_expressions import cards, ssns, with_check_digit
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import accounts
from curation.pii.context import NAMED, OTHERWISE, SearchedTexts, may_be_named
from curation.pii.evidence import Match
from curation.pii.recognizers import Span
from curation.pii.windows import number_windows, plain

PARTS = st.sampled_from(
    [
        *("308-63-0237", "308 63 0237", "308.63.0237", "308630237", "30863-0237", "308-630237", "308-63 0237"),
        *("308\u00a063\u00a00237", "308\u201063\u20100237", "987-65-4321", "078-05-1120", "111111111", "666-63-0237"),
        *("000-63-0237", "308-00-0237", "308-63-0000", "\uff13\uff10\uff18-63-0237", "\u0663", "\u90ae", "\u00e9"),
        *("1", "22", "333", "4444", "+49 ", "+", "(", ")", "-", " ", ".", "/", "x", "#", "_", "=", "@", "\n", "a", ":"),
        *("ssn ", "SSN#", "social security: ", "soc. sec\n", "no. ", "ISBN-10 ", "\u200b", "\u0436\u0444 "),
    ]
)
NAMES = (0, NAMED["us_ssn"], OTHERWISE, NAMED["us_ssn"] | OTHERWISE)


SSNS = (accounts.judge_ssns, ssns, accounts.judge_ssn)
CARDS = (accounts.judge_cards, cards, accounts.judge_card)


def compare(texts: list[str], named: int, minimum: float = 0.0, functions: tuple[Any, Any, Any] = SSNS) -> list[Match]:
    """Compare both in some texts; the matches of the kernel."""
    judge_all, recognize, judge = functions
    searched = SearchedTexts(pa.array(texts, pa.string()))
    found = number_windows(searched.characters)
    may_be_named(searched, found[:, :3])
    found = np.column_stack([found, np.full(len(found), named)])
    matches, others = judge_all(searched, found, minimum, ())
    assert not len(others)
    expected = []
    for row, start, end, *_ in found.tolist():
        text, begin = texts[row], max(0, start - 1)
        for span in recognize(plain(text[begin : end + 1])):
            match = judge(text, Span(begin + span.start, begin + span.end, span.score), named)
            if match is not None and match.score >= minimum:
                expected.append((row, match))
    # Both forms of a card number may be found at the same place.
    assert sorted(one for one in matches if one[1].score >= minimum) == sorted(set(expected))
    return [match for _, match in matches]


@settings(deadline=None, derandomize=True, max_examples=600)
@given(st.lists(st.lists(PARTS, max_size=12).map("".join), max_size=3), st.sampled_from(NAMES))
def test_the_kernel_agrees_with_the_recognizer(texts: list[str], named: int) -> None:
    compare(texts, named)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """Numbers with a check digit that begin as those of some issuer, or of none, in any groups."""
    first = draw(st.sampled_from(["4", "51", "34", "6011", "675", "5018", "2221", "2720", "27", "13", "3", "56", "9"]))
    digits = with_check_digit(first + draw(st.text("0123456789", min_size=7, max_size=16)))
    sizes = (
        draw(st.sampled_from([[20], [4] * 5, [4, 6, 5, 5], [4, 4, 5, 5], [4, 3, 4, 4, 5]]))
        if draw(st.booleans())
        else draw(st.lists(st.integers(3, 5), min_size=7, max_size=7))
    )
    separators = st.sampled_from(["", " ", "-", "\u00a0", "\u2010", "."])
    one = draw(separators)
    groups, place = [], 0
    for size in sizes:
        groups += [digits[place : place + size], one if draw(st.integers(0, 9)) else draw(separators)]
        place += size
    return "".join(groups).rstrip(" -.\u00a0\u2010")


@settings(deadline=None, derandomize=True, max_examples=800)
@given(st.lists(st.lists(card_numbers() | PARTS, max_size=6).map("".join), max_size=3), st.sampled_from((0, OTHERWISE)))
def test_the_kernel_agrees_on_cards(texts: list[str], named: int) -> None:
    compare(texts, named, functions=CARDS)


@pytest.mark.parametrize("text", ["_4539148803436467_", "card _4539 1488 0343 6467_ b", "card=_4539148803436467_"])
def test_cards_in_emphasis(text: str) -> None:
    """The underscores of Markdown's emphasis around a number are no part of it."""
    assert [one.value for one in compare([text], NAMED["credit_card"], 0.5, CARDS)] == ["4539148803436467"]


def test_cards_of_every_form() -> None:
    """Numbers of 12 to 19 digits in one group, and in all groups that cards have, are found; others are not."""
    maestro = with_check_digit("67596498264")
    for number, is_found in (
        ("4716424521511864", True),
        ("4716 4245 2151 1864", True),
        ("4716-4245-2151-1864", True),
        ("4716 4245-2151 1864", True),
        ("3782 822463 10005", True),
        (with_check_digit("123456789012"), False),
        (with_check_digit("1234567890123"), True),
        (maestro, True),
        (with_check_digit("675964982643845301"), True),
        ("4716424521511865", False),
        ("a4716424521511864", False),
        ("4716424521511864a", False),
        (f"{maestro[:4]} {maestro[4:8]} {maestro[8:]} 5a", True),
    ):
        assert bool(compare([number], 0, functions=CARDS)) == is_found, number


@settings(deadline=None, derandomize=True, max_examples=400)
@given(st.text("01369-. ", max_size=40))
def test_the_kernel_agrees_on_digits_and_punctuation(text: str) -> None:
    compare([text], 0)


def test_letters_next_to_numbers() -> None:
    """Letters of any script join a number, but not those of scripts without spaces; typographic signs are as others."""
    assert len(compare(["308\u00a063\u00a00237 and 308\u201163\u20110237"], 0)) == 2
    assert len(compare(["\u90ae308-63-0237\u90ae"], 0)) == 1
    assert compare(["308-63-0237\u00e9", "\u0436308-63-0237", "\u0663308-63-0237"], 0) == []
    assert len(compare(["\u00bf308-63-0237?"], 0)) == 1


def test_check_digits() -> None:
    """Of ten last digits of a card number, one is right."""
    for number in ("471642452151186", "222300312200322", "491761000000000000", "50180000000"):
        assert len(compare([f"{number}{digit}" for digit in "0123456789"], 0, functions=CARDS)) == 1
    assert [one.end for one in compare(["4716 4245 2151 1864 2223003122003222"], 0, functions=CARDS)] == [19, 36]
    assert [one.end for one in compare(["5641 8211 1116 6669 1234"], 0, functions=CARDS)] == [19]


def test_issued_numbers() -> None:
    """Nine digits in four groupings are social security numbers, except those that are never issued."""
    found = compare(["ssn 308-63-0237 308630237 30863-0237 308-630237 308.63.0237"], NAMED["us_ssn"])
    assert [one.value for one in found] == ["308630237"] * 5
    assert compare(["000-63-0237 308-00-0237 308-63-0000 666-63-0237 111111111 308-63.0237"], 0) == []
    assert compare(["123-45-6789 987-65-4320 078-05-1120"], 0) == []


@pytest.mark.parametrize("functions", [SSNS, CARDS])
def test_numbers_in_all_groups(functions: tuple[Any, Any, Any]) -> None:
    """In groups that cards and social security numbers have, and others."""
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
        found += len(compare([text], 0, functions=functions))
    assert found > 200


def test_numbers_at_the_ends_of_texts() -> None:
    """Texts are next to each other in memory, but a number at the end of one has nothing to do with the next one."""
    found = compare(["308-63-0237", "308-63-0238", "", "x308-63-0239", "308-63-0230"], NAMED["us_ssn"])
    assert [one.value for one in found] == ["308630237", "308630238", "308630230"]
    assert [one.score for one in compare(["ssn", "308-63-0237"], NAMED["us_ssn"])] == [0.5]


def test_what_is_around_many_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken in parts, and each number has its own."""
    texts = [f"{'ssn ' if number % 3 else '#'}308-63-{number:04}" for number in range(1, 40)]
    expected = compare(texts, NAMED["us_ssn"])
    monkeypatch.setattr(accounts, "_AT_ONCE", 7)
    assert compare(texts, NAMED["us_ssn"]) == expected
    assert {one.score for one in expected} == {0.85}


def test_only_what_counts_is_found() -> None:
    """Doubtful numbers are left out if they cannot count; those that belong to nobody are kept as they are."""
    assert compare(["308630237"], 0, 0.4) == []
    assert [(one.value, one.kept) for one in compare(["899-63-0237 900-63-0237"], 0, 0.4)] == [
        ("899630237", False),
        ("900630237", True),
    ]


@pytest.mark.parametrize(
    ("functions", "text", "is_found"),
    [
        (CARDS, "4111 1111 1111 1111", True),
        (CARDS, "4111-1111-1111-1111", True),
        (CARDS, "x4111-1111-1111-1111x", False),
        (CARDS, "4111 1111 1111 1112", False),
        (CARDS, "4111  1111 1111 1111", False),
        (CARDS, "4111.1111.1111.1111", False),
        (CARDS, "0000000000000000", False),
        (CARDS, "41111111111111111111", False),
        (SSNS, "308-63-0237", True),
        (SSNS, "308\u201163\u20110237", True),
        (SSNS, "308 63 0237", False),
        (SSNS, "308-63 0237", False),
        (SSNS, "308 63-0237", False),
        (SSNS, "308630237", False),
        (SSNS, "308--63-0237", False),
        (SSNS, "308-63-02371", False),
        (SSNS, "1-308-63-0237", False),
        (SSNS, "212-736-5000", False),
    ],
)
def test_what_counts_without_a_word(functions: tuple[Any, Any, Any], text: str, is_found: bool) -> None:
    """At the usual minimum scores, and without a word that names the number."""
    assert bool(compare([text], 0, 0.4, functions)) == is_found


@pytest.mark.parametrize("text", ["308 63 0237", "308.63.0237", "308630237", "30863-0237", "308-630237"])
def test_what_counts_next_to_a_word(text: str) -> None:
    """Some forms of social security numbers count only next to a word, or if any score does."""
    assert compare([f"ssn {text}"], NAMED["us_ssn"], 0.4)
    assert compare([text], 0, 0.05)
    assert not compare([f"ssn {text}"], 0, 0.4)
