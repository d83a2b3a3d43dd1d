"""Attributes of elements, read from the source where they matter: `parse` keeps what it needs itself."""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.extraction.blocks.parse import OPENED, hash_word
from curation.extraction.blocks.tags import hashed
from curation.running.compiled import kernel, leaf

TAG_BYTES = 2000
"""Bytes of a start tag in which attributes are looked for."""
MAX_CLASS = 300
"""Characters of a class that are looked at."""
MAX_DIGITS = 9
"""Digits of a number."""

CLASS = np.uint64(hashed(b"class"))

_SPACES, _QUOTES, _NO_NAME = 1, 2, 4
_BYTES = np.zeros(256, np.uint8)
_BYTES[[*b" \t\n\r\f\v"]] = _SPACES | _NO_NAME
_BYTES[[*b"\"'"]] = _QUOTES | _NO_NAME
_BYTES[[*b"<>/="]] = _NO_NAME


@kernel
def find_attribute(source: UInt8s, start: int, name: np.uint64) -> tuple[int, int]:
    """Find an attribute of a start tag.

    Args:
        source: The page's HTML.
        start: Where the attributes begin: the element's OPENED.
        name: The hash of the attribute's name in lower case.

    Returns:
        Where its value begins and ends, equal if it has none; -1 and -1 without the attribute.
    """
    i, stop = start, min(len(source), start + TAG_BYTES)
    while i < stop and source[i] != 62:
        if _BYTES[source[i]] & _NO_NAME:
            i += 1
            continue
        first = i
        while i < stop and not _BYTES[source[i]] & _NO_NAME:
            i += 1
        is_found = hash_word(source, first, i) == name
        i = _skip_spaces(source, i, stop)
        begin = end = i
        if i < stop and source[i] == 61:
            first = _skip_spaces(source, i + 1, stop)
            if first < stop and _BYTES[source[first]] & _QUOTES:
                last = first + 1
                while last < stop and source[last] != source[first]:
                    last += 1
                if last < stop:
                    begin, end, i = first + 1, last, last + 1
            else:
                last = first
                while last < stop and source[last] != 62 and not _BYTES[source[last]] & (_SPACES | _QUOTES):
                    last += 1
                begin, end, i = first, last, max(i, last)
        if is_found:
            return begin, end
    return -1, -1


@leaf
def _skip_spaces(source: UInt8s, i: int, stop: int) -> int:
    while i < stop and _BYTES[source[i]] & _SPACES:
        i += 1
    return i


@leaf
def find_class(elements: Int64s, source: UInt8s, element: int) -> tuple[int, int]:
    """Where the beginning of an element's class is in the source; two equal places if it has none."""
    if element <= 0:
        return 0, 0
    start, end = find_attribute(source, elements[element, OPENED], CLASS)
    characters, stop = 0, start
    while stop < end:
        characters += source[stop] & 0xC0 != 0x80
        if characters > MAX_CLASS:
            break
        stop += 1
    return start, stop


@leaf
def find_number(source: UInt8s, start: int, name: np.uint64, default: int) -> int:
    """A number of at most nine digits from an attribute; `default` if it is none. Arguments as for `find_attribute`."""
    first, end = find_attribute(source, start, name)
    first = _skip_spaces(source, first, end)
    value = digits = 0
    while first < end and digits <= MAX_DIGITS and 48 <= source[first] <= 57:
        value = 10 * value + int(np.int64(source[first])) - 48
        digits += 1
        first += 1
    is_number = 0 < digits <= MAX_DIGITS and _skip_spaces(source, first, end) == end
    return value if is_number else default


class AttributeReader:
    """Reads the attributes of a page's elements."""

    def __init__(self, elements: Int64s, source: UInt8s) -> None:
        self.elements, self.source = elements, source
        self.known: dict[tuple[int, str], str] = {}

    def value(self, element: int, name: str) -> str:
        """The value of an attribute; "" without one. Of a class, only the beginning counts."""
        known = self.known.get((element, name))
        if known is None:
            start, end = 0, 0
            if element > 0:
                start, end = find_attribute(self.source, self.elements[element, OPENED], _key(name))
            known = self.source[max(start, 0) : max(end, 0)].tobytes().decode(errors="replace")
            known = self.known[element, name] = known[:MAX_CLASS] if name == "class" else known
        return known

    def classes(self, element: int) -> str:
        """The beginning of an element's class, in lower case."""
        return self.value(element, "class").lower()


@cache
def _key(name: str) -> np.uint64:
    return np.uint64(hashed(name.encode()))
