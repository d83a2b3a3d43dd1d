"""Just enough of the Parquet format to map a column, and to put one column into a file without touching the others.

Field numbers are those of parquet.thrift in apache/parquet-format.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.tokenize.thrift import I64, Struct, read_struct, write_struct

MAGIC = b"PAR1"

_DATA_PAGE, _DATA_PAGE_V2 = 0, 3
_PAGE_HEADERS = {_DATA_PAGE: 5, _DATA_PAGE_V2: 8}  # PageHeader: by type, the number of the field that details it

_ROW_GROUPS = 4  # FileMetaData
_CHUNKS, _BYTES, _ROWS, _COMPRESSED_BYTES = 1, 2, 3, 6  # RowGroup
_CHUNK_OFFSET, _CHUNK_METADATA, _CHUNK_INDEXES = 2, 3, (4, 5, 6, 7)  # ColumnChunk
_PATH, _UNCOMPRESSED, _COMPRESSED, _DATA, _DICTIONARY, _BLOOM = 3, 6, 7, 9, 11, (14, 15)  # ColumnMetaData


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
    footer = _footer(data)
    groups: list[Struct] = footer[_ROW_GROUPS][1][1]
    field = pq.read_schema(pa.BufferReader(data)).field(name)
    side = _column_file(values, field, [group[_ROWS][1] for group in groups])
    chunks: list[Struct] = [group[_CHUNKS][1][1][0] for group in _footer(side)[_ROW_GROUPS][1][1]]
    others = [chunk for group in groups for chunk in group[_CHUNKS][1][1] if _name(chunk) != name]
    for chunk in others:
        for number in _CHUNK_INDEXES:
            chunk.pop(number, None)
        for number in _BLOOM:
            _fields(chunk).pop(number, None)
    end = max(map(_end, others), default=len(MAGIC))
    for group, chunk in zip(groups, chunks, strict=True):
        _swap(group, name, chunk, end - len(MAGIC))
    written = write_struct(footer)
    yield memoryview(data)[:end]
    yield memoryview(side)[len(MAGIC) : _footer_start(side)]
    yield written + struct.pack("<I", len(written)) + MAGIC


def _column_file(values: pa.Array, field: pa.Field, rows: list[int]) -> bytes:
    """A Parquet file of one column, in row groups of `rows` rows each."""
    sink, schema, first = pa.BufferOutputStream(), pa.schema([field]), 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for count in rows:
            writer.write_table(pa.table([values.slice(first, count)], schema=schema), max(count, 1))
            first += count
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _swap(group: Struct, name: str, chunk: Struct, shift: int) -> None:
    """Put `chunk`, moved by `shift` bytes, in place of the group's chunk of the column `name`."""
    chunks = group[_CHUNKS][1][1]
    place = [_name(other) for other in chunks].index(name)
    old, new = _fields(chunks[place]), _fields(chunk)
    for number in (_DATA, _DICTIONARY):
        if number in new:
            new[number] = (I64, new[number][1] + shift)
    for total, part in ((_BYTES, _UNCOMPRESSED), (_COMPRESSED_BYTES, _COMPRESSED)):
        if total in group:
            group[total] = (I64, group[total][1] + new[part][1] - old[part][1])
    chunk[_CHUNK_OFFSET] = (I64, 0)
    chunks[place] = chunk


def _footer_start(data: bytes) -> int:
    return len(data) - 8 - int(struct.unpack("<I", data[-8:-4])[0])


def _footer(data: bytes) -> Struct:
    return read_struct(data, _footer_start(data))[0]


def _fields(chunk: Struct) -> Struct:
    fields: Struct = chunk[_CHUNK_METADATA][1]
    return fields


def _name(chunk: Struct) -> str:
    parts: list[bytes] = _fields(chunk)[_PATH][1][1]
    return b".".join(parts).decode()


def _end(chunk: Struct) -> int:
    """Where the bytes of a column chunk end in the file."""
    fields = _fields(chunk)
    begin: Any = min(fields[number][1] for number in (_DATA, _DICTIONARY) if number in fields)
    return int(begin + fields[_COMPRESSED][1])
