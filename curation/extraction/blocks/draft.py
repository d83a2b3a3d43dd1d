"""The draft of a page: its chosen blocks, the elements that give them structure, and what is special about each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Bools, Int64s, UInt8s
from curation.extraction.blocks.parse import (
    AROUND,
    BUTTON,
    CODE,
    END,
    END_BLOCK,
    FIRST_BLOCK,
    FIRST_RUN,
    HEADLINE,
    HIDDEN,
    OPENED,
    PARENT,
    PRE,
    RUN_FLAGS,
    START,
    TABLE,
    TAG,
    TEX,
    Page,
)  # fmt: skip
from curation.extraction.blocks.tags import NAMES, NUMBERS
from curation.extraction.blocks.write import find_data_tables
from curation.running.compiled import kernel, leaf

MAX_DEPTH = 40
"""Elements around a block that its structure is made of; those further inside are ignored."""
MAX_CONTAINERS = 8
"""Lists and quotes inside one another; parsers of Markdown limit this, too."""

BR, DIV, LI, OL, TABLE_TAG, TD = (NUMBERS[name] for name in ("br", "div", "li", "ol", "table", "td"))

ITEM, QUOTES, PREFORMATTED, DATA, ROW, CELL, HEADING, OTHER = (1 << bit for bit in range(8))
"""Kinds of elements that give blocks structure."""
_NAMES_BY_KIND = {
    ITEM: "li", QUOTES: "blockquote", PREFORMATTED: "pre", DATA: "table", ROW: "tr", CELL: "td th",
    HEADING: "h1 h2 h3 h4 h5 h6", OTHER: "ul ol menu dir listing code",
}  # fmt: skip
KIND = np.array([sum(kind for kind, names in _NAMES_BY_KIND.items() if name in names.split()) for name in NAMES])
"""Kinds by number of the name."""

ALL_CODE, LINE, NUMBERED, SPECIAL, MARKED = 1, 2, 4, 8, 16
"""What a block is: nothing but code, maybe a line of code by its class, maybe a number, not to be written as it is; or
what it has: code or formulas."""
MAY_BE_CODE = ALL_CODE | LINE | NUMBERED

INSIDE, DEPTH, VALUE = range(3)
BLOCK, BLOCK_AROUND, FIRST, AFTER, LOOK, HEADLINES, BREAKS, BEGIN, STOP, LINE_MARK, END_MARK = range(11)

# The state of the writer: single numbers, a row for each container, the elements around a block, and a prefix.
(
    HAS_CODE, HAS_NUMBERS, HAS_TABLES, HAS_LINES, MAY_BE_UNSHOWN, PLACE, HERE, HAS_OUTPUT, IS_TIGHT, COUNT,
    COUNT_BEFORE,
) = range(_VALUES := 11)  # fmt: skip
CONTAINERS, CONTAINERS_BEFORE, MARKERS, ENDS = (_VALUES + MAX_CONTAINERS * table for table in range(4))
CHAIN = ENDS + MAX_CONTAINERS + 1
PREFIX = CHAIN + MAX_DEPTH
MAX_PREFIX = 11 * MAX_CONTAINERS
"""Bytes that containers put before a line: at most nine digits, a point and a space each."""

LINE_BYTES = 200
"""Bytes after the name in a start tag in which "line" or "code" is, if its class says that it is a line of code."""

_MARKS, _SPACES, _DIGITS, _BEGINNINGS = 1, 2, 4, 8
_BYTES = np.zeros(256, np.uint8)
_BYTES[[*b"\\`*_\n<&]$"]] = _MARKS
_BYTES[[*range(9, 14), *range(28, 33)]] |= _SPACES
_BYTES[[*b"0123456789"]] = _DIGITS
_BYTES[[*b"#+-:=>|~"]] = _BEGINNINGS


class Draft(NamedTuple):
    """A page whose chosen blocks are written. A place is the number of a block among the chosen ones.

    Attributes:
        text: The page's text.
        source: The page's HTML.
        elements: The page's elements.
        runs: The page's runs of text.
        outline: A row for each element. Columns: INSIDE, the innermost element with a kind at or around it, 0 if there
            is none; DEPTH, how many such elements there are; VALUE, the number of an item of a numbered list, and 1
            for a table that is written as a table.
        places: A row for each place. Columns: BLOCK, the number of the block; BLOCK_AROUND, the block element around
            it; FIRST and AFTER, its first run and the one after its last; LOOK, what it is; HEADLINES, how many of the
            places before are headings; BREAKS, how many `<br>` are directly before it; BEGIN and STOP, where its line
            of Markdown is in the text; LINE_MARK and END_MARK, where a backslash is put into this line in a paragraph
            and at the end of a heading, -1 if none is. One more row at the end holds the last HEADLINES.
        before: How many blocks before each one are chosen; one more at the end.
        state: HAS_CODE, whether any of the blocks is code; HAS_NUMBERS, whether the page has a numbered list;
            HAS_TABLES, a table of data; HAS_LINES, blocks that may be lines of code; MAY_BE_UNSHOWN, text that is no
            part of the text around it; PLACE, the next one to write; HERE, the table that it is in; and what the
            writer keeps.
    """

    text: UInt8s
    source: UInt8s
    elements: Int64s
    runs: Int64s
    outline: Int64s
    places: Int64s
    before: Int64s
    state: Int64s


@kernel
def make_draft(page: Page, source: UInt8s, taken: Bools) -> Draft:
    """The draft of the blocks that are taken; arguments as for `write_markdown`."""
    elements, runs, text = page.elements, page.runs, page.text
    before = np.zeros(len(page.blocks), np.int64)
    breaks = np.zeros(len(page.blocks), np.int64)
    count = 0
    for block in range(len(taken)):
        before[block] = count
        count += taken[block]
    before[len(taken)] = count
    state = np.zeros(PREFIX + MAX_PREFIX, np.int64)
    state[PLACE] = -1
    outline = np.zeros((len(elements), 3), np.int64)
    for element in range(1, len(elements) - 1):
        tag, inside = elements[element, TAG], outline[elements[element, PARENT], INSIDE]
        if KIND[tag] and outline[inside, DEPTH] < MAX_DEPTH:
            outline[element, DEPTH] = outline[inside, DEPTH] + 1
            inside = element
        outline[element, INSIDE] = inside
        if tag == BR:
            breaks[elements[element, FIRST_BLOCK]] += 1
        state[HAS_NUMBERS] |= tag == OL
    places = np.zeros((count + 1, 11), np.int64)
    has_table = False
    place = around = look = 0
    for block in range(len(taken)):
        if not taken[block]:
            continue
        first, after = page.blocks[block, FIRST_RUN], page.blocks[block + 1, FIRST_RUN]
        start, end, flags = runs[first, START], runs[after - 1, END], runs[first, RUN_FLAGS]
        look &= LINE
        if around != page.blocks[block, AROUND]:
            around = page.blocks[block, AROUND]
            look = LINE if _may_be_line(elements, source, around) else 0
        some, all_of_it = 0, CODE | HIDDEN
        for run in range(first, after):
            some |= runs[run, RUN_FLAGS]
            all_of_it &= runs[run, RUN_FLAGS]
        if all_of_it & CODE:
            look |= ALL_CODE
        state[MAY_BE_UNSHOWN] |= (some & ~all_of_it & HIDDEN) | (some & BUTTON)
        state[HAS_CODE] |= look & ALL_CODE or flags & PRE
        state[HAS_LINES] |= look & LINE
        if start < end and (text[start] == 32 or _BYTES[text[start]] & _DIGITS):
            look |= NUMBERED
        if some & (CODE | TEX):
            look |= SPECIAL | MARKED
        elif _is_special(text, start, end):
            look |= SPECIAL
        places[place, BLOCK], places[place, BLOCK_AROUND] = block, around
        places[place, FIRST], places[place, AFTER] = first, after
        places[place, BEGIN], places[place, STOP] = start, end
        places[place, LOOK], places[place, BREAKS] = look, breaks[block]
        places[place, LINE_MARK], places[place, END_MARK] = _number_end(text, start, end), -1
        has_table |= flags & TABLE > 0
        place += 1
        places[place, HEADLINES] = places[place - 1, HEADLINES] + (flags & HEADLINE > 0)
    draft = Draft(text, source, elements, runs, outline, places, before, state)
    if has_table:
        data_tables = find_data_tables(page, taken)
        for element in range(len(data_tables)):
            outline[element, VALUE] = data_tables[element]
            state[HAS_TABLES] |= data_tables[element]
    for place in range(count):
        around = places[place, BLOCK_AROUND]
        if runs[places[place, FIRST], RUN_FLAGS] & PRE and places[place, LOOK] & SPECIAL:
            in_line = innermost(draft, around, HEADING) or outline[innermost(draft, around, DATA), VALUE]
            if not in_line:
                places[place, LOOK] -= SPECIAL
    return draft


@leaf
def _may_be_line(elements: Int64s, source: UInt8s, element: int) -> bool:
    """Whether the class of an element may say that it is a line of code."""
    if elements[element, TAG] not in (DIV, TD):
        return False
    start = elements[element, OPENED]
    for i in range(start + 3, min(len(source), start + LINE_BYTES)):
        if source[i] == 101 and (
            (source[i - 1] == 110 and source[i - 2] == 105 and source[i - 3] == 108)
            or (source[i - 1] == 100 and source[i - 2] == 111 and source[i - 3] == 99)
        ):
            return True
    return False


@leaf
def _space(text: UInt8s, i: int, end: int) -> int:
    """Bytes of the white space at `i`, as `str.isspace` tells it; 0 if there is none."""
    byte, size = text[i], end - i
    if byte < 128:
        return int(_BYTES[byte] & _SPACES > 0)
    if byte == 0xC2 and size > 1 and (text[i + 1] == 0x85 or text[i + 1] == 0xA0):
        return 2
    if 0xE1 <= byte <= 0xE3 and size > 2:
        code = (byte & 0xF) << 12 | (text[i + 1] & 0x3F) << 6 | (text[i + 2] & 0x3F)
        if 0x2000 <= code <= 0x200A or code in (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000):
            return 3
    return 0


@leaf
def _is_special(text: UInt8s, start: int, end: int) -> bool:
    """Whether a line may have something to escape, several lines, or white space around it."""
    if start == end:
        return False
    first, last = text[start], text[end - 1]
    if _BYTES[first] & _BEGINNINGS or last == 35 or _space(text, start, end) or _space(text, end - 1, end):
        return True
    if last >= 128 and (
        (end - start > 1 and _space(text, end - 2, end)) or (end - start > 2 and _space(text, end - 3, end))
    ):
        return True
    stop = start
    while stop < end and stop - start < 40 and (text[stop] >= 128 or _BYTES[text[stop]] & _DIGITS):
        stop += 1
    if text[start] >= 128 and start < stop < end and (text[stop] == 41 or text[stop] == 46):  # ) or .
        return True
    dollars = 0
    for i in range(start, end):
        byte = text[i]
        if not _BYTES[byte] & _MARKS:
            continue
        after = text[i + 1] if i + 1 < end else 32
        if byte == 36:
            dollars += 1
            if dollars > 1:
                return True
        elif byte == 93:
            if after == 40 or after == 58:
                return True
        elif after != 32 or not (byte == 38 or byte == 60):
            return True
    return False


@leaf
def _number_end(text: UInt8s, start: int, end: int) -> int:
    """Where the number of a list item ends that a line begins with; -1 if it begins with none."""
    stop = start
    while stop < end and _BYTES[text[stop]] & _DIGITS:
        stop += 1
    is_number = 0 < stop - start < 10 and stop < end and (text[stop] == 41 or text[stop] == 46)
    return stop if is_number and (stop + 1 == end or _space(text, stop + 1, end)) else -1


@leaf
def innermost(draft: Draft, element: int, kind: int) -> int:
    """The innermost element of a kind, or of the sum of several, at or around `element`; 0 if there is none."""
    element = draft.outline[element, INSIDE]
    while element and not KIND[draft.elements[element, TAG]] & kind:
        element = draft.outline[draft.elements[element, PARENT], INSIDE]
    return int(element)


@leaf
def places_in(draft: Draft, element: int) -> tuple[int, int]:
    """The first place in an element, and the one after its last."""
    return draft.before[draft.elements[element, FIRST_BLOCK]], draft.before[draft.elements[element, END_BLOCK]]
