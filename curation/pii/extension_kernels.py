"""Kernels that read the extension of a phone number, and the words that follow one without a space."""

from __future__ import annotations

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel, leaf

NO_LABEL, WORD, KEYPAD, SIGN = range(4)
"""Labels of extensions: none; a word; one whose letters may stand for digits, as on a keypad, since it has no "x"; "#",
"x" or "~"."""
SORT, LABEL_END, DIGITS, END = range(4)
COLUMNS = 4
"""What is said of extensions: see `read_extensions`."""
MAX_EXTENSION = 80
"""Code points of the longest extension with its label that is read here."""
_MAX_SPACES = 20
"""Spaces and commas before a label or behind it."""
_SEEN = len(":00")
"""Code points behind a window without extension that recognizers see: see `extensions.end_of_context`."""
_MAX_DIGITS, _MAX_DIGITS_OF_SHORT = 20, 9
"""Digits of the longest extension, and of that behind a short label: "int", "#", "x" or "~"."""


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
        sort, label_end, most = _read_label(codepoints, begin, stop, begin == place)
        digits, end = label_end, place
        if sort != NO_LABEL:
            has_equals = codepoints[label_end - 1] == 61
            if not has_equals:
                digits = _after_label(codepoints, label_end, stop)
            end = _end_of_digits(codepoints, digit_values, digits, stop, max(1, most))
            if end == digits:
                end = place
            elif most == 0:
                end = -1
            elif begin - place > _MAX_SPACES:
                # Only what begins with the next characters of the text may be one.
                end = place if digits >= ends[window] + _SEEN else -1
            elif digits - label_end > _MAX_SPACES:
                # One of them may be a colon or full stop, which do not count.
                end = place if digits - label_end > _MAX_SPACES + 1 else -1
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
def _read_label(codepoints: UInt32s, begin: int, last: int, is_next: bool) -> tuple[int, int, int]:
    """The sort of the label at a place, the code point after it, and how many digits may follow.

    Args:
        codepoints: Code points of all texts.
        begin: The place.
        last: Code point after the text.
        is_next: Whether nothing is between the number and the place.
    """
    code, following = codepoints[begin] if begin < last else 0, codepoints[begin + 1] if begin + 1 < last else 0
    if code >= 128:
        return _read_other_label(codepoints, begin, last, code, following)
    if code == 59 and is_next and _spells(codepoints, begin + 1, last, b"ext"):
        end = begin + 4
        return WORD if end < last and codepoints[end] == 61 else NO_LABEL, end + 1, _MAX_DIGITS
    if code | 32 == 101 and _spells(codepoints, begin, last, b"ext"):
        return WORD, _end_of_word(codepoints, begin + 3, last), _MAX_DIGITS
    if code | 32 == 120 and following | 32 == 116:
        return WORD, _end_of_word(codepoints, begin + 2, last), _MAX_DIGITS
    if code | 32 == 97 and _spells(codepoints, begin, last, b"anexo"):
        return WORD, begin + 5, _MAX_DIGITS
    if code | 32 == 105 and _spells(codepoints, begin, last, b"int"):
        return KEYPAD, begin + 3, _MAX_DIGITS_OF_SHORT
    is_sign = code == 35 or code == 126 or code | 32 == 120
    return SIGN if is_sign else NO_LABEL, begin + 1, _MAX_DIGITS_OF_SHORT


@leaf
def _read_other_label(codepoints: UInt32s, begin: int, last: int, code: int, following: int) -> tuple[int, int, int]:
    """The same for labels that begin with another letter than those of ASCII; 0 digits if expressions must tell them.

    Args:
        codepoints: Code points of all texts.
        begin: The place.
        last: Code point after the text.
        code: The first character.
        following: The second one.
    """
    third = codepoints[begin + 2] if begin + 2 < last else 0
    if code == 0xFF03 or code == 0xFF5E:
        return SIGN, begin + 1, _MAX_DIGITS_OF_SHORT
    if code == 0x434 or code == 0x414 or code == 0x1C81:
        # "доб"
        is_rare = code == 0x1C81 or following == 0x1C82
        is_word = is_rare or following == 0x43E or following == 0x41E
        is_word = is_word and (third == 0x431 or third == 0x411)
        return WORD if is_word else NO_LABEL, begin + 3, 0 if is_rare else _MAX_DIGITS
    if code == 0x130 or code == 0x131:
        # The dotted and the dotless i are an "i", too.
        is_word = following | 32 == 110 and third | 32 == 116
        return KEYPAD if is_word else NO_LABEL, begin + 3, _MAX_DIGITS_OF_SHORT
    # Full-width letters.
    end = begin
    if _is_wide(code, 101):
        code, end = following, begin + 1
    elif _is_wide(code, 105) and _is_wide(following, 110) and _is_wide(third, 116):
        return WORD, begin + 3, _MAX_DIGITS_OF_SHORT
    if _is_wide(code, 120) and end + 1 < last and _is_wide(codepoints[end + 1], 116):
        end += 2
        return WORD, end + (end < last and _is_wide(codepoints[end], 110)), _MAX_DIGITS
    return WORD if end == begin and _is_wide(code, 120) else NO_LABEL, begin + 1, _MAX_DIGITS_OF_SHORT


@leaf
def _is_wide(code: int, letter: int) -> bool:
    """Whether a character is the full-width form of a letter, in any case."""
    return code == 0xFEE0 + letter or code == 0xFEC0 + letter


@leaf
def _end_of_word(codepoints: UInt32s, place: int, last: int) -> int:
    """The code point after a label that begins with "ext" and ends behind a place: "extn", "extensión".

    Args:
        codepoints: Code points of all texts.
        place: Code point after these letters.
        last: Code point after the text.
    """
    end = place
    if _spells(codepoints, place, last, b"en") and place + 4 < last:
        third, fourth, fifth = codepoints[place + 2], codepoints[place + 3], codepoints[place + 4]
        # The long s, and the dotted and the dotless i, are letters of it, too.
        is_third = third | 32 == 115 or third == 0x17F
        is_fourth = fourth | 32 == 105 or fourth == 0x130 or fourth == 0x131
        if is_third and is_fourth and (fifth | 32 == 111 or fifth == 0xF3 or fifth == 0xD3):
            end = place + 5
            end += fifth | 32 == 111 and end < last and codepoints[end] == 0x301
    return end + (end < last and codepoints[end] | 32 == 110)


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
