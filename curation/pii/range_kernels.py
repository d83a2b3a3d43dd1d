"""A kernel that tells what ranges of the digits of windows may mean, as kinds of the results of automata."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel, leaf

PLAIN, EXTENDED, AFTER_PLUS, CARRIER, KEYED, UNREAD = range(6)
"""How the digits of a range are written: with punctuation only, with an extension behind them, with a plus sign, with
"xx" before them for the code of a carrier, with "int" behind them, whose letters stand for digits, or in a way that is
not read here."""
KEYS = 3
"""Letters of "int"."""
NONE = -1
"""What is written instead of a place, or of a digit, if there is none."""
COLUMNS = 8
"""Numbers that say what a range may mean."""
KIND, FIRST, CODE, LEADING, ABROAD = range(5)
"""Their places: the kind of what the digits mean, the first two digits, the calling code of a region with which they
begin, and the first four digits. At last what `_abroad` returns for all digits, and for those behind two, three and
four."""
_MAX_READ = 256
"""Digits of a window, and of an extension behind it: more than there can be."""
MISSING_STATE, MISSING_CODE, MISSING_ABROAD, MISSING_LEADING = 1, 2, 3, 4


@kernel
def read_ranges(
    codepoints: UInt32s,
    begins: Int64s,
    stops: Int64s,
    ranges: Int64s,
    digit_values: UInt8s,
    table: Int32s,
    accepts: Bools,
    kinds: Int32s,
    start: int,
    dead: int,
    starts: Int32s,
    own_codes: Int32s,
    leading: Int32s,
    cuts: Int32s,
    codes: Int32s,
    origins: Int32s,
    table_abroad: Int32s,
    kinds_abroad: Int32s,
    dead_abroad: int,
    place: int,
    found: Int32s,
    missing: Int64s,
) -> int:
    """Tell what ranges of the digits of windows may mean.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of the window of each range.
        stops: Code point after the last of which the digits are read.
        ranges: Shape (ranges, 3): number of digits before each, up to its end, and how it is written.
        digit_values: Values of code points that are digits.
        table: What follows the states of the automaton of regions, as in `automaton.States`.
        accepts: Which of them are looked for.
        kinds: The kinds of their results.
        start: Its first state.
        dead: Its state from which nothing is accepted.
        starts: What to write for the first two digits.
        own_codes: The calling codes of the regions that numbers of three digits begin with, 0 for others.
        leading: What to write for the first four digits; -1 if it is not known.
        cuts: The number of digits of prefixes for calls abroad that they begin with, as bits; the lowest one if such a
            prefix behind a plus sign needs a closer look.
        codes: All calling codes that numbers of three digits begin with.
        origins: The first state of the automaton of calling codes for each code; 0 if it is not known.
        table_abroad: What follows the states of that automaton.
        kinds_abroad: The kinds of their results.
        dead_abroad: Its state from which nothing is accepted.
        place: The range to begin with.
        found: Output, shape (ranges, COLUMNS): what each may mean; zeros if it is no number.
        missing: Output: MISSING_STATE with the state and digit that must be added to the first automaton,
            MISSING_ABROAD with those of the second one, MISSING_CODE with a calling code, or MISSING_LEADING with four
            digits.

    Returns:
        The range to begin with when that is added; their number if all are done.
    """
    values = np.empty(_MAX_READ, np.int64)
    while place < begins.size:
        low, high, written = ranges[place, 0], ranges[place, 1], ranges[place, 2]
        count, i = 0, begins[place]
        while count < high and i < stops[place]:
            value = digit_values[codepoints[i]]
            if value <= 9:
                values[count] = value
                count += 1
            i += 1
        if written == KEYED:
            values[high], values[high + 1], values[high + 2] = 4, 6, 8
            high += KEYS
        row, kind = found[place], 0
        row[:] = 0
        if written == AFTER_PLUS:
            kind = _abroad(values, low, high, codes, origins, table_abroad, kinds_abroad, dead_abroad, missing)
            if kind < 0:
                return place
            # Digits that begin with a calling code are not dialed in another way.
            is_unclear = kind == 0 and high - low >= 3 and codes[_first_three(values, low)] == 0
        else:
            state, digit = follow(table, dead, values, low, high, start)
            if digit != NONE:
                missing[0], missing[1], missing[2] = MISSING_STATE, state, digit
                return place
            if accepts[state // 10] or written != PLAIN:
                kind = kinds[state // 10]
            is_unclear = kind > 0 and values[low] == 0 and values[low + 1] <= 1
        row[KIND] = kind
        if kind > 0 and written != AFTER_PLUS:
            row[FIRST] = starts[10 * values[low] + values[low + 1]]
            if high - low >= 3:
                row[CODE] = own_codes[_first_three(values, low)]
        wanted = 1 if row[CODE] else 0
        if is_unclear and high - low > 4:
            begun = 0
            for digit in range(low, low + 4):
                begun = 10 * begun + values[digit]
            if leading[begun] < 0:
                missing[0], missing[1] = MISSING_LEADING, begun
                return place
            row[LEADING], wanted = leading[begun], cuts[begun]
        for cut in (0, 2, 3, 4):
            if wanted >> cut & 1:
                kind = _abroad(
                    values, low + cut, high, codes, origins, table_abroad, kinds_abroad, dead_abroad, missing
                )
                if kind < 0:
                    return place
                row[ABROAD + max(0, cut - 1)] = kind
        if written == AFTER_PLUS and wanted & 1:
            row[ABROAD] = 1
        place += 1
    return place


@leaf
def follow(table: Int32s, dead: int, values: Int64s, low: int, high: int, state: int) -> tuple[int, int]:
    """The state of an automaton after some digits, and NONE; or a state and the digit that must be added to its table.

    Args:
        table: What follows its states.
        dead: Place of the state from which nothing is accepted.
        values: The digits.
        low: Place of the first one.
        high: Place after the last one.
        state: Place of the state before them.
    """
    for digit in range(low, high):
        if state == dead:
            break
        following = table[state + values[digit]]
        if following == 0:
            return state, values[digit]
        state = following
    return state, NONE


@inner
def _abroad(
    values: Int64s,
    low: int,
    high: int,
    codes: Int32s,
    origins: Int32s,
    table: Int32s,
    kinds: Int32s,
    dead: int,
    missing: Int64s,
) -> int:
    """What digits behind a plus sign may mean: the kind of their results and, as the last digit, the one behind the
    calling code; 0 if it is no number, -1 if something is missing. Arguments are as in `read_ranges`."""
    if high - low < 3:
        return 0
    code = codes[_first_three(values, low)]
    if code == 0:
        return 0
    state = origins[code]
    if state == 0:
        missing[0], missing[1] = MISSING_CODE, code
        return -1
    begin = low + (1 if code < 10 else 2 if code < 100 else 3)
    state, digit = follow(table, dead, values, begin, high, state)
    if digit != NONE:
        missing[0], missing[1], missing[2] = MISSING_ABROAD, state, digit
        return -1
    kind = kinds[state // 10]
    return 0 if kind == 0 or begin == high else 10 * kind + values[begin]


@leaf
def _first_three(values: Int64s, low: int) -> int:
    """The number that three digits from a place on make."""
    return int(100 * values[low] + 10 * values[low + 1] + values[low + 2])
