"""Just enough of the Parquet format to map a column, and to put one column into a file without touching the others.

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
_PAGE_HEADERS = {_DATA_PAGE: 5, _DATA_PAGE_V2: 8}  # PageHeader: by type, the number of the field that details it


def single_page(file: bytes | mmap.mmap, offset: int, values: int) -> bool:
    """Whether the page that begins at `offset` is a data page of exactly `values` values."""
    header, _ = read_struct(file, offset)
    details = header.get(_PAGE_HEADERS.get(header[1][1], -1))
    return details is not None and bool(details[1][1][1] == values)


def replace_column(data: bytes, name: str, values: pa.Array) -> Iterator[bytes | memoryview]:
    """The Parquet file `data` with `values` as its flat column `name`, in parts to be written one after the other.

    The bytes of the other columns are copied as they stand; the new column follows them, and the footer is written
    anew. For `token_count` this takes a fraction of the time of writing the corpus again, most of which is compression.
    Indexes and Bloom filters, which stand behind the columns, are left out. The result depends on the other columns and
    `values` alone: to do it twice is to do it once. `values` are as many as the rows, of the column's type.
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
    """A Parquet file of one column, in row groups of `rows` rows each."""
    sink, schema, first = pa.BufferOutputStream(), pa.schema([field]), 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for count in rows:
            writer.write_table(pa.table([values.slice(first, count)], schema=schema), max(count, 1))
            first += count
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _swap(group: Struct, name: str, chunk: Struct) -> None:
    """Put `chunk` in place of the group's chunk of the column `name`."""
    chunks = parquet.chunks(group)
    place = [parquet.path(other) for other in chunks].index(name)
    old, new = parquet.fields(chunks[place]), parquet.fields(chunk)
    sizes = ((parquet.GROUP_BYTES, parquet.UNCOMPRESSED), (parquet.GROUP_COMPRESSED, parquet.COMPRESSED))
    for total, part in sizes:
        if total in group:
            group[total] = (I64, group[total][1] + new[part][1] - old[part][1])
    chunks[place] = chunk
