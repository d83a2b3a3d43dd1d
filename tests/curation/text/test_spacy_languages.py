"""Words by spaCy's tokenizers for languages other than English equal spaCy's.

More texts with CURATION_FULL_PARITY=1.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from growth import assert_linear
from heuristic_cases import FULL, batch_of, strings

from curation.language.labels import languages
from curation.stages.batch import Batch
from curation.text import views
from curation.text.spacy_languages import tokenizer
from curation.text.word_memo import Memo
from curation.text.words import words

OTHER = ("vi", "zh", "ja", "en")
"""Codes of tokenizers that are libraries of their own, and English."""

CODES = sorted(
    {entry.code for entry in languages().values() if entry.tokenizer == "SpaCyTokenizer" and entry.code not in OTHER}
)
SLOW = () if FULL else ("id",)
"""Not tested by default: spaCy takes seconds to read its 16,000 exceptions, and one language has them."""

SPACED = ("ms", "ar", "es", "sr", "el", "ru", "id", "mk", "bg")
"""Languages with exceptions that contain a space."""

PIECES = (
    *("word", "Word", "école", "слово", "и", "كلمة", "l'", "d’", "-", "--", "/", ".", ",", "...", "…", ":)", ":", ")"),
    *("(", "«", "»", "„", "“", "'", "’s", "12", "3,5", "10%", "8a.m.", "km", "°", "http://a.b/c", "a.b@c.de", "U.S."),
    *("№", "€", "\u0301", "한", "。", "_", "@", "#", "et", "z.B.", "т.", "е.", "S.A.", "=" * 5),
)


@cache
def blank(code: str) -> Any:
    import spacy

    return spacy.blank(code)


def spacy_words(code: str, text: str) -> list[str]:
    nlp = blank(code)
    nlp.max_length = len(text) + 10
    return [token.text.strip() for token in nlp.tokenizer(text) if token.text.strip()]


def words_of(batch: Batch, memo: Memo) -> list[list[str]]:
    text = batch.characters
    return strings(batch, views.Words(*words(text.codepoints, text.first, text.last, memo)))


def texts_for(code: str, count: int) -> list[str]:
    """Texts of the language's exceptions, whole or in parts, and of pieces to which its rules apply."""
    dice = random.Random(code)
    keys = sorted(key for key in tokenizer(code).specials if key.strip())
    spaced = [key for key in keys if " " in key]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(dice.randrange(1, 25)):
            kind = dice.random()
            part = dice.choice(PIECES if kind < 0.6 else keys if kind < 0.9 else spaced or keys)
            parts.append(part if dice.random() < 0.7 else dice.choice(part.split()))
            parts.append(dice.choice((" ", " ", " ", "", "", "  ", "\n", "\u00a0")))
        texts.append("".join(parts))
    return texts


@pytest.mark.parametrize("code", [code for code in CODES if code not in SLOW])
def test_words_equal_those_of_spacy(code: str) -> None:
    """The words of texts of a language's exceptions, affixes and infixes are spaCy's tokens."""
    texts = texts_for(code, 40 if FULL else 15 if code in SPACED else 5)
    found = words_of(batch_of(texts), Memo(1000, tokenizer(code)))
    for text, cut in zip(texts, found, strict=True):
        assert cut == spacy_words(code, text), text


def test_a_word_may_contain_a_space() -> None:
    """An exception with a space is one word, what follows it in the same chunk is cut as usual."""
    memo = Memo(1000, tokenizer("es"))
    assert words_of(batch_of(["los EE. UU., hoy", "EE. x", "EE.  UU."]), memo) == [
        ["los", "EE. UU.", ",", "hoy"],
        *(spacy_words("es", text) for text in ("EE. x", "EE.  UU.")),
    ]


@pytest.mark.parametrize("code", ["de", "hu"])
def test_a_long_chunk_takes_linear_time(code: str) -> None:
    """Runs of punctuation, digits or letters take time in proportion to their length."""
    split = tokenizer(code).split
    for unit in ("=", "a-", "1,", "("):
        assert_linear(split, unit.__mul__, 400)
