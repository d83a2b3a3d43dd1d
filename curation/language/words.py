"""Words by the tokenizer for the language of each text, as datatrove assigns them (`curation.language.labels`).

Seven in eight languages have one of spaCy's tokenizers, whose rules `curation.text.spacy_languages` applies to each
distinct chunk once. Others have a library of their own, through datatrove, which is the slow part of such a language.
Where the library is not installed, ICU finds the words if it is (`pip install icu4py`) and the language is written
without spaces; else they are those of spaCy's tokenizer for any language, which needs white space between words.
Stanza would download models, so it is never used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.language.labels import label_of, languages, some
from curation.running.versions import library_version
from curation.text import views
from curation.text.kernels.characters import ALPHA, SYMBOL, classes
from curation.text.kernels.chunks import ALL_SYMBOLS, HAS_ALPHA
from curation.text.spacy_languages import MAX_ENTRIES, MEMOS, tokenizer
from curation.text.word_memo import Memo
from curation.text.words import words

ANY_LANGUAGE = "xx"
"""spaCy's code of its tokenizer for any language."""

WITHOUT_SPACES = frozenset({"Hani", "Hans", "Hant", "Jpan", "Khmr", "Laoo", "Mymr", "Thai", "Tibt"})
"""Scripts without spaces between words."""

_PACKAGES = {
    "IndicNLPTokenizer": {"indicnlp": "indic-nlp-library"},
    "KhmerTokenizer": {"khmernltk": "khmer-nltk"},
    "KiwiTokenizer": {"kiwipiepy": "kiwipiepy"},
    "LaoTokenizer": {"laonlp": "laonlp"},
    "ThaiTokenizer": {"pythainlp": "pythainlp"},
    "BurmeseTokenizer": {"pyidaungsu": "pyidaungsu-numpy2"},
    "SpaCyTokenizer ja": {"sudachipy": "sudachipy", "sudachidict_core": "sudachidict-core"},
    "SpaCyTokenizer vi": {"pyvi": "pyvi"},
    "SpaCyTokenizer zh": {"jieba": "jieba"},
}
"""What a tokenizer needs besides spaCy: modules, and the packages that have them."""

_NEVER = {"StanzaTokenizer": "stanza", "TibetanTokenizer": "botok"}
"""Tokenizers that download models as they run, and their packages."""

DOWNLOADING = frozenset(_NEVER.values())

ICU = {"icu4py": "icu4py"}


def language_words(text: views.Characters, labels: views.Labels) -> views.Words:
    """The words of texts, each by the tokenizer for its language.

    Args:
        text: The texts.
        labels: The language of each text: `deu_Latn`, or a label such as `de` that means one; None and languages that
            are not known have the tokenizer for any language.
    """
    named: dict[str, list[int]] = {}
    for row, name in enumerate(labels.names):
        named.setdefault(method(label_of(name or "")), []).append(row)
    if len(named) == 1:
        return _words_by(next(iter(named)), text)
    parts = [(np.array(rows), _words_by(name, text.take(np.array(rows)))) for name, rows in named.items()]
    first, last = np.zeros(len(text.first), np.int64), np.zeros(len(text.first), np.int64)
    before = 0
    for rows, part in parts:
        first[rows], last[rows] = part.first + before, part.last + before
        before += len(part.starts)
    starts, ends, flags = (
        np.concatenate([np.zeros(0, kind), *(getattr(part, name) for _, part in parts)])
        for name, kind in (("starts", np.int64), ("ends", np.int64), ("flags", np.uint8))
    )
    return views.Words(starts, ends, first, last, flags)


@cache
def method(label: str) -> str:
    """How the words of a language are found here: "spacy de", "library tha_Thai" or "icu tha_Thai".

    Languages with the same method have the same tokenizer.
    """
    entry = languages().get(label)
    if entry is None:
        return f"spacy {ANY_LANGUAGE}"
    if _needs(label) == {}:
        return f"spacy {entry.code or ANY_LANGUAGE}"
    if not missing(label):
        return f"library {label}"
    if label.partition("_")[2] in WITHOUT_SPACES and _are_there(ICU):
        return f"icu {label}"
    return f"spacy {ANY_LANGUAGE}"


def missing(label: str) -> tuple[str, ...]:
    """The packages that find the words of a language but are not installed, or are in DOWNLOADING."""
    if _needs(label) is None:
        return (_NEVER[languages()[label].tokenizer],)
    return tuple(package for module, package in (_needs(label) or {}).items() if find_spec(module) is None)


def substitutes(labels: Iterable[str]) -> list[str]:
    """Which languages do not have the words that datatrove finds, why, and what to install: at most four sentences.

    Args:
        labels: Languages, such as `tha_Thai`.
    """
    reasons: dict[tuple[bool, bool], dict[str, list[str]]] = {}
    for label in labels:
        for package in missing(label):
            kind = package in DOWNLOADING, method(label).startswith("icu")
            reasons.setdefault(kind, {}).setdefault(label, []).append(package)
    sentences = []
    for (downloads, by_icu), found in sorted(reasons.items()):
        needed = sorted({package for each in found.values() for package in each})
        how = "by ICU" if by_icu else "at white space and punctuation"
        why = "which would download models" if downloads else "not installed"
        install = "" if downloads else ": pip install 'curation[languages]'"
        sentences.append(
            f"texts in {some(found)} are split into words {how}, not by {', '.join(needed)} ({why}){install}"
        )
    return sentences


def identity(labels: Iterable[str]) -> dict[str, Any]:
    """What the words of languages depend on besides spaCy, in the form of `curation.stages.parameters.identity`."""
    special = {label: method(label) for label in labels if _needs(label) != {}}
    used = {
        name for label, how in special.items() if how.startswith("library") for name in (_needs(label) or {}).values()
    }
    used |= {*ICU.values()} if any(how.startswith("icu") for how in special.values()) else set()
    libraries = {name: library_version(name) for name in sorted(used)}
    return {"version": 1, "parameters": special, "assets": {}, "libraries": libraries}


def _needs(label: str) -> dict[str, str] | None:
    """Modules and packages that the tokenizer of a language needs besides spaCy; None if it would download a model."""
    entry = languages().get(label)
    if entry is None:
        return {}
    if entry.tokenizer in _NEVER:
        return None
    return _PACKAGES.get(entry.tokenizer) or _PACKAGES.get(f"{entry.tokenizer} {entry.code}") or {}


def _are_there(modules: Iterable[str]) -> bool:
    return all(find_spec(module) is not None for module in modules)


def _words_by(name: str, text: views.Characters) -> views.Words:
    kind, _, argument = name.partition(" ")
    if kind == "spacy":
        memo = None if argument == "en" else _memo(argument)
        return views.Words(*words(text.codepoints, text.first, text.last, memo))
    return _words_of_library(_library(argument) if kind == "library" else _icu(argument), text)


@lru_cache(maxsize=MEMOS)
def _memo(code: str) -> Memo:
    return Memo(MAX_ENTRIES, tokenizer(code))


Locate = Callable[[str], Iterable[tuple[int, int]]]
"""Finds the words of a text: start and end of each, in characters."""


@cache
def _library(label: str) -> Locate:
    from datatrove.utils.word_tokenizers import load_word_tokenizer

    entry = languages()[label]
    if entry.code == "zh":
        import_module("jieba").setLogLevel(logging.WARNING)  # it logs that it reads its dictionary
    library = load_word_tokenizer(label)
    if entry.tokenizer == "KiwiTokenizer":
        return lambda text: _morphemes(library, text)
    find = library.word_tokenize
    if entry.tokenizer == "SpaCyTokenizer":  # without the tokens of spaCy, which take most of the time
        find = partial(_BENEATH_SPACY[entry.code], library.tokenizer.tokenizer)
    return lambda text: spans_of(text, (word for part in find(text) if (word := part.strip())))


def _japanese(tokenizer: Any, text: str) -> Iterator[str]:
    from datatrove.utils.word_tokenizers import chunk_text_on_bytes

    for part in chunk_text_on_bytes(text, 40_000):  # as datatrove does: Sudachi takes at most 49,149 bytes
        yield from (token.surface() for token in tokenizer.tokenizer.tokenize(part))


_BENEATH_SPACY: dict[str, Callable[[Any, str], Iterable[str]]] = {
    "ja": _japanese,
    "vi": lambda tokenizer, text: tokenizer.pyvi_tokenize(text),
    "zh": lambda tokenizer, text: tokenizer.jieba_seg.cut(text, cut_all=False),
}
"""The words of the libraries that spaCy uses, by its code of the language."""


def _morphemes(kiwi: Any, text: str) -> Iterator[tuple[int, int]]:
    """The words of a Korean text. Two morphemes may have one syllable in common, so that their words overlap."""
    kept = kiwi.preprocess(text)  # without numbers of 20 digits or more
    places, at = np.empty(len(kept), np.int64), 0
    for number, character in enumerate(kept):
        at = text.index(character, at)
        places[number] = at
        at += 1
    for token in kiwi.tokenizer.tokenize(kept):
        if kept[token.start : token.end].strip():
            yield int(places[token.start]), int(places[token.end - 1]) + 1


@cache
def _icu(label: str) -> Locate:
    from icu4py.breakers import WordBreaker

    code = label.partition("_")[0]
    return lambda text: spans_of(text, [word for word in WordBreaker(text, code) if word.strip()])


def _words_of_library(locate: Locate, text: views.Characters) -> views.Words:
    """The words that a function finds in each text, as spans."""
    first, last = np.empty_like(text.first), np.empty_like(text.last)
    starts: list[int] = []
    ends: list[int] = []
    for row, string in enumerate(views.strings(text).to_pylist()):
        first[row] = len(starts)
        begin = int(text.first[row])
        for start, end in locate(string) if string.strip() else ():
            starts.append(begin + start)
            ends.append(begin + end)
        last[row] = len(starts)
    spans = np.array(starts, np.int64), np.array(ends, np.int64)
    return views.Words(*spans, first, last, _flags(text, *spans))


def spans_of(text: str, found: Iterable[str]) -> Iterable[tuple[int, int]]:
    """Where the words of a text are in it.

    A library may join words that the text has apart ("1 , 000" → "1,000"): such a word gets the spaces, too. One whose
    characters do not follow is left out.

    >>> list(spans_of("a b 1 , 000", ["a", "b", "1,000"]))
    [(0, 1), (2, 3), (4, 11)]
    """
    at = 0
    for word in found:
        while at < len(text) and text[at].isspace() and not word[:1].isspace():
            at += 1
        start, end = at, at + len(word)
        if not text.startswith(word, at):
            loose = _loosely(text, word, at)
            start = at if loose is not None else text.find(word, at)
            end = start + len(word) if loose is None else loose
        if start >= 0:
            yield start, end
            at = end


def _loosely(text: str, word: str, at: int) -> int | None:
    """The end of a word at `at` if the text has spaces in it; None if it is not there."""
    for character in word:
        while at < len(text) and text[at].isspace() and not character.isspace():
            at += 1
        if at == len(text) or text[at] != character:
            return None
        at += 1
    return at


def _flags(text: views.Characters, starts: Int64s, ends: Int64s) -> UInt8s:
    """The flags of words: HAS_ALPHA and ALL_SYMBOLS."""
    if not len(starts):
        return np.zeros(0, np.uint8)
    kinds = classes()[text.codepoints[: ends.max()]]  # beyond the last word there may be anything
    alpha = np.concatenate([[0], np.cumsum(kinds & ALPHA != 0)])
    symbol = np.concatenate([[0], np.cumsum(kinds & SYMBOL != 0)])
    has_alpha = alpha[ends] > alpha[starts]
    all_symbols = symbol[ends] - symbol[starts] == ends - starts
    return np.asarray(HAS_ALPHA * has_alpha + ALL_SYMBOLS * all_symbols, np.uint8)
