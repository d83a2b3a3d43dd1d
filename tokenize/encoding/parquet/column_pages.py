"""Just enough of the Parquet format to memory-map a column and to replace one column without rewriting the others.

Field numbers are those of parquet.thrift in apache/parquet-format.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from curation.tokenize.encoding.parquet import footer as parquet
from curation.tokenize.encoding.parquet.footer import MAGIC
from curation.tokenize.encoding.parquet.thrift import I64, Struct, read_struct

_DATA_PAGE, _DATA_PAGE_V2 = 0, 3
_PAGE_HEADERS = {_DATA_PAGE: 5, _DATA_PAGE_V2: 8}  # PageHeader: number of the details field by page type


def single_page(file: bytes | mmap.mmap, offset: int, values: int) -> bool:
    """Whether the page at `offset` is a data page with exactly `values` values."""
    header, _ = read_struct(file, offset)
    details = header.get(_PAGE_HEADERS.get(header[1][1], -1))
    return details is not None and bool(details[1][1][1] == values)


def replace_column(data: bytes, name: str, values: pa.Array) -> Iterator[bytes | memoryview]:
    """Replace a flat column of a Parquet file.

    The bytes of the other columns are copied unchanged; the new column comes after them, followed by a new footer. For
    `token_count` this takes a fraction of the time of writing the corpus again, most of which is compression. Indexes
    and Bloom filters, which are stored after the columns, are dropped. The result depends only on the other columns and
    `values`, so replacing is idempotent.

    Args:
        data: The Parquet file.
        name: Name of the column.
        values: One value per row, of the column's type.

    Returns:
        The new file, in parts to be written one after the other.
    """
    footer = parquet.read_footer(data)
    groups = parquet.row_groups(footer)
    field = pq.read_schema(pa.BufferReader(data)).field(name)
    side = _column_file(values, field, [group[parquet.GROUP_ROWS][1] for group in groups])
    new = [parquet.chunks(group)[0] for group in parquet.row_groups(parquet.read_footer(side))]
    others = [chunk for group in groups for chunk in parquet.chunks(group) if parquet.path(chunk) != name]
    end = max(map(parquet.end, others), default=len(MAGIC))
    for chunk in others:
        parquet.move(chunk, 0)
    for group, chunk in zip(groups, new, strict=True):
        parquet.move(chunk, end - len(MAGIC))
        _swap(group, name, chunk)
    yield memoryview(data)[:end]
    yield memoryview(side)[len(MAGIC) : parquet.footer_start(side)]
    yield parquet.footer_bytes(footer)


def _column_file(values: pa.Array, field: pa.Field, rows: list[int]) -> bytes:
    """A Parquet file with one column, whose row groups have the numbers of rows in `rows`."""
    sink, schema, first = pa.BufferOutputStream(), pa.schema([field]), 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for count in rows:
            writer.write_table(pa.table([values.slice(first, count)], schema=schema), max(count, 1))
            first += count
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _swap(group: Struct, name: str, chunk: Struct) -> None:
    """Replace the row group's chunk of the column `name` by `chunk`."""
    chunks = parquet.chunks(group)
    index = [parquet.path(other) for other in chunks].index(name)
    old, new = parquet.fields(chunks[index]), parquet.fields(chunk)
    sizes = ((parquet.GROUP_BYTES, parquet.UNCOMPRESSED), (parquet.GROUP_COMPRESSED, parquet.COMPRESSED))
    for total, part in sizes:
        if total in group:
            group[total] = (I64, group[total][1] + new[part][1] - old[part][1])
    chunks[index] = chunk
