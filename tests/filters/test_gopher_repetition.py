"""Gopher's repetition rules: what each counts, by example, and that its threshold is exact."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from heuristic_cases import batch_of, verdict
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.errors import ParameterError
from curation.filters.gopher_repetition import GopherRepetition

NONE: dict[str, Any] = {
    field.name: None for field in dataclasses.fields(GopherRepetition) if field.name.startswith("max_")
}


def measured(text: str) -> dict[str, float]:
    return GopherRepetition().measure(batch_of([text]))[0].as_py()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "signal", "value"),
    [
        ("a\n\nb\n\n\na", "dup_paragraph_fraction", 1 / 3),
        ("  a\n\nb\n\na  ", "dup_paragraph_characters", 1 / 11),
        ("ab\nc\n\nab", "dup_line_fraction", 1 / 3),
        ("ab\nc\nab\nab", "dup_line_characters", 4 / 10),
        ("\na\n", "dup_line_fraction", 1 / 3),
        ("x y x y x", "top_2_gram", 6 / 9),
        ("bb a bb a c c c", "top_2_gram", 8 / 15),
        ("a b c a b c", "top_3_gram", 10 / 11),
        ("one two", "top_3_gram", 0),
        ("ab c x y z a bc x y z", "dup_5_gram", 6 / 21),
        ("a b c d e a b c d e a", "dup_5_gram", 5 / 21),
        ("a " * 12, "dup_5_gram", 10 / 24),
    ],
)
def test_signals(text: str, signal: str, value: float) -> None:
    """Each signal of a small text is what the paper's table defines, as implemented by the reference."""
    assert measured(text)[signal] == pytest.approx(value)


def ngram_counts(words: list[str], top: int, duplicate: int) -> tuple[int, int]:
    """Characters in the top n-gram and in duplicate n-grams, counted naively."""
    counts: dict[tuple[str, ...], int] = {}
    for k in range(len(words) - top + 1):
        gram = tuple(words[k : k + top])
        counts[gram] = counts.get(gram, 0) + 1
    best = max(counts, key=lambda gram: counts[gram], default=())
    seen, repeated, k = set(), 0, 0
    while k + duplicate <= len(words):
        joined = "".join(words[k : k + duplicate])
        if joined in seen:
            repeated += len(joined)
            k += duplicate
        else:
            seen.add(joined)
            k += 1
    return len(" ".join(best)) * counts.get(best, 0), repeated


@given(st.lists(st.sampled_from(["a", "b", "ab", "ba", "é", "的"]), max_size=150))
@settings(max_examples=150, deadline=None)
def test_ngrams_of_few_words(words: list[str]) -> None:
    """For few words in any order, counts equal a naive count."""
    text = " ".join(f"{word}1" for word in words)
    signals = measured(text)
    for top, duplicate in ((2, 5), (3, 6), (4, 7), (4, 8), (4, 9), (4, 10)):
        best, repeated = ngram_counts(text.split(), top, duplicate)
        if text:
            assert signals[f"top_{top}_gram"] == best / len(text)
            assert signals[f"dup_{duplicate}_gram"] == repeated / len(text)


@pytest.mark.parametrize("name", NONE)
def test_thresholds(name: str) -> None:
    """A document is removed only above the threshold, with the parameter's name as reason; None disables the rule."""
    batch = batch_of(["One two one two.\n\nOne two one two.\n" * 6])
    value = GopherRepetition().measure(batch)[0].as_py()[name.removeprefix("max_")]
    assert 0 < value < 1
    for threshold, reason in ((value, None), (value - 0.001, name), (None, None)):
        stage = GopherRepetition(**NONE | {name: threshold})
        assert stage(batch).reasons.to_pylist() == [reason]


def test_an_empty_text_is_removed() -> None:
    """An empty text, on which the reference divides by zero, is removed as `empty`; whitespace is not."""
    outcome = GopherRepetition()(batch_of(["", None, " "]))
    assert outcome.reasons.to_pylist() == ["empty", "empty", None]
    assert outcome.signals[0].as_py()["top_2_gram"] is None


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_parameters_out_of_range(value: float) -> None:
    """A share outside 0 to 1 is refused, with the name of the parameter."""
    with pytest.raises(ParameterError, match="max_dup_5_gram"):
        GopherRepetition(max_dup_5_gram=value)


def test_other_thresholds_equal_the_reference() -> None:
    """With FineWeb-2's choice, paragraph and line-character rules disabled, the verdicts equal the reference's."""
    from datatrove.pipeline.filters import GopherRepetitionFilter

    ours = GopherRepetition(**{name: None for name in NONE if "paragraph" in name or "line_char" in name})
    theirs = GopherRepetitionFilter(dup_para_frac=0, dup_line_char_frac=0, dup_para_char_frac=0)
    texts = ["a b\n\na b\n\nc d", "same line\nsame line\nother\nmore", "x " * 50, "a b c d e f g h " * 4]
    assert ours(batch_of(texts)).reasons.to_pylist() == [verdict(theirs, text)[0] for text in texts]


def test_code_in_fences_is_not_measured() -> None:
    """With `markdown`, the measures are those of the text without its code."""
    code = "```\na = 1\n\na = 1\n\na = 1\n```"
    text = "One two three four.\n\n{}\n\nOne two three four.\n\nFive six seven."
    outcomes = GopherRepetition(markdown=True).measure(batch_of([text.format(code), code, "plain", text.format("")]))
    with_code, only_code, plain, without_code = outcomes.to_pylist()
    assert with_code.pop("characters") == without_code.pop("characters") + len(code)
    assert with_code == without_code
    assert only_code["dup_line_fraction"] == 0
    assert only_code["top_2_gram"] is None
    assert plain["dup_line_fraction"] == 0
    assert measured(text.format(code))["dup_line_fraction"] > with_code["dup_line_fraction"]


def test_code_alone_is_kept() -> None:
    """With `markdown`, a document of code alone violates no rule."""
    assert GopherRepetition(markdown=True)(batch_of(["```\n" + "a = 1\n" * 50 + "```"])).reasons.to_pylist() == [None]


def test_words_between_white_space() -> None:
    """With `words = "space"`, n-grams are of what stands between white space."""
    text = "well-known, well-known, x y z"
    spacy, space = (GopherRepetition(words=words).measure(batch_of([text]))[0].as_py() for words in ("spacy", "space"))
    assert space["top_2_gram"] == pytest.approx(len("well-known,well-known,") / len(text), abs=0.05)
    assert space["top_2_gram"] != spacy["top_2_gram"]
