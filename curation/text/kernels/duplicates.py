"""Duplicate spans: lines or paragraphs that occurred earlier in the same text.

A hash finds candidates and the characters decide, so the result is exact for any text.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt32s
from curation.running.compiled import inner, kernel
from curation.text.kernels.chunk_keys import mix

_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)


@inner
def hash_span(codepoints: UInt32s, start: int, end: int) -> np.uint64:
    """A 64-bit hash of `codepoints[start:end]`."""
    value = np.uint64(end - start)
    i = start
    while i + 1 < end:
        pair = np.uint64(codepoints[i]) | np.uint64(codepoints[i + 1]) << _SHIFT
        value = (value ^ pair) * _MULTIPLIER
        value ^= value >> _SHIFT
        i += 2
    if i < end:
        value = (value ^ np.uint64(codepoints[i])) * _MULTIPLIER
        value ^= value >> _SHIFT
    return mix(value)


@inner
def are_equal(codepoints: UInt32s, left: int, right: int, length: int) -> bool:
    """Whether the `length` code points at `left` and at `right` are equal."""
    i = 0
    while i < length and codepoints[left + i] == codepoints[right + i]:
        i += 1
    return i == length


@inner
def table_size(elements: int) -> int:
    """Size of an open-addressing table: a power of two, at most a quarter full, or half full for large tables."""
    size = 8
    factor = 4 if elements < 1 << 16 else 2
    while size < factor * elements:
        size *= 2
    return size


@kernel
def count_duplicates(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    selected: Bools,
    elements: Int64s,
    duplicates: Int64s,
    characters: Int64s,
) -> None:
    """Count duplicate spans of texts.

    Args:
        codepoints: Code points of all texts.
        starts: First code point of each span.
        ends: Code point after each span.
        first: First span of each text.
        last: Span after the last of each text.
        selected: Spans to consider, shape (spans,).
        elements: Output: number of selected spans of each text.
        duplicates: Output: how many of those occurred earlier in the text.
        characters: Output: number of characters in the duplicates.
    """
    slots = np.empty(8, dtype=np.int32)
    for row in range(first.size):
        size = table_size(last[row] - first[row])
        if size > slots.size:
            slots = np.empty(size, dtype=np.int32)
        slots[:size] = -1
        elements[row] = duplicates[row] = characters[row] = 0
        for span in range(first[row], last[row]):
            if not selected[span]:
                continue
            elements[row] += 1
            if _occurred(codepoints, starts, ends, first[row], span, slots, size):
                duplicates[row] += 1
                characters[row] += ends[span] - starts[span]


@inner
def _occurred(
    codepoints: UInt32s, starts: Int64s, ends: Int64s, first: int, span: int, slots: Int32s, size: int
) -> bool:
    """Whether the span is in the table, which it is added to. Slots hold span numbers relative to `first`."""
    mask = np.uint64(size - 1)
    slot = hash_span(codepoints, starts[span], ends[span]) & mask
    length = ends[span] - starts[span]
    while slots[slot] >= 0:
        other = first + slots[slot]
        if ends[other] - starts[other] == length and are_equal(codepoints, starts[other], starts[span], length):
            return True
        slot = (slot + np.uint64(1)) & mask
    slots[slot] = span - first
    return False
