"""A kernel that finds the parts of windows that may be phone numbers, as `phone_matcher` does with expressions.

A part is left out if an automaton accepts its digits in no region.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int32s, Int64s, UInt8s, UInt16s, UInt32s
from curation.pii.extension_kernels import (
    KEYPAD,
    MAX_EXTENSION,
    SIGN,
    end_of_short_extension,
    is_glued_word,
)
from curation.pii.number_characters import (
    DASH,
    DIGIT,
    DOT,
    HYPHEN,
    JOINS,
    LEADS,
    LETTER,
    NOT_PUNCTUATION,
    OF_NUMBERS,
    OTHER,
    PAREN,
    PLUS,
    SLASH,
    SPACE,
    TILDE,
    X,
)
from curation.pii.range_kernels import AFTER_PLUS, CARRIER, EXTENDED, KEYED, NONE, PLAIN, UNREAD, follow
from curation.pii.window_kernels import MAX_BETWEEN, MAX_DIGITS, MAX_GROUPS, MAX_RUN, MIN_ABROAD
from curation.running.compiled import kernel, leaf

MAX_WIDTH, _MAX_WRITTEN = 400, 250
"""Characters of the longest window that is looked at, and of the longest number (libphonenumber)."""
MAX_PLACES = MAX_WIDTH + MAX_EXTENSION
"""Characters of a window and an extension behind it."""
WINDOW, ORIGIN, CANDIDATE, CANDIDATE_END, START, END, FIRST, LAST, WRITTEN, EXTENSION, PREFIX = range(11)
"""What is said of a part: its window; the place from which on its candidate is the next one that has parts; where the
candidate begins and ends; where the part does; the number of digits before it, and up to its end without an extension;
how it is written, as in `range_kernels`; the number of digits of its extension, and of those before the code of a
carrier, NONE if there is none. Places are counted from the start of the window."""
COLUMNS = 11
NEXT_X, LAST_MARK, DOUBLES = range(3)
MARKS = 3
"""What is said of the places of each "x" and "~": see `_read_marks`."""
_MAX_LEADS = 10
"""Characters before the first digit of a candidate."""
_MAX_HASHED = 6
"""Digits of the longest extension without label, which ends with "#"."""
_MIN_VIABLE = 3
"""Digits of the shortest number with punctuation."""
_MAX_LETTERS = 2
"""With more letters than this, they stand for digits (libphonenumber). A dotless i is none of them."""
_KEYS = np.array([2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 9, 9, 9, 9])
"""The keys of a telephone that letters are on."""


@kernel
def find_parts(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    extensions: Int64s,
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
        extensions: The extensions behind them, as `read_extensions` reads them.
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
    kinds, before = np.empty(MAX_PLACES, np.uint16), np.empty(MAX_PLACES + 1, np.int64)
    led, seconds = np.empty(MAX_WIDTH, np.int64), np.empty(MAX_WIDTH + 1, np.int64)
    values, wanted = np.empty(MAX_DIGITS + MAX_EXTENSION, np.int64), np.empty(MAX_PLACES + 1, np.bool_)
    ranges, keys = np.empty((3 * MAX_PLACES, 2), np.int64), np.empty(MAX_EXTENSION, np.int64)
    marks = np.empty((MARKS, MAX_PLACES + 1), np.int64)
    while window < begins.size:
        begin, end = begins[window], ends[window]
        done[window] = False
        ahead = classes[codepoints[begin - 1]] if begin > first[window] else 0
        behind = classes[codepoints[end]] if end < last[window] else 0
        is_complete = _read_kinds(codepoints, begin, end, classes, digit_values, kinds, before, led, values)
        size = end - begin if is_complete else 0
        digits_end, total, sort, label_end, digits_at, n_keys, hashed = size, size, 0, 0, 0, 0, NONE
        while is_complete and kinds[digits_end - 1] != DIGIT:
            digits_end -= 1
        if is_complete and is_glued_word(codepoints, end, last[window]):
            # What follows the window does not matter.
            behind = 0
        elif is_complete:
            sort, label_end, digits_at, total = extensions[window]
            label_end, digits_at, total = label_end - begin, digits_at - begin, total - begin
            is_complete = total >= 0
        has_extension = total > digits_end and digits_end < label_end
        if has_extension:
            # libphonenumber drops digits of other scripts if letters stand for digits.
            is_complete = sort != KEYPAD or _is_ascii(codepoints, begin, size, kinds)
            n_keys = _read_label(
                *(codepoints, begin, digits_end, label_end, total, digit_values),
                *(kinds, before, values, keys),
            )
        elif is_complete:
            total = size
        if is_complete and digits_end == size and end < last[window] and codepoints[end] == 35:
            hashed = _start_of_hashed(codepoints, begin, before, size)
        before_hash = hashed
        if has_extension:
            # Digits behind "#" belong to it, unless the number ends before the last digits.
            hashed = NONE
        if hashed != NONE:
            kinds[size], before[size + 1], total = LETTER, before[size], size + 1
        if is_complete and total > size:
            behind = classes[codepoints[begin + total]] if begin + total < last[window] else 0
        # An "x" or "~" behind spaces may be in a number, too; other labels are not.
        place = digits_end
        while place < total and kinds[place] == SPACE and codepoints[begin + place] != 9:
            place += 1
        word = digits_end if has_extension and not kinds[place] & (X | TILDE) else total + 1
        if is_complete:
            _read_marks(codepoints, begin, kinds, size, total, marks, seconds)
        mark = count
        for i in range(total + 1):
            wanted[i] = i == 0
        for origin in range(size):
            place = origin
            while wanted[origin] and is_complete:
                low, high = _next_candidate(kinds, led, place, size)
                if low < 0:
                    break
                if high == digits_end and has_extension:
                    high = total
                elif high == before_hash:
                    high = size + 1
                elif high < digits_end:
                    # Digits that have too many others before them, or too much punctuation.
                    label, stop = high, NONE
                    while kinds[label] == SPACE and codepoints[begin + label] != 0x3000:
                        label += 1
                    if kinds[label] & (X | TILDE):
                        stop = end_of_short_extension(codepoints, digit_values, begin + label, last[window]) - begin
                    if stop > size:
                        is_complete = False
                        break
                    high = max(high, stop)
                second = seconds[low]
                if second < high and marks[NEXT_X, second] < high:
                    high = second
                for one in range(_all_parts(kinds, low, high, ranges)):
                    part, stop = ranges[one, 0], ranges[one, 1]
                    while one > 0 and stop > part and not kinds[stop - 1] & (DIGIT | X | LETTER):
                        stop -= 1
                    # Letters of a label are no part of what is before it.
                    following = classes[codepoints[begin + stop]] if stop < total else behind
                    if stop == part or following & (JOINS | X) or (one > 0 and part == low and stop == high):
                        continue
                    before_part = ahead if part == 0 else classes[codepoints[begin + part - 1]]
                    if (before_part & (JOINS | X) and not kinds[part] & LEADS) or stop - part > _MAX_WRITTEN:
                        continue
                    written, last_digit, extension, n_letters = _read_part(
                        *(codepoints, begin, digit_values, kinds, before, marks, part, stop),
                        *(word, label_end, digits_at, total, sort, n_keys, hashed),
                    )
                    digits, plus = last_digit - before[part], 0
                    if written != NONE and digits > 0:
                        plus = _has_plus(kinds, part)
                    is_short = plus == 1 and digits + n_letters < MIN_ABROAD and n_letters != NONE
                    if written == NONE or digits <= 0 or plus < 0 or is_short:
                        continue
                    if plus == 0 and n_letters != NONE:
                        state, digit = follow(table, dead, values, before[part], last_digit, start)
                        if digit == NONE:
                            state, digit = follow(table, dead, keys, 0, n_letters, state)
                        if digit != NONE:
                            missing[0], missing[1] = state, digit
                            return window, mark
                        if not accepts[state // 10] and (written == PLAIN or not results[state // 10]):
                            continue
                    if digits < _MIN_VIABLE and written == UNREAD:
                        continue
                    if digits < _MIN_VIABLE:
                        is_complete = False
                        break
                    if count == len(parts):
                        return window, mark
                    row = parts[count]
                    row[WINDOW], row[ORIGIN], row[CANDIDATE], row[CANDIDATE_END] = window, origin, low, high
                    row[START], row[END], row[FIRST], row[LAST] = part, stop, before[part], last_digit
                    row[PREFIX] = NONE
                    if written == CARRIER:
                        row[PREFIX] = before[marks[NEXT_X, part]] - before[part]
                    if plus and written != UNREAD:
                        written = AFTER_PLUS
                    elif n_letters > 0 and plus == 0:
                        written = KEYED
                    row[WRITTEN], row[EXTENSION] = written, extension
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
def _start_of_hashed(codepoints: UInt32s, begin: int, before: Int64s, size: int) -> int:
    """Where the spaces before the last digits of a window begin, which "#" makes an extension; NONE if it does not.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        before: The number of digits before each character, and before the end.
        size: Number of characters of the window, of which the last one is a digit.
    """
    digits = size
    while digits > 0 and before[digits] > before[digits - 1]:
        digits -= 1
    start = digits
    while start > 0 and (codepoints[begin + start - 1] == 32 or codepoints[begin + start - 1] == 45):
        start -= 1
    return start if 0 < start < digits and size - digits <= _MAX_HASHED else NONE


@leaf
def _read_part(
    codepoints: UInt32s,
    begin: int,
    digit_values: UInt8s,
    kinds: UInt16s,
    before: Int64s,
    marks: Int64s,
    part: int,
    stop: int,
    word: int,
    label_end: int,
    digits_at: int,
    total: int,
    sort: int,
    n_keys: int,
    hashed: int,
) -> tuple[int, int, int, int]:
    """Read how a part is written.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        digit_values: Values of code points that are digits.
        kinds: Kinds of characters.
        before: The number of digits before each character, and before the end.
        marks: Places of "x" and "~".
        part: Where the part begins.
        stop: Where it ends.
        word: Place from which on a label that is a word follows the window, or one that no part has.
        label_end: Place after that label.
        digits_at: Place of the first digit behind it.
        total: Place after these digits.
        sort: The sort of the label.
        n_keys: The number of its letters that may stand for digits.
        hashed: Where spaces and digits begin that are an extension if "#" is at the end of a part; or NONE.

    Returns:
        How it is written, as in `range_kernels`, or NONE if no number is; the number of digits up to its end without
        an extension; the number of digits of that; and the number of letters that stand for digits, NONE if that is
        not known.
    """
    first_x, mark, digits = marks[NEXT_X, part], marks[LAST_MARK, stop], before[stop]
    is_double = marks[DOUBLES, stop] > marks[DOUBLES, part + 1]
    if digits == before[part]:
        return NONE, digits, 0, 0
    if hashed != NONE and stop == total:
        # As behind a word.
        word = hashed
    if stop > word and part >= word:
        # In the extension. What ends with its label, or with "#", is no number, and no "x" is before one.
        is_number = kinds[stop - 1] == DIGIT
        for i in range(part, digits_at):
            is_number = is_number and codepoints[begin + i] | 32 != 120
        return PLAIN if is_number else NONE, digits, 0, 0
    if stop > word and stop < total:
        # Up to the label.
        if sort == SIGN:
            # The last digits may be an extension that only ends with "#".
            if label_end > word + 1:
                return NONE, digits, 0, 0
            if mark >= part:
                return UNREAD, digits, 0, NONE
            hashed = _start_of_hashed(codepoints, begin, before, word)
            return _read_extended(before, part, hashed, digits, first_x, is_double)
        if sort != KEYPAD or (first_x < word and not is_double):
            return NONE, digits, 0, 0
        for i in range(word, label_end):
            if codepoints[begin + i] == 9 or codepoints[begin + i] == 44:
                # No number has tabs or commas.
                return NONE, digits, 0, 0
        if n_keys <= _MAX_LETTERS and not is_double:
            return PLAIN, digits, 0, 0
        return UNREAD, digits, 0, NONE if is_double or mark >= part else n_keys
    if stop > word:
        return _read_extended(before, part, word, digits, first_x, is_double)
    is_last, has_x = kinds[stop - 1] == X, first_x < stop
    while not kinds[stop - 1] & (DIGIT | X | LETTER):
        stop -= 1
    is_extended = not is_last and mark >= part and before[mark] > before[part]
    if is_extended:
        is_extended = end_of_short_extension(codepoints, digit_values, begin + mark, begin + stop) == begin + stop
    if codepoints[begin + stop - 1] == 35 and not is_extended:
        return NONE, digits, 0, 0
    if is_extended and before[mark] - before[part] < _MIN_VIABLE:
        # Too few digits for a number, so that all of them may be one.
        return UNREAD if is_double or not has_x else NONE, digits, 0, 0
    if is_extended and is_double and _is_behind_double(kinds, marks, part, mark):
        # Behind the code of a carrier, no digits but those of the extension follow.
        return NONE, digits, 0, 0
    if is_double and not is_extended and _has_single_x(kinds, first_x, stop):
        return NONE, digits, 0, 0
    if has_x and not is_double:
        # An "x" only precedes an extension, or is the last character.
        is_valid = is_extended and before[first_x] == before[mark]
        if not (first_x == stop - 1 if is_last else is_valid):
            return NONE, digits, 0, 0
    last_digit = before[mark] if is_extended else digits
    written = UNREAD if is_double else EXTENDED if has_x or is_extended else PLAIN
    if is_double and not is_extended and mark == first_x + 1:
        written = CARRIER
    return written, last_digit, digits - last_digit, 0


@leaf
def _is_behind_double(kinds: UInt16s, marks: Int64s, part: int, mark: int) -> bool:
    """Whether an "x" or "~" ends "xx", or follows it with only punctuation between them. Arguments as `_read_part`."""
    place = mark
    while place > part and kinds[place - 1] != DIGIT:
        place -= 1
    return bool(marks[DOUBLES, mark + 1] > marks[DOUBLES, place + 1])


@leaf
def _has_single_x(kinds: UInt16s, place: int, stop: int) -> bool:
    """Whether any "x" between two places, but not the last character, is not one of "xx"."""
    while place < stop - 1:
        if kinds[place] == X and kinds[place + 1] != X:
            return True
        place += 2 if kinds[place] == X else 1
    return False


@leaf
def _read_extended(
    before: Int64s, part: int, word: int, digits: int, first_x: int, is_double: bool
) -> tuple[int, int, int, int]:
    """Read a part with an extension that begins at `word`, as `_read_part`; it is no number if it is one only."""
    has_number = word > part and before[word] - before[part] >= _MIN_VIABLE
    if not has_number or (first_x < word and not is_double):
        return NONE, digits, 0, 0
    return UNREAD if is_double else EXTENDED, before[word], digits - before[word], 0


@leaf
def _is_ascii(codepoints: UInt32s, begin: int, size: int, kinds: UInt16s) -> bool:
    """Whether all digits of a window are those of ASCII.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        size: Number of its characters.
        kinds: Their kinds.
    """
    i = 0
    while i < size and not (kinds[i] == DIGIT and codepoints[begin + i] > 57):
        i += 1
    return i == size


@leaf
def _read_label(
    codepoints: UInt32s,
    begin: int,
    digits_end: int,
    label_end: int,
    total: int,
    digit_values: UInt8s,
    kinds: UInt16s,
    before: Int64s,
    values: Int64s,
    keys: Int64s,
) -> int:
    """Read the characters of an extension behind a window.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        digits_end: Place after its last digit.
        label_end: Place after the label.
        total: Place after the extension.
        digit_values: Values of code points that are digits.
        kinds: Output: the kind of each character.
        before: Output: the number of digits before each character, and before the end.
        values: Output: the digits.
        keys: Output: the digits that letters of the label may stand for.

    Returns:
        The number of these letters.
    """
    count, n_keys = before[digits_end], 0
    for i in range(digits_end, total):
        code, kind = codepoints[begin + i], OTHER
        value = digit_values[code]
        if value <= 9:
            kind, values[count] = DIGIT, value
        elif code == 32 or code == 0xA0 or code == 9:
            kind = SPACE
        elif code == 46:
            kind = DOT
        elif code == 45:
            kind = HYPHEN
        elif code == 126 or code == 0xFF5E:
            kind = TILDE
        elif i == label_end - 1 and code | 32 == 120:
            kind = X
        elif 97 <= code | 32 <= 122:
            kind, keys[n_keys] = LETTER, _KEYS[(code | 32) - 97]
            n_keys += 1
        elif code == 35 or (code >= 128 and code != 0x301 and code != 0xFF03 and code != 0xFF0E):
            kind = LETTER
        kinds[i], before[i] = kind, count
        count += kind == DIGIT
    before[total] = count
    return n_keys


@leaf
def _read_marks(
    codepoints: UInt32s, begin: int, kinds: UInt16s, size: int, total: int, marks: Int64s, seconds: Int64s
) -> None:
    """Read the places of each "x" and "~".

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        kinds: Kinds of characters.
        size: Number of characters of the window.
        total: Place after the extension behind it.
        marks: Output, shape (MARKS, places): from each place on, the place of the next "x", or `total`; before each
            place, that of the last "x" or "~", or NONE; and how many "x" before it directly follow another one.
        seconds: Output: from each place of the window on, that of the next slash with an "x" behind it, which begins
            another number; or `total`.
    """
    marks[LAST_MARK, 0], marks[DOUBLES, 0], marks[NEXT_X, total] = NONE, 0, total
    for i in range(total):
        is_x = kinds[i] == X
        marks[LAST_MARK, i + 1] = i if is_x or kinds[i] == TILDE else marks[LAST_MARK, i]
        marks[DOUBLES, i + 1] = marks[DOUBLES, i] + (is_x and i > 0 and kinds[i - 1] == X)
    begins_number = False
    seconds[size] = total
    for i in range(total - 1, -1, -1):
        marks[NEXT_X, i] = i if kinds[i] == X else marks[NEXT_X, i + 1]
        if i < size:
            seconds[i] = i if begins_number and kinds[i] == SLASH else seconds[i + 1]
        code = codepoints[begin + i]
        begins_number = code == 120 or (begins_number and code == 32)


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
    count, between = 0, 0
    for i in range(begin, end):
        code = codepoints[i]
        kind = classes[code]
        kinds[i - begin], before[i - begin], led[i - begin] = kind, count, between
        between = 0 if kind & NOT_PUNCTUATION else between + 1
        if not kind & OF_NUMBERS or count == MAX_DIGITS:
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
    if digit >= size:
        return -1, -1
    end, following, groups = digit, digit, 0
    while following < size and following - end <= MAX_BETWEEN and led[following] >= following - end:
        if groups == MAX_GROUPS:
            break
        groups += 1
        longest = min(size, following + MAX_RUN)
        while following < longest and kinds[following] == DIGIT:
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
    count, written = 1, 0
    for i in range(low, high):
        written |= kinds[i]
    for separator in (SLASH, PAREN, HYPHEN, DASH, DOT, SPACE):
        if not written & separator:
            continue
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
