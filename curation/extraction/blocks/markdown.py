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
    COUNT,
    FIRST,
    HAS_CODE,
    HEADING,
    LOOK,
    PLACE,
    SPECIAL,
    STOP,
    Draft,
    innermost,
    make_draft,
    places_in,
)  # fmt: skip
from curation.extraction.blocks.markdown_code import CodeReader
from curation.extraction.blocks.markdown_lines import LineWriter
from curation.extraction.blocks.markdown_tables import MAX_COLUMNS, put_table
from curation.extraction.blocks.markdown_units import (
    MAX_PREFIX,
    begin_unit,
    find_containers,
    next_line,
    put_blank,
    put_lines,
)
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
    attributes = AttributeReader(draft.elements, draft.source)
    writer = LineWriter(draft, source, attributes)
    lines = writer.write()
    parts = [_write(draft, lines, _NOTHING, 0, False)]
    count = len(draft.places) - 1
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
    out = np.empty(_room(draft, text), np.uint8)
    n, asked = 0, -1
    if len(text):
        find_containers(draft, runs[places[state[PLACE], FIRST], ELEMENT])
        n = _put_text(draft, text, is_prose, out, n)
    elif end == state[PLACE]:
        asked = end
    state[PLACE] = end
    while state[PLACE] < count:
        place = state[PLACE]
        first = places[place, FIRST]
        flags = runs[first, RUN_FLAGS]
        table = find_containers(draft, runs[first, ELEMENT])
        if flags & TABLE and table:
            end = places_in(draft, table)[1]
            n = put_table(draft, lines, table, place, end, out, n)
        elif flags & PRE or (state[HAS_CODE] and places[place, LOOK] & ~SPECIAL and place != asked and not flags & HEADLINE):
            break
        else:
            end, level = place + 1, 0
            if flags & HEADLINE:
                heading = innermost(draft, runs[first, ELEMENT], HEADING)
                level = _LEVELS[draft.elements[heading, TAG]]
                end = max(end, places_in(draft, heading)[1]) if heading else end
            else:
                while end < count and _continues(draft, end):
                    end += 1
            n = put_lines(draft, lines, place, end, level, out, n)
        state[PLACE] = max(end, place + 1)
    return out[:n]


@leaf
def _room(draft: Draft, text: UInt8s) -> int:
    """How many bytes of output there may be."""
    places, lines = draft.places, 1
    for byte in text:
        lines += byte == 10
    room = len(text) + 3 * MAX_PREFIX * lines
    for place in range(max(0, draft.state[PLACE]), len(places) - 1):
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
def _put_text(draft: Draft, text: UInt8s, is_prose: bool, out: UInt8s, n: int) -> int:
    """Append lines of Markdown as they are."""
    n = begin_unit(draft, out, n, is_prose)
    for i in range(len(text)):
        if text[i] != 10:
            out[n] = text[i]
            n += 1
        elif i + 1 < len(text) and text[i + 1] != 10:
            n = next_line(draft, out, n)
        else:
            out[n] = 10
            n = put_blank(out, n + 1, draft.state, draft.state[COUNT])
    return n
