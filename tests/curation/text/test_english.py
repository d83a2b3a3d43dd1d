"""spaCy's English words, chunk by chunk and across spaces."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from heuristic_cases import FULL, batch_of, page_texts, strings
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.text.english import Edge, can_interact, sentence_ends, tokenizer


@cache
def spacy_tokenizer() -> Any:
    import spacy

    return spacy.blank("en").tokenizer


def spacy_words(text: str) -> list[str]:
    """Words of spaCy itself. The symbol IS_ALPHA confuses spaCy's string store, so no test text contains it."""
    return [token.text for token in spacy_tokenizer()(text) if token.text.strip()]


ATOMS = [
    *sorted(tokenizer().specials),
    *(
        "foo",
        "bar",
        "x",
        "8",
        "12",
        "km",
        "м/с",
        "US$",
        "...",
        "..",
        "…",
        "……",
        ":",
        ")",
        "(",
        "-",
        "'",
        "’",
        '"',
        "'s",
    ),
    *(
        "/",
        "=",
        ">",
        "<",
        "°",
        "_",
        ".",
        "D",
        "P",
        "^",
        "*",
        "|",
        "]",
        "[",
        "}",
        "{",
        "+",
        "²",
        "%",
        "@",
        "://",
        "http",
    ),
    *("com", "。", "的", "é", "É", "😀", "\u0301", "\u200d", "µ", "“", "”", "ⓐ", "ㅎ", "ﷺ", "١", "\u0130", "ß"),
]
SPACES = [*[" "] * 6, "  ", "\n", "\t", " \n", "\u00a0", "\u2028", "\x1c"]
PIECES = st.one_of(
    st.sampled_from(ATOMS), st.sampled_from(ATOMS), st.sampled_from(SPACES), st.characters(codec="utf-8")
)


def some_texts(count: int, seed: int) -> list[str]:
    dice = random.Random(seed)
    return [
        "".join(dice.choice(ATOMS if dice.random() < 0.7 else SPACES) for _ in range(dice.randrange(1, 14)))
        for _ in range(count)
    ]


def test_every_chunk_of_the_pages_has_the_words_of_spacy(shared_data: Path) -> None:
    """All distinct chunks of the shared pages, in all languages, have spaCy's words."""
    chunks = sorted({chunk for text in page_texts(shared_data) for chunk in text.split() if len(chunk) < 2000})
    chunks = [chunk for chunk in chunks if "IS_ALPHA" not in chunk][:: 1 if FULL else 4]
    expected: list[list[str]] = [[]]
    for begin in range(0, len(chunks), 1000):
        # No spaCy exception contains a newline, so chunks on separate lines cannot interact.
        for token in spacy_tokenizer()("\n".join(chunks[begin : begin + 1000]) + "\n"):
            if token.text == "\n":
                expected.append([])
            else:
                expected[-1].append(token.text)
    assert len(expected) == len(chunks) + 1
    for chunk, words in zip(chunks, expected, strict=False):
        assert list(tokenizer()(chunk)[0]) == words


def test_texts_have_the_words_of_spacy() -> None:
    """Exceptions, punctuation and units in any order, with and without spaces between, are cut as by spaCy."""
    texts = some_texts(100_000 if FULL else 5_000, seed=7)
    batch = batch_of(texts)
    for text, words in zip(texts, strings(batch, batch.words), strict=True):
        assert words == spacy_words(text), text


@given(st.lists(st.lists(PIECES, max_size=12).map("".join), max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_text_has_the_words_of_spacy(texts: list[str]) -> None:
    """Whatever the characters, words equal spaCy's."""
    batch = batch_of(texts)
    assert strings(batch, batch.words) == [spacy_words(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("foo:) x", ["foo", ":)", "x"]),
        ("foo:) )", ["foo", ":", ")", ")"]),
        ("foo:) ) ) x", ["foo", ":", ")", ")", ")", "x"]),
        ("foo:)  )", ["foo", ":)", ")"]),
        ("foo:)\n)", ["foo", ":)", ")"]),
        ("a : ) b", ["a", ":", ")", "b"]),
        (">: o:) )", spacy_words(">: o:) )")),
    ],
)
def test_an_exception_may_reach_over_a_space(text: str, words: list[str]) -> None:
    """A longer exception that reaches across a space undoes the shorter one before it, as in spaCy."""
    batch = batch_of([text])
    assert strings(batch, batch.words) == [words] == [spacy_words(text)]


def test_edges_say_which_neighbors_interact() -> None:
    """Chunks around an exception can interact; chunks of prose cannot."""
    tokenize = tokenizer()
    assert can_interact(tokenize("foo:)")[1], tokenize(")")[1])
    assert tokenize("foo:)")[1] & Edge.ALTERS
    assert not tokenize("it's")[1] & Edge.ALTERS
    assert not can_interact(tokenize("house,")[1], tokenize("garden")[1])


@pytest.mark.parametrize(
    "chunk",
    [
        *(character * 700 for character in ".=_-(\"'a:😀。+/1"),
        *("a." * 300, "a," * 300, "a:" * 300, "a@" * 300, "1." * 300, "a-b" * 200, "…." * 300, "'s" * 300, "5km" * 200),
        "http://a.com/" + "x/" * 300,
        "a:" * 200 + "@b.org",
        "x" * 300 + "@" + "y." * 40 + "org:80?" + "z" * 300,
        '{"a":1,"b":[2,3]},' * 40,
        "(" * 200 + "Mr." + ")" * 200,
        "(" * 250 + "don't" + "." * 250,
        "=" * 300 + ":)" + "=" * 300,
        "." * 30 + "a" + "." * 30,
        *("a" * 252 + "!" * count for count in range(4, 8)),
        "-" * 3 + "……" * 20,
    ],
)
def test_long_chunks_have_the_words_of_spacy(chunk: str) -> None:
    """Avoiding spaCy's quadratic cost on long chunks does not change the words."""
    assert list(tokenizer()(chunk)[0]) == spacy_words(chunk)


def test_letters_alone_are_one_word() -> None:
    """A chunk of letters that is not reserved is one word, whatever the script."""
    letters = [chr(code) for code in range(0x110000) if chr(code).isalpha()]
    chunks = ["".join(letters[begin : begin + 50]) for begin in range(0, len(letters), 50)]
    words = [token.text for token in spacy_tokenizer()("\n".join(chunks)) if token.text != "\n"]
    assert words == chunks


def test_reserved_chunks_are_those_that_differ() -> None:
    """A reserved chunk has several words, is an exception, or can be part of one with its neighbors."""
    for chunk in tokenizer().reserved():
        words, edge = tokenizer()(chunk)
        assert len(words) > 1 or edge or chunk in tokenizer().specials


def test_sentence_ends_are_the_sentencizers() -> None:
    """Sentence ends are the sentencizer's: single characters of several scripts."""
    assert {".", "!", "?", "。", "؟", "।"} <= sentence_ends()
    assert all(len(character) == 1 for character in sentence_ends())
