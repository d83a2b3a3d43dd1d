"""Kernels that find windows, the few stretches of a text that can contain a number or an address, in one pass.

Recognizers are slow, and as slow on prose as on numbers, so they only get these stretches. A window is a maximal run of
characters of one class with enough characters of another class.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel

ANCHOR = 4
"""Length of the two letters and two digits that an IBAN begins with."""


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
    """Find maximal runs of one class of characters with at least `minimum` characters of another class.

    Args:
        codepoints: Code points of all texts.
        first: First code point of each text.
        last: Code point after each text.
        classes: Classes of code points, as bits.
        member: Class of all characters of a run.
        wanted: Class of which a run needs `minimum` characters.
        minimum: Minimum number of `wanted` characters.
        rows: Output: text of each run.
        begins: Output: first code point of each run.
        ends: Output: code point after each run.
        counts: Output: number of `wanted` characters in each run.

    Returns:
        The number of runs. If it exceeds the size of the outputs, the rest was not written and the caller must retry
        with larger ones.
    """
    n_runs = 0
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
                if n_runs < rows.size:
                    rows[n_runs], begins[n_runs], ends[n_runs], counts[n_runs] = row, begin, i, count
                n_runs += 1
    return n_runs


@kernel
def find_anchors(
    codepoints: UInt32s, first: Int64s, last: Int64s, length: int, rows: Int64s, begins: Int64s, ends: Int64s
) -> int:
    """Find the `length` characters from each place where two ASCII letters and two digits begin a word.

    Windows that overlap or touch are merged. Other arguments and the return value are as in `find_runs`.
    """
    n_windows = 0
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
                    begin = begins[n_windows - 1] if n_windows <= rows.size else begin
                    n_windows -= 1
                if n_windows < rows.size:
                    rows[n_windows], begins[n_windows], ends[n_windows] = row, begin, end
                n_windows += 1
                previous, previous_end = row, end
    return n_windows
