"""The kernel that finds the parts of windows that may be numbers: the same numbers as a search with expressions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import automaton, part_kernels, phone_matcher
from curation.pii.phones import _parts, end_of_context
from curation.pii.recognizers import phones
from curation.pii.windows import number_windows, shown
from curation.text import views

REGIONS = ("DE", "US", "GB", "IT")
GROUPS = ("212", "736", "5000", "030", "2275", "0049", "49", "1", "12", "2003", "+49", "(030)", "08", "0171", "7")
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


def compared(texts: Sequence[str]) -> tuple[int, int]:
    """Assert that windows have the numbers that a search with expressions finds; how many were looked at, and found."""
    view = views.characters(pa.array(texts, pa.string()))
    windows = number_windows(view)
    parts, is_done = _parts(view, windows, REGIONS)
    parts_of = {window: [others for _, *others in same] for window, same in groupby(parts, itemgetter(0))}
    found = 0
    for place, (row, start, end, _) in enumerate(windows.tolist()):
        text, own = texts[row], parts_of.get(place, [])
        if not is_done[place]:
            assert not own
            continue
        numbers = phone_matcher.numbers_in_parts(text[start : end + 3], end - start, own, REGIONS) if own else {}
        begin = max(0, start - 1)
        spans = phones(shown(text[begin : end_of_context(text, end)]), REGIONS, end - begin)
        expected = {(begin + one.start - start, begin + one.end - start): one.numbers for one in spans}
        assert numbers.keys() == expected.keys(), text
        assert all(None in (meant, expected[span]) or meant == expected[span] for span, meant in numbers.items()), text
        found += len(numbers)
    return int(is_done.sum()), found


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(TEXTS, max_size=4))
def test_the_same_numbers_as_expressions(texts: list[str]) -> None:
    """A window that is looked at has the numbers that a search with expressions finds."""
    compared(texts)


@pytest.mark.parametrize("max_states", [1 << 15, 600])
def test_many_texts(monkeypatch: pytest.MonkeyPatch, max_states: int) -> None:
    """So it is in many texts of digits and punctuation, also if states are forgotten meanwhile."""
    monkeypatch.setattr(automaton, "MAX_STATES", max_states)
    chance = random.Random(2)
    texts = []
    for _ in range(3500):
        middle = "".join(chance.choice(GROUPS) + chance.choice(BETWEEN) for _ in range(chance.randint(1, 7)))
        texts.append(chance.choice(AROUND) + middle + chance.choice(AROUND))
    looked_at, found = compared(texts)
    assert looked_at > 400
    assert found > 150


def test_all_characters_that_join() -> None:
    """A character next to which a number is none is known, or leaves the window to the search with expressions."""
    kinds = part_kernels.kinds_of_characters()
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            joins = phone_matcher._joins(chr(code))
            kind = int(kinds[code])
            assert kind & part_kernels._UNSURE or bool(kind & (part_kernels._JOINS | part_kernels._X)) == joins, hex(
                code
            )


def test_more_parts_than_expected() -> None:
    """All parts are found if there are more of them than the array has room for."""
    view = views.characters(pa.array([" / ".join(["212 736 5000"] * 9)]))
    parts, is_done = _parts(view, number_windows(view), ("US",))
    assert is_done.all()
    assert len({(start, end) for *_, (start, end, *_) in parts}) >= 9
