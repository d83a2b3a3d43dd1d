"""The funnel as a terminal table, and web text made safe to print."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from curation.report.excerpts import harmless
from curation.report.funnel import Reason, Row

if TYPE_CHECKING:
    from rich.table import Table

REASONS_SHOWN = 6


def printable(text: str) -> str:
    """Make web text safe to print: no control or direction characters, no console markup.

    >>> printable("a\\x1b[bold]b")
    'a�\\\\[bold]b'
    """
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else "�" for c in text))


def one_line(text: str) -> str:
    """Make web text safe for one line of the terminal: no control characters, line breaks or markup."""
    from rich.markup import escape

    return escape(harmless(text).replace("\n", " "))


def titled_table(title: str, *columns: str, **options: Any) -> Table:
    """An empty table with a title in bold; all columns but the first are aligned to the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", **options)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number else "left")
    return table


def funnel_table(rows: Sequence[Row], title: str) -> Table:
    """A table of documents, characters and tokens per stage, with the most frequent reasons for removal."""
    numbers = ("documents in", "out", "kept", "of all", "characters out", "≈ tokens out")
    table = titled_table(printable(title), "stage", *numbers)
    table.add_column("removed because")
    first = next((row.entered for row in rows), 0)
    for row in rows:
        table.add_row(
            printable(row.stage),
            f"{row.entered:,}",
            f"{row.left:,}",
            f"{row.kept_share:.1%}" if row.entered else "",
            f"{row.left / first:.1%}" if first else "",
            f"{row.characters:,}" if row.has_text else "",
            f"{row.tokens:,}" if row.tokens is not None else "",
            ", ".join(filter(None, [f"{row.waiting:,} waiting" if row.waiting else "", _reasons(row.reasons)])),
        )
    return table


def live_table(rows: Sequence[Row]) -> Table:
    """The funnel of a running job: stage, in, out, a bar of the share of all pages, and the most frequent reason."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

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
        top = f"{printable(row.reasons[0].name)} {row.reasons[0].documents:,}" if row.reasons else ""
        top = f"{row.waiting:,} waiting" if row.waiting else top
        bar = ProgressBar(total=max(first, 1), completed=row.left, width=20, finished_style="bar.complete")
        table.add_row(printable(row.stage), f"{row.entered:,}", f"{row.left:,}", bar, f"{share:.0%}", top)
    return table


def _reasons(reasons: Iterable[Reason]) -> str:
    ranked = list(reasons)
    shown = [f"{printable(reason.name)} {reason.documents:,}" for reason in ranked[:REASONS_SHOWN]]
    more = [f"{len(ranked) - REASONS_SHOWN} more"] if len(ranked) > REASONS_SHOWN else []
    return ", ".join(shown + more)
