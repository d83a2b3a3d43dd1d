"""The shapes of windows as bytes: characters between which it makes no difference are the same byte."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s
from curation.pii.extensions import end_of_context, end_of_extension, may_go_on
from curation.pii.phone_matcher import is_latin
from curation.pii.windows import NUMBER_PUNCTUATION, joined_letters
from curation.text import views

AROUND = 4
"""Characters around a number on which it depends whether it is part of something longer."""
BEHIND = AROUND + len("mobile")
"""Characters behind a number that are looked at: one of recognizers.GLUED_WORD may be there."""
_MAX_WIDTH = 40
"""Characters of the longest window, and of what belongs to it behind it, of which the shape is looked at."""
_LETTERS_OF_LABELS = "\u0434\u0414\u043e\u041e\u0431\u0411\u00f3\u00d3"
_OTHERS = "\uff10" + "".join(sorted(set(NUMBER_PUNCTUATION) - set(map(chr, range(128))))) + _LETTERS_OF_LABELS
"""Characters besides ASCII that are told apart: a zero, which stands for all full-width digits, punctuation of windows,
and letters of extensions."""
_UNKNOWN, _LATIN, _LETTER, _SIGN, _FIRST_OTHER = 0, 128, 129, 130, 131
"""Bytes: for characters that are not looked at here; besides ASCII, for Latin letters, for other letters of alphabets,
for punctuation around numbers; and for the first of the others."""
_NO_ALPHABETS, _NO_SCRIPTS = 0x2E80, 0xD7A4
"""Code points from which on there are only scripts without spaces, and up to which they are looked at."""

ShapeKey = tuple[bytes, tuple[int, int, int]]
"""The characters of a window with some around it, as bytes; and how many of them are before the window, in it, and
behind it if they belong to an extension, or if it depends on them what is in the window."""


def shape_keys(text: views.Characters, windows: Int64s, text_of: Callable[[int], str]) -> list[ShapeKey | None]:
    """The key of the shape of each window; None for windows that are too long, or have other characters.

    Args:
        text: The texts.
        windows: The windows.
        text_of: Returns the text of a row.
    """
    rows, starts, ends, *_ = windows.T
    firsts, lasts = text.first[rows], text.last[rows]
    begins, stops = starts + firsts, ends + firsts
    lows = np.maximum(begins - AROUND, firsts)
    behind = np.minimum(lasts - stops, len(":00"))
    is_extended = np.zeros(len(windows), np.bool_)
    for one in np.flatnonzero(may_go_on(text, rows, ends)).tolist():
        whole, end = text_of(rows[one]), int(ends[one])
        behind[one], is_extended[one] = end_of_context(whole, end) - end, end_of_extension(whole, end) > end
    table, is_letter = _bytes(), _is_letter()
    is_glued = (stops < lasts) & is_letter[table[text.codepoints[np.minimum(stops, len(text.codepoints) - 1)]]]
    highs = np.minimum(stops + np.where(is_extended, behind + BEHIND, np.where(is_glued, BEHIND, AROUND)), lasts)
    widths = np.where((ends - starts > _MAX_WIDTH) | (behind > _MAX_WIDTH), 0, highs - lows)
    edges = np.append(0, np.cumsum(widths))
    places = np.repeat(lows - edges[:-1], widths) + np.arange(edges[-1])
    codes = table[text.codepoints[places]]
    # Which letters are around a number does not matter, except for those that follow it.
    is_before, is_behind = places < np.repeat(begins, widths), places >= np.repeat(stops, widths)
    is_blurred = is_before | (is_behind & np.repeat(~is_extended & ~is_glued, widths))
    codes[is_blurred & _is_small_or_capital()[codes]] = ord("a")
    unknown = np.append(0, np.cumsum(codes == _UNKNOWN))
    is_known = (widths > 0) & (unknown[edges[1:]] == unknown[edges[:-1]])
    written = codes.tobytes()
    columns = (one.tolist() for one in (edges[:-1], edges[1:], begins - lows, ends - starts, behind, is_known))
    return [
        (written[first:last], (before, size, after)) if known else None
        for first, last, before, size, after, known in zip(*columns, strict=True)
    ]


def written_shape(characters: bytes) -> str:
    """The shape that bytes stand for."""
    return "".join(map(_characters().__getitem__, characters))


@cache
def _characters() -> list[str]:
    """The character that each byte stands for, or one of those."""
    return [*map(chr, range(_LATIN)), "\u00e9", "\u044f", "\u00b7", *_OTHERS, *[""] * (125 - len(_OTHERS))]


@cache
def _bytes() -> UInt8s:
    """The byte for every code point, shape (0x110000,)."""
    table = np.zeros(0x110000, np.uint8)
    table[:_LATIN] = range(_LATIN)
    table[ord("0") : ord("9") + 1] = ord("0")
    for code in range(_LATIN, _NO_ALPHABETS):
        category = unicodedata.category(chr(code))
        if category[0] == "L":
            table[code] = _LATIN if is_latin(code) else _LETTER
        elif category[0] in "PZ" or category in ("Sm", "Sk", "So"):
            table[code] = _SIGN
    # Some of them are in blocks between those of alphabets.
    for letter in joined_letters().finditer("".join(map(chr, range(_NO_SCRIPTS)))):
        table[letter.start()] = ord("\n")
    table[0x3000:0x3020] = table[0xFF01:0xFF10] = table[0xFF1A:0xFF21] = _SIGN
    # These are signs of currency, and of extensions, and letters that stand for "i" and "s" in labels.
    table[[0xFF03, 0xFF04, 0x130, 0x131, 0x17F]] = _UNKNOWN
    table[0xFF10:0xFF1A] = _FIRST_OTHER
    table[list(map(ord, _OTHERS[1:]))] = range(_FIRST_OTHER + 1, _FIRST_OTHER + len(_OTHERS))
    return table


@cache
def _is_letter() -> Bools:
    """Whether each byte stands for a letter."""
    return np.array([character.isalpha() for character in _characters()])


@cache
def _is_small_or_capital() -> Bools:
    """Whether each byte stands for a letter of ASCII."""
    return np.array([character.isalpha() and character.isascii() for character in _characters()])
