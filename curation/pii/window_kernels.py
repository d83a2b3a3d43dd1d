"""Kernels that find windows, the few stretches of a text that can contain a number or an address, in one pass.

Recognizers are slow, and as slow on prose as on numbers, so they only get these stretches. A window is a maximal run of
characters of one class with enough characters of another class.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel, leaf

ANCHOR = 4
"""Length of the two letters and two digits that an IBAN begins with."""
MIN_ABROAD = 6
"""Digits of the shortest number with its calling code."""
MAX_BETWEEN, MAX_GROUPS = 4, 21
"""Punctuation between two groups of digits, and groups, of a candidate."""
MIN_CARD, MAX_CARD = 12, 19
"""Digits of card numbers."""
CARD_GROUPS = sum(1 << count for count in (4, 7, 8, *range(10, 17)))
"""The numbers of digits behind which there may be a space or hyphen, as bits."""
NAMED_SSN, PRINTED_SSN = 1, 2
"""What `have_ssns` finds."""
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
def have_cards(codepoints: UInt32s, begins: Int64s, ends: Int64s, found: Bools) -> None:
    """Tell which windows have digits that may be a card number by their check digit and their groups.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        found: Output: whether a window has such digits; false before.
    """
    for window in range(begins.size):
        end = ends[window]
        for start in range(begins[window], end):
            is_first = 49 <= codepoints[start] <= 54 and not _is_digit(codepoints, start - 1, begins[window], end)
            count, i = 0, start
            # The sums of the digits with every second one doubled, the last one or the one before it.
            last_doubled, other_doubled = np.int64(0), np.int64(0)
            while is_first and i < end and count < MAX_CARD:
                if 48 <= codepoints[i] <= 57:
                    count, digit = count + 1, np.int64(codepoints[i]) - 48
                    doubled = 2 * digit - 9 if digit > 4 else 2 * digit
                    last_doubled, other_doubled = other_doubled + doubled, last_doubled + digit
                    is_last = not _is_digit(codepoints, i + 1, start, end)
                    found[window] |= is_last and count >= MIN_CARD and other_doubled % 10 == 0
                elif not (
                    CARD_GROUPS >> count & 1 and _may_join(codepoints[i]) and _is_digit(codepoints, i - 1, start, end)
                ):
                    break
                i += 1


@kernel
def have_ssns(codepoints: UInt32s, begins: Int64s, ends: Int64s, found: UInt8s) -> None:
    """Tell which windows have digits grouped as those of social security numbers.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        found: Output: NAMED_SSN for a window that has them only in forms that need a word that names them, PRINTED_SSN
            for one with hyphens between three groups; 0 before.
    """
    for window in range(begins.size):
        # The sizes of the last three groups, and whether hyphens may be between the first two and the last two.
        first, second, size, is_first_hyphen, is_hyphen = 0, 0, 0, False, False
        for i in range(begins[window], ends[window]):
            code = codepoints[i]
            if 48 <= code <= 57:
                size += 1
                if not _is_digit(codepoints, i + 1, i, ends[window]):
                    in_three = first == 3 and second == 2 and size == 4
                    if in_three and is_first_hyphen and is_hyphen:
                        found[window] = PRINTED_SSN
                    elif in_three or size == 9 or (second == 5 and size == 4) or (second == 3 and size == 6):
                        found[window] = max(found[window], NAMED_SSN)
            elif size and (code == 46 or _may_join(code)):
                first, second, size = second, size, 0
                is_first_hyphen, is_hyphen = is_hyphen, code != 46 and code != 32
            else:
                first, second, size = 0, 0, 0


@leaf
def _is_digit(codepoints: UInt32s, place: int, begin: int, end: int) -> bool:
    """Whether an ASCII digit is at a place, and that is within a window."""
    return begin <= place < end and 48 <= codepoints[place] <= 57


@leaf
def _may_join(code: int) -> bool:
    """Whether recognizers may see a character as a space or hyphen."""
    return code == 32 or code == 45 or code > 127
