"""Kernels that read the extension of a phone number, and the words that follow one without a space."""

from __future__ import annotations

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel, leaf

NO_LABEL, WORD, KEYPAD, SIGN = range(4)
"""Labels of extensions: none; a word; one whose letters may stand for digits, as on a keypad; "#", "x" or "~"."""
SORT, LABEL_END, DIGITS, END = range(4)
COLUMNS = 4
"""What is said of extensions: see `read_extensions`."""
MAX_EXTENSION = 80
"""Code points of the longest extension with its label that is read here."""
_MAX_SPACES = 20
"""Spaces and commas before a label or behind it. More are left to expressions."""
_MAX_DIGITS, _MAX_DIGITS_OF_SHORT = 20, 9
"""Digits of the longest extension, and of that behind a short label: "int", "#", "x" or "~"."""
_UNCLEAR = (0x130, 0x131, 0x1C81, 0xFF03, 0xFF25, 0xFF29, 0xFF38, 0xFF45, 0xFF49, 0xFF58)
"""What labels begin with that are left to expressions."""


@kernel
def read_extensions(
    codepoints: UInt32s, digit_values: UInt8s, begins: Int64s, ends: Int64s, last: Int64s, found: Int64s
) -> None:
    """Read the extensions that follow the last digits of windows, as `numbering.EXTENSION` matches them.

    Args:
        codepoints: Code points of all texts.
        digit_values: Values of those that are digits.
        begins: First code point of each window.
        ends: Code point after each window.
        last: Code point after the text of each window.
        found: Output, shape (windows, COLUMNS): the sort of each label, the code points after the label and before the
            digits, and the code point after the extension: that after the last digit of the window if there is none,
            and -1 if that is left to expressions.
    """
    for window in range(ends.size):
        # Spaces before the label, or a label of one character, may be in the window.
        place = ends[window]
        while place > begins[window] and digit_values[codepoints[place - 1]] > 9:
            place -= 1
        begin, stop = place, last[window]
        while begin < stop and (codepoints[begin] == 44 or _is_space(codepoints[begin])):
            begin += 1
        sort, label_end = _read_label(codepoints, begin, stop, begin == place)
        digits, end = label_end, place
        if label_end < 0:
            end = -1
        elif sort != NO_LABEL:
            has_equals = codepoints[label_end - 1] == 61
            if not has_equals:
                digits = _after_label(codepoints, label_end, stop)
            is_short = sort == SIGN or codepoints[begin] | 32 == 105
            most = _MAX_DIGITS_OF_SHORT if is_short else _MAX_DIGITS
            end = _end_of_digits(codepoints, digit_values, digits, stop, most)
            if end == digits:
                end = place
            elif begin - place > _MAX_SPACES or digits - label_end > _MAX_SPACES:
                end = -1
            elif end < stop and codepoints[end] == 35 and not has_equals:
                end += 1
        row = found[window]
        row[SORT], row[LABEL_END], row[DIGITS], row[END] = sort, label_end, digits, end


@leaf
def end_of_short_extension(codepoints: UInt32s, digit_values: UInt8s, label: int, last: int) -> int:
    """The code point after an extension whose label is one character, "x" or "~"; -1 if it is none.

    Args:
        codepoints: Code points of all texts.
        digit_values: Values of those that are digits.
        label: The place of its label.
        last: Code point after the last one that may belong to it.
    """
    digits = _after_label(codepoints, label + 1, last)
    stop = _end_of_digits(codepoints, digit_values, digits, last, _MAX_DIGITS_OF_SHORT)
    if stop == digits:
        return -1
    return stop + 1 if stop < last and codepoints[stop] == 35 else stop


@leaf
def is_glued_word(codepoints: UInt32s, place: int, last: int) -> bool:
    """Whether a word begins at a place that may follow a number without a space: see `recognizers.GLUED_WORD`."""
    if _spells(codepoints, place, last, b"em"):
        return True
    if place + 3 > last:
        return False
    first, second, third = codepoints[place] | 32, codepoints[place + 1] | 32, codepoints[place + 2] | 32
    if first == 101 and codepoints[place + 1] == 45 and third == 109:
        # "e-mail"
        return True
    for word in (b"tel", b"fax", b"pho", b"mob", b"cel", b"www", b"htt", b"web"):
        if first == word[0] and second == word[1] and third == word[2]:
            return True
    return False


@leaf
def _read_label(codepoints: UInt32s, begin: int, last: int, is_next: bool) -> tuple[int, int]:
    """The sort of the label at a place and the code point after it, -1 if that is left to expressions.

    Args:
        codepoints: Code points of all texts.
        begin: The place.
        last: Code point after the text.
        is_next: Whether nothing is between the number and the place.
    """
    if begin == last:
        return NO_LABEL, begin
    code = codepoints[begin]
    for unclear in _UNCLEAR:
        if code == unclear:
            return NO_LABEL, -1
    if code == 0x434 or code == 0x414:
        # "доб"
        if begin + 2 < last and codepoints[begin + 1] == 0x1C82:
            return NO_LABEL, -1
        is_second = begin + 2 < last and (codepoints[begin + 1] == 0x43E or codepoints[begin + 1] == 0x41E)
        if is_second and (codepoints[begin + 2] == 0x431 or codepoints[begin + 2] == 0x411):
            return WORD, begin + 3
        return NO_LABEL, begin
    if code == 59 and is_next and _spells(codepoints, begin + 1, last, b"ext"):
        end = begin + 4
        return (WORD, end + 1) if end < last and codepoints[end] == 61 else (NO_LABEL, begin)
    if _spells(codepoints, begin, last, b"ext"):
        return _end_of_word(codepoints, begin + 3, last, KEYPAD)
    if _spells(codepoints, begin, last, b"xt"):
        return _end_of_word(codepoints, begin + 2, last, KEYPAD)
    if _spells(codepoints, begin, last, b"anexo"):
        return KEYPAD, begin + 5
    if _spells(codepoints, begin, last, b"int"):
        return KEYPAD, begin + 3
    if code == 35 or code == 126 or code == 0xFF5E or code | 32 == 120:
        return SIGN, begin + 1
    return NO_LABEL, begin


@leaf
def _end_of_word(codepoints: UInt32s, place: int, last: int, sort: int) -> tuple[int, int]:
    """The sort of a label that begins with "ext", and the code point after it: "extn", "extensión".

    Args:
        codepoints: Code points of all texts.
        place: Code point after these letters.
        last: Code point after the text.
        sort: The sort of these letters.
    """
    end = place
    if _spells(codepoints, place, last, b"en") and place + 2 < last:
        code = codepoints[place + 2]
        follows = codepoints[place + 3] if place + 3 < last else 0
        if code == 0x17F or (code | 32 == 115 and (follows == 0x130 or follows == 0x131)):
            return sort, -1
        if _spells(codepoints, place, last, b"ensi") and place + 4 < last:
            code = codepoints[place + 4]
            if code | 32 == 111:
                end = place + 5
                if end < last and codepoints[end] == 0x301:
                    sort, end = WORD, end + 1
                    if end == last or codepoints[end] | 32 != 110:
                        return sort, -1
            elif code == 0xF3 or code == 0xD3:
                sort, end = WORD, place + 5
    if end < last and codepoints[end] | 32 == 110:
        end += 1
    return sort, end


@leaf
def _spells(codepoints: UInt32s, place: int, last: int, word: bytes) -> bool:
    """Whether the letters of a word are at a place, in any case."""
    if place + len(word) > last:
        return False
    i = 0
    while i < len(word) and codepoints[place + i] | 32 == word[i]:
        i += 1
    return i == len(word)


@leaf
def _after_label(codepoints: UInt32s, place: int, last: int) -> int:
    """The code point after the punctuation that follows a label."""
    if place < last and (codepoints[place] == 58 or codepoints[place] == 46 or codepoints[place] == 0xFF0E):
        place += 1
    while place < last and (codepoints[place] == 44 or codepoints[place] == 45 or _is_space(codepoints[place])):
        place += 1
    return place


@leaf
def _end_of_digits(codepoints: UInt32s, digit_values: UInt8s, place: int, last: int, most: int) -> int:
    """The code point after the digits at a place, but not more than some."""
    last = min(last, place + most)
    while place < last and digit_values[codepoints[place]] <= 9:
        place += 1
    return place


@leaf
def _is_space(code: int) -> bool:
    """Whether a character is a space that may be in an extension."""
    return code == 32 or code == 0xA0 or code == 9
