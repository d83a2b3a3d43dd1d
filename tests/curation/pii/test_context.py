"""Words that name a number, looked for near many stretches of text at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import context
from curation.text import views

PIECES = st.sampled_from(["tel ", "Part no. ", "DO\u0130 ", "ISBN", "x" * 30, "1" * 20, "\u00e9", " ", "call"])
TEXTS = st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=4)


BITS = (*context.NAMED.values(), context.OTHERWISE)


@settings(deadline=None, derandomize=True)
@given(TEXTS, st.data())
def test_words_near_stretches(texts: list[str], data: st.DataObject) -> None:
    """A stretch may be named if a word that names any number is within its reach, whatever is near other stretches."""
    characters = views.characters(pa.array(texts, pa.string()))
    stretches = [
        [row, *sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))]
        for row, text in enumerate(texts)
        for _ in range(3)
    ]
    stretches.sort()
    expected = []
    for row, start, end in stretches:
        reach = int(context.reach_before(np.array([end - start]))[0])
        around = texts[row][max(0, start - reach) : end + 12].replace("\u0130", "i").lower()
        expected.append(sum({bit for _, value in context._all_words().iter(around) for bit in BITS if value & bit}))
    found = context.may_be_named(characters, texts.__getitem__, np.array(stretches, np.int64))
    assert found.tolist() == expected


NEAR = st.sampled_from(
    ["ip", "IP ", "ssn ", "SSN#", "tel: ", "call last ", "<IP>", "<EMAIL> ", "x", " ", "\n", "and ", "7 "]
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(NEAR, max_size=20).map("".join), st.sampled_from(sorted(context._CLUES)))
def test_word_directly_before(text: str, kind: str) -> None:
    """A match is in context if its last words name the kind, also where the last of them alone does."""
    start = len(text)
    clues, begin = context._CLUES[kind], max(0, start - context.REACH)
    is_cut = begin > 0 and not text[begin - 1].isspace()
    expected = context._is_in.__wrapped__(clues, text[begin:], "", is_cut)
    assert (context.in_context(kind, f"{text}5", start, start + 1, 0.0) > 0) == expected


@pytest.mark.parametrize(
    ("text", "has_system"),
    [("ISBN-10: ", True), ("a 13", True), ("123 10 ", False), ("isbn 47", False), ("a 100", False), ("a10", False)],
)
def test_digits_whose_values_count(text: str, has_system: bool) -> None:
    """Only 10 and 13 behind a word are told from other digits by what names a number."""
    assert context.has_system(text) == has_system
