"""A kernel that finds the parts of windows that may be phone numbers, as `phone_matcher` does with expressions.

Only windows of digits, punctuation and plus signs are looked at, and those with one or two "x" if no part that contains
one may be a number. A part is left out if an automaton accepts its digits in no region.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt16s, UInt32s
from curation.pii.window_kernels import MAX_BETWEEN, MAX_DIGITS, MAX_GROUPS, MAX_RUN, MIN_ABROAD, may_go_on
from curation.running.compiled import kernel, leaf

MAX_WIDTH = 200
"""Characters of the longest window that is looked at."""
AFTER_PLUS = -1
"""What is written instead of a state for a part that begins with a plus sign."""
NONE, MANY = -1, -2
"""What is written instead of the place of an "x": none; more than two, or some that need a closer look."""
_MAX_LEADS = 10
"""Characters before the first digit of a candidate."""
_MIN_VIABLE = 3
"""Digits of the shortest number with punctuation."""
_DIGIT, _PLUS, _BREAK, _PAREN, _OPEN, _CLOSE, _SPACE, _HYPHEN = (1 << bit for bit in range(8))
_DOT, _SLASH, _DASH, _OTHER, _X, _JOINS, _UNSURE, _GLUED = (1 << bit for bit in range(8, 16))
"""Kinds of characters: a digit, a plus sign, a space that no candidate has, "(", other opening brackets, closing ones,
space, hyphen, full stop, slash, dashes, other punctuation, "x"; what a number next to it is none, what may be such, and
what may begin a word that is glued to a number."""
_CHARACTERS = {
    _DIGIT: "0123456789\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
    _PLUS: "+\uff0b",
    _BREAK: "\u2007\u2009\u202f",
    _PAREN: "(",
    _OPEN: "[\uff08\uff3b",
    _CLOSE: ")]\uff09\uff3d",
    _SPACE: " \u00a0\u3000",
    _HYPHEN: "-",
    _DOT: ".",
    _SLASH: "/",
    _DASH: "\u2012\u2013\u2014\u2015\uff0d",
    _OTHER: "\u2010\u2011\u2212\uff0e\uff0f\u00ad\u200b\u2060",
    _X: "xX",
    _JOINS: "%$",
    _JOINS | _GLUED: "abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ",
}
_OF_NUMBERS = _JOINS - 1
_MAY_JOIN = ((0x80, 0x2000), (0x20A0, 0x2100), (0xA800, 0xA900), (0xFB00, 0x110000))
"""Code points among which are letters and currency signs that join."""
_LEADS = _PAREN | _OPEN | _PLUS
_NOT_PUNCTUATION = _DIGIT | _PLUS | _BREAK


@cache
def kinds_of_characters() -> UInt16s:
    """The kind of every code point, shape (0x110000,)."""
    table = np.zeros(0x110000, np.uint16)
    for first, last in _MAY_JOIN:
        table[first:last] = _UNSURE
    for kind, characters in _CHARACTERS.items():
        table[[ord(character) for character in characters]] = kind
    return table


@kernel
def find_parts(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    classes: UInt16s,
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
        table: What follows the states of an automaton, as in `automaton.States`.
        accepts: Which of its states are looked for.
        results: The kinds of their results, 0 if there are none.
        start: Place of its first state.
        dead: Place of the state from which nothing is accepted.
        window: The window to begin with.
        parts: Output, shape (parts, 9), in the order in which they are tried: the window; the place from which on the
            candidate is the next one that has parts; where the candidate begins and ends; where the part begins and
            ends; the number of digits before it and up to its end; the state behind its digits, or AFTER_PLUS. Places
            are counted from the start of the window.
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
    while window < begins.size:
        begin, end = begins[window], ends[window]
        done[window] = False
        ahead = classes[codepoints[begin - 1]] if begin > first[window] else 0
        behind = classes[codepoints[end]] if end < last[window] else 0
        is_complete = not (ahead & _UNSURE or behind & (_UNSURE | _GLUED) or may_go_on(codepoints, end, last[window]))
        is_complete = is_complete and _read_kinds(codepoints, begin, end, classes, kinds, before, led, values)
        size = end - begin if is_complete else 0
        first_x, last_x = _places_of_x(kinds, size)
        is_complete = is_complete and first_x != MANY
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
                while behind_it < size and kinds[behind_it] == _SPACE:
                    behind_it += 1
                if behind_it < size and kinds[behind_it] == _X:
                    # It may begin an extension with more punctuation than is between groups.
                    is_complete = False
                    break
                for one in range(_all_parts(kinds, low, high, ranges)):
                    part, stop = ranges[one, 0], ranges[one, 1]
                    x = first_x if first_x >= part else last_x
                    has_x = part <= x < stop
                    while stop > part and kinds[stop - 1] != _DIGIT:
                        stop -= 1
                    if stop == part or (stop == size and behind & _JOINS):
                        continue
                    before_part = ahead if part == 0 else kinds[part - 1]
                    if before_part & (_JOINS | _X) and not kinds[part] & _LEADS:
                        continue
                    if stop < size and kinds[stop] == _X and not has_x:
                        continue
                    # An "x" only precedes an extension, or is the last character.
                    last_digit = before[x] if has_x and x < stop else before[stop]
                    digits = last_digit - before[part]
                    plus = _has_plus(kinds, part)
                    state = AFTER_PLUS
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
                    if digits < _MIN_VIABLE or has_x:
                        is_complete = False
                        break
                    if count == len(parts):
                        return window, mark
                    parts[count, 0], parts[count, 1], parts[count, 2], parts[count, 3] = window, origin, low, high
                    parts[count, 4], parts[count, 5], parts[count, 6] = part, stop, before[part]
                    parts[count, 7], parts[count, 8] = before[stop], state
                    count += 1
                    wanted[stop] = True
                place = high
                if count > mark and parts[count - 1, 1] == origin:
                    wanted[high] = True
                    break
        if is_complete:
            done[window] = True
        else:
            count = mark
        window += 1
    return window, count


@leaf
def _places_of_x(kinds: UInt16s, size: int) -> tuple[int, int]:
    """The places of the first and the last "x", of at most two; NONE if there is none, MANY if they need a closer look.

    Args:
        kinds: Kinds of characters.
        size: Their number.
    """
    first, last, is_last = NONE, NONE, False
    for i in range(size):
        is_last = is_last and kinds[i] != _DIGIT
        if kinds[i] == _X:
            before = i - 1
            while before >= 0 and kinds[before] == _SPACE:
                before -= 1
            is_third = first != last
            if is_third or (i > 0 and kinds[i - 1] == _X) or (before >= 0 and kinds[before] == _SLASH):
                return MANY, MANY
            first = i if first == NONE else first
            last, is_last = i, True
    return (MANY, MANY) if is_last else (first, last)


@leaf
def _read_kinds(
    codepoints: UInt32s,
    begin: int,
    end: int,
    classes: UInt16s,
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
        between = 0 if kind & _NOT_PUNCTUATION else between + 1
        run = run + 1 if kind == _DIGIT else 0
        if not kind & _OF_NUMBERS or run > MAX_RUN or count == MAX_DIGITS:
            return False
        if kind == _DIGIT:
            values[count] = code - 48 if code < 128 else code - 0xFF10
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
    while digit < size and kinds[digit] != _DIGIT:
        digit += 1
    if digit == size:
        return -1, -1
    end, following, groups = digit, digit, 0
    while following < size and following - end <= MAX_BETWEEN and led[following] >= following - end:
        if groups == MAX_GROUPS:
            break
        groups += 1
        while following < size and kinds[following] == _DIGIT:
            following += 1
        end = following
        while following < size and kinds[following] != _DIGIT:
            following += 1
    for low in range(digit - _MAX_LEADS, digit):
        if low < place or not kinds[low] & _LEADS:
            continue
        # One lead, or another behind it, each with some punctuation.
        for other in range(low, digit):
            before, behind = other - low - 1, digit - other - 1
            is_led = before <= MAX_BETWEEN and led[other] >= before and kinds[other] & _LEADS
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
    for separator in (_SLASH, _PAREN, _HYPHEN, _DASH, _DOT, _SPACE):
        previous, has_one = -1, False
        for i in range(low, high):
            kind, behind = kinds[i], i + 1
            is_first = i == low or kinds[i - 1] != separator
            if separator == _HYPHEN:
                # Only with a space before or behind it.
                pair = i + 1 < high and (
                    (kind == _SPACE and kinds[i + 1] == _HYPHEN) or (kind == _HYPHEN and kinds[i + 1] == _SPACE)
                )
                behind += 1
                if not pair:
                    continue
            elif kind != separator or (not separator & (_PAREN | _DASH) and not is_first):
                continue
            while separator & (_SLASH | _DOT | _SPACE) and behind < high:
                if kinds[behind] != separator:
                    break
                behind += 1
            while separator & (_HYPHEN | _DASH | _DOT) and behind < high:
                if kinds[behind] != _SPACE:
                    break
                behind += 1
            start, stop = behind, high
            if separator == _PAREN:
                start = i
            if separator & (_PAREN | _DOT | _SPACE):
                stop = behind
                while stop < high and kinds[stop] != separator:
                    stop += 1
            if start == stop and separator != _SLASH:
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
    while not kinds[place] & (_DIGIT | _PLUS):
        place += 1
    if kinds[place] == _DIGIT:
        return 0
    while kinds[place] == _PLUS:
        place += 1
    while kinds[place] != _DIGIT:
        if kinds[place] == _PLUS:
            return -1
        place += 1
    return 1
