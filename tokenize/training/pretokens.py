"""Splits text into pre-tokens: kernels over UTF-8 for the built-in patterns, tokenizers' engine for any other.

A hand-written scanner is 30 times as fast as a regular expression engine behind Python strings and creates no object
per pre-token. Tests check that it splits exactly where the pattern does, for every character and for real text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt8s
from curation.running.compiled import inner, kernel
from curation.text.buffers import text_bytes
from curation.tokenize.training.patterns import (
    BREAK,
    GPT2,
    GPT4,
    LETTER,
    LOWER,
    NUMBER,
    O200K,
    SPACE,
    UPPER,
    character_classes,
    split_pattern,
)

_ANY_NUMBER = 1 << 40
_APOSTROPHE, _BLANK, _SLASH = ord("'"), ord(" "), ord("/")
_SCANNERS = {
    split_pattern(pattern, digits): (kind, most if digits == "groups" else 1)
    for kind, (pattern, most) in enumerate([(GPT2, _ANY_NUMBER), (GPT4, 3), (O200K, 3)])
    for digits in ("groups", "single")
}
_GPT2, _GPT4, _O200K = range(3)


@dataclass(frozen=True, slots=True)
class Text:
    """Texts as UTF-8.

    Attributes:
        data: uint8. Text `i` is `data[offsets[i]:offsets[i + 1]]`.
        offsets: int64[texts + 1].
    """

    data: UInt8s
    offsets: Int64s


def flat_text(texts: pa.StringArray) -> Text:
    """The buffers of a string or large_string array, which may be a slice of another. A null becomes an empty text."""
    array = texts.fill_null("") if texts.null_count else texts
    data, offsets = text_bytes(array)
    return Text(data[offsets[0] : offsets[-1]], offsets - offsets[0])


class Splitter:
    """Splits texts by a pattern.

    Attributes:
        engine: "kernel" for a built-in pattern, "tokenizers" for any other.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._scanner = _SCANNERS.get(pattern)
        self.engine = "kernel" if self._scanner else "tokenizers"

    def __call__(self, text: Text) -> Int64s:
        """The ends of all pre-tokens in `text.data`, ascending. Each pre-token begins where the previous one ends."""
        if self._scanner is None:
            return _split_slowly(self._pattern, text)
        ends = np.empty(len(text.data), np.int64)
        return ends[: _scan(text.data, text.offsets, character_classes(), *self._scanner, ends)]


def _split_slowly(pattern: str, text: Text) -> Int64s:
    from tokenizers import PreTokenizedString, Regex
    from tokenizers.pre_tokenizers import Split

    split = Split(Regex(pattern), "isolated")
    ends = [np.zeros(0, np.int64)]
    octets = text.data.tobytes()
    for first, last in zip(text.offsets[:-1].tolist(), text.offsets[1:].tolist(), strict=True):
        pieces = PreTokenizedString(octets[first:last].decode())
        split.pre_tokenize(pieces)
        ends.append(first + np.array([end for _, (_, end), _ in pieces.get_splits("original", "byte")], np.int64))
    return np.concatenate(ends)


@kernel
def _scan(data: UInt8s, offsets: Int64s, classes: UInt8s, kind: int, digits: int, ends: Int64s) -> int:
    """Fill `ends`; returns the number of pre-tokens."""
    pretokens = 0
    for text in range(len(offsets) - 1):
        position, end = offsets[text], offsets[text + 1]
        while position < end:
            if kind == _GPT4:
                position = _next_gpt4(data, position, end, classes, digits)
            elif kind == _O200K:
                position = _next_o200k(data, position, end, classes, digits)
            else:
                position = _next_gpt2(data, position, end, classes, digits)
            ends[pretokens] = position
            pretokens += 1
    return pretokens


@inner
def _next_gpt2(data: UInt8s, begin: int, end: int, classes: UInt8s, digits: int) -> int:
    if data[begin] == _APOSTROPHE:
        after = _contraction(data, begin, end, False)
        if after > begin:
            return after
    here, after = _read(data, begin, classes)
    if data[begin] == _BLANK and after < end:
        following, _ = _read(data, after, classes)
        if not following & SPACE:
            begin, here = after, following
    if here & LETTER:
        return _run(data, begin, end, classes, LETTER)
    if here & NUMBER:
        return _numbers(data, begin, end, classes, digits)
    if here & SPACE:
        return _space(data, begin, end, classes, False)
    return _others(data, begin, end, classes)


@inner
def _next_gpt4(data: UInt8s, begin: int, end: int, classes: UInt8s, digits: int) -> int:
    if data[begin] == _APOSTROPHE:
        after = _contraction(data, begin, end, True)
        if after > begin:
            return after
    here, after = _read(data, begin, classes)
    if here & LETTER:
        return _run(data, after, end, classes, LETTER)
    if here & NUMBER:
        return _numbers(data, begin, end, classes, digits)
    if not here & BREAK and after < end:
        following, _ = _read(data, after, classes)
        if following & LETTER:
            return _run(data, after, end, classes, LETTER)
    return _rest(data, begin, end, classes, False)


@inner
def _next_o200k(data: UInt8s, begin: int, end: int, classes: UInt8s, digits: int) -> int:
    here, after = _read(data, begin, classes)
    prefix = not here & (BREAK | LETTER | NUMBER)
    word_end = -1
    if prefix:
        word_end = _to_lower(data, after, end, classes)
    if word_end < 0:
        word_end = _to_lower(data, begin, end, classes)
    if word_end < 0 and prefix:
        word_end = _all_upper(data, after, end, classes)
    if word_end < 0:
        word_end = _all_upper(data, begin, end, classes)
    if word_end >= 0:
        return _contraction(data, word_end, end, True)
    if here & NUMBER:
        return _numbers(data, begin, end, classes, digits)
    return _rest(data, begin, end, classes, True)


@inner
def _to_lower(data: UInt8s, begin: int, end: int, classes: UInt8s) -> int:
    """Match [Lu Lt Lm Lo M]*[Ll Lm Lo M]+ at `begin`; returns its end, or -1."""
    position, both = begin, -1
    while position < end:
        here, after = _read(data, position, classes)
        if not here & UPPER:
            break
        position = after
        if here & LOWER:
            both = after
    lower = _run(data, position, end, classes, LOWER)
    return lower if lower > position else both


@inner
def _all_upper(data: UInt8s, begin: int, end: int, classes: UInt8s) -> int:
    """Match [Lu Lt Lm Lo M]+ at `begin`, where `_to_lower` does not match; returns its end, or -1."""
    position = _run(data, begin, end, classes, UPPER)
    return position if position > begin else -1


@inner
def _rest(data: UInt8s, begin: int, end: int, classes: UInt8s, slashes: bool) -> int:
    r"""Match ` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` at `begin`, where no letter or number is next."""
    start = begin
    here, after = _read(data, begin, classes)
    if data[begin] == _BLANK and after < end:
        following, _ = _read(data, after, classes)
        if not following & (SPACE | LETTER | NUMBER):
            start, here = after, following
    if here & SPACE:
        return _space(data, begin, end, classes, True)
    position = _others(data, start, end, classes)
    while position < end and (data[position] in (10, 13) or (slashes and data[position] == _SLASH)):
        position += 1
    return position


@inner
def _space(data: UInt8s, begin: int, end: int, classes: UInt8s, breaks: bool) -> int:
    """The end of white space: after its last line break if `breaks`, else before its last character if text follows."""
    position, last, line = begin, begin, -1
    while position < end:
        here, after = _read(data, position, classes)
        if not here & SPACE:
            break
        last, position = position, after
        if here & BREAK:
            line = after
    if breaks and line >= 0:
        return line
    return last if position < end and last > begin else position


@inner
def _numbers(data: UInt8s, begin: int, end: int, classes: UInt8s, digits: int) -> int:
    position = begin
    while position < end and digits > 0:
        here, after = _read(data, position, classes)
        if not here & NUMBER:
            break
        position = after
        digits -= 1
    return position


@inner
def _run(data: UInt8s, begin: int, end: int, classes: UInt8s, bit: int) -> int:
    position = begin
    while position < end:
        here, after = _read(data, position, classes)
        if not here & bit:
            break
        position = after
    return position


@inner
def _others(data: UInt8s, begin: int, end: int, classes: UInt8s) -> int:
    position = begin
    while position < end:
        here, after = _read(data, position, classes)
        if here & (SPACE | LETTER | NUMBER):
            break
        position = after
    return position


@inner
def _contraction(data: UInt8s, begin: int, end: int, fold: bool) -> int:
    """The end of 's 't 're 've 'm 'll 'd at `begin`, or `begin` if there is none. `fold`: ignore case."""
    if begin + 1 >= end or data[begin] != _APOSTROPHE:
        return begin
    first = data[begin + 1]
    if fold and first == 0xC5 and begin + 2 < end and data[begin + 2] == 0xBF:  # ſ is an s to an engine ignoring case
        return begin + 3
    if fold and 65 <= first <= 90:
        first |= 32
    if first in (115, 116, 109, 100):  # s t m d
        return begin + 2
    if begin + 2 >= end:
        return begin
    second = data[begin + 2]
    if fold and 65 <= second <= 90:
        second |= 32
    if (second == 101 and first in (114, 118)) or (second == 108 and first == 108):  # re ve ll
        return begin + 3
    return begin


@inner
def _read(data: UInt8s, position: int, classes: UInt8s) -> tuple[int, int]:
    """The class of the character at `position`, and where the next one begins."""
    first = np.int64(data[position])
    if first < 0x80:
        return classes[first], position + 1
    second = np.int64(data[position + 1]) & 0x3F
    if first < 0xE0:
        return classes[(first & 0x1F) << 6 | second], position + 2
    third = np.int64(data[position + 2]) & 0x3F
    if first < 0xF0:
        return classes[(first & 0x0F) << 12 | second << 6 | third], position + 3
    fourth = np.int64(data[position + 3]) & 0x3F
    return classes[(first & 0x07) << 18 | second << 12 | third << 6 | fourth], position + 4
