"""Highlights: the parts that a rule counted, in agreement with the filter's measurement."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stages import documents

from curation.filters.fineweb import FineWeb
from curation.filters.gopher_quality import GopherQuality
from curation.filters.gopher_repetition import GopherRepetition
from curation.report.highlights import decisive, merge_spans, shared_lines
from curation.stages.parameters import parameters

TEXTS = st.lists(st.sampled_from(["a", "b", "cat", "dog sat", "\n", "a b c", "x. y", "\n\n"]), min_size=1, max_size=60)


def highlighted(reason: str, text: str, stage: object = None) -> list[str]:
    return [text[start:end] for start, end in decisive(reason, text, parameters(stage) if stage else {})]


def measured(stage: GopherRepetition | GopherQuality | FineWeb, text: str, signal: str) -> float:
    value = stage.measure(documents(text)).field(signal)[0].as_py()
    return float(value or 0.0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS, st.sampled_from([5, 6, 10]))
def test_duplicate_ngrams_are_those_the_filter_counts(parts: list[str], size: int) -> None:
    """The highlighted words have as many characters as the share that the filter measures."""
    text = " ".join(parts)
    share = measured(GopherRepetition(), text, f"dup_{size}_gram")
    characters = sum(
        len(part.replace(" ", "").replace("\n", ""))
        for part in highlighted(f"gopher_repetition.max_dup_{size}_gram", text)
    )
    assert characters == round(share * len(text))


def test_every_occurrence_of_the_top_ngram_is_highlighted() -> None:
    """Every occurrence of the most frequent pair of words is highlighted, and nothing else."""
    text = "the cat saw the cat and the cat left for the dog"
    assert highlighted("gopher_repetition.max_top_2_gram", text) == ["the cat"] * 3


def test_lines_that_do_not_end_like_sentences() -> None:
    """As many lines are highlighted as the filter counts; blank lines are not."""
    text = "A menu\n\nHome\nThis is a sentence.\nContact us"
    found = highlighted("fineweb.min_terminal_lines", text, FineWeb())
    assert found == ["A menu", "Home", "Contact us"]
    assert measured(FineWeb(), text, "terminal_lines") == 1 - len(found) / 4


@pytest.mark.parametrize(
    ("reason", "text", "expected"),
    [
        ("gopher_repetition.max_dup_line_fraction", "a b\nc\na b\na b", ["a b", "a b"]),
        ("gopher_repetition.max_dup_paragraph_fraction", "a\n\nb\n\na", ["a"]),
        ("gopher_quality.max_hash_ratio", "# a # b", ["#", "#"]),
        ("gopher_quality.max_ellipsis_ratio", "a... b…", ["...", "…"]),
        ("gopher_quality.max_bullet_lines", "- a\nb\n• c", ["- a", "• c"]),
        ("gopher_quality.max_ellipsis_lines", "more...\nno\nand…", ["more...", "and…"]),
        ("gopher_quality.min_alpha_words", "one 2 three 44", ["2", "44"]),
        ("c4.curly_bracket", "if { a }", ["{"]),
        ("c4.lorem_ipsum", "so Lorem Ipsum dolor", ["Lorem Ipsum"]),
        ("fineweb.max_dup_characters", "same\nother\nsame", ["same"]),
        ("gopher_quality.min_words", "too short", []),
        ("my_filter.my_rule", "anything {", []),
    ],
)
def test_highlights_of_each_rule(reason: str, text: str, expected: list[str]) -> None:
    """A rule highlights the parts it counted; a rule about the whole text or of an unknown filter highlights none."""
    assert highlighted(reason, text) == expected


def test_highlights_follow_the_settings() -> None:
    """Stop words, the length of a short line and sentence-ending characters are those of the recipe."""
    assert highlighted("gopher_quality.min_stop_words", "der Hund und the cat", GopherQuality(stop_words=("und",))) == [
        "und"
    ]
    assert highlighted("fineweb.max_short_lines", "abc\nabcdef", FineWeb(short_line_length=4)) == ["abc"]
    assert highlighted("fineweb.min_terminal_lines", "a;\nb.", FineWeb(terminal_characters=(";",))) == ["b."]


def test_lines_shared_with_the_survivor() -> None:
    """Lines in both texts are shared, in any place, regardless of white space around them."""
    text = "one line\nmine alone\n  two lines \n\n"
    assert [text[a:b] for a, b in shared_lines(text, "two lines\nother\none line")] == ["one line", "  two lines "]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair)))))
def test_merged_spans_cover_the_same(spans: list[tuple[int, int]]) -> None:
    """Merging gives ascending and disjoint spans that cover the same positions."""
    found = merge_spans(spans)
    assert {at for a, b in found for at in range(a, b)} == {at for a, b in spans for at in range(a, b)}
    assert all(before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize("size", ["0", "", "-1", "9" * 5000])
def test_rules_that_do_not_exist(size: str) -> None:
    """A reason from a file that somebody else wrote highlights nothing if there is no such rule."""
    for kind in ("top", "dup"):
        assert highlighted(f"gopher_repetition.max_{kind}_{size}_gram", "a a a a") == []
