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
"""Digits of the longest group that libphonenumber takes as a whole, and of windows in which numbers are searched."""


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
def have_groups(
    codepoints: UInt32s, begins: Int64s, ends: Int64s, least: int, most: int, checked: bool, found: Bools
) -> None:
    """Tell which windows have groups of ASCII digits, with one character between two, with some number of digits.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        least: Least number of digits of all these groups.
        most: Largest number of their digits.
        checked: Whether the last one must be the check digit of the others: see `recognizers.has_check_digit`.
        found: Output: whether a window has such groups; false before.
    """
    for window in range(begins.size):
        begin, end = begins[window], ends[window]
        for start in range(begin, end):
            is_first = 48 <= codepoints[start] <= 57 and not (start > begin and 48 <= codepoints[start - 1] <= 57)
            count, between, i = 0, 0, start
            # The sums of the digits with every second one doubled, the last one or the one before it.
            last_doubled, other_doubled = np.int64(0), np.int64(0)
            while is_first and i < end and count <= most and between <= 1:
                if 48 <= codepoints[i] <= 57:
                    count, between, digit = count + 1, 0, np.int64(codepoints[i]) - 48
                    doubled = 2 * digit - 9 if digit > 4 else 2 * digit
                    last_doubled, other_doubled = other_doubled + doubled, last_doubled + digit
                    is_last = not (i + 1 < end and 48 <= codepoints[i + 1] <= 57)
                    if least <= count <= most and is_last and (not checked or other_doubled % 10 == 0):
                        found[window] = True
                else:
                    between += 1
                i += 1
