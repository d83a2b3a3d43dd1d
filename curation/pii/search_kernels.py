"""A kernel that searches numbers among the parts of windows, for all regions at once: see `phone_matcher.search`."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, Int64s, UInt16s, UInt32s
from curation.pii.number_characters import CLOSE, DIGIT, HYPHEN, OPEN, PAREN, SPACE
from curation.pii.part_kernels import CANDIDATE, CANDIDATE_END, END, MAX_PLACES, ORIGIN, START, WINDOW
from curation.running.compiled import kernel, leaf

_MAX_GAP = 4
"""Spaces between the parts of a date and time, or of pages and a year."""
_MAX_PAGE = 5
"""Digits of a page."""
_MAX_BRACKETS = 3
"""Groups in brackets of a number, one after the other."""


@kernel
def search_parts(
    codepoints: UInt32s,
    begins: Int64s,
    ends: Int64s,
    last: Int64s,
    classes: UInt16s,
    parts: Int64s,
    meant: Int64s,
    are_valid: Bools,
    are_clear: Bools,
    found: Int64s,
    hits: Bools,
    done: Bools,
) -> int:
    """Search numbers among the parts of windows.

    Args:
        codepoints: Code points of all texts.
        begins: First code point of each window.
        ends: Code point after each window.
        last: Code point after the text of each window.
        classes: Kinds of code points.
        parts: The parts, as `part_kernels.find_parts` finds them.
        meant: For each part, the place of what it means in the next two.
        are_valid: Shape (meanings, regions): in which regions it is a valid number.
        are_clear: Whether that is known.
        found: Output, shape (parts, 2): the window and the part of each number.
        hits: Room for what is found, shape (parts, regions).
        done: Output: false for windows of which it must be known what a part means.

    Returns:
        The number of numbers.
    """
    n_regions, count, place = are_valid.shape[1], 0, 0
    # For each place the regions for which to go on there; at last those that are asked at all, and here.
    pending = np.zeros((MAX_PLACES + 3, n_regions), np.bool_)
    allowed, missing = pending[MAX_PLACES + 1], pending[MAX_PLACES + 2]
    while place < len(parts):
        window, stop = parts[place, WINDOW], place
        while stop < len(parts) and parts[stop, WINDOW] == window:
            stop += 1
        begin, size = begins[window], ends[window] - begins[window]
        first_digit, last_digit, mark, is_clear = 0, size, count, True
        while classes[codepoints[begin + first_digit]] != DIGIT:
            first_digit += 1
        while classes[codepoints[begin + last_digit - 1]] != DIGIT:
            last_digit -= 1
        for region in range(n_regions):
            pending[0, region] = allowed[region] = True
            for i in range(place, stop):
                pending[parts[i, CANDIDATE_END], region] = pending[parts[i, END], region] = False
        while place < stop and is_clear:
            origin, low, high = parts[place, ORIGIN], parts[place, CANDIDATE], parts[place, CANDIDATE_END]
            has_missing = False
            for region in range(n_regions):
                missing[region] = pending[origin, region] and allowed[region]
                has_missing = has_missing or missing[region]
            is_date = has_missing and _is_date(codepoints, begin + low, begin + high, last[window], classes)
            while place < stop and parts[place, ORIGIN] == origin:
                one, place = place, place + 1
                meaning, start, end = meant[one], parts[one, START], parts[one, END]
                is_valid = not are_clear[meaning]
                for region in range(n_regions):
                    is_valid = is_valid or (missing[region] and are_valid[meaning, region])
                if is_date or not has_missing or not is_valid:
                    continue
                if not _has_form(codepoints, begin + start, begin + end, classes):
                    continue
                is_clear = is_clear and are_clear[meaning]
                number = mark
                while number < count and (
                    parts[found[number, 1], START] != start or parts[found[number, 1], END] != end
                ):
                    number += 1
                is_new, has_hit, has_missing = number == count, False, False
                found[number, 0], found[number, 1], count = window, one, max(count, number + 1)
                for region in range(n_regions):
                    # Regions after the first one that finds all digits are not asked.
                    if has_hit and start <= first_digit and last_digit <= end:
                        allowed[region] = missing[region] = False
                    is_hit = missing[region] and are_valid[meaning, region]
                    hits[number, region] = is_hit or (not is_new and hits[number, region])
                    pending[end, region] = pending[end, region] or (is_hit and end < last_digit)
                    missing[region] = missing[region] and not is_hit
                    has_hit, has_missing = has_hit or is_hit, has_missing or missing[region]
            for region in range(n_regions):
                pending[high, region] = pending[high, region] or (missing[region] and high < last_digit)
        kept, n_found = mark, count
        for number in range(mark, n_found):
            is_kept = False
            # Digits of an extension are searched in their own window.
            if parts[found[number, 1], START] >= size:
                continue
            for region in range(n_regions):
                is_kept = is_kept or (hits[number, region] and allowed[region])
            if is_kept:
                found[kept, 0], found[kept, 1] = found[number, 0], found[number, 1]
                kept += 1
        done[window] = is_clear
        place, count = stop, kept if is_clear else mark
    return count


@leaf
def _is_date(codepoints: UInt32s, begin: int, end: int, last: int, classes: UInt16s) -> bool:
    """Whether a candidate is a date or time: see `phone_matcher.is_date`.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the candidate.
        end: Code point after it.
        last: Code point after its text.
        classes: Kinds of code points.
    """
    previous = -1
    for i in range(begin, end):
        if codepoints[i] != 47:
            continue
        # One digit, one or two, and at least two, with slashes between them.
        size = i - previous - 1
        is_first = previous < 0 or previous == begin or classes[codepoints[previous - 1]] != DIGIT
        if not is_first and 1 <= size <= 2 and i + 2 < end:
            is_middle = classes[codepoints[i - 1]] == DIGIT and (size == 1 or 48 <= codepoints[i - 2] <= 51)
            if is_middle and classes[codepoints[i + 1]] == DIGIT and classes[codepoints[i + 2]] == DIGIT:
                return True
        previous = i
    if end + 2 >= last or codepoints[end] != 58 or not 48 <= codepoints[end + 1] <= 53:
        return False
    i = end - 3
    while i > begin and codepoints[i] == 32:
        i -= 1
    if classes[codepoints[end + 2]] != DIGIT or not 1 <= end - 3 - i <= _MAX_GAP:
        return False
    # The hour, and before it the day, the month and the year.
    if classes[codepoints[end - 1]] != DIGIT or not 48 <= codepoints[end - 2] <= 50:
        return False
    for most in (51, 49):
        if i - 2 < begin or classes[codepoints[i]] != DIGIT or not 48 <= codepoints[i - 1] <= most:
            return False
        i -= 2
        if codepoints[i] == 45 or codepoints[i] == 47:
            i -= 1
    for j in range(i - 2, i + 1):
        if j < begin or classes[codepoints[j]] != DIGIT:
            return False
    return i - 3 >= begin and 49 <= codepoints[i - 3] <= 50


@leaf
def _has_form(codepoints: UInt32s, begin: int, end: int, classes: UInt16s) -> bool:
    """Whether the brackets of a part are those of a number, and it is no list of pages: see `numbering.form_of`.

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the part.
        end: Code point after it.
        classes: Kinds of code points.
    """
    for i in range(begin, end):
        if classes[codepoints[i]] == PAREN and _has_pages(codepoints, begin, i, end, classes):
            return False
    place = begin + (classes[codepoints[begin]] & (PAREN | OPEN) != 0)
    # A group in brackets at the beginning, and others directly one after the other.
    following = _end_of_group(codepoints, place, end, classes)
    if following > place and following < end and classes[codepoints[following]] == CLOSE:
        place = following + 1
        following = _end_of_group(codepoints, place, end, classes)
    if following == place:
        return False
    place, groups = following, 0
    while place < end and classes[codepoints[place]] & (PAREN | OPEN) and groups < _MAX_BRACKETS:
        following = _end_of_group(codepoints, place + 1, end, classes)
        if following == place + 1 or following == end or classes[codepoints[following]] != CLOSE:
            return False
        place, groups = following + 1, groups + 1
    return _end_of_group(codepoints, place, end, classes) == end


@leaf
def _end_of_group(codepoints: UInt32s, place: int, end: int, classes: UInt16s) -> int:
    """The place of the first bracket from a place on, or the end."""
    while place < end and not classes[codepoints[place]] & (PAREN | OPEN | CLOSE):
        place += 1
    return place


@leaf
def _has_pages(codepoints: UInt32s, begin: int, place: int, end: int, classes: UInt16s) -> bool:
    """Whether a bracket follows pages, and a digit it: "211-227 (2003)".

    Args:
        codepoints: Code points of all texts.
        begin: First code point of the part.
        place: Place of the bracket.
        end: Code point after the part.
        classes: Kinds of code points.
    """
    if place + 1 == end or classes[codepoints[place + 1]] != DIGIT:
        return False
    i = place - 1
    for kind, most in ((SPACE, _MAX_GAP), (DIGIT, _MAX_PAGE), (HYPHEN, end)):
        size = 0
        while i >= begin and classes[codepoints[i]] == kind:
            i, size = i - 1, size + 1
        if size > most or (size == 0 and kind != SPACE):
            return False
    return i >= begin and classes[codepoints[i]] == DIGIT
