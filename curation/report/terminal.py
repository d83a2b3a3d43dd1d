"""The console of the command line, and the funnel as a table on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from curation.report.excerpts import ExcerptPart
from curation.report.funnel import Reason, Row
from curation.running.terminal import escaped, one_line, unprotected

REASONS_SHOWN = 6


class SafeConsole(Console):
    """A console on which a text only shows: unprintable characters are escaped, and nothing in it is markup."""

    def __init__(self, file: TextIO, width: int | None = None) -> None:
        super().__init__(file=unprotected(file), width=width, highlight=False, markup=False, emoji=False)

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


def titled_table(title: str, *columns: str, **options: Any) -> Table:
    """An empty table with a title in bold; all columns but the first are aligned to the right."""
    table = Table(title=styled(title), title_justify="left", title_style="bold", **options)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    return table


def funnel_table(rows: Sequence[Row], title: str) -> Table:
    """A table of documents, characters and tokens per stage, with the most frequent reasons for removal."""
    numbers = ("documents in", "out", "kept", "of all", "characters out", "≈ tokens out")
    table = titled_table(one_line(title), "stage", *numbers)
    table.add_column("removed because")
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
            styled(", ".join(filter(None, [f"{row.waiting:,} waiting" if row.waiting else "", _reasons(row.reasons)]))),
        )
    return table


def live_table(rows: Sequence[Row]) -> Table:
    """The funnel of a running job: stage, in, out, a bar of the share of all pages, and the most frequent reason."""
    from rich.progress_bar import ProgressBar

    table = Table(box=None, padding=(0, 1), header_style="dim")
    table.add_column("stage")
    table.add_column("in", justify="right")
    table.add_column("out", justify="right")
    table.add_column("of all")
    table.add_column("", justify="right")
    table.add_column("most removed by", no_wrap=True)
    first = next((row.entered for row in rows), 0)
    for row in rows:
        share = row.left / first if first else 0.0
        top = f"{one_line(row.reasons[0].name)} {row.reasons[0].documents:,}" if row.reasons else ""
        top = f"{row.waiting:,} waiting" if row.waiting else top
        bar = ProgressBar(total=max(first, 1), completed=row.left, width=20, finished_style="bar.complete")
        cells = (f"{row.entered:,}", f"{row.left:,}", bar, f"{share:.0%}", styled(top))
        table.add_row(styled(one_line(row.stage)), *cells)
    return table


def _reasons(reasons: Iterable[Reason]) -> str:
    ranked = list(reasons)
    shown = [f"{one_line(reason.name)} {reason.documents:,}" for reason in ranked[:REASONS_SHOWN]]
    more = [f"{len(ranked) - REASONS_SHOWN} more"] if len(ranked) > REASONS_SHOWN else []
    return ", ".join(shown + more)
