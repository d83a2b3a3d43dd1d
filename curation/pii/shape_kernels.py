"""A kernel that writes the shapes of numbers with what is around them, so that those of one shape are judged once.

It also tells whether a number begins as well printed ones do: the expressions for that are in `phones`.
"""

from __future__ import annotations

from curation.arrays import Bools, Int64s, UInt8s, UInt16s, UInt32s
from curation.pii.extension_kernels import is_glued_word
from curation.pii.number_characters import CLOSE, OPEN, PAREN
from curation.pii.windows import MIN_PHONE_DIGITS
from curation.running.compiled import kernel, leaf

AROUND = 4
"""Characters around a number on which it may depend whether it is part of something longer."""
BEHIND = AROUND + len("mobile")
"""Characters behind a number on which it may depend: a word that follows it without a space may be there."""
JOINED = ord("\u5b57")
"""The letter that is written for all of `number_characters.are_joined_letters`."""
START, END, EXTENSION, MEANT, PRINTED = range(5)
COLUMNS = 5
"""What is written behind each shape: where in it the number begins and ends, how many digits its extension has in it,
the place of what the number means, and how the number is printed, as bits."""
IS_ABROAD, IS_GROUPED, HAS_SLASH, HAS_PLUS = (1 << bit for bit in range(4))
"""It begins with "00", perhaps in brackets; as a number that may be grouped as in its country; it has a slash; it
begins with "+"."""
_MAX_TRUNK, _MAX_SEPARATORS = 4, 3
"""Digits of an area code behind 0 and another digit; punctuation between two groups."""
_FEW = 2
"""Characters around a number that matter if they are punctuation next to it."""


@kernel
def write_shapes(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    extensions: Int64s,
    meant: Int64s,
    classes: UInt16s,
    digit_values: UInt8s,
    are_joined: Bools,
    plain: UInt8s,
    shapes: UInt32s,
    edges: Int64s,
    printed: UInt8s,
) -> None:
    """Write the shapes of numbers, with zeros for digits of all scripts, and of the characters around them that matter.

    Args:
        codepoints: Code points of all texts.
        starts: First code point of each number; changed for those with an opening bracket before them, but no closing
            one in them: it is not part of them.
        ends: Code point after each number.
        first: First code point of the text of each number.
        last: Code point after the text of each number.
        extensions: Number of digits of the extension of each number.
        meant: The place of what each number means.
        classes: Kinds of code points.
        digit_values: Values of those that are digits.
        are_joined: Which are letters of which each may stand for any other, as JOINED.
        plain: The characters of ASCII as which they are seen, as `windows.plain_codes`.
        shapes: Output: the shape of each number with COLUMNS other values behind it, one after the other.
        edges: Output, shape (numbers + 1,): where each begins, and where the last one ends.
        printed: Output: how each number is printed.
    """
    place = 0
    for number in range(starts.size):
        start, end, extension = starts[number], ends[number], extensions[number]
        if classes[codepoints[start]] & (PAREN | OPEN):
            i = start
            while i < end and not classes[codepoints[i]] & CLOSE:
                i += 1
            start += i == end
        starts[number], edges[number] = start, place
        low, high = start, end
        if start > first[number]:
            low = max(first[number], start - _reach(codepoints[start - 1]))
        is_glued = is_glued_word(codepoints, end, last[number])
        if is_glued:
            high = min(last[number], end + BEHIND)
        elif end < last[number]:
            high = min(last[number], end + _reach(codepoints[end]))
        kept = end
        if extension > 1 and _ends_with_digits(codepoints, start, end, extension, digit_values):
            # How many digits an extension has does not matter if there are enough others for a number.
            kept, extension = end - extension + 1, 1
        for i in range(low, high):
            code = int(codepoints[i])
            if digit_values[code] <= 9:
                code = 48
            elif i < start or (i >= end and not is_glued):
                if 97 <= code | 32 <= 122:
                    code = 97
                elif code > 127 and are_joined[code]:
                    code = JOINED
            if i < kept or i >= end:
                shapes[place] = code
                place += 1
        shapes[place + START], shapes[place + END] = start - low, start - low + kept - start
        shapes[place + EXTENSION], shapes[place + MEANT] = extension, meant[number]
        printed[number] = _how_printed(codepoints, start, end, plain, digit_values)
        shapes[place + PRINTED] = printed[number]
        place += COLUMNS
    edges[starts.size] = place


@leaf
def _ends_with_digits(codepoints: UInt32s, start: int, end: int, size: int, digit_values: UInt8s) -> bool:
    """Whether a number ends with exactly some digits, and has enough others.

    Args:
        codepoints: Code points of all texts.
        start: First code point of the number.
        end: Code point after it.
        size: Number of the digits.
        digit_values: Values of code points that are digits.
    """
    i, others = end, 0
    while i > start and digit_values[codepoints[i - 1]] <= 9:
        i -= 1
    for j in range(start, i):
        others += digit_values[codepoints[j]] <= 9
    return end - i == size and others >= MIN_PHONE_DIGITS


@leaf
def _reach(code: int) -> int:
    """How many characters next to a number matter, by the first of them."""
    if code == 95:
        return AROUND
    return 1 if code == 32 or code == 10 or 97 <= code | 32 <= 122 else _FEW


@leaf
def _how_printed(codepoints: UInt32s, start: int, end: int, plain: UInt8s, digit_values: UInt8s) -> int:
    """How a number is printed, as bits.

    Args:
        codepoints: Code points of all texts.
        start: First code point of the number.
        end: Code point after it.
        plain: As in `write_shapes`.
        digit_values: Values of code points that are digits.
    """
    found = 0
    for i in range(start, end):
        if codepoints[i] == 47:
            found = HAS_SLASH
    first = codepoints[start]
    i = start + (first == 40 or first == 91 or first == 0xFF08 or first == 0xFF3B)
    if i < end and (codepoints[i] == 43 or codepoints[i] == 0xFF0B):
        return found | HAS_PLUS
    if i + 1 < end and codepoints[i] == 48 and codepoints[i + 1] == 48:
        return found | IS_ABROAD
    i = start + (first == 40)
    if i < end and codepoints[i] == 48:
        return found | IS_GROUPED if _has_trunk_prefix(codepoints, i, end, plain, digit_values) else found
    if _is_in_threes(codepoints, start, end, plain, digit_values) or (
        first == 40 and _is_brazilian(codepoints, start, end, plain, digit_values)
    ):
        return found | IS_GROUPED
    return found


@leaf
def _has_trunk_prefix(codepoints: UInt32s, place: int, end: int, plain: UInt8s, digit_values: UInt8s) -> bool:
    """Whether at a place with a 0 an area code begins that ends with punctuation. Arguments as in `_how_printed`."""
    if place + 1 >= end or not 49 <= codepoints[place + 1] <= 57:
        return False
    size = _count_digits(codepoints, place + 2, end, digit_values)
    after = place + 2 + size
    if size > _MAX_TRUNK or after >= end:
        return False
    code = plain[codepoints[after]]
    return code == 41 or code == 47 or _is_separator(code)


@leaf
def _is_in_threes(codepoints: UInt32s, start: int, end: int, plain: UInt8s, digit_values: UInt8s) -> bool:
    """Whether a number begins with groups of 3, 3 and 4 digits, as in North America. Arguments as in `_how_printed`."""
    i = start
    if codepoints[i] == 49:
        size = _count_separators(codepoints, i + 1, end, plain)
        if size == 0 or size > _MAX_SEPARATORS:
            return False
        i += 1 + size
    is_open = i < end and codepoints[i] == 40
    i += is_open
    for is_area in (True, False):
        if i >= end or not 50 <= codepoints[i] <= 57 or _count_digits(codepoints, i, end, digit_values) != 3:
            return False
        i += 3
        is_closed = is_area and i < end and codepoints[i] == 41
        i += is_closed
        size = _count_separators(codepoints, i, end, plain)
        if size > _MAX_SEPARATORS or (size == 0 and not is_closed):
            return False
        i += size
    return _count_digits(codepoints, i, end, digit_values) == 4


@leaf
def _is_brazilian(codepoints: UInt32s, start: int, end: int, plain: UInt8s, digit_values: UInt8s) -> bool:
    """Whether a number is written as (11) 2345-6789 or (11) 92345-6789. Arguments as in `_how_printed`."""
    if start + 4 >= end or not 49 <= codepoints[start + 1] <= 57 or digit_values[codepoints[start + 2]] > 9:
        return False
    if codepoints[start + 3] != 41:
        return False
    i = start + 4 + (plain[codepoints[start + 4]] == 32)
    size = _count_digits(codepoints, i, end, digit_values)
    if size != 4 and not (size == 5 and codepoints[i] == 57):
        return False
    i += size
    return i < end and plain[codepoints[i]] == 45 and _count_digits(codepoints, i + 1, end, digit_values) == 4


@leaf
def _count_digits(codepoints: UInt32s, place: int, end: int, digit_values: UInt8s) -> int:
    """The number of digits from a place on."""
    size = 0
    while place + size < end and digit_values[codepoints[place + size]] <= 9:
        size += 1
    return size


@leaf
def _count_separators(codepoints: UInt32s, place: int, end: int, plain: UInt8s) -> int:
    """The number of spaces, full stops and hyphens from a place on."""
    size = 0
    while place + size < end and _is_separator(plain[codepoints[place + size]]):
        size += 1
    return size


@leaf
def _is_separator(code: int) -> bool:
    """Whether a character of ASCII is a space, full stop or hyphen."""
    return code == 32 or code == 46 or code == 45
