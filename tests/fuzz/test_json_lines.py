"""Any bytes as JSON Lines: documents, counted rows, or a file that is refused; never anything else."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any

import zstandard
from fuzzing import fuzz

from curation.archives.inputs import Input
from curation.archives.ledger import Loss
from curation.archives.read import read_input
from curation.archives.reader import ReadSettings
from curation.errors import UnreadableArchive

ROWS = ({"text": "A.", "id": 1}, {"text": "Ä \ud800", "metadata": {"url": "u"}}, {"text": None}, {"html": "<p>"}, [1])
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
SEEDS = [LINES, gzip.compress(LINES), zstandard.compress(LINES), b"\xef\xbb\xbf" + LINES * 3]
WORDS = [
    b"\n",
    b"\r\n",
    b"{",
    b"}",
    b'"text":',
    b"null",
    b"1e999",
    b"NaN",
    b"\\ud800",
    b"\xff",
    b"[" * 3000,
    b"9" * 5000,
]
PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", *(bytes([byte]) + b"\x2a\x4d\x18" for byte in range(0x50, 0x60)))


def check(data: bytes) -> None:
    """Read everything, whole and in two parts; rows and bytes add up, and parts give the rows of the whole."""
    whole, middle = Input("a.jsonl", len(data), ""), len(data) // 2
    rows = read(data, [whole])
    if middle and not data.startswith((*PACKED, b"\x5d\x2a\x4d\x18")):
        assert read(data, [replace(whole, stop=middle), replace(whole, start=middle)]) == rows


def read(data: bytes, sources: list[Input]) -> list[dict[str, Any]]:
    """The documents of all parts; the counts must add up."""
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    rows: list[dict[str, Any]] = []
    for source in sources:
        with suppress(UnreadableArchive):
            for batch in read_input(io.BytesIO(data), source, ReadSettings(), counts, losses=losses):
                batch.table.validate(full=True)
                rows += batch.table.to_pylist()
    total: Counter[str] = Counter()
    for name, count in counts.items():
        total[name.partition(".")[0]] += count
    assert total["records"] == total["pages"] + total["skipped"], counts
    assert total["pages"] == len(rows)
    return rows


def test_any_lines_are_accounted_for() -> None:
    """No exception but UnreadableArchive, no hang, and every row in one of the counts, whatever the parts."""
    fuzz(check, SEEDS, WORDS)
