"""Tables of data as the pipe tables of GitHub's Markdown."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.extraction.blocks.attributes import find_number
from curation.extraction.blocks.draft import (
    BEGIN,
    BLOCK_AROUND,
    CELL,
    INSIDE,
    KIND,
    ROW,
    STOP,
    VALUE,
    Draft,
    innermost,
    places_in,
)
from curation.extraction.blocks.markdown_units import begin_unit, next_line, put_lines
from curation.extraction.blocks.parse import OPENED, PARENT, TAG
from curation.extraction.blocks.tags import hashed
from curation.running.compiled import inner, leaf

MAX_COLUMNS = 60
"""Columns of a table."""
MAX_ROWS = 1000
"""Rows that one cell covers."""

_COLSPAN, _ROWSPAN = np.uint64(hashed(b"colspan")), np.uint64(hashed(b"rowspan"))
_ELEMENT, _COLUMN, _NEXT, _NEXT_ROW = range(4)
_RULE = np.frombuffer(b" --- |", np.uint8)


@inner
def put_table(draft: Draft, lines: UInt8s, table: int, place: int, end: int, out: UInt8s, n: int) -> int:
    """Append a table; what is not in its cells comes before it.

    Args:
        draft: The page.
        lines: The text that places' lines are in.
        table: The element.
        place: The first place that is written.
        end: The place after the table.
        out: The output.
        n: Bytes of output so far.

    Returns:
        Bytes of output.
    """
    last = 0
    for line in range(place, end):
        cell = innermost(draft, draft.places[line, BLOCK_AROUND], CELL)
        if cell > table:
            last = max(last, cell)
        else:
            n = put_lines(draft, lines, line, line + 1, 0, out, n)
    cells = np.zeros((max(1, last - table + 1), 4), np.int64)
    width = _arrange(draft, table, place, last, cells)
    row = first_row = cells[0, _NEXT_ROW]
    while row:
        n = begin_unit(draft, out, n, False) if row == first_row else next_line(draft, out, n)
        n = _put_row(draft, lines, place, cells, row, width, out, n)
        if row == first_row:
            n = next_line(draft, out, n)
            out[n] = 124
            n += 1
            for _ in range(width):
                for byte in _RULE:
                    out[n] = byte
                    n += 1
        row = cells[row, _NEXT_ROW]
    return n


@inner
def _arrange(draft: Draft, table: int, place: int, last: int, cells: Int64s) -> int:
    """Find the rows of a table that have text, and the column of each cell.

    Args:
        draft: The page.
        table: The element.
        place: The first place that is written.
        last: The last cell with a place.
        cells: Zeros, shape (number of cells + 1, 4). From row 1 on it gets a row for each cell. Columns: the element;
            one more than the column that its text is in, 0 if it has none; the next cell of its row; and for the first
            cell of a row that of the next row, which row 0 has for the first row.

    Returns:
        The number of columns.
    """
    elements, outline = draft.elements, draft.outline
    count = last_row = width = 0
    for cell in range(table + 1, last + 1):
        if not KIND[elements[cell, TAG]] & CELL:
            continue
        around = outline[cell, INSIDE]
        while around > table:
            around = outline[elements[around, PARENT], INSIDE]
        if around != table:
            continue
        count += 1
        cells[count, _ELEMENT] = cell
        row = innermost(draft, cell, ROW)
        if outline[row, VALUE]:  # its last cell up to here
            cells[outline[row, VALUE], _NEXT] = count
        else:
            cells[last_row, _NEXT_ROW] = count
            last_row = count
        outline[row, VALUE] = count
    for i in range(1, count + 1):
        outline[innermost(draft, cells[i, _ELEMENT], ROW), VALUE] = 0
    below = np.zeros(
        2 * MAX_COLUMNS, np.int64
    )  # rows that a cell above still covers, by column; then those of this row
    before, row = 0, cells[0, _NEXT_ROW]
    while row:
        for column in range(MAX_COLUMNS):
            below[MAX_COLUMNS + column] = below[column]
            below[column] = max(0, below[column] - 1)
        columns, has_text = 0, False
        i = row
        while i:
            while columns < MAX_COLUMNS and below[MAX_COLUMNS + columns]:
                columns += 1
            opened = elements[cells[i, _ELEMENT], OPENED]
            span = max(1, min(find_number(draft.source, opened, _COLSPAN, 1), MAX_COLUMNS))
            height = min(find_number(draft.source, opened, _ROWSPAN, 1), MAX_ROWS)
            if columns and columns + span > MAX_COLUMNS:  # too wide: the rest goes into the last column
                column = columns - 1
            else:
                column = columns
                columns += span
                if height > 1:
                    for covered in range(column, columns):
                        below[covered] = height - 1
            if _next_place(draft, cells[i, _ELEMENT], place) >= 0:
                cells[i, _COLUMN] = column + 1
                width = max(width, column + 1)
                has_text = True
            i = cells[i, _NEXT]
        if has_text:
            before = row
        else:
            cells[before, _NEXT_ROW] = cells[row, _NEXT_ROW]
        row = cells[row, _NEXT_ROW]
    return width


@leaf
def _next_place(draft: Draft, cell: int, place: int) -> int:
    """The first place from `place` on that is in a cell, not in one inside, and has text; -1 if none is."""
    first, end = places_in(draft, cell)
    for line in range(max(first, place), end):
        if innermost(draft, draft.places[line, BLOCK_AROUND], CELL) == cell:
            if draft.places[line, BEGIN] < draft.places[line, STOP]:
                return line
    return -1


@leaf
def _put_row(draft: Draft, lines: UInt8s, place: int, cells: Int64s, i: int, width: int, out: UInt8s, n: int) -> int:
    """Append a row, whose first cell is `i`."""
    out[n], out[n + 1] = 124, 32
    n += 2
    column, is_empty = 1, True
    while i:
        line = _next_place(draft, cells[i, _ELEMENT], place) if cells[i, _COLUMN] else -1
        while column < cells[i, _COLUMN]:
            out[n], out[n + 1], out[n + 2] = 32, 124, 32
            n += 3
            column += 1
            is_empty = True
        while line >= 0:
            if not is_empty:
                out[n] = 32
                n += 1
            is_empty = False
            for k in range(draft.places[line, BEGIN], draft.places[line, STOP]):
                if lines[k] == 124:
                    out[n] = 92
                    n += 1
                out[n] = lines[k]
                n += 1
            line = _next_place(draft, cells[i, _ELEMENT], line + 1)
        i = cells[i, _NEXT]
    while column < width:
        out[n], out[n + 1], out[n + 2] = 32, 124, 32
        n += 3
        column += 1
    out[n], out[n + 1] = 32, 124
    return n + 2
