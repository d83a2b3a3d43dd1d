"""Simplify text for deduplication: datatrove's `simplify_text` as a single pass of a kernel over code points.

Lower case, numbers of any script (with one decimal part) → `0`, punctuation → space, white space collapsed, NFD without
non-spacing marks. Each code point is looked up in tables that are built once per process from Python's results (in
0.3 s), so the kernel contains no Unicode data. A document in which a character's result depends on its neighbors
(capital sigma, lower-cased by its place in the word; remaining marks that NFD would reorder) is processed by the
reference's function instead: exact, and rare.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
from curation.store.machine_cache import cached_array, versions
from curation.text.views import Characters

CODE_POINTS = sys.maxunicode + 1
PLAIN, SPACE, DIGIT, MARK, MANY, HARD = range(6)
"""What a code point becomes: one code point, a space, part of a number, nothing, several, or only Python can tell."""

_SEPARATORS = np.array([ord(mark) for mark in ".,،٫⎖⎗⎘"], np.uint32)
"""Separators between a number and its decimals (datatrove.utils.text.NUMBERS_PATTERN)."""

_PAGE = 256
_LENGTH_BITS = 8


@dataclass(frozen=True, slots=True)
class CharacterTables:
    """Tables for `simplify`.

    Attributes:
        kind: PLAIN, SPACE, DIGIT, MARK, MANY or HARD by code point.
        target: By code point the code point it becomes, or for MANY the position (shifted) and length of its expansion.
        expansions: Code points of all expansions.
    """

    kind: UInt8s
    target: UInt32s
    expansions: UInt32s


@cache
def tables() -> CharacterTables:
    """The tables for this Python's Unicode version."""
    table = cached_array(
        f"simplified-v1-{versions('regex', 'datatrove')}",
        _make_tables,
        lambda array: array.ndim == 1 and array.dtype == np.uint32 and len(array) > 2 * CODE_POINTS,
    )
    kind, target, expansions = np.split(table, [CODE_POINTS, 2 * CODE_POINTS])
    return CharacterTables(kind.astype(np.uint8), target, expansions)


def _make_tables() -> UInt32s:
    """The three tables one after another."""
    kind = np.zeros(CODE_POINTS, np.uint32)
    target = np.arange(CODE_POINTS, dtype=np.uint32)
    expansions: list[int] = []
    decide = _classifier()
    for page in range(0, CODE_POINTS, _PAGE):
        if 0xD800 <= page < 0xE000:
            continue
        for character in "" if _is_identity(page) else map(chr, range(page, page + _PAGE)):
            code, answer = ord(character), decide(character)
            kind[code] = answer[0]
            if answer[0] == PLAIN:
                target[code] = ord(answer[1])
            elif answer[0] == MANY:
                target[code] = len(expansions) << _LENGTH_BITS | len(answer[1])
                expansions += map(ord, answer[1])
    return np.concatenate([kind, target, np.array(expansions or [0], np.uint32)])


def _is_identity(page: int) -> bool:
    """Whether simplifying changes no character of the page (most of Han, private use and unassigned pages)."""
    import regex

    text = "".join(map(chr, range(page, page + _PAGE)))
    return (
        page >= 0x3000
        and text.lower() == text
        and not regex.search(r"\p{Nd}", text)  # its Unicode version may be newer than Python's
        and unicodedata.is_normalized("NFD", text)
        and all(unicodedata.category(character) in _INERT for character in text)
    )


_INERT = frozenset({"Lo", "Lm", "Co", "Cn"})
"""Categories without marks, punctuation and spaces."""


def _classifier() -> Callable[[str], tuple[int, str]]:
    import regex
    from datatrove.utils.text import PUNCTUATION

    is_digit = regex.compile(r"\p{Nd}").match
    punctuation = frozenset(PUNCTUATION)

    def decide(character: str) -> tuple[int, str]:
        lowered = character.lower()
        if character == "Σ":
            return HARD, ""
        if is_digit(lowered):
            return DIGIT, ""
        if lowered in punctuation or lowered.isspace():
            return SPACE, ""
        decomposed = unicodedata.normalize("NFD", lowered)
        kept = "".join(part for part in decomposed if unicodedata.category(part) != "Mn")
        if any(unicodedata.combining(part) for part in kept):
            return HARD, ""
        return (MARK if not kept else PLAIN if len(kept) == 1 else MANY), kept

    return decide


@kernel
def _measure(
    codepoints: UInt32s, first: Int64s, last: Int64s, kind: UInt8s, target: UInt32s, sizes: Int64s, hard: Bools
) -> None:
    """Compute the maximum size of each simplified document, in code points, and whether it needs Python."""
    for document in range(len(first)):
        size = last[document] - first[document]
        for position in range(first[document], last[document]):
            code = codepoints[position]
            if kind[code] >= MANY:
                if kind[code] == HARD:
                    hard[document] = True
                else:
                    size += np.int64(target[code] & np.uint32(255))
        sizes[document] = size


@kernel
def _simplify(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    kind: UInt8s,
    target: UInt32s,
    expansions: UInt32s,
    separators: UInt32s,
    hard: Bools,
    out: UInt32s,
    out_first: Int64s,
    out_last: Int64s,
) -> None:
    """Write each simplified document at `out_first` and set `out_last`, except for those that are `hard`."""
    space, zero = np.uint32(32), np.uint32(48)
    for document in range(len(first)):
        if hard[document]:
            continue
        start = out_first[document]
        at, position, end, pending = start, first[document], last[document], False
        while position < end:
            code = codepoints[position]
            position += 1
            code_kind = kind[code]
            if code_kind == SPACE:
                pending = True
                continue
            if pending and at > start:
                out[at] = space
                at += 1
            pending = False
            if code_kind == PLAIN:
                out[at] = target[code]
                at += 1
            elif code_kind == DIGIT:
                position = _after_number(codepoints, position, end, kind, separators)
                out[at] = zero
                at += 1
            elif code_kind == MANY:
                place = np.int64(target[code] >> np.uint32(_LENGTH_BITS))
                for offset in range(np.int64(target[code] & np.uint32(255))):
                    out[at] = expansions[place + offset]
                    at += 1
        while at > start and out[at - 1] == space:
            at -= 1
        out_last[document] = at


@inner
def _after_number(codepoints: UInt32s, position: int, end: int, kind: UInt8s, separators: UInt32s) -> int:
    """The position after a number whose first digit was read: digits, and one separator followed by digits."""
    while position < end and kind[codepoints[position]] == DIGIT:
        position += 1
    if position + 1 < end and kind[codepoints[position + 1]] == DIGIT:
        for separator in separators:
            if codepoints[position] == separator:
                position += 1
                while position < end and kind[codepoints[position]] == DIGIT:
                    position += 1
                break
    return position


def simplify(characters: Characters) -> Characters:
    """Simplify every document, equal to datatrove 0.10's `simplify_text`.

    >>> import pyarrow as pa
    >>> from curation.text.views import characters
    >>> simple = simplify(characters(pa.array(["Café №12.5, naïve!"])))
    >>> "".join(map(chr, simple.codepoints[simple.first[0] : simple.last[0]]))
    'cafe №0 naive'
    """
    table = tables()
    rows = len(characters.first)
    sizes, hard = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
    view = (characters.codepoints, characters.first, characters.last)
    _measure(*view, table.kind, table.target, sizes, hard)
    by_python = {int(row): _simplify_one(characters, int(row)) for row in np.flatnonzero(hard)}
    for row, text in by_python.items():
        sizes[row] = len(text)
    ends = np.cumsum(sizes)
    first, last = ends - sizes, ends.copy()
    out = np.empty(int(ends[-1]) if rows else 0, np.uint32)
    _simplify(*view, table.kind, table.target, table.expansions, _SEPARATORS, hard, out, first, last)
    for row, text in by_python.items():
        out[first[row] : last[row]] = text
    return Characters(out, first, last)


def _simplify_one(characters: Characters, row: int) -> UInt32s:
    from datatrove.utils.text import simplify_text

    codes = characters.codepoints[characters.first[row] : characters.last[row]]
    text: str = simplify_text(codes.astype("<u4").tobytes().decode("utf-32-le"))
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
