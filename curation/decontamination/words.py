"""Words as the matcher compares them: without case, punctuation and layout, in any script.

A word is a run of letters, digits and marks. A single ASCII letter is no word, so that the labels of choices ("A.")
and articles do not matter. In scripts that put no spaces between words, each character is one, and counts half. So does
a number: lists of numbers are alike.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt16s, UInt64s
from curation.running.compiled import inner, kernel

_BASIS = np.uint64(14695981039346656037)
_MIX = np.uint64(0x9E3779B97F4A7C15)
SEPARATOR, IGNORED, SINGLE = 0, 1, 0x8000
_UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF))


@cache
def letters() -> UInt16s:
    """What each character up to U+FFFF counts as: a number that is equal for upper and lower case.

    SEPARATOR ends a word and IGNORED does not count. Numbers are 15 bits of the character, with SINGLE if it is a word
    by itself.
    """
    table = np.zeros(1 << 16, np.uint16)
    for code in range(1 << 16):
        character = chr(code)
        kind = unicodedata.category(character)
        if kind == "Cf":
            table[code] = IGNORED
        elif kind[0] in "LMN":
            lower = character.lower()
            table[code] = max(2, ord(lower[0]) & 0x7FFF)
    for first, last in _UNSPACED:
        part = table[first : last + 1]
        part[part > IGNORED] |= SINGLE
    return table


@kernel
def find_words(
    data: UInt8s, start: int, end: int, table: UInt16s, hashes: UInt64s, starts: Int64s, ends: Int64s
) -> int:
    """Find the words of a text.

    Args:
        data: UTF-8 bytes.
        start: First byte of the text.
        end: Byte after the text.
        table: `letters()`.
        hashes: Output, the hash of each word, odd for a word that counts half; as long as the text has bytes.
        starts: Output, the first byte of each word, of the same length.
        ends: Output, the byte after each word, of the same length.

    Returns:
        The number of words.
    """
    count = 0
    value = _BASIS
    place = first = last = start  # there is a word to be continued if last > first
    while place < end:
        byte = data[np.uint64(place)]
        code: Any = np.int64(table[byte]) if byte < 0x80 else np.int64(-1)
        if code > IGNORED:
            if last == first:
                first, value = place, _BASIS
            while code > IGNORED:  # ASCII letters and digits
                value = with_letter(value, code)
                place += 1
                if place == end:
                    break
                byte = data[np.uint64(place)]
                code = np.int64(table[byte]) if byte < 0x80 else np.int64(-1)
            last = place
            continue
        following = place + 1
        if code < 0:
            code, following = next_letter(data, place, end, table)
        is_word = (code & SINGLE) != 0
        if last > first and (code == SEPARATOR or is_word):
            count += add_word(value, data, first, last, count, hashes, starts, ends)
            first = last
        if is_word:
            hashes[count] = mixed(with_letter(_BASIS, code)) | np.uint64(1)
            starts[count], ends[count] = place, following
            count += 1
        elif code > IGNORED:
            if last == first:
                first, value = place, _BASIS
            value = with_letter(value, code)
            last = following
        place = following
    if last > first:
        count += add_word(value, data, first, last, count, hashes, starts, ends)
    return count


@inner
def with_letter(value: Any, code: Any) -> Any:
    """The hash of a word with one more letter. The product does not wait for the hash, so letters take few cycles."""
    return ((value << np.uint64(7)) | (value >> np.uint64(57))) ^ (np.uint64(code) * _MIX)


@inner
def add_word(value: Any, data: Any, first: int, last: int, count: int, hashes: Any, starts: Any, ends: Any) -> int:
    """Write a word, unless it is a single ASCII letter; returns the number of words written.

    Without branches, which words would take too irregularly to be predicted.
    """
    letter = data[np.uint64(first)]
    is_number = is_digit(letter) & is_digit(data[np.uint64(last - 1)])
    hashes[count] = mixed(value) & ~np.uint64(1) | np.uint64(is_number)
    starts[count], ends[count] = first, last
    lower = letter | 0x20
    return int((last - first != 1) | (lower < ord("a")) | (lower > ord("z")))


@inner
def is_digit(byte: Any) -> Any:
    """Whether a byte is an ASCII digit."""
    return (byte >= ord("0")) & (byte <= ord("9"))


@inner
def next_letter(data: Any, place: int, end: int, table: Any) -> Any:
    """What the character at `place` counts as, and the place of the next one."""
    byte = np.int64(data[place])
    if byte < 0x80:
        return np.int64(table[byte]), place + 1
    if byte < 0xE0 and place + 1 < end:
        return np.int64(table[(byte & 0x1F) << 6 | np.int64(data[place + 1] & 0x3F)]), place + 2
    if byte < 0xF0 and place + 2 < end:
        code = (byte & 0x0F) << 12 | np.int64(data[place + 1] & 0x3F) << 6 | np.int64(data[place + 2] & 0x3F)
        return np.int64(table[code]), place + 3
    if place + 3 < end and 0xF0A0 <= (byte << 8 | np.int64(data[place + 1])) <= 0xF0AF:  # rare Chinese characters
        code = np.int64(data[place + 2] & 0x3F) << 6 | np.int64(data[place + 3] & 0x3F)
        return np.int64(SINGLE | 2 | code), place + 4
    return np.int64(SEPARATOR), min(place + 4, end)


@inner
def mixed(value: Any) -> Any:
    """Spread the bits of a hash."""
    value = (value ^ (value >> np.uint64(32))) * _MIX
    return value ^ (value >> np.uint64(29))


@inner
def same_word(data: Any, start: int, end: int, other: Any, other_start: int, other_end: int, table: Any) -> bool:
    """Whether two words are equal, letter by letter."""
    while True:
        code, place = IGNORED, start
        while code == IGNORED and start < end:
            code, place = next_letter(data, start, end, table)
            start = place
        other_code = IGNORED
        while other_code == IGNORED and other_start < other_end:
            other_code, other_start = next_letter(other, other_start, other_end, table)
        if code != other_code:
            return False
        if code == IGNORED:
            return True
