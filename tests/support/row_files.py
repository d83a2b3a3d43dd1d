"""Reads files of rows as a run does, part by part, and damages one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from curation.archives.inputs import find_inputs
from curation.archives.ledger import Loss
from curation.archives.read import read_input
from curation.archives.reader import ReadSettings
from curation.store import schema
from curation.tokenize.encoding.parquet import footer as parquet

Rows = list[dict[str, Any]]

KINDS = ("records", "pages", "skipped")


def read_rows(path: Path, settings: ReadSettings | None = None) -> tuple[Rows, Counter[str], list[Loss]]:
    """The documents of a file, the counts, which must add up, and the losses."""
    counts: Counter[str] = Counter()
    losses: list[Loss] = []
    rows: Rows = []
    for source in find_inputs([str(path)]):
        with source.open() as stream:
            for batch in read_input(stream, source, settings or ReadSettings(), counts, losses=losses):
                assert batch.table.schema.equals(schema.RECORD)
                batch.table.validate(full=True)
                rows += batch.table.to_pylist()
    records, pages, skipped = (sum(n for key, n in counts.items() if key.startswith(f"{kind}.")) for kind in KINDS)
    assert records == pages + skipped
    return rows, counts, losses


def damage_statistics(path: Path, column: str) -> None:
    """Damage a Parquet file so that Arrow ends the process when it looks at the statistics of a column: they are those
    of a column with nulls, which the schema then says it cannot have."""
    nullable, name = b"\x25\x02", b"\x18" + bytes([len(column)]) + column.encode()
    data = path.read_bytes()
    assert data.count(nullable + name) == 1
    path.write_bytes(data.replace(nullable + name, b"\x25\0" + name))


def damage_footer(path: Path, column: str, field: int, value: int) -> None:
    """Write another number into what a Parquet file says about each chunk of a column (`ColumnMetaData`)."""
    data = path.read_bytes()
    footer = parquet.read_footer(data)
    for group in parquet.row_groups(footer):
        for chunk in parquet.chunks(group):
            if parquet.path(chunk) == column:
                parquet.fields(chunk)[field] = (parquet.fields(chunk)[field][0], value)
    path.write_bytes(data[: parquet.footer_start(data)] + parquet.footer_bytes(footer))
