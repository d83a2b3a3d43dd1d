"""Words by Unicode's rules for word boundaries."""

from __future__ import annotations

import re

import numpy as np
import pytest
import regex
from growth import assert_linear
from heuristic_cases import batch_of, strings
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.text.views import count_fasttext_words, flat, unicode_words


def words(text: str) -> list[str]:
    batch = batch_of([text])
    return strings(batch, unicode_words(batch.characters))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, can't stop!", ["Hello", "can't", "stop"]),
        ("3.14 1,234.5 a.b U.S.A. 5% v1.2", ["3.14", "1,234.5", "a.b", "U.S.A", "5", "v1.2"]),
        ("a_b _ __init__ foo-bar", ["a_b", "__init__", "foo", "bar"]),
        ("'quoted' don''t l'\u00e9t\u00e9", ["quoted", "don", "t", "l'\u00e9t\u00e9"]),
        ("x\u0301y z\u200dw \u0301q", ["x\u0301y", "z\u200dw", "q"]),
        ('\u05d0"\u05d1 \u05d0\' \u05d0"a', ['\u05d0"\u05d1', "\u05d0'", "\u05d0", "a"]),
        ("カタカナ ひら 漢字a", ["カタカナ", "ひ", "ら", "漢", "字", "a"]),
        ("a\u200d\u2764 b", ["a\u200d\u2764", "b"]),
        ("a\r\nb\u2028c", ["a", "b", "c"]),
        ("\U0001f1e9\U0001f1ea - … 😀", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """The parts between boundaries that have a letter or a digit."""
    assert words(text) == expected


PIECES = (
    *("a", "B", "é", "1", "23", ".", ",", ":", "'", '"', "_", "-", " ", "\n", "\r", "\u0301", "\u200d", "\u200b"),
    *("\u05d0", "\u05d1", "カ", "ひ", "漢", "ก", "\u2764", "😀", "\u00ad", "\u2019", "\u00b7", "\u0600", "\u3000"),
)


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@settings(max_examples=1000, deadline=None)
def test_boundaries_are_those_of_regex(text: str) -> None:
    """The words are the parts that the library regex finds between its boundaries."""
    parts = regex.split(r"(?wV1)\b", text)
    assert words(text) == [part for part in parts if regex.search(r"[\p{Alphabetic}\p{N}]", part)]


@given(st.lists(st.lists(st.sampled_from([*"a1-\u00a0\u2028é_ \n\t\0"]), max_size=8).map("".join), max_size=4))
@settings(max_examples=200, deadline=None)
def test_words_of_fasttext(texts: list[str]) -> None:
    """Words end at ASCII white space and zeros only; those that begin with a letter or digit count."""
    expected = [sum(word[0].isalnum() for word in re.split("[\0\t-\r ]+", text) if word) for text in texts]
    assert count_fasttext_words(flat(texts)).tolist() == expected
    mask = np.arange(len(texts)) % 2 == 1
    assert count_fasttext_words(batch_of(texts).keep(mask).characters).tolist() == expected[1::2]


def test_rows() -> None:
    """Each text is cut alone."""
    found = unicode_words(flat(["a b", "", "-", "c"]))
    assert found.counts.tolist() == [2, 0, 0, 1]


def test_time_is_linear() -> None:
    """Long words, and long runs of marks, take linear time."""
    for piece in ("a'", "a\u0301", "'", "\u0301", "1,"):
        assert_linear(lambda text: unicode_words(flat([text])), lambda n, piece=piece: piece * n, 20_000)  # type: ignore[misc]
