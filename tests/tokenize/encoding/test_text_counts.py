from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.tokenize.encoding.text_counts import BLOCK, count_text

SPACES = [chr(code) for code in range(0x10000) if chr(code).isspace()]
LETTERS = [*"ab", "é", "€", "😀", "中", "’", "\u200b", "\u2027", "\u202a", "\u180e", "\u0084", "\u3001", "\x1b", "\x7f"]


def counts_of(texts: list[str]) -> list[tuple[int, int]]:
    encoded = [text.encode() for text in texts]
    offsets = np.concatenate(([0], np.cumsum([len(text) for text in encoded], dtype=np.int64)))
    characters, words = count_text(np.frombuffer(b"".join(encoded), np.uint8), offsets)
    return list(zip(characters.tolist(), words.tolist(), strict=True))


def expected(texts: list[str]) -> list[tuple[int, int]]:
    return [(len(text), len(text.split())) for text in texts]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from([*SPACES, *LETTERS, *"abc   "]), max_size=400).map("".join), max_size=5))
def test_characters_and_words_are_those_of_python(texts: list[str]) -> None:
    """Counts of texts of any length, alone or next to each other, equal those of `len` and `split`."""
    assert counts_of(texts) == expected(texts)


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_white_space_is_seen_at_every_position(space: str) -> None:
    """White space of one, two or three bytes ends a word at every position of a block and at the ends of a text."""
    letters = "x" * (2 * int(BLOCK) + 8)
    texts = [letters[:place] + space + letters[place:] for place in range(len(letters) + 1)]
    assert counts_of(texts) == expected(texts)
