"""A kernel that writes the shapes of numbers with what is around them, so that those of one shape are judged once."""

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
START, END, EXTENSION, MEANT = range(4)
COLUMNS = 4
"""What is written behind each shape: where in it the number begins and ends, how many digits its extension has in it,
and the place of what the number means."""
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
    shapes: UInt32s,
    edges: Int64s,
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
        shapes: Output: the shape of each number with COLUMNS other values behind it, one after the other.
        edges: Output, shape (numbers + 1,): where each begins, and where the last one ends.
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
