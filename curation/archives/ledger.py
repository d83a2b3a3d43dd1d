"""What became of every byte of an archive: part of a record, padding between records, or lost to damage.

Bytes are bytes of the file. Where records are packed, the bytes of a packed stretch are divided among its records in
proportion to their unpacked sizes, so that the three kinds always add up to the file's size.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

RECORDS, PADDING, LOST = "bytes.records", "bytes.padding", "bytes.lost"

SKIPPED_AS_LOST = tuple(
    f"skipped.{cause}"
    for cause in (
        "truncated",
        "wrong_length",
        "garbage",
        "damaged_header",
        "damaged_gzip",
        "damaged_zstd",
        "damaged_parquet",
        "no_text",
        "wrong_type",
        "invalid_json",
        "too_slow",
        "crash",
    )
)
"""Counts of records that are lost because of damage or time, not skipped by a rule."""

MAX_LOSSES = 100
"""Losses listed per file; further ones are counted only."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A stretch of a file from which nothing was read.

    Attributes:
        offset: File offset of its first byte.
        bytes: Length in bytes of the file.
        cause: Why: truncated, wrong_length, garbage, damaged_header, damaged_gzip, damaged_zstd,
            damaged_parquet, no_text, wrong_type, invalid_json, too_slow or crash.
        records: Number of records lost, as far as they can be told.
        row: The first of them, in files of rows; None in archives.
    """

    offset: int
    bytes: int
    cause: str
    records: int
    row: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As in manifests and run.json."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Ledger:
    """Divides a file into records, padding and losses, from its start to its end."""

    def __init__(self, start: int, counts: Counter[str], losses: list[Loss]) -> None:
        """Start at file offset `start`; `counts` is updated with the bytes of each kind, `losses` is appended to."""
        self.position = start
        self._counts, self._losses = counts, losses

    def add(self, end: int, kind: str) -> None:
        """Count the bytes up to file offset `end` as RECORDS or PADDING."""
        if end > self.position:
            self._counts[kind] += end - self.position
            self.position = end

    def lose(self, end: int, cause: str, records: int) -> None:
        """Count the bytes up to file offset `end`, and a number of records, as lost."""
        offset, size = self.position, max(0, end - self.position)
        self._counts[LOST] += size
        self.position += size
        last = self._losses[-1] if self._losses else None
        continues = last is not None and last.offset + last.bytes == offset
        if last is not None and continues and (cause == last.cause or not records or not last.records):
            self._losses[-1] = Loss(last.offset, last.bytes + size, last.cause, last.records + records)
        elif len(self._losses) < MAX_LOSSES and (size or records):
            self._losses.append(Loss(offset, size, cause, records))
