"""A kernel that tells by the words next to numbers which need no closer look: most have none that names anything."""

from __future__ import annotations

from curation.arrays import Int64s, UInt8s, UInt32s
from curation.pii.windows import DIGIT, LETTER
from curation.running.compiled import inner, kernel, leaf

REACH = 50
"""Number of characters before a match in which to look at the last WORDS words."""
WORDS = 5
MAX_BETWEEN = 4
"""Characters between a number and a word that says that it is another one."""
_MAX_WORD = 40
"""Letters of a word that is looked at."""


@kernel
def mark_words(begins: Int64s, ends: Int64s, bits: Int64s, marks: UInt8s) -> None:
    """Add what words name, as bits, to each of their characters.

    Args:
        begins: First code point of each word.
        ends: Code point after each.
        bits: What each names.
        marks: What the characters of all texts are part of a name for; changed.
    """
    for word in range(begins.size):
        for place in range(begins[word], ends[word]):
            marks[place] |= bits[word]


@kernel
def narrow_names(
    codepoints: UInt32s,
    marks: UInt8s,
    classes: UInt8s,
    between: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    kind: int,
    otherwise: int,
    label_reach: int,
    named: Int64s,
    words: Int64s,
) -> None:
    """Tell which words next to numbers may name them, if any.

    Args:
        codepoints: Code points of all texts.
        marks: What they are part of a name for, as bits.
        classes: The classes of each code point, as `windows.classes`.
        between: Characters between a name and a number that it names.
        starts: First code point of each number.
        ends: Code point after each.
        first: First code point of the text of each.
        last: Code point after the text of each.
        kind: The bit for words that name its kind.
        otherwise: The bit for words that name other numbers.
        label_reach: Characters behind a number in which a word that names it may be.
        named: What words may name each number, as bits; those of words that cannot are removed.
        words: Output, shape (numbers, 2): the nearest word before each number with a name in it, if nothing but the
            expressions for names decides whether it names the number, else 0 and 0.
    """
    for number in range(starts.size):
        start, end, low, high = starts[number], ends[number], first[number], last[number]
        words[number, 0] = words[number, 1] = 0
        if start > low and codepoints[start - 1] == 61:
            continue  # the name of a parameter may be before it
        if named[number] & otherwise and not _may_be_other(codepoints, marks, classes, between, start, low, otherwise):
            named[number] &= ~otherwise
        if named[number] & kind:
            begin, stop = _find_name(codepoints, marks, start, low, kind)
            if begin < stop:
                words[number, 0], words[number, 1] = begin, stop
            elif begin >= 0:
                place, high = end, min(end + label_reach, high)
                while place < high and not marks[place] & kind:
                    place += 1
                if place == high:
                    named[number] &= ~kind


@inner
def _may_be_other(
    codepoints: UInt32s, marks: UInt8s, classes: UInt8s, between: UInt32s, start: int, low: int, otherwise: int
) -> bool:
    """Whether the characters before a number are digits, or a word that may name something, alone or with others.

    Args:
        codepoints: Code points of all texts.
        marks: What they are part of a name for, as bits.
        classes: As in `narrow_names`.
        between: As in `narrow_names`.
        start: Where the number starts.
        low: First code point of the text.
        otherwise: The bit for words that name other numbers.
    """
    place = start
    while place > low and start - place <= MAX_BETWEEN and _is_one_of(codepoints[place - 1], between):
        place -= 1
    if place == low or start - place > MAX_BETWEEN or not classes[codepoints[place - 1]] & LETTER:
        return False
    begin = place
    while begin > low and classes[codepoints[begin - 1]] & (LETTER | DIGIT) == LETTER:
        begin -= 1
        if marks[begin] & otherwise or place - begin > _MAX_WORD:
            return True
    # Digits, "id" or "number", or a word with "and" or "or" at its end.
    if begin == place or place - begin == 2:
        return True
    if place - begin <= len("numbers") and (_begins(codepoints, begin, 110) or _begins(codepoints, begin, 99)):
        return True
    if place - begin == 3 and _begins(codepoints, begin, 105):
        return True
    return place - begin > 2 and _begins(codepoints, place - 1, 100) and _begins(codepoints, place - 2, 110)


@leaf
def _find_name(codepoints: UInt32s, marks: UInt8s, start: int, low: int, kind: int) -> tuple[int, int]:
    """The last of the WORDS words before a number that may name its kind: twice the same place if there is none, and -1
    if a closer look is needed.

    Args:
        codepoints: Code points of all texts.
        marks: What they are part of a name for, as bits.
        start: Where the number starts.
        low: First code point of the text.
        kind: The bit for words that name its kind.
    """
    begin = max(low, start - REACH)
    is_cut = begin > low and not is_space(codepoints[begin - 1])
    for place in range(begin, start):
        if codepoints[place] == 60:
            return -1, -1  # a replacement may be a tag
    place, following = start, 0
    for word in range(WORDS):
        while place > begin and is_space(codepoints[place - 1]):
            place -= 1
        stop, has_name = place, False
        while place > begin and not is_space(codepoints[place - 1]):
            place -= 1
            has_name = has_name or marks[place] & kind != 0
        if place == stop or (is_cut and place == begin):
            break
        if has_name:
            # "call last", "call number" name nothing.
            is_open = word > 0 and (_begins(codepoints, following, 108) or _begins(codepoints, following, 110))
            return (-1, -1) if is_open else (place, stop)
        following = place
    return start, start


@leaf
def _begins(codepoints: UInt32s, place: int, letter: int) -> bool:
    """Whether a letter is at a place, in any case."""
    code: int = codepoints[place] | 32
    return code == letter


@leaf
def _is_one_of(code: int, characters: UInt32s) -> bool:
    """Whether a character is one of some."""
    is_one = False
    for other in characters:
        is_one = is_one or code == other
    return is_one


@leaf
def is_space(code: int) -> bool:
    """`str.isspace`."""
    if code < 128:
        return 9 <= code <= 13 or 28 <= code <= 32
    is_wide = 0x2000 <= code <= 0x200A or code == 0x2028 or code == 0x2029 or code == 0x202F or code == 0x205F
    return is_wide or code == 0x85 or code == 0xA0 or code == 0x1680 or code == 0x3000
