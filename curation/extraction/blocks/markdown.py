"""The chosen blocks of a page as Markdown: CommonMark, with the pipe tables of GitHub's and `$` around formulas.

The structure comes from the page's elements, the text only from blocks that are taken. Text is escaped where it would
mean something in Markdown, so that a CommonMark parser gives back the same headings, list items, code and words.
Kernels write it, except for blocks of code, which few pages have: `markdown_code` finds and reads them.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, UInt8s
from curation.extraction.blocks.attributes import AttributeReader
from curation.extraction.blocks.draft import (
    BEGIN,
    BLOCK,
    BLOCK_AROUND,
    BREAKS,
    CELL,
    COUNT,
    END_MARK,
    ENDS,
    FIRST,
    HAS_CODE,
    HEADING,
    LINE_MARK,
    LOOK,
    MAX_COLUMNS,
    MAX_PREFIX,
    PLACE,
    SPECIAL,
    STOP,
    Draft,
    innermost,
    make_draft,
    places_in,
)  # fmt: skip
from curation.extraction.blocks.draft_attributes import read_attributes
from curation.extraction.blocks.markdown_code import CodeReader
from curation.extraction.blocks.markdown_lines import LineWriter
from curation.extraction.blocks.markdown_tables import arrange, put_table
from curation.extraction.blocks.markdown_units import begin_unit, find_containers, indent
from curation.extraction.blocks.parse import ELEMENT, HEADLINE, PRE, RUN_FLAGS, TABLE, TAG, Page
from curation.extraction.blocks.tags import NAMES
from curation.extraction.blocks.write import without_unshown
from curation.running.compiled import kernel, leaf

_NOTHING = np.zeros(0, np.uint8)
_ROOM = 6 * MAX_PREFIX + 10 * MAX_COLUMNS
"""Bytes that are put before and after a block at most: for a row of a table, the cells and the line below."""
_LEVELS = np.array([int(name[1]) if name in {f"h{level}" for level in range(1, 7)} else 2 for name in NAMES])
"""Levels of headings by number of the name: 2 for other elements whose role is heading."""


def write_markdown(page: Page, source: bytes, taken: Bools) -> str:
    """The text of the blocks that are taken, in Markdown.

    Args:
        page: The page, as `parse` returns it for `source`.
        source: The page's HTML in UTF-8.
        taken: Whether each block is taken, shape (blocks,).

    Returns:
        Headings, paragraphs, lists, quotes, tables, code in fences, formulas in LaTeX. A blank line separates blocks,
        except list items and rows. Hidden text in a block with other text is left out.
    """
    draft = make_draft(without_unshown(page), np.frombuffer(source, np.uint8), taken)
    count = len(draft.places) - 1
    attributes = AttributeReader(draft.elements, source)
    read_attributes(draft, attributes)
    writer = LineWriter(draft, source, attributes)
    lines = writer.write()
    parts = [_write(draft, lines, _NOTHING, 0, False)]
    if draft.state[PLACE] < count:
        reader = CodeReader(draft, source, attributes)
        while draft.state[PLACE] < count:
            end, text, is_prose = reader.read(int(draft.state[PLACE]))
            if is_prose:
                text = writer.paragraphs(text)
            parts.append(_write(draft, lines, np.frombuffer(bytearray(text, "utf-8"), np.uint8), end, is_prose))
    return b"".join(part.tobytes() for part in parts).decode(errors="replace")


@kernel
def _write(draft: Draft, lines: UInt8s, text: UInt8s, end: int, is_prose: bool) -> UInt8s:
    """Write until the next block that may be code.

    Args:
        draft: The page, whose PLACE is a block that may be code, or the first one.
        lines: The text that places' lines are in.
        text: Markdown of what is at this place up to `end`; none at first, for line numbers, and if it is no code.
        end: The place to go on from: `PLACE` if there is no code there, 0 at first.
        is_prose: Whether the text is paragraphs, so that a list may follow directly.

    Returns:
        More of the output in UTF-8.
    """
    places, runs, state = draft.places, draft.runs, draft.state
    count = len(places) - 1
    out = np.empty(_room(draft, text, end), np.uint8)
    cells = places
    n, asked, caption = 0, -1, 0
    if not len(text):
        asked = end if end == state[PLACE] else -1
        state[PLACE] = end
    is_given = len(text) > 0
    while state[PLACE] < count:
        first = places[state[PLACE], FIRST]
        flags = runs[first, RUN_FLAGS]
        table = find_containers(draft, runs[first, ELEMENT])
        begin, stop = state[PLACE], state[PLACE] + 1
        level = width = 0
        if is_given:
            state[PLACE], stop = end, begin
        elif flags & TABLE and table:
            after = max(places_in(draft, table)[1], stop)
            begin = max(begin, caption)
            while begin < after and (
                places[begin, BEGIN] == places[begin, STOP]
                or innermost(draft, places[begin, BLOCK_AROUND], CELL) > table
            ):
                begin += 1
            if begin < after:  # it is in no cell: a caption, or misplaced
                caption = stop = begin + 1
            else:
                begin = stop = state[PLACE]
                cells, width = arrange(draft, table, begin, after)
                state[PLACE] = after
        elif flags & PRE or (
            state[HAS_CODE] and places[begin, LOOK] & ~SPECIAL and begin != asked and not flags & HEADLINE
        ):
            break
        else:
            if flags & HEADLINE:
                heading = innermost(draft, runs[first, ELEMENT], HEADING)
                level = _LEVELS[draft.elements[heading, TAG]]
                stop = max(stop, places_in(draft, heading)[1]) if heading else stop
            else:
                while stop < count and _continues(draft, stop):
                    stop += 1
            state[PLACE] = stop
        while stop > begin and places[stop - 1, BEGIN] == places[stop - 1, STOP]:
            stop -= 1
        if stop == begin and not width and not is_given:
            continue
        n = begin_unit(draft, out, n, is_prose if is_given else not level and not width)
        start = n
        if is_given:
            for byte in text:
                out[n] = byte
                n += 1
            is_given = False
        elif width:
            n = put_table(draft, lines, begin, cells, width, out, n)
        else:
            n = _put_lines(draft, lines, begin, stop, level, out, n)
        n = indent(state, state[ENDS + state[COUNT] - 1] if state[COUNT] else 0, out, start, n)
    return out[:n]


@leaf
def _room(draft: Draft, text: UInt8s, first: int) -> int:
    """How many bytes of output there may be for a text and the places from `first` on."""
    places, lines = draft.places, 1
    for byte in text:
        lines += byte == 10
    room = len(text) + 3 * MAX_PREFIX * lines
    for place in range(first, len(places) - 1):
        room += 2 * (places[place, STOP] - places[place, BEGIN]) + _ROOM
    return int(room)


@leaf
def _continues(draft: Draft, place: int) -> bool:
    """Whether the block is the next line of the paragraph before it: nothing but one `<br>` is between them."""
    places = draft.places
    return bool(
        places[place, BREAKS] == 1
        and places[place, BLOCK] == places[place - 1, BLOCK] + 1
        and places[place, BLOCK_AROUND] == places[place - 1, BLOCK_AROUND]
        and not draft.runs[places[place, FIRST], RUN_FLAGS] & (PRE | HEADLINE)
    )


@leaf
def _put_lines(draft: Draft, lines: UInt8s, place: int, stop: int, level: int, out: UInt8s, n: int) -> int:
    """Append a paragraph with a line for each place, or a heading with all of them in one.

    Args:
        draft: The page.
        lines: The text that places' lines are in.
        place: The first place.
        stop: The place after the last, which has text.
        level: Level of the heading, 0 for a paragraph.
        out: The output.
        n: Bytes of output so far.

    Returns:
        Bytes of output.
    """
    places, is_first = draft.places, True
    for _ in range(level):
        out[n] = 35
        n += 1
    for line in range(place, stop):
        begin, end = places[line, BEGIN], places[line, STOP]
        if begin == end:
            continue
        mark = places[line, LINE_MARK]
        if level:
            mark = places[line, END_MARK] if line == stop - 1 else 0
            out[n] = 32
            n += 1
        elif not is_first:
            out[n], out[n + 1], out[n + 2] = 32, 32, 10
            n += 3
        is_first = False
        for i in range(begin, end):
            if i == mark:
                out[n] = 92
                n += 1
            out[n] = lines[i]
            n += 1
    return n
