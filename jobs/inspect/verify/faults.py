"""What `curate verify` reports: a fault is a file, what is wrong with it, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curation.running.terminal import one_line

SHOWN = 5
"""Maximum number of faults of one kind to report per file; the others are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: Path of the file.
        what: What is wrong.
        expected: What was expected instead.
        row: Row of the file, from 0; None for the whole file.
    """

    file: str
    what: str
    expected: str = ""
    row: int | None = None

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file} row {self.row}"
        return one_line(f"{place}: {self.what}" + (f"; expected {self.expected}" if self.expected else ""))

    def to_json(self) -> dict[str, Any]:
        """Convert to {"file": …, "what": …, "expected": …, "row": …}."""
        return asdict(self)


def some_of(faults: Iterable[Fault]) -> list[Fault]:
    """The first `SHOWN` faults, followed by one with the number of the others."""
    listed = list(faults)
    rest = len(listed) - SHOWN
    if rest <= 0:
        return listed
    return [*listed[:SHOWN], Fault(listed[0].file, f"and {rest:,} more like these")]


def in_rows(file: str, rows: Sequence[int], what: str, expected: str = "") -> list[Fault]:
    """The same fault in several rows of a file."""
    return some_of(Fault(file, what, expected, int(row)) for row in rows)
