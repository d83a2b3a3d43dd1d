"""Lines, paragraphs and white-space words of texts as spans of code points."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.text.kernels.characters import ALPHA, SPACE, SYMBOL
from curation.text.kernels.chunks import ALL_SYMBOLS, HAS_ALPHA

_NEWLINE = np.uint32(10)


@kernel
def find_lines(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    starts: Int64s,
    ends: Int64s,
    spans_first: Int64s,
    spans_last: Int64s,
) -> int:
    """Find the spans of `text.split("\\n")` of each text; returns their number."""
    at = 0
    for row in range(first.size):
        spans_first[row] = at
        starts[at] = first[row]
        for i in range(first[row], last[row]):
            if codepoints[i] == _NEWLINE:
                ends[at] = i
                at += 1
                starts[at] = i + 1
        ends[at] = last[row]
        at += 1
        spans_last[row] = at
    return at


@kernel
def find_paragraphs(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    starts: Int64s,
    ends: Int64s,
    spans_first: Int64s,
    spans_last: Int64s,
) -> int:
    """Find the spans of `re.split("\\n{2,}", text.strip())` of each text; returns their number."""
    at = 0
    for row in range(first.size):
        begin, end = first[row], last[row]
        while begin < end and classes[codepoints[begin]] & SPACE:
            begin += 1
        while begin < end and classes[codepoints[end - 1]] & SPACE:
            end -= 1
        spans_first[row] = at
        starts[at] = begin
        i = begin
        while i < end:
            run = i
            while run < end and codepoints[run] == _NEWLINE:
                run += 1
            if run - i >= 2:
                ends[at] = i
                at += 1
                starts[at] = run
            i = max(run, i + 1)
        ends[at] = end
        at += 1
        spans_last[row] = at
    return at


@kernel
def find_words(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    starts: Int64s,
    ends: Int64s,
    flags: UInt8s,
    words_first: Int64s,
    words_last: Int64s,
) -> int:
    """Find the spans of `text.split()` of each text, with the flags HAS_ALPHA and ALL_SYMBOLS; returns their number."""
    at = 0
    for row in range(first.size):
        words_first[row] = at
        i, end = first[row], last[row]
        while i < end:
            if classes[codepoints[i]] & SPACE:
                i += 1
                continue
            starts[at] = i
            any_of, all_of = np.uint8(0), np.uint8(255)
            while i < end and not classes[codepoints[i]] & SPACE:
                any_of |= classes[codepoints[i]]
                all_of &= classes[codepoints[i]]
                i += 1
            ends[at] = i
            flags[at] = (HAS_ALPHA if any_of & ALPHA else 0) | (ALL_SYMBOLS if all_of & SYMBOL else 0)
            at += 1
        words_last[row] = at
    return at
