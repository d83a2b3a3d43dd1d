"""Kernels that find windows, the few stretches of a text that can contain a number or an address, in one pass.

Recognizers are slow, and as slow on prose as on numbers, so they only get these stretches. A window is a maximal run of
characters of one class with enough characters of another class.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel, leaf

ANCHOR = 4
"""Length of the two letters and two digits that an IBAN begins with."""
PLAIN = 1 << 7
"""Class of punctuation between the digits of a number that is no part of an extension or country code."""
NOT_PLAIN = -1
"""What is written instead of a state for a window with more than digits and punctuation."""
WITH_PLUS = -2
"""The same if there are only plus signs besides."""
SLASH, BRACKET, SPACED_HYPHEN, DASH, DOT, SPACE = (1 << bit for bit in range(6))
"""What is between groups of digits and may separate two numbers."""
SEPARATORS = (1 << 6) - 1
HYPHEN, BEGINS, PLUS, AFTER_PLUS = 1 << 6, 1 << 7, 1 << 8, 1 << 9
"""A hyphen; that the digits before and behind are in different candidates; a plus sign; and one next to the digits."""
MIN_ABROAD = 6
"""Digits of the shortest number with its calling code."""
IN_GROUP = -1
"""What is written between the digits of a group."""
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


@kernel
def have_groups(codepoints: UInt32s, begins: Int64s, ends: Int64s, least: int, most: int, found: Bools) -> None:
    """Tell which windows have groups of ASCII digits, with one character between two, with some number of digits.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        least: Least number of digits of all these groups.
        most: Largest number of their digits.
        found: Output: whether a window has such groups; false before.
    """
    for window in range(begins.size):
        begin, end = begins[window], ends[window]
        for start in range(begin, end):
            is_first = 48 <= codepoints[start] <= 57 and not (start > begin and 48 <= codepoints[start - 1] <= 57)
            count, between, i = 0, 0, start
            while is_first and i < end and count <= most and between <= 1:
                if 48 <= codepoints[i] <= 57:
                    count, between = count + 1, 0
                    if least <= count <= most and not (i + 1 < end and 48 <= codepoints[i + 1] <= 57):
                        found[window] = True
                else:
                    between += 1
                i += 1


@kernel
def classify_numbers(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    last: Int64s,
    classes: UInt8s,
    table: Int32s,
    accepts: Int64s,
    start: int,
    dead: int,
    place: int,
    states: Int64s,
    others: Int64s,
    missing: Int64s,
) -> int:
    """Run an automaton over the groups of digits of windows, from each group on that may begin a number.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window, of at most MAX_DIGITS digits.
        ends: Code point after each window.
        last: Code point after the text of each window.
        classes: Classes of code points, as bits.
        table: What follows its states, as in `automaton.States`.
        accepts: What its states accept, as bits.
        start: Place of its first state.
        dead: Place of the state from which nothing is accepted.
        place: The window to begin with.
        states: Output: for each window the place of the state behind all of its digits; NOT_PLAIN or WITH_PLUS if it
            has more than digits and punctuation.
        others: Output: what accepts other groups of its digits that may be tried, as bits.
        missing: Output: place of a state, and the digit that must be added to its table.

    Returns:
        The window to begin with when the table is complete; the number of windows if all are done.
    """
    values, gaps = np.empty(MAX_DIGITS, np.int64), np.empty(MAX_DIGITS + 1, np.int64)
    for window in range(place, begins.size):
        states[window], others[window] = NOT_PLAIN, 0
        if may_go_on(codepoints, ends[window], last[window]):
            continue
        count, has_plus, most = _read_groups(codepoints, begins[window], ends[window], classes, values, gaps)
        if count < 0:
            continue
        states[window] = WITH_PLUS if most >= MIN_ABROAD else dead
        for begin in range(count):
            before, between = gaps[begin], 0
            if before == 0 or before == IN_GROUP:
                continue
            state = start
            for i in range(begin, count):
                between |= gaps[i] if i > begin and gaps[i] > 0 else 0
                following = table[state + values[i]]
                if following == 0:
                    missing[0], missing[1] = state, values[i]
                    return window
                state = following
                if state == dead:
                    break
                after = gaps[i + 1]
                if after == IN_GROUP:
                    continue
                if begin == 0 and i == count - 1 and not has_plus:
                    states[window] = state
                elif not before & AFTER_PLUS and _is_part(before, between, after):
                    others[window] |= accepts[state // 10]
                if after & BEGINS:
                    break
    return begins.size


@inner
def _read_groups(
    codepoints: UInt32s, begin: int, end: int, classes: UInt8s, values: Int64s, gaps: Int64s
) -> tuple[int, bool, int]:
    """Read the digits of a window, and what separates its groups.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        end: Code point after it.
        classes: Classes of code points, as bits.
        values: Output: the digits.
        gaps: Output: what is before each digit, as bits: IN_GROUP, or separators, BEGINS and AFTER_PLUS. The end counts
            as another digit.

    Returns:
        The number of digits, -1 if the window has more than digits, punctuation and plus signs; whether it has plus
        signs; and the most digits between a plus sign and the end of what may be a number.
    """
    count, run, groups, size, gap, has_plus = 0, 0, 0, 0, BEGINS, False
    behind_plus, most = -1, 0
    for i in range(begin, end):
        code = codepoints[i]
        value = code - 48 if code < 128 else code - 0xFF10
        if 0 <= value <= 9:
            if run == MAX_RUN or count == MAX_DIGITS:
                return -1, False, 0
            if run == 0:
                groups += 1
                if size > MAX_BETWEEN or groups > MAX_GROUPS:
                    gap |= BEGINS
                if gap & BEGINS:
                    groups, behind_plus = 1, 0 if gap & PLUS else -1
                if gap & HYPHEN and gap & SPACE:
                    gap |= SPACED_HYPHEN
                if i > begin and (codepoints[i - 1] == 43 or codepoints[i - 1] == 0xFF0B):
                    gap |= AFTER_PLUS
            values[count], gaps[count] = value, gap & ~HYPHEN if run == 0 else IN_GROUP
            count, run, size, gap = count + 1, run + 1, 0, 0
            if behind_plus >= 0:
                behind_plus += 1
                most = max(most, behind_plus)
            continue
        run, size = 0, size + 1
        if code == 43 or code == 0xFF0B:
            gap, has_plus = gap | BEGINS | PLUS, True
        elif not classes[code] & PLAIN:
            return -1, False, 0
        elif code == 32 or code == 0xA0 or code == 0x3000:
            gap |= SPACE
        elif code == 0x2007 or code == 0x2009 or code == 0x202F:
            gap |= BEGINS
        elif code == 45:
            gap |= HYPHEN
        elif code == 46:
            gap |= DOT
        elif code == 47:
            gap |= SLASH
        elif code == 40:
            gap |= BRACKET
        elif 0x2012 <= code <= 0x2015 or code == 0xFF0D:
            gap |= DASH
    gaps[count] = BEGINS
    return count, has_plus, most


@leaf
def _is_part(before: int, between: int, after: int) -> bool:
    """Whether groups of digits may be a part of a candidate that is tried: see `phone_matcher._PARTS`.

    Args:
        before: What is before the first of the groups, as bits.
        between: What is between the groups.
        after: What is behind the last of them.
    """
    if after & BEGINS:
        after = SEPARATORS
        if before & (BEGINS | SLASH | SPACED_HYPHEN | DASH):
            return True
    if before & BEGINS and after & SEPARATORS & ~between:
        return True
    return bool(before & after & ~between & (BRACKET | DOT | SPACE))


@leaf
def may_go_on(codepoints: UInt32s, end: int, last: int) -> bool:
    """Whether an extension may follow a number that ends before `end`: a label such as "ext", or what may be one."""
    while end < last and (codepoints[end] == 32 or codepoints[end] == 9 or codepoints[end] == 44):
        end += 1
    if end == last:
        return False
    code = codepoints[end]
    if code >= 128:
        # Labels have letters of Greek, Cyrillic, Latin and full-width blocks, and no-break spaces before them.
        return bool(code < 0x2000 or code == 0x3000 or code >= 0xFF00)
    following = codepoints[end + 1] | 32 if end + 1 < last else 0
    letter = code | 32
    if letter == 101:
        return bool(following == 120 or following >= 128)  # ext
    if letter == 97 or letter == 105:
        return bool(following == 110 or following >= 128)  # anexo, int
    # ";ext=", "#", "~" and "x"
    return bool(code == 59 or code == 35 or code == 126 or letter == 120)
