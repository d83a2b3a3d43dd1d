"""The chosen blocks of a page as Markdown: CommonMark, with the pipe tables of GitHub's and `$` around formulas.

The structure comes from the page's elements, the text only from blocks that are taken. Text is escaped where it would
mean something in Markdown, so that a CommonMark parser gives back the same headings, list items, code and words.
Kernels write it, except for what few pages have: tables, blocks of code, and lines with something to escape.
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
    END_MARK,
    ENDS,
    FIRST,
    HAS_CODE,
    HEADING,
    HERE,
    IS_TIGHT,
    LINE_MARK,
    LOOK,
    MAX_PREFIX,
    MAY_BE_CODE,
    MAY_BE_UNSHOWN,
    PLACE,
    STOP,
    Draft,
    innermost,
    make_draft,
)  # fmt: skip
from curation.extraction.blocks.draft_attributes import read_attributes
from curation.extraction.blocks.draft_reader import DraftReader
from curation.extraction.blocks.markdown_code import CodeReader
from curation.extraction.blocks.markdown_lines import LineWriter
from curation.extraction.blocks.markdown_tables import read_table
from curation.extraction.blocks.markdown_units import begin_unit, find_containers, indent
from curation.extraction.blocks.parse import ELEMENT, END_BLOCK, HEADLINE, PRE, RUN_FLAGS, TABLE, TAG, Page
from curation.extraction.blocks.tags import NAMES
from curation.extraction.blocks.unshown import without_unshown
from curation.running.compiled import kernel, leaf

_NOTHING = np.zeros(0, np.uint8)
_ROOM = 4 * MAX_PREFIX + 20
"""Bytes that are put before and after a line at most."""
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
    draft = make_draft(page, np.frombuffer(source, np.uint8), taken)
    if draft.state[MAY_BE_UNSHOWN]:
        draft = make_draft(without_unshown(page), np.frombuffer(source, np.uint8), taken)
    attributes = AttributeReader(draft.elements, source)
    read_attributes(draft, attributes)
    writer = LineWriter(draft, source, attributes)
    lines = writer.write()
    state, count = draft.state, len(draft.places) - 1
    parts = [_write(draft, lines, _NOTHING, 0, False)]
    if state[PLACE] < count:
        reader, code, written = DraftReader(draft, attributes), None, lines.tobytes()
        while (place := int(state[PLACE])) < count:
            if table := int(state[HERE]):
                end, text, is_tight = read_table(reader, written, table, place)
            else:
                code = code or CodeReader(draft, source, attributes, writer)
                end, text, is_tight = code.read(place)
            parts.append(_write(draft, lines, np.frombuffer(bytearray(text), np.uint8), end, is_tight))
    return b"".join(part.tobytes() for part in parts).decode(errors="replace")


@kernel
def _write(draft: Draft, lines: UInt8s, text: UInt8s, end: int, is_tight: bool) -> UInt8s:
    """Write until the next table, or block that may be code.

    Args:
        draft: The page, whose PLACE is a table or may be code, or is before the first one.
        lines: The text that places' lines are in.
        text: Markdown of what is at this place up to `end`; none at first, for line numbers, and if it is no code.
        end: The place to go on from: PLACE if there is no code there, 0 at first.
        is_tight: Whether a list may begin on the line after the text.

    Returns:
        More of the output in UTF-8.
    """
    places, runs, state = draft.places, draft.runs, draft.state
    count = len(places) - 1
    prefixes = count - end + 1
    for byte in text:
        prefixes += byte == 10
    out = np.empty(len(text) + 2 * len(lines) + _ROOM * prefixes, np.uint8)
    n = 0
    is_given = len(text) > 0
    asked = end if end == state[PLACE] else -1
    if not is_given:
        state[PLACE] = end
    while state[PLACE] < count:
        place = state[PLACE]
        look, first = places[place, LOOK], places[place, FIRST]
        flags, element = runs[first, RUN_FLAGS], runs[first, ELEMENT]
        table = find_containers(draft, element)
        stop, level = place + 1, 0
        if is_given:
            stop = end
        elif flags & TABLE and table:
            state[HERE] = table
            break
        elif flags & PRE or (state[HAS_CODE] and look & MAY_BE_CODE and place != asked and not flags & HEADLINE):
            state[HERE] = 0
            break
        elif flags & HEADLINE:
            heading = innermost(draft, element, HEADING)
            level = _LEVELS[draft.elements[heading, TAG]]
            if heading:
                stop = max(stop, draft.before[draft.elements[heading, END_BLOCK]])
        else:
            while stop < count and _continues(draft, stop):
                stop += 1
        state[PLACE] = stop
        while not is_given and stop > place and places[stop - 1, BEGIN] == places[stop - 1, STOP]:
            stop -= 1
        if stop > place:
            n = begin_unit(draft, out, n)
            start = n
            if is_given:
                for byte in text:
                    out[n] = byte
                    n += 1
            else:
                n = _put_lines(draft, lines, place, stop, level, out, n)
                is_tight = level == 0
            n = indent(state, state[ENDS + state[COUNT]], out, start, n)
            state[IS_TIGHT] = is_tight
        is_given = False
    return out[:n]


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
            mark = places[line, END_MARK] if line == stop - 1 else -1
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
