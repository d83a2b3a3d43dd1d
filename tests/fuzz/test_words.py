"""Fuzzes the splitting of texts into words, in English and in other languages."""

from __future__ import annotations

from functools import cache
from typing import Any

from fuzzing import fuzz
from heuristic_cases import batch_of, strings

from curation.text import views
from curation.text.spacy_languages import tokenizer
from curation.text.valid import valid_text
from curation.text.word_memo import Memo
from curation.text.words import words

LANGUAGES = ("en", "fr", "ru", "ms")
"""English, elisions, another script, and exceptions that contain a space."""

SEEDS = [
    b"Don't stop (see http://a.org/b?c=d or a.b@c.de), e.g. at 8a.m. in the U.S. :) It's 10%--or $3.50.",
    "L'école d’été: aujourd'hui, «\u00a0S.A.\u00a0» et M. X, p.-ex. 3,5\u202fkm… 50\u00a0%.".encode(),
    "И т. е. «слово», напр. 5 км/ч; и т.д. № 7 — и\u0301х. http://пример.рф/а".encode(),
    "kura-kura, anak2 S.Pd. dan Ph.D. e.g. 日本語。の文章 한국어 𝒳 👩‍👩‍👧 \u200bx\u3000y".encode(),
    b"\n\t  \r\n" + b"=" * 60 + b"a" * 90 + b" _x_ *y* [z](u) <b>c</b> &amp; #d @e",
]
WORDS = [
    *(
        b" ",
        b"  ",
        b"\n",
        b"'",
        b"'s",
        b"n't",
        b"-",
        b"--",
        b"/",
        b".",
        b"...",
        b",",
        b"(",
        b")",
        b":)",
        b":-(",
        b"8a.m.",
    ),
    *(
        b"U.S.",
        b"e.g.",
        b"http://",
        b"a.b.c",
        b"@",
        b"1,2",
        b"$",
        b"%",
        b"_",
        b"we're",
        b"can not",
        b"i.e",
        b"\0",
        b"\xff",
    ),
    *("\u00a0".encode(), "’".encode(), "«".encode(), "…".encode(), "\u0301".encode(), "。".encode(), "т.".encode()),
]


@cache
def spacy_tokenizer(code: str) -> Any:
    import spacy

    return spacy.blank(code).tokenizer


@cache
def memo_of(code: str) -> Memo:
    return Memo(1000, tokenizer(code))


def check(data: bytes) -> None:
    """Words equal spaCy's tokens without white space, in several languages."""
    text = valid_text(data.decode("utf-8", "surrogateescape"))
    batch = batch_of([text])
    text_view = batch.characters
    for code in LANGUAGES:
        memo = None if code == "en" else memo_of(code)
        found = views.Words(*words(text_view.codepoints, text_view.first, text_view.last, memo))
        expected = [token.text for token in spacy_tokenizer(code)(text) if token.text.strip()]
        assert strings(batch, found) == [expected], code


def test_any_text_is_split_as_by_spacy() -> None:
    """Any text has the words that spaCy's tokenizers find."""
    fuzz(check, SEEDS, WORDS, max_bytes=400, seconds=1.5)
