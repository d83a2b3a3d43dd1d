"""Words by the rules of Unicode: the parts between word boundaries (UAX #29) that have a letter or a digit.

These are the words of ICU, of Rust's `unicode_words` and of Python's uniseg, without a dictionary: a text in a script
that is written without spaces has long words, or one per character. The properties are those of the library regex.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
from curation.store.machine_cache import versions
from curation.text.kernels.characters import CODEPOINTS, all_characters, cached_table

_PROPERTIES = (
    "Other", "CR", "LF", "Newline", "Extend", "Format", "ZWJ", "WSegSpace", "ALetter", "Hebrew_Letter", "Numeric",
    "Katakana", "ExtendNumLet", "MidLetter", "MidNumLet", "MidNum", "Single_Quote", "Double_Quote",
)  # fmt: skip
"""Values of the property Word_Break. Of flags, which are no letters, pairs are not joined: they are in no word."""
(
    _OTHER, _CR, _LF, _NEWLINE, _EXTEND, _FORMAT, _ZWJ, _SPACE, _LETTER, _HEBREW, _NUMERIC,
    _KATAKANA, _EXTEND_NUM_LET, _MID_LETTER, _MID_NUM_LET, _MID_NUM, _SINGLE_QUOTE, _DOUBLE_QUOTE,
) = range(len(_PROPERTIES))  # fmt: skip
_KIND = np.uint8(31)
_PICTOGRAPH = np.uint8(32)
_ALPHANUMERIC = np.uint8(64)
"""Alphabetic, or a number of any kind."""


@cache
def word_breaks() -> UInt8s:
    """By code point: the number of its Word_Break value, and flags for pictographs, letters and digits."""
    return cached_table(f"word-breaks-v1-{versions('regex')}", _make_table)


def _make_table() -> UInt8s:
    import regex

    table, characters = np.zeros(CODEPOINTS, dtype=np.uint8), all_characters()

    def having(expression: str) -> list[int]:
        return [ord(character) for character in regex.findall(expression, characters)]

    for number, name in enumerate(_PROPERTIES[1:], start=1):
        table[having(rf"\p{{Word_Break={name}}}")] = number
    table[having(r"\p{Extended_Pictographic}")] |= _PICTOGRAPH
    table[having(r"[\p{Alphabetic}\p{N}]")] |= _ALPHANUMERIC
    return table


@inner
def _is_letter(kind: int) -> bool:
    return kind in (_LETTER, _HEBREW)


@inner
def _joins(before: int, left: int, right: int, after: int) -> bool:
    """Whether there is no boundary between two characters, by the rules WB5 to WB13b.

    Args:
        before: Kind of the character before `left`.
        left: Kind of the character on the left.
        right: Kind of the character on the right.
        after: Kind of the character after `right`.
    """
    if _is_letter(left):
        if _is_letter(right) or right in (_NUMERIC, _EXTEND_NUM_LET):
            return True
        if right in (_MID_LETTER, _MID_NUM_LET, _SINGLE_QUOTE) and _is_letter(after):
            return True
        if left == _HEBREW:
            return right == _SINGLE_QUOTE or (right == _DOUBLE_QUOTE and after == _HEBREW)
        return False
    if left == _NUMERIC:
        if _is_letter(right) or right in (_NUMERIC, _EXTEND_NUM_LET):
            return True
        return right in (_MID_NUM, _MID_NUM_LET, _SINGLE_QUOTE) and after == _NUMERIC
    if left == _KATAKANA:
        return right in (_KATAKANA, _EXTEND_NUM_LET)
    if left == _EXTEND_NUM_LET:
        return _is_letter(right) or right in (_NUMERIC, _KATAKANA, _EXTEND_NUM_LET)
    if _is_letter(right):
        if left in (_MID_LETTER, _MID_NUM_LET, _SINGLE_QUOTE) and _is_letter(before):
            return True
        return left == _DOUBLE_QUOTE and right == _HEBREW and before == _HEBREW
    return right == _NUMERIC and left in (_MID_NUM, _MID_NUM_LET, _SINGLE_QUOTE) and before == _NUMERIC


@inner
def _is_attached(kind: int) -> bool:
    """Whether a character belongs to the one before it (WB4)."""
    return kind in (_EXTEND, _FORMAT, _ZWJ)


@inner
def _is_break(kind: int) -> bool:
    return kind in (_CR, _LF, _NEWLINE)


@kernel
def find_unicode_words(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    table: UInt8s,
    starts: Int64s,
    ends: Int64s,
    words_first: Int64s,
    words_last: Int64s,
) -> int:
    """Find the words of texts.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        table: The properties of code points (`word_breaks`).
        starts: Output: first code point of each word. At most as many as there are code points.
        ends: Output: code point after each word.
        words_first: Output: first word of each text.
        words_last: Output: word after the last of each text.

    Returns:
        The number of words.
    """
    at = 0
    for row in range(first.size):
        words_first[row] = at
        end = last[row]
        place = start = first[row]
        before = left = _OTHER
        has_any = False
        while place < end:
            value = table[codepoints[place]]
            right = value & _KIND
            joined = place == start
            if not joined:
                previous = table[codepoints[place - 1]] & _KIND
                if _is_break(right) or _is_break(previous):
                    joined = False
                elif _is_attached(right) or (previous == _ZWJ and value & _PICTOGRAPH):
                    joined = True
                else:
                    following = place + 1
                    while following < end and _is_attached(table[codepoints[following]] & _KIND):
                        following += 1
                    after = table[codepoints[following]] & _KIND if following < end else _OTHER
                    joined = _joins(before, left, right, after)
            if not joined:
                if has_any:
                    starts[at], ends[at] = start, place
                    at += 1
                start, has_any = place, False
            has_any |= (value & _ALPHANUMERIC) != 0
            if place == start or not _is_attached(right):
                before, left = left, right
            place += 1
        if has_any:
            starts[at], ends[at] = start, end
            at += 1
        words_last[row] = at
    return at


def is_alphanumeric(codepoints: UInt32s) -> Bools:
    """Which code points are letters or digits."""
    return np.asarray(word_breaks()[codepoints] & _ALPHANUMERIC != 0, np.bool_)
