"""The list items and quotes around a piece of Markdown, and what they put before its lines."""

from __future__ import annotations

from curation.arrays import Int64s, UInt8s
from curation.extraction.blocks.draft import (
    CHAIN,
    CONTAINERS,
    CONTAINERS_BEFORE,
    COUNT,
    COUNT_BEFORE,
    DATA,
    ENDS,
    FIRST,
    HAS_OUTPUT,
    HEADLINES,
    INSIDE,
    IS_TIGHT,
    ITEM,
    KIND,
    LI,
    MARKERS,
    MAX_CONTAINERS,
    OL,
    PREFIX,
    PREFORMATTED,
    QUOTES,
    VALUE,
    Draft,
    innermost,
    places_in,
)  # fmt: skip
from curation.extraction.blocks.parse import ELEMENT, PARENT, TAG
from curation.running.compiled import leaf


@leaf
def find_containers(draft: Draft, element: int) -> int:
    """Find the list items and quotes around an element, up to the table or code that it is in.

    Returns:
        The outermost table around the element that is written as a table; 0 if there is none.
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
        if kind == DATA and outline[element, VALUE] and not table:
            table = element
        is_inside &= kind != PREFORMATTED and not table
        if not is_inside or state[COUNT] == MAX_CONTAINERS:
            continue
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
def begin_unit(draft: Draft, out: UInt8s, n: int) -> int:
    """Begin a unit of output, such as a paragraph: separate it from the one before, and write its containers' markers.

    Args:
        draft: The page, with the containers of the unit and of the one before.
        out: The output.
        n: Bytes of output so far.

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
    can_interrupt = False  # a new list directly after a line of text
    for level in range(common, count):
        element = state[CONTAINERS + level]
        if elements[element, TAG] == LI:
            is_first = elements[elements[element, PARENT], TAG] != OL or draft.outline[element, VALUE] == 1
            can_interrupt = element == new and is_first
    in_item = common == old_count and common > 0 and elements[state[CONTAINERS_BEFORE + common - 1], TAG] == LI
    length = state[ENDS + common]
    if state[HAS_OUTPUT]:
        begin = n
        for _ in range(1 if is_same_list or (can_interrupt and in_item and state[IS_TIGHT]) else 2):
            out[n] = 10
            n += 1
        n = indent(state, length, out, begin, n)
    for level in range(common, count):
        element = state[CONTAINERS_BEFORE + level] = state[CONTAINERS + level]
        begin, marker = n, 62  # >
        if elements[element, TAG] == LI:
            marker = 45  # -
            if elements[elements[element, PARENT], TAG] == OL:
                marker, rest = 46, draft.outline[element, VALUE]  # .
                n += 1
                while rest >= 10:
                    rest //= 10
                    n += 1
                rest = draft.outline[element, VALUE]
                for i in range(n - 1, begin - 1, -1):
                    out[i] = 48 + rest % 10
                    rest //= 10
            if old_marker and (old_marker == marker) != is_same_list:
                marker = 42 if marker == 45 else 41  # * or )
            old_marker = 0
        out[n], out[n + 1] = marker, 32
        n += 2
        state[MARKERS + level] = marker
        for i in range(n - begin):
            state[PREFIX + length + i] = 32
        if marker == 62:
            state[PREFIX + length] = 62
        length += n - begin
        state[ENDS + level + 1] = length
    state[COUNT_BEFORE] = count
    state[HAS_OUTPUT] = 1
    return n


@leaf
def indent(state: Int64s, length: int, out: UInt8s, begin: int, n: int) -> int:
    """Put what containers put before lines after each line break.

    Args:
        state: The state, with the PREFIX.
        length: Bytes of the prefix that are put; those of white space at its end not before an empty line.
        out: The output.
        begin: Where the part of the output begins whose lines these are.
        n: Bytes of output so far.

    Returns:
        Bytes of output.
    """
    visible = length
    while visible and state[PREFIX + visible - 1] == 32:
        visible -= 1
    target = n
    for i in range(begin, n if length else begin):
        if out[i] == 10:
            target += visible if i + 1 < n and out[i + 1] == 10 else length
    end, after = target, 0
    for i in range(n - 1, begin - 1 if target > n else n - 1, -1):
        byte = out[i]
        if byte == 10:
            for k in range((visible if after == 10 else length) - 1, -1, -1):
                target -= 1
                out[target] = state[PREFIX + k]
        target -= 1
        out[target] = after = byte
    return end
