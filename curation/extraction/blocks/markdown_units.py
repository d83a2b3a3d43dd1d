"""Units of Markdown, such as paragraphs, in the list items and quotes around them, and what these put before lines."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.extraction.blocks.attributes import find_number
from curation.extraction.blocks.draft import (
    ARE_NUMBERED,
    BEGIN,
    CHAIN,
    CONTAINERS,
    CONTAINERS_BEFORE,
    COUNT,
    COUNT_BEFORE,
    DATA,
    END_MARK,
    FIRST,
    HAS_OUTPUT,
    HEADLINES,
    INSIDE,
    IS_TIGHT,
    ITEM,
    ITEM_NUMBERS,
    KIND,
    LINE_MARK,
    MARKERS,
    MAX_CONTAINERS,
    PREFORMATTED,
    QUOTES,
    STOP,
    VALUE,
    WIDTHS,
    Draft,
    innermost,
    places_in,
)  # fmt: skip
from curation.extraction.blocks.parse import ELEMENT, OPENED, PARENT, TAG
from curation.extraction.blocks.tags import NUMBERS, hashed
from curation.running.compiled import leaf

MAX_NUMBER = 999_999_999
"""Largest number of a list item in CommonMark."""
MAX_PREFIX = 11 * MAX_CONTAINERS
"""Bytes that they put before a line."""

LI, OL = NUMBERS["li"], NUMBERS["ol"]
_START, _VALUE = np.uint64(hashed(b"start")), np.uint64(hashed(b"value"))


@leaf
def find_containers(draft: Draft, element: int) -> int:
    """Find the list items and quotes around an element, up to the table or code that it is in.

    Returns:
        The outermost table of data around the element; 0 if there is none.
    """
    outline, elements, state = draft.outline, draft.elements, draft.state
    depth = 0
    element = outline[element, INSIDE]
    while element:
        state[CHAIN + depth] = element
        depth += 1
        element = outline[elements[element, PARENT], INSIDE]
    state[COUNT] = table = 0
    is_inside = True
    while depth:
        depth -= 1
        element = state[CHAIN + depth]
        kind = KIND[elements[element, TAG]]
        if kind == DATA and not table and outline[element, VALUE]:
            table = element
            is_inside = False
        is_inside &= kind != PREFORMATTED
        if is_inside and state[COUNT] < MAX_CONTAINERS:
            if kind == QUOTES or (kind == ITEM and _is_item(draft, element)):
                state[CONTAINERS + state[COUNT]] = element
                state[COUNT] += 1
    return int(table)


@leaf
def _is_item(draft: Draft, element: int) -> bool:
    """Whether an `<li>` is written as a list item: it begins with its own text, and has no headings."""
    first, end = places_in(draft, element)
    if first == end or draft.places[first, HEADLINES] != draft.places[end, HEADLINES]:
        return False
    return innermost(draft, draft.runs[draft.places[first, FIRST], ELEMENT], ITEM) == element


@leaf
def _number_items(draft: Draft) -> None:
    """Number the items of numbered lists: sets VALUE of `<li>` to the number, and of `<ol>` to one more than it."""
    outline, elements, source = draft.outline, draft.elements, draft.source
    for element in range(1, len(elements) - 1):
        tag, parent = elements[element, TAG], elements[element, PARENT]
        if tag == OL:
            outline[element, VALUE] = find_number(source, elements[element, OPENED], _START, 1)
        elif tag == LI and elements[parent, TAG] == OL:
            number = find_number(source, elements[element, OPENED], _VALUE, outline[parent, VALUE])
            outline[element, VALUE] = min(number, MAX_NUMBER)
            outline[parent, VALUE] = outline[element, VALUE] + 1


@leaf
def begin_unit(draft: Draft, out: UInt8s, n: int, is_tight: bool) -> int:
    """Begin a unit of output, such as a paragraph: separate it from the one before, write the markers of its containers.

    Args:
        draft: The page, with the containers of the unit and of the one before.
        out: The output.
        n: Bytes of output so far.
        is_tight: Whether a list may begin on the line after this unit.

    Returns:
        Bytes of output.
    """
    elements, state = draft.elements, draft.state
    count, old_count = state[COUNT], state[COUNT_BEFORE]
    common = 0
    while common < min(count, old_count) and state[CONTAINERS + common] == state[CONTAINERS_BEFORE + common]:
        common += 1
    new = state[CONTAINERS + common] if common < count else 0
    replaced = state[CONTAINERS_BEFORE + common] if common < old_count else 0
    is_sibling = new > 0 and replaced > 0 and elements[new, TAG] == LI and elements[replaced, TAG] == LI
    is_same_list = is_sibling and elements[new, PARENT] == elements[replaced, PARENT]
    old_marker = state[MARKERS + common] if is_sibling else 0
    is_nested = False
    for level in range(common, count):
        element = state[CONTAINERS + level]
        state[CONTAINERS_BEFORE + level] = element
        if elements[element, TAG] != LI:
            state[MARKERS + level], state[WIDTHS + level] = 62, 2
            continue
        marker, number, width = 45, -1, 2  # -
        if elements[elements[element, PARENT], TAG] == OL:
            if not state[ARE_NUMBERED]:
                _number_items(draft)
                state[ARE_NUMBERED] = 1
            marker, number, width = 46, draft.outline[element, VALUE], 3  # .
            rest = number
            while rest >= 10:
                rest //= 10
                width += 1
        if old_marker and (old_marker == marker) != is_same_list:
            marker = 42 if marker == 45 else 41  # * or )
        is_nested = element == new and (number < 0 or number == 1)
        old_marker = 0
        state[MARKERS + level], state[ITEM_NUMBERS + level], state[WIDTHS + level] = marker, number, width
    if state[HAS_OUTPUT]:
        out[n] = 10
        n += 1
        inside_item = (
            common == old_count and old_count > 0 and elements[state[CONTAINERS_BEFORE + old_count - 1], TAG] == LI
        )
        if not is_same_list and not (is_nested and inside_item and state[IS_TIGHT]):
            n = put_blank(out, n, state, common)
            out[n] = 10
            n += 1
    n = put_rest(out, n, state, common)
    for level in range(common, count):
        number = state[ITEM_NUMBERS + level]
        marker, width = state[MARKERS + level], state[WIDTHS + level]
        if width > 2:
            for i in range(n + width - 3, n - 1, -1):
                out[i] = 48 + number % 10
                number //= 10
            n += width - 2
        out[n], out[n + 1] = marker, 32
        n += 2
    state[COUNT_BEFORE] = count
    state[HAS_OUTPUT], state[IS_TIGHT] = 1, is_tight
    return n


@leaf
def put_rest(out: UInt8s, n: int, state: Int64s, count: int) -> int:
    """Append what the first `count` containers put before further lines."""
    for level in range(count):
        for i in range(state[WIDTHS + level]):
            out[n] = 62 if i == 0 and state[MARKERS + level] == 62 else 32
            n += 1
    return n


@leaf
def put_blank(out: UInt8s, n: int, state: Int64s, count: int) -> int:
    """The same on an empty line: without spaces at its end."""
    begin, n = n, put_rest(out, n, state, count)
    while n > begin and out[n - 1] == 32:
        n -= 1
    return n


@leaf
def next_line(draft: Draft, out: UInt8s, n: int) -> int:
    """Begin a further line of the unit."""
    out[n] = 10
    return put_rest(out, n + 1, draft.state, draft.state[COUNT])


@leaf
def put_lines(draft: Draft, lines: UInt8s, place: int, end: int, level: int, out: UInt8s, n: int) -> int:
    """Append a paragraph with a line for each place, or a heading with all of them in one.

    Args:
        draft: The page.
        lines: The text that places' lines are in.
        place: The first place.
        end: The place after the last.
        level: Level of the heading, 0 for a paragraph.
        out: The output.
        n: Bytes of output so far.

    Returns:
        Bytes of output.
    """
    places = draft.places
    while end > place and places[end - 1, BEGIN] == places[end - 1, STOP]:
        end -= 1
    is_first = True
    for line in range(place, end):
        begin, stop = places[line, BEGIN], places[line, STOP]
        if begin == stop:
            continue
        if is_first:
            n = begin_unit(draft, out, n, level == 0)
            for _ in range(level):
                out[n] = 35
                n += 1
        elif not level:
            out[n], out[n + 1], out[n + 2] = 32, 32, 10
            n = put_rest(out, n + 3, draft.state, draft.state[COUNT])
        if level:
            out[n] = 32
            n += 1
        is_first = False
        mark = places[line, LINE_MARK]
        if level:
            mark = places[line, END_MARK] if line == end - 1 else 0
        if mark:
            for i in range(begin, mark):
                out[n] = lines[i]
                n += 1
            out[n] = 92
            n += 1
            begin = mark
        for i in range(begin, stop):
            out[n] = lines[i]
            n += 1
    return n
