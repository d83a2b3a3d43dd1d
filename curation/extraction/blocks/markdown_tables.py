"""Tables of data as the pipe tables of GitHub's Markdown."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s
from curation.extraction.blocks.draft import (
    BEGIN,
    BLOCK_AROUND,
    CELL,
    INSIDE,
    KIND,
    MAX_COLUMNS,
    ROW,
    ROWS_UNIT,
    STOP,
    VALUE,
    Draft,
    innermost,
    places_in,
)
from curation.extraction.blocks.parse import PARENT, TAG
from curation.running.compiled import inner, leaf

_ELEMENT, _COLUMN, _NEXT, _NEXT_ROW = range(4)
_RULE = np.frombuffer(b" --- |", np.uint8)


@inner
def arrange(draft: Draft, table: int, place: int, end: int) -> tuple[Int64s, int]:
    """Find the rows of a table that have text, and the column of each cell.

    Args:
        draft: The page.
        table: The element.
        place: The first place that is written.
        end: The place after the last.

    Returns:
        The cells and the number of columns. Row 0 of the cells has the first row of the table, each other row a cell.
        Columns: the element; one more than the column that its text is in, 0 if it has none; the next cell of its row;
        and for the first cell of a row that of the next row.
    """
    elements, outline = draft.elements, draft.outline
    count = last_row = width = 0
    last = table
    for line in range(place, end):
        last = max(last, draft.places[line, BLOCK_AROUND])
    cells = np.zeros((last - table + 1, 4), np.int64)
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
            spans = outline[cells[i, _ELEMENT], VALUE]
            span, height = max(1, spans % ROWS_UNIT), spans // ROWS_UNIT
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
    return cells, width


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
def put_table(draft: Draft, lines: UInt8s, place: int, cells: Int64s, width: int, out: UInt8s, n: int) -> int:
    """Append a table.

    Args:
        draft: The page.
        lines: The text that places' lines are in.
        place: The first place that is written.
        cells: The table's cells, as `arrange` sets them.
        width: The number of columns.
        out: The output.
        n: Bytes of output so far.

    Returns:
        Bytes of output.
    """
    places, row = draft.places, cells[0, _NEXT_ROW]
    while row:
        out[n], out[n + 1] = 124, 32
        n += 2
        column, is_empty = 1, True
        i = row
        while True:
            while column < (cells[i, _COLUMN] if i else width):
                out[n], out[n + 1], out[n + 2] = 32, 124, 32
                n += 3
                column += 1
                is_empty = True
            if not i:
                break
            line = _next_place(draft, cells[i, _ELEMENT], place) if cells[i, _COLUMN] else -1
            while line >= 0:
                if not is_empty:
                    out[n] = 32
                    n += 1
                is_empty = False
                for k in range(places[line, BEGIN], places[line, STOP]):
                    if lines[k] == 124:
                        out[n] = 92
                        n += 1
                    out[n] = lines[k]
                    n += 1
                line = _next_place(draft, cells[i, _ELEMENT], line + 1)
            i = cells[i, _NEXT]
        out[n], out[n + 1] = 32, 124
        n += 2
        if row == cells[0, _NEXT_ROW]:
            out[n], out[n + 1] = 10, 124
            n += 2
            for _ in range(width):
                for byte in _RULE:
                    out[n] = byte
                    n += 1
        row = cells[row, _NEXT_ROW]
        if row:
            out[n] = 10
            n += 1
    return n
