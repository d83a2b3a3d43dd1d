"""Code points: a table of Python's character classes, and conversion between UTF-8 and code points.

Kernels read the table instead of calling Python, so they agree exactly with `str.isspace`, `str.isalpha`,
`str.splitlines` and `\\d` of the running interpreter, for every script.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import cache

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.store.machine_cache import cached_array, versions

SPACE = 1
"""`str.isspace`"""
ALPHA = 2
"""`str.isalpha`"""
DECIMAL = 4
"""`str.isdecimal`, which equals `\\d` in a regular expression on text."""
PUNCTUATION = 8
"""Unicode category P*: spaCy's `is_punct` holds for a token of such characters."""
SYMBOL = 16
"""A member of datatrove's `PUNCTUATION_SET`."""
STOP = 32
"""Ends a sentence for spaCy's sentencizer if it is a token by itself."""
NEWLINE = 64
"""Ends a line for `str.splitlines`."""
LOWER = 128
"""A letter of spaCy's class of lower-case and uncased letters; a full stop after it is a separate word."""

_NEWLINES = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
CODEPOINTS = 0x110000
"""Number of code points."""
_ASSIGNED = [*range(0x40000), *range(0xE0000, 0xE1000)]
"""Planes 4 to 13 are empty, 15 and 16 private: no character in them has any of the properties."""


@cache
def classes() -> UInt8s:
    """The classes of every code point, shape (0x110000,)."""
    return cached_table(f"characters-v1-{versions('spacy', 'datatrove')}", _make_classes)


def cached_table(name: str, make: Callable[[], UInt8s]) -> UInt8s:
    """A byte for every code point, shape (0x110000,), from the machine's cache.

    Args:
        name: Name of the table in the cache; it must identify the content.
        make: Returns the table.
    """
    return cached_array(name, make, lambda array: array.shape == (CODEPOINTS,) and array.dtype == np.uint8)


def all_characters() -> str:
    """All code points but surrogates, which are not characters."""
    return "".join(chr(code) for code in range(CODEPOINTS) if not 0xD800 <= code < 0xE000)


def _make_classes() -> UInt8s:
    from datatrove.utils.text import PUNCTUATION_SET

    from curation.text import english

    table = np.zeros(CODEPOINTS, dtype=np.uint8)
    for code in _ASSIGNED:
        character = chr(code)
        category = unicodedata.category(character)
        if category[0] == "L":
            table[code] = ALPHA
        elif category == "Nd":
            table[code] = DECIMAL
        elif category[0] == "P":
            table[code] = PUNCTUATION
        if character.isspace():
            table[code] |= SPACE
    lower = english.lower_letters(map(chr, np.flatnonzero(table & ALPHA)))
    for characters, bit in (
        (PUNCTUATION_SET, SYMBOL),
        (english.sentence_ends(), STOP),
        (_NEWLINES, NEWLINE),
        (lower, LOWER),
    ):
        table[[ord(character) for character in characters]] |= np.uint8(bit)
    return table


@cache
def ascii_lower() -> UInt8s:
    """The ASCII character that `str.lower` returns for each code point, 0 if its result is not ASCII."""
    table = np.zeros(CODEPOINTS, dtype=np.uint8)
    table[:128] = [ord(chr(code).lower()) for code in range(128)]
    table[ord("\u212a")] = ord("k")
    return table


@kernel
def count_codepoints(data: UInt8s) -> int:
    """Number of code points in UTF-8 bytes."""
    count = 0
    for byte in data:
        count += (byte & 0xC0) != 0x80
    return count


@kernel
def decode(data: UInt8s, begins: Int64s, ends: Int64s, codepoints: UInt32s, first: Int64s, last: Int64s) -> None:
    """Decode the UTF-8 texts `data[begins[i]:ends[i]]` into `codepoints[first[i]:last[i]]`; fills the last three."""
    at = 0
    for row in range(begins.size):
        first[row] = at
        i, end = begins[row], ends[row]
        while i < end:
            lead = np.uint32(data[i])
            if lead < 0x80:
                codepoints[at] = lead
                i += 1
            elif lead < 0xE0:
                codepoints[at] = (lead & np.uint32(0x1F)) << np.uint32(6) | np.uint32(data[i + 1] & 0x3F)
                i += 2
            elif lead < 0xF0:
                code = (lead & np.uint32(0x0F)) << np.uint32(12) | np.uint32(data[i + 1] & 0x3F) << np.uint32(6)
                codepoints[at] = code | np.uint32(data[i + 2] & 0x3F)
                i += 3
            else:
                code = (lead & np.uint32(0x07)) << np.uint32(18) | np.uint32(data[i + 1] & 0x3F) << np.uint32(12)
                code |= np.uint32(data[i + 2] & 0x3F) << np.uint32(6)
                codepoints[at] = code | np.uint32(data[i + 3] & 0x3F)
                i += 4
            at += 1
        last[row] = at


@kernel
def encoded_sizes(codepoints: UInt32s, first: Int64s, last: Int64s, sizes: Int64s) -> None:
    """Number of bytes of each text in UTF-8, written to `sizes`."""
    for row in range(first.size):
        size = 0
        for i in range(first[row], last[row]):
            code = codepoints[i]
            size += 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
        sizes[row] = size


@kernel
def encode(codepoints: UInt32s, first: Int64s, last: Int64s, offsets: Int64s, data: UInt8s) -> None:
    """Write text i as UTF-8 into `data[offsets[i]:offsets[i + 1]]`."""
    for row in range(first.size):
        at = offsets[row]
        for i in range(first[row], last[row]):
            code = codepoints[i]
            if code < 0x80:
                data[at] = code
                at += 1
                continue
            if code < 0x800:
                data[at] = 0xC0 | code >> np.uint32(6)
                at += 1
            else:
                if code < 0x10000:
                    data[at] = 0xE0 | code >> np.uint32(12)
                else:
                    data[at] = 0xF0 | code >> np.uint32(18)
                    data[at + 1] = 0x80 | (code >> np.uint32(12) & 0x3F)
                    at += 1
                data[at + 1] = 0x80 | (code >> np.uint32(6) & 0x3F)
                at += 2
            data[at] = 0x80 | (code & 0x3F)
            at += 1
