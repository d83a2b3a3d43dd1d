"""Kernels that find windows, the few stretches of a text that can contain a number or an address, in one pass.

Recognizers are slow, and as slow on prose as on numbers, so they only get these stretches. A window is a maximal run of
characters of one class with enough characters of another class.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel

ANCHOR = 4
"""Length of the two letters and two digits that an IBAN begins with."""
MIN_ABROAD = 6
"""Digits of the shortest number with its calling code."""
MAX_BETWEEN, MAX_GROUPS = 4, 21
"""Punctuation between two groups of digits, and groups, of a candidate."""
MAX_RUN, MAX_DIGITS = 20, 100
"""Digits of the longest group of a candidate, behind which another one begins, and of windows in which numbers are
searched."""


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
        minimum: Minimum number of `wanted` characters, at least 1.
        rows: Output: text of each run.
        begins: Output: first code point of each run.
        ends: Output: code point after each run.
        counts: Output: number of `wanted` characters in each run.

    Returns:
        The number of runs. If it exceeds the size of the outputs, the rest was not written and the caller must retry
        with larger ones.
    """
    n_runs = 0
    member_bit, wanted_bit, both_bits = np.uint8(member), np.uint8(wanted), np.uint8(member | wanted)
    for row in range(first.size):
        i, low, end = first[row], first[row], last[row]
        while i < end:
            # Such characters are rare, while most of a text are runs: one is looked at from there in both directions.
            if classes[codepoints[i]] & both_bits != both_bits:
                i += 1
                continue
            begin, count = i, 0
            while begin > low and classes[codepoints[begin - 1]] & member_bit:
                begin -= 1
            while i < end:
                kind = classes[codepoints[i]]
                if not kind & member_bit:
                    break
                count += (kind & wanted_bit) != 0
                i += 1
            low = i
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


@kernel
def have_outside(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    firsts: Int64s,
    lasts: Int64s,
    classes: UInt8s,
    wanted: int,
    minimum: int,
    found: Bools,
) -> None:
    """Tell which windows have a stretch outside of matches with enough characters of a class.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window, in order.
        ends: Code point after each window.
        firsts: First code point of each match, in order.
        lasts: Code point after each match; they do not overlap.
        classes: Classes of code points, as bits.
        wanted: Their class.
        minimum: Number of them.
        found: Output: whether a window has such a stretch; false before.
    """
    wanted_bit, place = np.uint8(wanted), 0
    for window in range(begins.size):
        i, count = begins[window], 0
        while place < lasts.size and lasts[place] <= i:
            place += 1
        match = place
        while i < ends[window] and count < minimum:
            if match < firsts.size and i >= firsts[match]:
                i, match, count = lasts[match], match + 1, 0
                continue
            count += (classes[codepoints[i]] & wanted_bit) != 0
            i += 1
        found[window] = count >= minimum
