"""The console of the command line, and the funnel as a table on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from curation.report.excerpts import ExcerptPart
from curation.report.funnel import Reason, Row
from curation.report.tables import NARROW, FittedTable, units
from curation.running.terminal import discard_results, escaped, one_line, unprotected

REASONS_SHOWN = 6

LEAST_REASONS = 24
"""Width of the reasons in the funnel, so that a few of them are in a line."""


class SafeConsole(Console):
    """A console on which a text only shows: unprintable characters are escaped, and nothing in it is markup.

    With the environment variable NO_COLOR, it writes no styles at all, bold included.
    """

    def __init__(self, file: TextIO, width: int | None = None) -> None:
        colors: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
        options: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "color_system": colors}
        super().__init__(file=unprotected(file), width=width, **options)

    def on_broken_pipe(self) -> None:
        """Go on without printing if it was results, of which the reader has seen enough."""
        if self.file is not unprotected(sys.stdout):
            super().on_broken_pipe()
        self.quiet = True
        discard_results()

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a text, already escaped so that it is laid out as wide as it is shown."""
        return super().render_str(escaped(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render anything; what is not a command of rich itself is escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=escaped(segment.text))


def styled(*parts: str | tuple[str, str]) -> Text:
    """A text of several parts, each plain or with a style: `styled(("report", "bold"), " of a run")`."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((escaped(text), style) for text, style in pairs))


def print_field(name: str, value: object, console: Console) -> None:
    """Print a name and, in a column that a longer name pushes to the right, its value on one line."""
    console.print(f"{name:<20} {one_line(str(value))}", soft_wrap=True)


_KINDS = {
    "text": ("{}", ""),
    "mark": ("»{}«", "bold reverse"),
    "mask": ("<{}>", "dim"),
    "gap": (" [… {} characters …] ", "dim"),
}
"""How each kind of part of an excerpt is shown: with signs, and in a style for terminals."""


def marked(pieces: Iterable[ExcerptPart]) -> Text:
    """An excerpt: what decided between » and «, personal data as <kind>, and the length of what is left out."""
    shown = ((*_KINDS[piece.kind], piece.text) for piece in pieces)
    return styled(*((signs.format(text), style) for signs, style, text in shown))


def funnel_table(rows: Sequence[Row], title: str) -> FittedTable:
    """A table of documents, characters and tokens per stage, with the most frequent reasons for removal."""
    names = ("stage", "documents in", "out", "kept", "of all", "characters out", "≈ tokens out", "removed because")
    table = FittedTable(*names, title=one_line(title), left=(0, 7), optional=(5, 4, 6), least={7: LEAST_REASONS})
    first = next((row.entered for row in rows), 0)
    for row in rows:
        table.add_row(
            styled(one_line(row.stage)),
            f"{row.entered:,}",
            f"{row.left:,}",
            f"{row.kept_share:.1%}" if row.entered else "",
            f"{row.left / first:.1%}" if first else "",
            f"{row.characters:,}" if row.has_text else "",
            f"{row.tokens:,}" if row.tokens is not None else "",
            units(
                *([f"{row.waiting:,} waiting"] if row.waiting else []), *_reasons(row.reasons), *_of_earlier_runs(row)
            ),
        )
    return table


def live_table(rows: Sequence[Row], width: int = NARROW) -> Table:
    """The funnel of a running job: stage, in, out, the share of all pages, and the most frequent reason.

    Args:
        rows: The funnel.
        width: Columns of the terminal; from NARROW on, the share is also drawn as a bar.
    """
    from rich.progress_bar import ProgressBar

    table = Table(box=None, padding=(0, 1), header_style="dim")
    for name in ("stage", "in", "out"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for name in ("of all", "") if width >= NARROW else ("of all",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("most removed by", overflow="fold")
    first = next((row.entered for row in rows), 0)
    for row in rows:
        share = row.left / first if first else 0.0
        top = f"{one_line(row.reasons[0].name)} {row.reasons[0].documents:,}" if row.reasons else ""
        top = f"{row.waiting:,} waiting" if row.waiting else top
        bar = ProgressBar(total=max(first, 1), completed=row.left, width=20, finished_style="bar.complete")
        cells: list[RenderableType] = [f"{row.entered:,}", f"{row.left:,}", *([bar] if width >= NARROW else [])]
        table.add_row(styled(one_line(row.stage)), *cells, f"{share:.0%}", styled(top))
    return table


def _of_earlier_runs(row: Row) -> list[str]:
    """How many removed documents are in earlier runs, where there are any, and in this run alone."""
    if row.of_earlier_runs is None or not row.removed:
        return []
    return [f"of these {row.of_earlier_runs:,} in earlier runs", f"{row.removed - row.of_earlier_runs:,} in this run"]


def _reasons(reasons: Iterable[Reason]) -> list[str]:
    ranked = list(reasons)
    shown = [f"{one_line(reason.name)} {reason.documents:,}" for reason in ranked[:REASONS_SHOWN]]
    more = [f"{len(ranked) - REASONS_SHOWN} more"] if len(ranked) > REASONS_SHOWN else []
    return shown + more
