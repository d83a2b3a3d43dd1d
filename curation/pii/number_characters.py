"""The characters of written numbers, and those next to which a number is none, by kinds that kernels read."""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import Bools, UInt8s, UInt16s
from curation.pii.numbering import digit_values
from curation.pii.phone_matcher import joins
from curation.pii.windows import are_joined

DIGIT, PLUS, BREAK, PAREN, OPEN, CLOSE, SPACE, HYPHEN = (1 << bit for bit in range(8))
DOT, SLASH, DASH, OTHER, X, TILDE, LETTER, JOINS = (1 << bit for bit in range(8, 16))
"""Kinds of characters: a digit, a plus sign, a space that no candidate has, "(", other opening brackets, closing ones,
space, hyphen, full stop, slash, dashes, other punctuation, "x", "~", letters and "#" in numbers; and what a number next
to it is none."""
_CHARACTERS = {
    PLUS: "+\uff0b",
    BREAK: "\u2007\u2009\u202f",
    PAREN: "(",
    OPEN: "[\uff08\uff3b",
    CLOSE: ")]\uff09\uff3d",
    SPACE: " \u00a0\u3000",
    HYPHEN: "-",
    DOT: ".",
    SLASH: "/",
    DASH: "\u2012\u2013\u2014\u2015\uff0d",
    OTHER: "\u2010\u2011\u2053\u2212\u223c\uff0e\uff0f\u00ad\u200b\u2060",
    X: "xX",
    TILDE: "~\uff5e",
    LETTER: "\u30fc",
    JOINS: "%$abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ",
}
OF_NUMBERS = JOINS - 1
_MAY_JOIN = (
    *range(0x80, 0x2000), *range(0x20A0, 0x2100), *range(0xA800, 0xA900), *range(0xFB00, 0x10000),
    *range(0x11FD0, 0x12000), *range(0x1E2C0, 0x1E300), *range(0x1EC70, 0x1ECC0),
)  # fmt: skip
"""Code points among which are letters and currency signs that join."""
LEADS = PAREN | OPEN | PLUS
NOT_PUNCTUATION = DIGIT | PLUS | BREAK


@cache
def kinds_of_characters() -> UInt16s:
    """The kind of every code point, shape (0x110000,)."""
    table = np.zeros(0x110000, np.uint16)
    table[[code for code in _MAY_JOIN if joins(chr(code))]] = JOINS
    for kind, characters in _CHARACTERS.items():
        table[[ord(character) for character in characters]] = kind
    table[values_of_digits() <= 9] = DIGIT
    return table


@cache
def are_joined_letters() -> Bools:
    """Whether each code point is a letter of a script that is shown as line ends, shape (0x110000,). What is next to
    numbers does not depend on which of them it is."""
    table = are_joined().copy()
    codes = np.flatnonzero(table)
    table[codes] = [chr(code).isalpha() for code in codes.tolist()]
    return table


@cache
def values_of_digits() -> UInt8s:
    """The value of every code point that is a decimal digit of any script, 255 for others. Shape (0x110000,)."""
    table = np.full(0x110000, 255, np.uint8)
    table[ord("0") : ord("9") + 1] = range(10)
    for code, value in digit_values().items():
        if chr(code).isdecimal():
            table[code] = int(value)
    return table
