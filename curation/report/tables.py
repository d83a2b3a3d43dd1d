"""Tables for the terminal that fit its width: names and numbers are never cut.

A table is drawn with lines if its words fit. If not, it is drawn without them, then without the columns that the rest
does without. What is too long even then goes on in the next line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from curation.running.terminal import escaped

NARROW = 110
"""Columns of a terminal below which optional columns are left out."""

GAP = 2
"""Spaces between columns without lines."""

INDENT = "  "
"""Before the rows of a group."""


@dataclass(frozen=True, slots=True)
class Units:
    """A cell of several units, separated by commas, of which none is broken over two lines."""

    parts: tuple[str, ...]

    def packed(self, width: int) -> Text:
        """The units in lines of at most this width, unless a unit is longer."""
        lines: list[str] = []
        for part in self.parts:
            if lines and cell_len(f"{lines[-1]} {part}") <= width:
                lines[-1] += f" {part}"
            else:
                lines.append(part)
        return Text("\n".join(lines))


def _text(cell: Text | Units, width: int = 1 << 16) -> Text:
    return cell.packed(width) if isinstance(cell, Units) else cell


def units(*parts: str) -> Units:
    """A cell with these units: "a 1", "b 2" → "a 1, b 2"."""
    return Units(tuple(f"{escaped(part)}{',' if number < len(parts) else ''}" for number, part in enumerate(parts, 1)))


Cell = Text | Units


@dataclass(frozen=True, slots=True)
class _Row:
    cells: tuple[Cell, ...]
    style: str = ""
    is_last: bool = False


class FittedTable:
    """A table that chooses its layout when it is printed.

    Args:
        *columns: Names of the columns.
        title: Above the table.
        left: Numbers of the columns aligned to the left; the others are aligned to the right.
        optional: Numbers of columns to leave out below NARROW, and above it, the first one first, if they do not fit.
        least: Widths that columns should have at least, by their numbers.
        grouped: Whether the values of the first column become lines of their own on a narrow terminal.
        header: Whether to show the names of the columns.
        lines: Whether to separate rows by lines.
    """

    def __init__(
        self,
        *columns: str,
        title: str = "",
        left: Sequence[int] = (0,),
        optional: Sequence[int] = (),
        least: dict[int, int] | None = None,
        grouped: bool = False,
        header: bool = True,
        lines: bool = False,
    ) -> None:
        self.columns = [Text(escaped(name)) for name in columns]
        self.title, self.caption = title, ""
        self._left, self._optional, self._least = left, optional, least or {}
        self._grouped, self._header, self._lines = grouped, header, lines
        self._rows: list[_Row] = []

    def add_row(self, *cells: str | Cell, style: str = "") -> None:
        """Add a row."""
        texts = tuple(Text(escaped(cell)) if isinstance(cell, str) else cell for cell in cells)
        self._rows.append(_Row(texts, style))

    def add_section(self) -> None:
        """Separate the rows so far from those that follow."""
        last = self._rows[-1]
        self._rows[-1] = _Row(last.cells, last.style, is_last=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Lay the table out for this width."""
        if self.title:
            yield Text(escaped(self.title), style="bold")
        yield self._laid_out(options.max_width)
        if self.caption:
            yield Text(escaped(self.caption), style="dim")

    def _laid_out(self, width: int) -> Table:
        everything = list(range(len(self.columns)))
        indent = len(INDENT) if self._grouped else 0
        if width >= NARROW or not self._optional:
            widths = self._widths(everything, width - 3 * len(everything) - 1)
            if widths is not None:
                return self._table(everything, widths, lined=True)
        shown = everything[1:] if self._grouped else everything
        left_out = list(self._optional)
        while True:
            room = width - GAP * (len(shown) - 1) - indent
            widths = self._widths(shown, room)
            if widths is not None and (width >= NARROW or not left_out):
                return self._table(shown, widths, lined=False)
            if not left_out:
                return self._table(shown, self._folded(shown, room), lined=False)
            shown = [column for column in shown if column != left_out[0]]
            del left_out[0]

    def _needs(self, column: int) -> tuple[int, int]:
        """The widths of the longest word and of the longest line of a column."""
        words, whole = [self._least.get(column, 1)], [1]
        if self._grouped and column == 1:  # has the groups' names in it
            words += [cell_len(_text(row.cells[0]).plain) - len(INDENT) for row in self._rows]
        for cell in (*(row.cells[column] for row in self._rows), *([self.columns[column]] if self._header else [])):
            if isinstance(cell, Units):
                words += map(cell_len, cell.parts)
                whole.append(cell_len(" ".join(cell.parts)))
            else:
                words += map(cell_len, cell.plain.split())
                whole += map(cell_len, cell.plain.split("\n"))
        return max(words), max(*words, *whole)

    def _widths(self, shown: Sequence[int], room: int) -> list[int] | None:
        """The width of each column so that no word is broken; None if there is no room for that."""
        needs = [self._needs(column) for column in shown]
        widths = [least for least, _ in needs]
        spare = room - sum(widths)
        if spare < 0:
            return None
        by_wish = sorted(range(len(shown)), key=lambda number: needs[number][1] - needs[number][0])
        for position, number in enumerate(by_wish):
            more = min(needs[number][1] - needs[number][0], spare // (len(by_wish) - position))
            widths[number] += more
            spare -= more
        return widths

    def _folded(self, shown: Sequence[int], room: int) -> list[int]:
        """Widths for too little room: the widest columns give way first."""
        widths = [self._needs(column)[0] for column in shown]
        while sum(widths) > max(room, len(shown)):
            widths[widths.index(max(widths))] -= 1
        return widths

    def _table(self, shown: Sequence[int], widths: Sequence[int], *, lined: bool) -> Table:
        if lined:
            table = Table(show_header=self._header, show_lines=self._lines)
        else:
            table = Table(
                box=box.SIMPLE_HEAD,
                show_edge=False,
                pad_edge=False,
                padding=(0, GAP - 1, 0, 0),
                show_header=self._header,
            )
        indent = "" if 0 in shown else INDENT
        for column, width in zip(shown, widths, strict=True):
            justify: Literal["left", "right"] = "left" if column in self._left else "right"
            extra = len(indent) if column == shown[0] else 0
            table.add_column(self.columns[column], justify=justify, width=width + extra, overflow="fold")
        before = None
        for row in self._rows:
            if indent and row.cells[0] != before:
                before = row.cells[0]
                table.add_row(_text(before))
            cells = [_text(row.cells[column], width) for column, width in zip(shown, widths, strict=True)]
            table.add_row(Text(indent) + cells[0], *cells[1:], style=row.style, end_section=row.is_last and lined)
        return table
