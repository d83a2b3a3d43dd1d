"""Kernels that find card numbers and US social security numbers in windows; expressions take ten times as long."""

from __future__ import annotations

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel, leaf

MIN_CARD, MAX_CARD = 12, 19
"""Digits of card numbers."""
WINDOW, START, END, KIND, DIGITS = range(5)
COLUMNS = 5
"""What is said of a number: its window, its first code point, the one after its last, which kind of number it is, and
the digits of a social security number."""
DOUBTFUL_FORM, GROUPED, PRINTED = range(3)
"""Forms of social security numbers: groups of 3, 2 and 4 digits, and these with hyphens between them."""
_SAMPLES = (123456789, 987654320, 78051120)
"""Numbers in advertisements and forms."""
_ALIKE = 111111111


@kernel
def find_cards(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    plain: UInt8s,
    found: Int64s,
) -> int:
    """Find numbers with a valid check digit in windows that are grouped as card numbers.

    They are of two forms: four digits and three groups of three to five, in which presidio's recognizer and this one
    find cards; and 12 to 19 digits in groups of four, as other issuers have.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        plain: The character of ASCII for each code point, as `windows.plain_codes`.
        found: Output, shape (numbers, COLUMNS), with room for two per MIN_CARD characters of each window, and two more:
            KIND is whether the number has the second form.

    Returns:
        The number of numbers.
    """
    count = 0
    for window in range(begins.size):
        for is_other in (False, True):
            i = begins[window]
            while i < ends[window]:
                size = _count_digits(codepoints, i, ends[window])
                is_first = not _is_joined(codepoints, i - 1, first[window], last[window], plain)
                stop = 0
                if size >= 4 and is_first and is_other:
                    stop = _end_of_other_card(codepoints, i, ends[window], last[window], plain, size)
                elif size >= 4 and is_first:
                    stop = _end_of_card(codepoints, i, ends[window], plain, size)
                if _is_joined(codepoints, stop, i, last[window], plain):
                    stop = 0
                if stop and _has_check_digit(codepoints, i, stop):
                    found[count, WINDOW], found[count, START], found[count, END] = window, i, stop
                    found[count, KIND] = is_other
                    count += 1
                i = max(stop, i + max(1, size))
    return count


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
        if group > 1 and not _is_joined(codepoints, place, start, last, plain):
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
) -> int:
    """Find social security numbers in windows that may have been issued.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        first: First code point of the text of each window.
        last: Code point after the text of each window.
        plain: As in `find_cards`.
        found: Output, shape (numbers, COLUMNS), with room for one per nine characters of each window, and one more:
            KIND is its form.

    Returns:
        The number of numbers.
    """
    count = 0
    for window in range(begins.size):
        i, end = begins[window], ends[window]
        while i < end:
            size = _count_digits(codepoints, i, end)
            is_first = not _is_joined(codepoints, i - 1, first[window], last[window], plain)
            stop = _end_of_ssn(codepoints, i, end, plain, size) if size and is_first else 0
            if stop and not _is_joined(codepoints, stop, i, last[window], plain):
                digits = 0
                for j in range(i, stop):
                    if 48 <= codepoints[j] <= 57:
                        digits = 10 * digits + int(codepoints[j]) - 48
                if _may_be_issued(digits):
                    found[count, WINDOW], found[count, START], found[count, END] = window, i, stop
                    found[count, DIGITS], found[count, KIND] = digits, DOUBTFUL_FORM
                    if stop - i == 11:
                        found[count, KIND] = PRINTED if plain[codepoints[i + 3]] == 45 else GROUPED
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
def _is_joined(codepoints: UInt32s, place: int, first: int, last: int, plain: UInt8s) -> bool:
    """Whether a letter or digit is at a place of a text, so that a number next to it is none.

    Args:
        codepoints: Code points of all texts.
        place: The place.
        first: First code point of the text.
        last: Code point after it.
        plain: As in `find_cards`.
    """
    if not first <= place < last:
        return False
    code = int(plain[codepoints[place]])
    return 48 <= code <= 57 or 97 <= code | 32 <= 122
