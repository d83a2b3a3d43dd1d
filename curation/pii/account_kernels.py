"""Kernels that find card numbers and US social security numbers, and windows that may have them.

Most windows have neither, and reading those that have one with expressions takes ten times as long.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel, leaf

MIN_CARD, MAX_CARD = 12, 19
"""Digits of card numbers."""
CARD_GROUPS = sum(1 << count for count in (4, 7, 8, *range(10, 17)))
"""The numbers of digits behind which there may be a space or hyphen, as bits."""
NAMED_SSN, PRINTED_SSN = 1, 2
"""What `have_ssns` finds."""
WINDOW, START, END, KIND, DIGITS = range(5)
COLUMNS = 5
"""What is said of a number: its window, its first code point, the one after its last, which kind of number it is, and
the digits of a social security number."""
OTHER = 255
"""A character of which it is not known what it is."""
_SAMPLES = (123456789, 987654320, 78051120)
"""Numbers in advertisements and forms, as in `recognizers`."""
_ALIKE = 111111111


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


@kernel
def find_cards(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    plain: UInt8s,
    found: Int64s,
    done: Bools,
) -> int:
    """Find card numbers in windows as `recognizers.cards` does, but also others of the same form of other issuers.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        plain: For each code point, the character of ASCII that the recognizer sees, OTHER if that is none.
        found: Output, shape (numbers, COLUMNS), with room for two per MIN_CARD characters of each window, and two more:
            KIND is whether the number is one of another issuer.
        done: Output: whether a window was looked at. None is that has OTHER in it or next to it.

    Returns:
        The number of numbers.
    """
    count = 0
    for window in range(begins.size):
        done[window] = _is_plain(codepoints, begins[window], ends[window], first[window], last[window], plain)
        for is_other in (False, True):
            i = begins[window] if done[window] else ends[window]
            while i < ends[window]:
                size = _count_digits(codepoints, i, ends[window])
                is_first = i == first[window] or not _is_alphanumeric(plain[codepoints[i - 1]])
                stop = 0
                if size >= 4 and is_first and is_other:
                    stop = _end_of_other_card(codepoints, i, ends[window], last[window], plain, size)
                elif size >= 4 and is_first:
                    stop = _end_of_card(codepoints, i, ends[window], plain, size)
                if stop and stop < last[window] and _is_alphanumeric(plain[codepoints[stop]]):
                    stop = 0
                if stop and _has_check_digit(codepoints, i, stop):
                    found[count, WINDOW], found[count, START], found[count, END] = window, i, stop
                    found[count, KIND] = is_other
                    count += 1
                i = max(stop, i + max(1, size))
    return count


@leaf
def _is_plain(codepoints: UInt32s, begin: int, end: int, first: int, last: int, plain: UInt8s) -> bool:
    """Whether all characters in a window and next to it have one that the recognizer sees.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the window.
        end: Code point after it.
        first: First code point of its text.
        last: Code point after its text.
        plain: As in `find_cards`.
    """
    i, stop = max(first, begin - 1), min(last, end + 1)
    while i < stop and plain[codepoints[i]] != OTHER:
        i += 1
    return i == stop


@leaf
def _end_of_card(codepoints: UInt32s, start: int, end: int, plain: UInt8s, size: int) -> int:
    """Where a number ends that has four digits and three groups of three to five, perhaps with spaces or hyphens.

    Returns 0 if it has not.

    Args:
        codepoints: Code points of all texts.
        start: Where it starts.
        end: Code point after the window.
        plain: As in `find_cards`.
        size: Number of digits at its start, at least 4.
    """
    code = codepoints[start]
    is_issued = code == 49 or code == 51 or code == 52 or code == 54 or (code == 53 and codepoints[start + 1] <= 53)
    # A number of 13 digits that begins with 1 is a time.
    if not is_issued or (code == 49 and size == 13):
        return 0
    groups, place, rest = 3, start + 4, size - 4
    while groups > 0:
        if rest == 0:
            if place == end or not (plain[codepoints[place]] == 32 or plain[codepoints[place]] == 45):
                return 0
            place += 1
            rest = _count_digits(codepoints, place, end)
        taken = 1
        while taken <= groups and not 3 * taken <= rest <= 4 * taken + (taken == groups):
            taken += 1
        if taken > groups:
            return 0
        groups, place, rest = groups - taken, place + rest, 0
    return place


@leaf
def _end_of_other_card(codepoints: UInt32s, start: int, end: int, last: int, plain: UInt8s, size: int) -> int:
    """Where a number of another issuer ends.

    It has 12 to 19 digits, or three groups of four and perhaps one of up to four and one of up to three, with the same
    separator between all. Returns 0 if it has not.

    Args:
        codepoints: Code points of all texts.
        start: Where it starts.
        end: Code point after the window.
        last: Code point after the text.
        plain: As in `find_cards`.
        size: Number of digits at its start.
    """
    issuer = 10 * (int(codepoints[start]) - 48) + int(codepoints[start + 1]) - 48
    if not (22 <= issuer <= 27 or 40 <= issuer <= 50 or 56 <= issuer <= 69):
        return 0
    if size > 4:
        return start + size if MIN_CARD <= size <= MAX_CARD else 0
    if start + size == end:
        return 0
    sign, place, stop = plain[codepoints[start + 4]], start + 4, 0
    if sign != 32 and sign != 45:
        return 0
    for group in range(1, 5):
        if place == end or plain[codepoints[place]] != sign:
            break
        following = _count_digits(codepoints, place + 1, end)
        if group < 3 and following != 4:
            return 0
        if following == 0 or following > (4 if group < 4 else 3):
            break
        place += 1 + following
        if group > 1 and (place == last or not _is_alphanumeric(plain[codepoints[place]])):
            stop = place
    return stop


@leaf
def _has_check_digit(codepoints: UInt32s, start: int, end: int) -> bool:
    """Whether the last digit is the check digit of the others by Luhn's formula (ISO/IEC 7812)."""
    total, is_doubled = 0, False
    for i in range(end - 1, start - 1, -1):
        if 48 <= codepoints[i] <= 57:
            digit = int(codepoints[i]) - 48
            doubled = 2 * digit - 9 if digit > 4 else 2 * digit
            total, is_doubled = total + (doubled if is_doubled else digit), not is_doubled
    return total % 10 == 0


@kernel
def find_ssns(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    plain: UInt8s,
    found: Int64s,
    done: Bools,
) -> int:
    """Find social security numbers in windows as `recognizers.ssns` does.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        plain: As in `find_cards`.
        found: Output, shape (numbers, COLUMNS), with room for one per nine characters of each window, and one more:
            KIND is whether the number is in groups of 3, 2 and 4 digits.
        done: Output: whether a window was looked at. None is that has OTHER in it or next to it.

    Returns:
        The number of numbers.
    """
    count = 0
    for window in range(begins.size):
        begin, end = begins[window], ends[window]
        done[window] = _is_plain(codepoints, begin, end, first[window], last[window], plain)
        i = begin if done[window] else end
        while i < end:
            size = _count_digits(codepoints, i, end)
            is_first = i == first[window] or not _is_alphanumeric(plain[codepoints[i - 1]])
            stop = _end_of_ssn(codepoints, i, end, plain, size) if size and is_first else 0
            if stop and (stop == last[window] or not _is_alphanumeric(plain[codepoints[stop]])):
                digits = 0
                for j in range(i, stop):
                    if _is_digit(codepoints, j, i, stop):
                        digits = 10 * digits + int(codepoints[j]) - 48
                if _may_be_issued(digits):
                    found[count, WINDOW], found[count, START], found[count, END] = window, i, stop
                    found[count, DIGITS], found[count, KIND] = digits, stop - i == 11
                    count += 1
                i = stop
            else:
                i += max(1, size)
    return count


@leaf
def _end_of_ssn(codepoints: UInt32s, start: int, end: int, plain: UInt8s, size: int) -> int:
    """Where a social security number ends, or 0 if none begins with some digits.

    Args:
        codepoints: Code points of all texts.
        start: Where the digits start.
        end: Code point after the window.
        plain: As in `find_ssns`.
        size: Number of the digits.
    """
    if size == 9:
        return start + size
    mark = start + size
    if mark == end:
        return 0
    sign = plain[codepoints[mark]]
    following = _count_digits(codepoints, mark + 1, end)
    if sign == 45 and ((size == 5 and following == 4) or (size == 3 and following == 6)):
        return mark + 1 + following
    other = mark + 3
    if size != 3 or following != 2 or other >= end or plain[codepoints[other]] != sign:
        return 0
    if sign != 45 and sign != 32 and sign != 46:
        return 0
    return other + 5 if _count_digits(codepoints, other + 1, end) == 4 else 0


@leaf
def _may_be_issued(digits: int) -> bool:
    """Whether a number may have been issued: no part of it is zero, its area is not 666, and it is no known sample."""
    area, group, serial = digits // 1000000, digits // 10000 % 100, digits % 10000
    if area == 0 or area == 666 or group == 0 or serial == 0:
        return False
    return digits not in _SAMPLES and digits % _ALIKE != 0


@leaf
def _count_digits(codepoints: UInt32s, place: int, end: int) -> int:
    """The number of ASCII digits from a place on."""
    size = 0
    while place + size < end and 48 <= codepoints[place + size] <= 57:
        size += 1
    return size


@leaf
def _is_alphanumeric(code: int) -> bool:
    """Whether a character of ASCII is a letter or digit."""
    return 48 <= code <= 57 or 97 <= code | 32 <= 122


@leaf
def _is_digit(codepoints: UInt32s, place: int, begin: int, end: int) -> bool:
    """Whether an ASCII digit is at a place, and that is within a window."""
    return begin <= place < end and 48 <= codepoints[place] <= 57


@leaf
def _may_join(code: int) -> bool:
    """Whether recognizers may see a character as a space or hyphen."""
    return code == 32 or code == 45 or code > 127
