"""The kernels that find numbers in the parts of windows: the same numbers as a search with expressions."""

from __future__ import annotations

import random
from collections.abc import Sequence

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import automaton, number_characters, part_kernels, phone_matcher
from curation.pii.extensions import end_of_context
from curation.pii.number_parts import _parts, numbers_in_parts
from curation.pii.numbering import digits_of
from curation.pii.recognizers import phones
from curation.pii.windows import number_windows, shown
from curation.text import views

REGIONS = ("DE", "US", "GB", "IT")
GROUPS = (
    "212",
    "736",
    "5000",
    "030",
    "2275",
    "0049",
    "49",
    "1",
    "12",
    "2003",
    "+49",
    "(030)",
    "08",
    "0171",
    "7",
    "\u0660\u0663\u0660",
    "\u0968\u0967\u0968",
)
BETWEEN = (
    "",
    " ",
    "-",
    ".",
    "/",
    "(",
    ")",
    " - ",
    "\u2013",
    "\u00a0",
    "\u2009",
    "+",
    " + (",
    "     ",
    "\uff0b",
    "[",
    "--",
    "x",
    " x",
    " x - ",
)
AROUND = (
    *("", " ", ")", "\n", ":", "-") * 2,
    "a",
    "\u00e9",
    "%",
    "$",
    "\u90ae",
    ":30",
    "\u0e01",
    "\u20ac",
    "x",
    " ext 5",
    "tel",
    "\u00b2",
)
TEXTS = st.tuples(
    st.sampled_from(AROUND),
    st.lists(st.sampled_from(GROUPS + BETWEEN + BETWEEN), max_size=14).map("".join),
    st.sampled_from(AROUND),
).map("".join)


def compared(texts: Sequence[str], regions: tuple[str, ...] = REGIONS) -> tuple[int, int]:
    """Assert that windows have the numbers that a search with expressions finds; how many were looked at, and found."""
    view = views.characters(pa.array(texts, pa.string()))
    windows = number_windows(view)
    numbers, meanings, done = numbers_in_parts(view, windows, regions)
    found: dict[int, dict[tuple[int, int], set[tuple[int, str, str, int]]]] = {}
    for window, first, last, extension, meant in numbers.tolist():
        row, start, *_ = windows[window].tolist()
        digits = digits_of(texts[row][start + first : start + last])
        size = len(digits) - extension
        own = {(one.country, digits[one.cut : size], digits[size:], one.source) for one in meanings[meant]}
        found.setdefault(window, {})[first, last] = own
    for place, (row, start, end, _) in enumerate(windows.tolist()):
        text, of_window = texts[row], found.get(place, {})
        if not done[place]:
            assert not of_window
            continue
        begin = max(0, start - 1)
        spans = phones(shown(text[begin : end_of_context(text, end)]), regions, end - begin)
        expected = {(begin + one.start - start, begin + one.end - start): one.numbers for one in spans}
        assert of_window.keys() == expected.keys(), text
        for span, numbers_meant in expected.items():
            meant = numbers_meant and {tuple(one) for one in numbers_meant.values()}
            assert meant in (None, of_window[span]), text
    return int(done.sum()), len(numbers)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(TEXTS, max_size=4))
def test_the_same_numbers_as_expressions(texts: list[str]) -> None:
    """A window that is looked at has the numbers that a search with expressions finds."""
    compared(texts)


@pytest.mark.parametrize("max_bytes", [1 << 28, 300_000])
def test_many_texts(monkeypatch: pytest.MonkeyPatch, max_bytes: int) -> None:
    """So it is in many texts of digits and punctuation, also if states are forgotten meanwhile."""
    monkeypatch.setattr(automaton, "MAX_BYTES", max_bytes)
    chance = random.Random(2)
    texts = []
    for _ in range(3500):
        middle = "".join(chance.choice(GROUPS) + chance.choice(BETWEEN) for _ in range(chance.randint(1, 7)))
        texts.append(chance.choice(AROUND) + middle + chance.choice(AROUND))
    looked_at, found = compared(texts)
    assert looked_at > 400
    assert found > 150


def test_all_characters_that_join() -> None:
    """Of every character it is known whether a number next to it is none."""
    kinds = number_characters.kinds_of_characters()
    joins = number_characters.JOINS | number_characters.X
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            assert bool(int(kinds[code]) & joins) == phone_matcher.joins(chr(code)), hex(code)


def test_more_parts_than_expected() -> None:
    """All parts are found if there are more of them than the array has room for."""
    view = views.characters(pa.array([" / ".join(["212 736 5000"] * 9)]))
    parts, is_done = _parts(view, number_windows(view), ("US",))
    assert is_done.all()
    assert len({(start, end) for start, end in parts[:, [part_kernels.START, part_kernels.END]].tolist()}) >= 9


@pytest.mark.parametrize("first", range(0, 245, 7))
def test_regions(first: int) -> None:
    """So it is in all regions, also if digits begin with a calling code, a national prefix or one for calls abroad."""
    regions = tuple(sorted(phonenumbers.SUPPORTED_REGIONS)[first : first + 7])
    chance = random.Random(first)
    texts = []
    for region in regions:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        starts = (
            "",
            f"{metadata.country_code}",
            metadata.national_prefix or "",
            f"00{metadata.country_code}",
            "0",
            "011",
        )
        types = [one for one in (metadata.fixed_line, metadata.mobile) if one and one.example_number]
        for _ in range(30):
            number = chance.choice(types).example_number if types else "212345678"
            kept = chance.randrange(len(number))
            rest = "".join(chance.choices("0123456789", k=len(number) - kept + chance.choice((0, 0, -1, 1))))
            texts.append(chance.choice(starts) + number[:kept] + rest)
    looked_at, found = compared(texts, regions)
    assert looked_at > 30
    assert found > 10
