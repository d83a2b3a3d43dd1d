"""Windows: the few stretches of a text that can hold a number or an address, found in one pass over its code points.

What recognises personal data is slow and costs the same on prose as on numbers, so it is shown these stretches only.
A stretch is a maximal run of characters of one class with enough characters of another.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel

ANCHOR = 4
"""A bank account number begins with two letters and two digits."""


@kernel
def find_runs(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    classes: UInt8s,
    member: int,
    wanted: int,
    minimum: int,
    rows: Int64s,
    begins: Int64s,
    ends: Int64s,
    counts: Int64s,
) -> int:
    """Write maximal runs of class `member` that have at least `minimum` characters of class `wanted`; their number.

    A run is the text it is in, where it begins and ends among the code points, and its characters of class `wanted`.
    Those that do not fit into `rows` are counted all the same, so that the caller can come again with more room.
    """
    found = 0
    member_bit, wanted_bit = np.uint8(member), np.uint8(wanted)
    for row in range(first.size):
        i, end = first[row], last[row]
        while i < end:
            if not classes[codepoints[i]] & member_bit:
                i += 1
                continue
            begin, count = i, 0
            while i < end:
                kind = classes[codepoints[i]]
                if not kind & member_bit:
                    break
                count += (kind & wanted_bit) != 0
                i += 1
            if count >= minimum:
                if found < rows.size:
                    rows[found], begins[found], ends[found], counts[found] = row, begin, i, count
                found += 1
    return found


@kernel
def find_anchors(
    codepoints: UInt32s,
    first: Int64s,
    last: Int64s,
    length: int,
    rows: Int64s,
    begins: Int64s,
    ends: Int64s,
) -> int:
    """Write `length` characters from each place on where two ASCII letters and two digits begin a word, as `find_runs`.

    Stretches that overlap or touch are one.
    """
    found = 0
    previous, previous_end = -1, 0
    for row in range(first.size):
        state = 0
        for i in range(first[row], last[row]):
            code = codepoints[i]
            digit = 48 <= code <= 57
            letter = 65 <= code <= 90 or 97 <= code <= 122
            if not (digit or letter):
                state = 0
                continue
            if state < 0:
                continue
            state = state + 1 if letter == (state < 2) else -1
            if state == ANCHOR:
                begin, state = i - ANCHOR + 1, -1
                end = min(begin + length, last[row])
                if previous == row and begin <= previous_end:
                    begin = begins[found - 1] if found <= rows.size else begin
                    found -= 1
                if found < rows.size:
                    rows[found], begins[found], ends[found] = row, begin, end
                found += 1
                previous, previous_end = row, end
    return found
