"""What `curate verify` finds: a fault is a file, what is wrong with it, and what was expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curation.report.excerpts import harmless

SHOWN = 5
"""Faults of one kind told of one file; the others are counted."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. row: of the file, from 0; None where the whole file is meant."""

    file: str
    what: str
    expected: str = ""
    row: int | None = None

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file} row {self.row}"
        return harmless(f"{place}: {self.what}" + (f"; expected {self.expected}" if self.expected else ""))

    def to_json(self) -> dict[str, Any]:
        """{"file": …, "what": …, "expected": …, "row": …}."""
        return asdict(self)


def some_of(faults: Iterable[Fault]) -> list[Fault]:
    """The first `SHOWN` faults, then one that counts the rest."""
    found = list(faults)
    rest = len(found) - SHOWN
    if rest <= 0:
        return found
    return [*found[:SHOWN], Fault(found[0].file, f"and {rest:,} more like these")]


def in_rows(file: str, rows: Sequence[int], what: str, expected: str = "") -> list[Fault]:
    """The same fault in several rows of a file."""
    return some_of(Fault(file, what, expected, int(row)) for row in rows)
