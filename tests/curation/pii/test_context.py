"""Words that name a number, looked for near many stretches of text at once."""

from __future__ import annotations

import re
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.pii import context
from curation.pii.context_kernels import REACH, is_space

PIECES = st.sampled_from(
    ["tel ", "Part no. ", "DO\u0130 ", "ISBN", "x" * 30, "1" * 20, "\u00e9", " ", "call", "ssn ", "s", "9"]
)
TEXTS = st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=1, max_size=4)


BITS = (*context.NAMED.values(), context.OTHERWISE)


@settings(deadline=None, derandomize=True)
@given(TEXTS, st.data())
def test_words_near_stretches(texts: list[str], data: st.DataObject) -> None:
    """A stretch may be named if a word that names any number is within its reach, whatever is near other stretches."""
    stretches = [
        [row, *sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))]
        for row, text in enumerate(texts)
        for _ in range(3)
    ]
    stretches.sort()
    expected = []
    for row, start, end in stretches:
        reach = int(context.reach_before(np.array([end - start]))[0])
        lower = texts[row].replace("\u0130", "i").lower()
        low, high = max(0, start - reach), end + 12
        named = 0
        for place, value in context._all_words().iter(lower[low:high]):
            first, last = low + place + 1 - (value >> context._BITS), low + place + 1
            is_whole = re.search(r"[a-z0-9]", lower[first - 1 : first] if first else "") is None
            is_whole = is_whole and re.match(r"s?(?![a-z])", lower[last:]) is not None
            named |= sum(bit for bit in BITS if value & bit and (is_whole or bit != context.OTHERWISE))
        expected.append(named)
    found = context.may_be_named(context.SearchedTexts(pa.array(texts, pa.string())), np.array(stretches, np.int64))
    assert found.tolist() == expected


def test_a_part_of_a_word_names_nothing() -> None:
    """Words that name another number only count as a whole, also in the plural and at the ends of texts."""
    texts = ["SSN 1", "SN 1", "parts 1", "party 1", "apart 1", "ISBN", "x ISBNs", "isbn1", "\u00e9sn 1", "isbn-13 1"]
    stretches = np.array([[row, len(text), len(text)] for row, text in enumerate(texts)])
    named = context.may_be_named(context.SearchedTexts(pa.array(texts, pa.string())), stretches) & context.OTHERWISE
    assert np.flatnonzero(named).tolist() == [1, 2, 5, 6, 7, 8, 9]


NEAR = st.sampled_from(
    ["ip", "IP ", "ssn ", "SSN#", "tel: ", "call last ", "<IP>", "<EMAIL> ", "x", " ", "\n", "and ", "7 "]
)


LISTED = (
    *(
        "isbn ",
        "ISBN-",
        "part ",
        "parts ",
        "no. ",
        "no ",
        "#",
        "call",
        "and ",
        " or ",
        "und ",
        ", ",
        " ",
        "\n",
        ":",
        "(",
        "/",
    ),
    *("10", "13", " 10 ", "47", "308-63-0237", "212 736-5000", "5", "٣٤-٣", "x", "é", "lorem ipsum dolor sit amet "),
)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(NEAR, max_size=20).map("".join), st.sampled_from(sorted(context._CLUES)))
def test_word_directly_before(text: str, kind: str) -> None:
    """A match is in context if its last words name the kind, also where the last of them alone does."""
    start = len(text)
    clues, begin = context._CLUES[kind], max(0, start - REACH)
    is_cut = begin > 0 and not text[begin - 1].isspace()
    expected = context._is_in.__wrapped__(clues, text[begin:], "", is_cut)
    assert (context.in_context(kind, f"{text}5", start, start + 1, 0.0) > 0) == expected


AROUND_NUMBERS = st.sampled_from(
    (
        *(
            "tel ",
            "Tel. ",
            "phone:",
            "hotel ",
            "fax=",
            "call ",
            "call last ",
            "call no ",
            "last ",
            "numbers ",
            "mobile",
        ),
        *("ssn ", "SSN#", "social security ", "soc. sec ", "security ", "ip ", "ipv4:", "ship ", "card ", "discard "),
        *("isbn ", "ISBN-13 ", "isbns", "part no. ", "s/n ", "ids ", "and ", "hand ", "or ", "No ", "und", "x/isbn "),
        *("a ", "foo ", "é ", "ж", "电话", " ", "\n", "\u00a0", "\u2003", "-", ".", "#", "=", "<EMAIL>", "<", "(", "_"),
        *("a" * 38, "b" * 45, "1", "13 ", "٣", "²", "İd ", "noſ ", "\u212a", "_ssn ", "tel_", "office", " direct"),
        *("mobile", " (fax)", "/mobile", "@", " - cell"),
    )
)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(st.lists(st.lists(AROUND_NUMBERS, max_size=8).map("".join), min_size=2, max_size=4), st.data())
def test_narrowed_names(pieces: list[str], data: st.DataObject) -> None:
    """Without the words that are ruled out, and with those that are certain, a number is named as before."""
    text, numbers = pieces[0], []
    for piece in pieces[1:]:
        number = data.draw(st.sampled_from(("308-63-0237", "2127365000", "8.8.44.8")))
        numbers.append((0, len(text), len(text) + len(number)))
        text += number + piece
    texts, stretches = context.SearchedTexts(pa.array([text])), np.array(numbers)
    near = context.may_be_named(texts, stretches)
    for kind, bit in context.NAMED.items():
        narrowed = texts.narrowed(kind, stretches, near & (bit | context.OTHERWISE))
        for (_, start, end), named in zip(numbers, narrowed.tolist(), strict=True):
            assert context.in_context(kind, text, start, end, 0.0, named) == context.in_context(
                kind, text, start, end, 0
            )
            assert context.has_label(kind, text, start, end, named) == context.has_label(kind, text, start, end)
            otherwise = context.is_named_otherwise(text, start, end, named)
            assert otherwise == context.is_named_otherwise(text, start, end)


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("tel жук 2127365000", "phone", context.IN_CONTEXT),
        ("hotel 2127365000", "phone", context.NAMED["phone"]),
        ("tel a b c d e 2127365000", "phone", 0),
        ("isbn foo 2127365000", "phone", 0),
        ("isbn 2127365000", "phone", context.OTHERWISE),
        ("2127365000 fax", "phone", context.NAMED["phone"]),
        ("social security 308630237", "us_ssn", context.NAMED["us_ssn"]),
        ("ip 308630237", "us_ssn", 0),
        ("ssn=308630237", "us_ssn", context.NAMED["us_ssn"]),
    ],
)
def test_most_names_are_decided(text: str, kind: str, named: int) -> None:
    """Expressions are only needed for phrases, labels behind a number, signs, and words that contain a name."""
    texts = context.SearchedTexts(pa.array([text]))
    start = next(place for place, character in enumerate(text) if character.isdigit())
    stretches = np.array([[0, start, start + sum(map(str.isdigit, text))]])
    near = context.may_be_named(texts, stretches) & (context.NAMED[kind] | context.OTHERWISE)
    assert texts.narrowed(kind, stretches, near).tolist() == [named]


def test_white_space() -> None:
    """The kernels know all white space."""
    assert [chr(code) for code in range(sys.maxunicode + 1) if is_space.py_func(code)] == [  # type: ignore[attr-defined]
        chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ISBN-10: 347", "ISBN-10: 000"),
        ("13", "13"),
        ("10 100 a10 10a 1013", "10 000 a00 00a 0000"),
        ("é13 (13) 47 ٣", "é00 (13) 00 ٠"),
        ("", ""),
    ],
)
def test_digits_whose_values_count(text: str, expected: str) -> None:
    """Only 10 and 13 as words are told from other digits by what names a number."""
    assert context.word_shape(text) == expected


@pytest.mark.parametrize(
    ("before", "number", "is_listed"),
    [
        ("isbn 892-927-9542 ", "610-322-9689", True),
        ("isbn 13 892-927-9542, ", "610-322-9689", True),
        ("isbn 13892-927-9542 ", "610-322-9689", False),
        ("model 13803-20-0958and ", "611-72-7003", False),
    ],
)
def test_numbers_of_a_list_are_written_alike(before: str, number: str, is_listed: bool) -> None:
    """A number that is longer than the one behind it, though it ends like it, begins no list."""
    text, start = before + number, len(before)
    assert context.is_named_otherwise(text, start, len(text)) == is_listed
    assert context.is_named_otherwise(text, start, len(text), form=context.word_shape(text)) == is_listed


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(LISTED), max_size=24).map("".join), st.integers(0, 6))
def test_what_names_a_number_is_known_by_the_shape_of_the_text(text: str, number: int) -> None:
    """No other digit decides, and no text further away."""
    written = ("308-63-0237", "212 736-5000", "5", "10-13-1013", "1" * 30, "ab-12-34", "٣٤-٣")[number]
    text += " " if text[-1:].isalnum() else ""
    start, end = len(text), len(text) + len(written)
    text += written
    form = context.word_shape(text)
    expected = context._names_other.__wrapped__(text, start)
    assert context.is_named_otherwise(text, start, end) == expected
    assert context.is_named_otherwise(text, start, end, form=form) == expected
    assert context._names_other.__wrapped__(form, start) == expected
