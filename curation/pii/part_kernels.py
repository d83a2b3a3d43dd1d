"""A kernel that finds the parts of windows that may be phone numbers, as `phone_matcher` does with expressions.

Only windows of digits, punctuation and plus signs are looked at. A part is left out if an automaton accepts its digits
in no region.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt8s, UInt16s, UInt32s
from curation.pii.number_characters import (
    DASH,
    DIGIT,
    DOT,
    GLUED,
    HYPHEN,
    JOINS,
    LEADS,
    NOT_PUNCTUATION,
    OF_NUMBERS,
    PAREN,
    PLUS,
    SLASH,
    SPACE,
    X,
)
from curation.pii.range_kernels import AFTER_PLUS, EXTENDED, PLAIN
from curation.pii.window_kernels import MAX_BETWEEN, MAX_DIGITS, MAX_GROUPS, MAX_RUN, MIN_ABROAD, may_go_on
from curation.running.compiled import kernel, leaf

MAX_WIDTH, _MAX_WRITTEN = 400, 250
"""Characters of the longest window that is looked at, and of the longest number (libphonenumber)."""
WINDOW, ORIGIN, CANDIDATE, CANDIDATE_END, START, END, FIRST, LAST, WRITTEN, EXTENSION = range(10)
"""What is said of a part: its window; the place from which on its candidate is the next one that has parts; where the
candidate begins and ends; where the part does; the number of digits before it, and up to its end without an extension;
how it is written, as in `range_kernels`; and the number of digits of its extension. Places are counted from the start
of the window."""
COLUMNS = 10
NONE = -1
"""What is written instead of the place of an "x" if there is none."""
_MAX_LEADS = 10
"""Characters before the first digit of a candidate."""
_MAX_EXTENSION = 9
"""Digits of the longest extension behind an "x"."""
_MIN_VIABLE = 3
"""Digits of the shortest number with punctuation."""


@kernel
def find_parts(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    classes: UInt16s,
    digit_values: UInt8s,
    table: Int32s,
    accepts: Bools,
    results: Int32s,
    start: int,
    dead: int,
    window: int,
    parts: Int64s,
    count: int,
    done: Bools,
    missing: Int64s,
) -> tuple[int, int]:
    """Find the parts of windows that may be numbers.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        classes: Kinds of code points.
        digit_values: Values of those that are digits.
        table: What follows the states of an automaton, as in `automaton.States`.
        accepts: Which of its states are looked for.
        results: The kinds of their results, 0 if there are none.
        start: Place of its first state.
        dead: Place of the state from which nothing is accepted.
        window: The window to begin with.
        parts: Output, shape (parts, COLUMNS): what is said of each, in the order in which they are tried.
        count: Number of parts that are found already.
        done: Output: for each window whether it was looked at.
        missing: Output: place of a state, and the digit that must be added to its table; -1 before.

    Returns:
        The window to begin with when the table is complete, or when there is room for more parts if it is; the number
        of windows if all are done. And the number of parts.
    """
    kinds, before = np.empty(MAX_WIDTH, np.uint16), np.empty(MAX_WIDTH + 1, np.int64)
    led = np.empty(MAX_WIDTH, np.int64)
    values, wanted = np.empty(MAX_DIGITS, np.int64), np.empty(MAX_WIDTH + 1, np.bool_)
    ranges = np.empty((3 * MAX_WIDTH, 2), np.int64)
    next_x, last_x = np.empty(MAX_WIDTH + 1, np.int64), np.empty(MAX_WIDTH + 1, np.int64)
    doubles = np.empty(MAX_WIDTH + 1, np.int64)
    while window < begins.size:
        begin, end = begins[window], ends[window]
        done[window] = False
        ahead = classes[codepoints[begin - 1]] if begin > first[window] else 0
        behind = classes[codepoints[end]] if end < last[window] else 0
        is_complete = not (behind & GLUED or may_go_on(codepoints, end, last[window]))
        is_complete = is_complete and _read_kinds(
            codepoints, begin, end, classes, digit_values, kinds, before, led, values
        )
        size = end - begin if is_complete else 0
        is_complete = is_complete and _read_x(kinds, size, next_x, last_x, doubles)
        # An "x" at the end of the window may begin an extension.
        goes_on = end < last[window] and (codepoints[end] == 58 or codepoints[end] == 44 or codepoints[end] == 9)
        if is_complete and goes_on and last_x[size] != NONE and before[last_x[size]] == before[size]:
            is_complete = False
        mark = count
        for i in range(size + 1):
            wanted[i] = i == 0
        for origin in range(size):
            place = origin
            while wanted[origin] and is_complete:
                low, high = _next_candidate(kinds, led, place, size)
                if low < 0:
                    break
                behind_it = high
                while behind_it < size and kinds[behind_it] == SPACE:
                    behind_it += 1
                if behind_it < size and kinds[behind_it] == X and before[behind_it] < before[size]:
                    # It may begin an extension with more punctuation than is between groups.
                    is_complete = False
                    break
                for one in range(_all_parts(kinds, low, high, ranges)):
                    part, stop = ranges[one, 0], ranges[one, 1]
                    first_x, x = next_x[part], last_x[stop]
                    has_x, is_double = first_x < stop, doubles[stop] > doubles[part + 1]
                    while stop > part and not kinds[stop - 1] & (DIGIT | X):
                        stop -= 1
                    if stop == part or (stop == size and behind & JOINS) or (stop < size and kinds[stop] == X):
                        continue
                    if (one > 0 and part == low and stop == high) or stop - part > _MAX_WRITTEN:
                        continue
                    before_part = ahead if part == 0 else kinds[part - 1]
                    if before_part & (JOINS | X) and not kinds[part] & LEADS:
                        continue
                    if is_double:
                        is_complete = False
                        break
                    # An "x" only precedes an extension, or is the last character.
                    is_last = kinds[stop - 1] == X
                    is_extended = has_x and not is_last
                    if has_x and (before[first_x] != before[x] or (is_last and first_x != x)):
                        continue
                    last_digit = before[x] if is_extended else before[stop]
                    digits, extension = last_digit - before[part], before[stop] - last_digit
                    if is_extended and not _is_extension(codepoints, begin + x, begin + stop, extension):
                        continue
                    plus = _has_plus(kinds, part)
                    if digits == 0 or plus < 0 or (plus == 1 and digits < MIN_ABROAD):
                        continue
                    if plus == 0:
                        state = start
                        for digit in range(before[part], last_digit):
                            following = table[state + values[digit]]
                            if following == 0:
                                missing[0], missing[1] = state, values[digit]
                                return window, mark
                            state = following
                            if state == dead:
                                break
                        if not accepts[state // 10] and not (has_x and results[state // 10]):
                            continue
                    if digits < _MIN_VIABLE:
                        is_complete = False
                        break
                    if count == len(parts):
                        return window, mark
                    row = parts[count]
                    row[WINDOW], row[ORIGIN], row[CANDIDATE], row[CANDIDATE_END] = window, origin, low, high
                    row[START], row[END], row[FIRST], row[LAST] = part, stop, before[part], last_digit
                    row[WRITTEN] = AFTER_PLUS if plus else EXTENDED if has_x else PLAIN
                    row[EXTENSION] = extension
                    count += 1
                    wanted[stop] = True
                place = high
                if count > mark and parts[count - 1, ORIGIN] == origin:
                    wanted[high] = True
                    break
        if is_complete:
            done[window] = True
        else:
            count = mark
        window += 1
    return window, count


@leaf
def _is_extension(codepoints: UInt32s, begin: int, end: int, digits: int) -> bool:
    """Whether an "x" and what follows it is an extension: see `numbering.EXTENSION`.

    Args:
        codepoints: Code points of all texts.
        begin: The place of the "x".
        end: Code point after the last digit.
        digits: Number of digits behind the "x".
    """
    if digits > _MAX_EXTENSION:
        return False
    begin += 2 if codepoints[begin + 1] == 0x2E or codepoints[begin + 1] == 0xFF0E else 1
    while codepoints[begin] == 0x20 or codepoints[begin] == 0xA0 or codepoints[begin] == 0x2D:
        begin += 1
    return begin + digits == end


@leaf
def _read_x(kinds: UInt16s, size: int, next_x: Int64s, last_x: Int64s, doubles: Int64s) -> bool:
    """Read the places of each "x", and tell whether none follows a slash, where another number may begin.

    Args:
        kinds: Kinds of characters.
        size: Their number.
        next_x: Output: the place of the next "x" from each place on, or `size`.
        last_x: Output: the place of the last one before each place, and before the end, or NONE.
        doubles: Output: before each place, and before the end, how many directly follow another one.
    """
    last_x[0], doubles[0], next_x[size] = NONE, 0, size
    for i in range(size):
        is_x = kinds[i] == X
        last_x[i + 1] = i if is_x else last_x[i]
        doubles[i + 1] = doubles[i] + (is_x and i > 0 and kinds[i - 1] == X)
        before = i - 1
        while is_x and before >= 0 and kinds[before] == SPACE:
            before -= 1
        if is_x and before >= 0 and kinds[before] == SLASH:
            return False
    for i in range(size - 1, -1, -1):
        next_x[i] = i if kinds[i] == X else next_x[i + 1]
    return True


@leaf
def _read_kinds(
    codepoints: UInt32s,
    begin: int,
    end: int,
    classes: UInt16s,
    digit_values: UInt8s,
    kinds: UInt16s,
    before: Int64s,
    led: Int64s,
    values: Int64s,
) -> bool:
    """Read the characters of a window.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        end: Code point after it.
        classes: Kinds of code points.
        digit_values: Values of those that are digits.
        kinds: Output: the kind of each character.
        before: Output: the number of digits before each character, and before the end.
        led: Output: the number of punctuation characters directly before each character.
        values: Output: the digits.

    Returns:
        Whether the window has only such characters, and neither too many of them nor of digits.
    """
    if end - begin > MAX_WIDTH:
        return False
    count, run, between = 0, 0, 0
    for i in range(begin, end):
        code = codepoints[i]
        kind = classes[code]
        kinds[i - begin], before[i - begin], led[i - begin] = kind, count, between
        between = 0 if kind & NOT_PUNCTUATION else between + 1
        run = run + 1 if kind == DIGIT else 0
        if not kind & OF_NUMBERS or run > MAX_RUN or count == MAX_DIGITS:
            return False
        if kind == DIGIT:
            values[count] = digit_values[code]
            count += 1
    before[end - begin] = count
    return True


@leaf
def _next_candidate(kinds: UInt16s, led: Int64s, place: int, size: int) -> tuple[int, int]:
    """Start and end of the next candidate from a place on, -1 if there is none: see `phone_matcher.next_candidate`.

    Args:
        kinds: Kinds of characters.
        led: The number of punctuation characters directly before each character.
        place: The place.
        size: Size of the window.
    """
    digit = place
    while digit < size and kinds[digit] != DIGIT:
        digit += 1
    if digit == size:
        return -1, -1
    end, following, groups = digit, digit, 0
    while following < size and following - end <= MAX_BETWEEN and led[following] >= following - end:
        if groups == MAX_GROUPS:
            break
        groups += 1
        while following < size and kinds[following] == DIGIT:
            following += 1
        end = following
        while following < size and kinds[following] != DIGIT:
            following += 1
    for low in range(digit - _MAX_LEADS, digit):
        if low < place or not kinds[low] & LEADS:
            continue
        # One lead, or another behind it, each with some punctuation.
        for other in range(low, digit):
            before, behind = other - low - 1, digit - other - 1
            is_led = before <= MAX_BETWEEN and led[other] >= before and kinds[other] & LEADS
            if is_led and behind <= MAX_BETWEEN and led[digit] >= behind:
                return low, end
    return digit, end


@leaf
def _all_parts(kinds: UInt16s, low: int, high: int, ranges: Int64s) -> int:
    """The parts of a candidate in the order in which they are tried, itself first: see `phone_matcher._PARTS`.

    Args:
        kinds: Kinds of characters.
        low: Where the candidate begins.
        high: Where it ends.
        ranges: Output: where each part begins and ends.

    Returns:
        The number of parts.
    """
    ranges[0, 0], ranges[0, 1] = low, high
    count = 1
    for separator in (SLASH, PAREN, HYPHEN, DASH, DOT, SPACE):
        previous, has_one = -1, False
        for i in range(low, high):
            kind, behind = kinds[i], i + 1
            is_first = i == low or kinds[i - 1] != separator
            if separator == HYPHEN:
                # Only with a space before or behind it.
                pair = i + 1 < high and (
                    (kind == SPACE and kinds[i + 1] == HYPHEN) or (kind == HYPHEN and kinds[i + 1] == SPACE)
                )
                behind += 1
                if not pair:
                    continue
            elif kind != separator or (not separator & (PAREN | DASH) and not is_first):
                continue
            while separator & (SLASH | DOT | SPACE) and behind < high:
                if kinds[behind] != separator:
                    break
                behind += 1
            while separator & (HYPHEN | DASH | DOT) and behind < high:
                if kinds[behind] != SPACE:
                    break
                behind += 1
            start, stop = behind, high
            if separator == PAREN:
                start = i
            if separator & (PAREN | DOT | SPACE):
                stop = behind
                while stop < high and kinds[stop] != separator:
                    stop += 1
            if start == stop and separator != SLASH:
                continue
            if not has_one:
                ranges[count, 0], ranges[count, 1] = low, i
                count, has_one = count + 1, True
            if start != previous:
                ranges[count, 0], ranges[count, 1] = start, stop
                count += 1
            previous = start
    return count


@leaf
def _has_plus(kinds: UInt16s, place: int) -> int:
    """1 if plus signs precede the first digit from a place on, 0 if none do, -1 if others follow later."""
    while not kinds[place] & (DIGIT | PLUS):
        place += 1
    if kinds[place] == DIGIT:
        return 0
    while kinds[place] == PLUS:
        place += 1
    while kinds[place] != DIGIT:
        if kinds[place] == PLUS:
            return -1
        place += 1
    return 1
