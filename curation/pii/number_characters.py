"""The characters of written numbers, and those next to which a number is none, by kinds that kernels read."""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import UInt16s
from curation.pii.phone_matcher import joins

DIGIT, PLUS, BREAK, PAREN, OPEN, CLOSE, SPACE, HYPHEN = (1 << bit for bit in range(8))
DOT, SLASH, DASH, OTHER, X, JOINS, GLUED = (1 << bit for bit in range(8, 15))
"""Kinds of characters: a digit, a plus sign, a space that no candidate has, "(", other opening brackets, closing ones,
space, hyphen, full stop, slash, dashes, other punctuation, "x"; what a number next to it is none, and what may begin a
word that is glued to a number."""
_CHARACTERS = {
    DIGIT: "0123456789\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
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
    OTHER: "\u2010\u2011\u2212\uff0e\uff0f\u00ad\u200b\u2060",
    X: "xX",
    JOINS: "%$",
    JOINS | GLUED: "abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ",
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
    return table
