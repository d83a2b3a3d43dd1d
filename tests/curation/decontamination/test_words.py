"""Words as the matcher compares them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.decontamination.index import words_of


def found(text: str) -> list[str]:
    """The words of a text as they are written."""
    data = text.encode()
    _, firsts, lasts = words_of(data)
    return [data[first:last].decode() for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]


def same(left: str, right: str) -> bool:
    """Whether two texts have equal words."""
    return words_of(left.encode())[0].tolist() == words_of(right.encode())[0].tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The answer is 42.5, isn't it?", ["The", "answer", "is", "42", "5", "isn", "it"]),
        ("A. one\nB) two (c) three", ["one", "two", "three"]),
        ("def has_close(x):\n\treturn x", ["def", "has", "close", "return"]),
        ("東京は大きい city", ["東", "京", "は", "大", "き", "い", "city"]),
        ("soft\u00adhyphen zero\u200bwidth", ["soft\u00adhyphen", "zero\u200bwidth"]),
        ("день, добрый", ["день", "добрый"]),
        ("", []),
        ("𠀋x yy", ["𠀋", "yy"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Words are runs of letters and digits; single ASCII letters are none, unspaced characters are one each."""
    assert found(text) == words


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("What IS Photosynthesis", "what is photosynthesis?"),
        ("ÄRGER École ДЕНЬ ΛΌΓΟΣ", "ärger école день λόγοσ"),
        ("a “quoted” word—dash", 'the "quoted" word - dash'.replace("the ", "")),
        ("soft\u00adhyphen", "softhyphen"),
        ("> wrapped\n> lines", "wrapped lines"),
    ],
)
def test_case_punctuation_and_layout_do_not_matter(left: str, right: str) -> None:
    """Texts that differ only in case, punctuation, quotes, soft hyphens and line breaks have equal words."""
    assert same(left, right)


def test_another_word_matters() -> None:
    """Another digit, letter or accent is another word."""
    for left, right in (("item 12", "item 13"), ("lead", "leaf"), ("resume", "resumé")):
        assert not same(left, right)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("ab 1.\u00ad東é")), max_size=30))
@example("aͅ")
def test_words_are_in_order_and_whole(text: str) -> None:
    """In any text, words are separate, hold a letter, mark or digit, and none holds a separator."""
    data = text.encode()
    _, firsts, lasts = words_of(data)
    assert all(first < last for first, last in zip(firsts, lasts, strict=True))
    assert all(last <= first for last, first in zip(lasts[:-1], firsts[1:], strict=True))
    for word in found(text):
        kinds = {unicodedata.category(letter)[0] for letter in word if unicodedata.category(letter) != "Cf"}
        assert kinds
        is_rare = max(map(ord, word)) >= 0x20000  # perhaps newer than Python's tables
        assert is_rare or kinds <= {"L", "M", "N"}
