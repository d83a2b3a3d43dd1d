"""Words of simple chunks, equal to those of spaCy's English tokenizer but found without it.

Most new chunks are a word with a comma, a number, or a name with a hyphen. They have the form

    prefix? token ((- | /) token)* suffix{0,3}      token: letters (apostrophe letters)* | digits ([.,:] digits)*

with letters of any script and ASCII digits, where no run of letters and no token of digits is `hot`, that is, part of a
spaCy exception ("Mr", "don", every single letter, "8"). So no exception, unit or URL can match, and every rule that can
match is implemented below. All other chunks are left to `curation.text.english`, with which this module must agree
(tested on every chunk of real pages and on random chunks of this form).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, UInt8s, UInt32s
from curation.running.compiled import inner
from curation.text.english import Edge
from curation.text.kernels.characters import ALPHA, LOWER
from curation.text.kernels.chunk_keys import Keys, find, key_of

PREFIX, SUFFIX, LONE_SUFFIX, AFTER_DIGIT, BEFORE_STOP = 1, 2, 4, 8, 16
"""A character that is a separate word before the rest; after it; after it if it is the only one, because ":)" is an
exception; after a digit; before a full stop."""

_OPENS, _CLOSES = int(Edge.OPENS), int(Edge.CLOSES)
_LETTERS, _DIGITS = 1, 2
_DOT, _HYPHEN, _SLASH, _COMMA, _COLON, _SMALL_S, _LARGE_S = (np.uint32(ord(character)) for character in ".-/,:sS")


class Simple(NamedTuple):
    """Tables for simple chunks.

    Attributes:
        hot: Keys of the hot runs.
        slots: Hash table from key to hot run.
        affixes: Flags by code point (PREFIX, ...), as from `affixes`.
        edges: `english.Edge` flags by code point.
    """

    hot: Keys
    slots: Int32s
    affixes: UInt8s
    edges: UInt8s


def affixes() -> UInt8s:
    """Flags by code point of the characters that spaCy always separates from a word, whatever is next to them."""
    table = np.zeros(0x2020, dtype=np.uint8)
    for characters, bit in (
        ('(["“#$', PREFIX),
        (',!?)]"”', SUFFIX | BEFORE_STOP),
        (":;", LONE_SUFFIX | BEFORE_STOP),
        ("%", AFTER_DIGIT | BEFORE_STOP),
    ):
        table[[ord(character) for character in characters]] |= np.uint8(bit)
    return table


@inner
def simple_words(
    codepoints: UInt32s, classes: UInt8s, start: int, end: int, simple: Simple, lengths: Int32s, at: int
) -> tuple[int, int]:
    """Find the words of a simple chunk.

    Args:
        codepoints: Code points of all texts.
        classes: Classes of code points (`characters.classes`).
        start: First code point of the chunk.
        end: Code point after the chunk.
        simple: Tables for simple chunks.
        lengths: Output: lengths of the words, written from `at` on.
        at: Position in `lengths`.

    Returns:
        The number of words, 0 if the chunk is not simple, and the chunk's `english.Edge` flags.
    """
    count, i, edge = 0, start, 0
    if _affix(codepoints[i], simple) & PREFIX:
        edge = simple.edges[codepoints[i]] & _CLOSES
        lengths[at] = 1
        count, i = 1, i + 1
    kind = 0
    while True:
        after, next_kind = _token(codepoints, classes, i, end, simple)
        if next_kind == 0 or (kind and next_kind != kind):
            return 0, 0
        kind = next_kind
        lengths[at + count] = after - i
        count += 1
        i = after
        if i + 1 >= end or not _splits(codepoints, i, kind):
            break
        lengths[at + count] = 1
        count += 1
        i += 1
    if kind == _LETTERS and i - 2 > start and codepoints[i - 1] == _SMALL_S and _is_apostrophe(codepoints[i - 2]):
        lengths[at + count - 1] -= 2
        lengths[at + count] = 2
        count += 1
    suffixes = end - i
    if suffixes > 3:
        return 0, 0
    for k in range(i, end):
        if not _is_suffix(codepoints, classes, i, k, end, simple):
            return 0, 0
        lengths[at + count] = 1
        count += 1
    if suffixes:
        edge |= simple.edges[codepoints[end - 1]] & _OPENS
    return count, edge


@inner
def _affix(code: np.uint32, simple: Simple) -> int:
    return int(simple.affixes[code]) if code < simple.affixes.size else 0


@inner
def _is_apostrophe(code: np.uint32) -> bool:
    return bool(code == 0x27 or code == 0x2019)


@inner
def _is_ascii_letter(code: np.uint32) -> bool:
    return bool(0x41 <= code <= 0x5A or 0x61 <= code <= 0x7A)


@inner
def _is_ascii_digit(code: np.uint32) -> bool:
    return bool(0x30 <= code <= 0x39)


@inner
def _token(codepoints: UInt32s, classes: UInt8s, start: int, end: int, simple: Simple) -> tuple[int, int]:
    """End of the token of letters or digits that begins at `start`, and its kind: 0 if there is none or it is hot."""
    if start < end and _is_ascii_digit(codepoints[start]):
        return _digits(codepoints, start, end, simple)
    i, run = start, start
    while True:
        while i < end and classes[codepoints[i]] & ALPHA:
            i += 1
        if i == run:
            return start, 0
        possessive = i - run == 1 and codepoints[run] == _SMALL_S and run - 2 > start
        if not (possessive and (i == end or _affix(codepoints[i], simple))) and _is_hot(codepoints, run, i, simple):
            return start, 0
        if i + 1 >= end or not _is_apostrophe(codepoints[i]):
            return i, _LETTERS
        i += 1
        run = i


@inner
def _digits(codepoints: UInt32s, start: int, end: int, simple: Simple) -> tuple[int, int]:
    i = start
    joined = False
    while True:
        while i < end and _is_ascii_digit(codepoints[i]):
            i += 1
        if i + 1 >= end or not _is_ascii_digit(codepoints[i + 1]):
            break
        if codepoints[i] != _DOT and codepoints[i] != _COMMA and codepoints[i] != _COLON:
            break
        joined = True
        i += 1
    if not joined and _is_hot(codepoints, start, i, simple):
        return start, 0
    return i, _DIGITS


@inner
def _is_hot(codepoints: UInt32s, start: int, end: int, simple: Simple) -> bool:
    a, b = key_of(codepoints, start, end)
    return bool(find(simple.slots, simple.hot, a, b) >= 0)


@inner
def _splits(codepoints: UInt32s, i: int, kind: int) -> bool:
    """Whether the character at `i`, between two tokens, is a word: - or / between ASCII letters, - between digits."""
    code = codepoints[i]
    if kind == _DIGITS:
        return bool(code == _HYPHEN and _is_ascii_digit(codepoints[i + 1]))
    if code != _HYPHEN and code != _SLASH:
        return False
    return _is_ascii_letter(codepoints[i - 1]) and _is_ascii_letter(codepoints[i + 1])


@inner
def _is_suffix(codepoints: UInt32s, classes: UInt8s, first: int, i: int, last: int, simple: Simple) -> bool:
    """Whether the character at `i` is a separate word; `first` to `last` are the characters after the tokens."""
    before = codepoints[i - 1]
    if codepoints[i] == _DOT:
        if i > first:
            return _affix(before, simple) & BEFORE_STOP != 0
        if _is_ascii_digit(before) or classes[before] & LOWER:
            return True
        return bool(0x41 <= before <= 0x5A and 0x41 <= codepoints[i - 2] <= 0x5A)
    kind = _affix(codepoints[i], simple)
    if kind & AFTER_DIGIT:
        return _is_ascii_digit(before)
    return bool(kind & SUFFIX or (kind & LONE_SUFFIX and last == first + 1))
