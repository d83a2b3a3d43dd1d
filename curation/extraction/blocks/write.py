"""The chosen blocks of a page as text, and which tables are tables of data."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools, UInt8s
from curation.extraction.blocks.parse import (
    AROUND,
    END,
    FIRST_BLOCK,
    FIRST_RUN,
    HEADLINE,
    LIST,
    PARENT,
    PRE,
    RUN_FLAGS,
    START,
    TABLE,
    TAG,
    TEX,
    Page,
)  # fmt: skip
from curation.extraction.blocks.tags import NUMBERS
from curation.extraction.blocks.unshown import without_unshown
from curation.running.compiled import inner, kernel, leaf

LI, TR, TD, TH, TABLE_TAG = (NUMBERS[name] for name in ("li", "tr", "td", "th", "table"))
NEAR = 24
"""How many elements around a block are looked at for the list item or cell that it is in."""
LONG_CELL = 500
"""Bytes of text in a cell above which its table only arranges the page."""
BLOCKS_PER_CELL = 4
"""Blocks in a cell above which its table only arranges the page."""

_ROWS, _ROW, _CELLS, _CELL, _BYTES, _BLOCKS, _WIDE, _LAYOUT = range(8)


@leaf
def nearest(page: Page, element: int, tag: int) -> int:
    """The nearest element called `tag` at or around `element`, or -1."""
    for _ in range(NEAR):
        if element <= 0:
            break
        if page.elements[element, TAG] == tag:
            return element
        element = page.elements[element, PARENT]
    return -1


@leaf
def find_cell(page: Page, element: int) -> tuple[int, int, int]:
    """The cell, row and innermost table around `element`; -1 for those that it is not in."""
    cell = row = -1
    for _ in range(NEAR):
        if element <= 0:
            break
        tag = page.elements[element, TAG]
        if tag == TABLE_TAG:
            return cell, row, element
        if tag in (TD, TH) and cell < 0:
            cell = element
        elif tag == TR and row < 0:
            row = element
        element = page.elements[element, PARENT]
    return -1, -1, -1


@inner
def find_data_tables(page: Page, taken: Bools) -> Bools:
    """Tell tables of data from those that only arrange the page.

    A table of data has two rows, two cells in one of them, no headings, no preformatted text, no table inside, and
    little text in few blocks in each cell. Only blocks that are taken count.

    Args:
        page: The page.
        taken: Whether each block is taken, shape (blocks,).

    Returns:
        Whether each element is a table of data, shape (elements,).
    """
    found = np.zeros(len(page.elements), np.bool_)
    state = np.zeros((0, 8), np.int64)
    for block in range(len(taken)):
        first, end = page.blocks[block, FIRST_RUN], page.blocks[block + 1, FIRST_RUN]
        flags = page.runs[first, RUN_FLAGS]
        if not taken[block] or not flags & TABLE:
            continue
        cell, row, table = find_cell(page, page.blocks[block, AROUND])
        if table < 0:
            continue
        if len(state) == 0:
            state = np.zeros((len(page.elements), 8), np.int64)
        if not found[table]:
            found[table] = True
            element = page.elements[table, PARENT]
            for _ in range(8 * NEAR):
                if element <= 0 or state[element, _LAYOUT]:
                    break
                if page.elements[element, TAG] == TABLE_TAG:
                    state[element, _LAYOUT] = 1
                element = page.elements[element, PARENT]
        if flags & (HEADLINE | PRE):
            state[table, _LAYOUT] = 1
        if cell < 0 or row < 0:
            continue
        if row != state[table, _ROW]:
            state[table, _ROW] = row
            state[table, _ROWS] += 1
            state[table, _CELLS] = 0
        if cell != state[table, _CELL]:
            state[table, _CELL] = cell
            state[table, _CELLS] += 1
            state[table, _BYTES] = state[table, _BLOCKS] = 0
            state[table, _WIDE] |= state[table, _CELLS] > 1
        state[table, _BYTES] += page.runs[end - 1, END] - page.runs[first, START]
        state[table, _BLOCKS] += 1
        if state[table, _BYTES] > LONG_CELL or state[table, _BLOCKS] > BLOCKS_PER_CELL:
            state[table, _LAYOUT] = 1
    for element in range(len(state)):
        if found[element]:
            found[element] = state[element, _ROWS] > 1 and state[element, _WIDE] and not state[element, _LAYOUT]
    return found


def write_text(page: Page, taken: Bools) -> UInt8s:
    """The text of the blocks that are taken, in lines.

    A block is a line; so is a row of a table of data, its cells joined by ` | `. List items begin with `- `. Formulas
    are in `$…$`. The lines of preformatted text stay as they are. Hidden text in a block with other text is left out.

    Args:
        page: The page.
        taken: Whether each block is taken, shape (blocks,).

    Returns:
        The text in UTF-8.
    """
    return _write(without_unshown(page), taken)


@kernel
def _write(page: Page, taken: Bools) -> UInt8s:
    tables = find_data_tables(page, taken)
    out = np.empty(len(page.text) + 4 * len(page.blocks) + 4 * len(page.runs), np.uint8)
    n = 0
    row = cell = previous = -1
    for block in range(len(taken)):
        if not taken[block]:
            continue
        around = page.blocks[block, AROUND]
        flags = page.runs[page.blocks[block, FIRST_RUN], RUN_FLAGS]
        new_row = new_cell = item = -1
        if flags & TABLE:
            new_cell, new_row, table = find_cell(page, around)
            if table < 0 or not tables[table] or new_cell < 0:
                new_row = new_cell = -1
        if flags & LIST and new_row < 0:
            item = nearest(page, around, LI)
        if n and new_row >= 0 and new_row == row:
            out[n] = 32
            n += 1
            if new_cell != cell:
                out[n], out[n + 1] = 124, 32
                n += 2
        elif n:
            out[n] = 10
            n += 1
        if item >= 0 and previous < page.elements[item, FIRST_BLOCK] and not flags & HEADLINE:
            out[n], out[n + 1] = 45, 32
            n += 2
        row, cell, previous = new_row, new_cell, block
        for run in range(page.blocks[block, FIRST_RUN], page.blocks[block + 1, FIRST_RUN]):
            start, end = page.runs[run, START], page.runs[run, END]
            formula = page.runs[run, RUN_FLAGS] & TEX and end > start
            if formula:
                if page.text[start] == 32 and end > start + 1:
                    out[n] = 32
                    n += 1
                    start += 1
                out[n] = 36
                n += 1
            for i in range(start, end):
                out[n] = page.text[i]
                n += 1
            if formula:
                out[n] = 36
                n += 1
    return out[:n]
