"""Tables of data as the pipe tables of GitHub's Markdown."""

from __future__ import annotations

from curation.extraction.blocks.attributes import TAG_BYTES
from curation.extraction.blocks.draft import BEGIN, CELL, LINE_MARK, ROW, STOP
from curation.extraction.blocks.draft_reader import DraftReader
from curation.extraction.blocks.parse import END_BLOCK, OPENED
from curation.extraction.blocks.tags import NUMBERS

MAX_COLUMNS = 60
"""Columns of a table."""
MAX_ROWS = 1000
"""Rows that one cell covers."""

_CELL_TAGS = {NUMBERS["td"], NUMBERS["th"]}


def read_table(reader: DraftReader, lines: bytes, table: int, place: int) -> tuple[int, bytes, bool]:
    """Read a table of data; what is not in its cells comes before it.

    Args:
        reader: Reads the page.
        lines: The text that places' lines are in.
        table: The element.
        place: The first place in it.

    Returns:
        The place after it; its Markdown; whether that ends with a paragraph.
    """
    end = max(place + 1, int(reader.draft.before[reader.draft.elements[table, END_BLOCK]]))
    cells: dict[int, list[bytes]] = {}
    parts: list[bytes] = []
    known: dict[int, int] = {}
    begins, stops, marks = reader.columns[BEGIN], reader.columns[STOP], reader.columns[LINE_MARK]
    for line in range(place, end):
        around = reader.around[line]
        cell = known.get(around)
        if cell is None:
            is_cell = reader.tags[around] in _CELL_TAGS and reader.inside[around] == around
            cell = known[around] = around if is_cell else reader.innermost(around, CELL)
        text = lines[begins[line] : stops[line]]
        if cell > table:
            cells.setdefault(cell, []).append(text.replace(b"|", b"\\|"))
        elif text:
            mark = marks[line] - begins[line]
            parts.append(text if mark < 0 else text[:mark] + b"\\" + text[mark:])
    grid = _grid(reader, table, cells) if cells else []
    width = max(map(len, grid), default=0)
    rows = [b"| " + b" | ".join([*row, *[b""] * (width - len(row))]) + b" |" for row in grid]
    if rows:
        parts.append(b"\n".join([rows[0], b"|" + b" --- |" * width, *rows[1:]]))
    return end, b"\n\n".join(parts), not rows


def _rows(reader: DraftReader, table: int, last: int) -> list[list[int]]:
    """The cells of each row of a table, up to the cell `last`."""
    rows: dict[int, list[int]] = {}
    row_of: dict[int, int] = {}  # by the parent of a cell; -1 outside of the table
    for cell in range(table + 1, last + 1):
        if reader.tags[cell] in _CELL_TAGS:
            parent = reader.parents[cell]
            row = row_of.get(parent)
            if row is None:
                is_inside = table in reader.chain(parent)
                row = row_of[parent] = reader.innermost(parent, ROW) if is_inside else -1
            if row >= 0:
                rows.setdefault(row, []).append(cell)
    return [*rows.values()]


def _grid(reader: DraftReader, table: int, cells: dict[int, list[bytes]]) -> list[list[bytes]]:
    """The texts of the rows that have any, each cell in its column."""
    rows = _rows(reader, table, max(cells))
    texts = {cell: b" ".join(filter(None, parts)) for cell, parts in cells.items()}
    spans = _spans(reader, rows)
    grid: list[list[bytes]] = []
    below: dict[int, int] = {}  # rows that a cell above still covers, by column
    for row in rows:
        if not spans and len(row) <= MAX_COLUMNS:
            grid.append([texts.get(cell, b"") for cell in row])
            continue
        columns: list[list[bytes]] = []
        covered = {*below}
        below = {column: count - 1 for column, count in below.items() if count > 1}
        for cell in row:
            while len(columns) in covered:
                columns.append([])
            text = texts.get(cell, b"")
            span, height = spans.get(cell, (1, 1))
            if len(columns) + span > MAX_COLUMNS and columns:  # too wide: the rest goes into the last column
                columns[-1].append(text)
                continue
            if height > 1:
                below |= {len(columns) + column: height - 1 for column in range(span)}
            columns += [[text], *([] for _ in range(span - 1))]
        grid.append([b" ".join(filter(None, column)) for column in columns])
    grid = [row for row in grid if any(row)]
    used = max((column + 1 for row in grid for column, text in enumerate(row) if text), default=0)
    return [row[:used] for row in grid]


def _spans(reader: DraftReader, rows: list[list[int]]) -> dict[int, tuple[int, int]]:
    """How many columns and rows the cells cover that may cover several."""
    attributes, elements = reader.attributes, reader.draft.elements
    opened = [int(elements[row[place], OPENED]) for row in rows for place in (0, -1)]
    source = attributes.source[min(opened, default=0) : max(opened, default=0) + TAG_BYTES].lower()
    if b"colspan" not in source and b"rowspan" not in source:
        return {}
    return {
        cell: (
            min(attributes.number(cell, b"colspan", 1) or 1, MAX_COLUMNS),
            min(attributes.number(cell, b"rowspan", 1), MAX_ROWS),
        )
        for row in rows
        for cell in row
        if attributes.may_have(cell, b"span")
    }
