"""Lines and paragraphs of texts as spans of code points."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.text.kernels.characters import SPACE

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
