"""Writes Parquet whose first column, lists of one length, is plain and has one page per row group.

A general writer computes levels and copies values list by list, which takes four times as long: the levels of lists of
one length are a repeating pattern, and their values are the array itself. pyarrow writes the other columns, which
follow the lists of their row group.

Field numbers are those of parquet.thrift in apache/parquet-format; levels are as in its Encodings.md, "RLE".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from curation.store.folder import HashingFile
from curation.tokenize.encoding.parquet import footer as parquet
from curation.tokenize.encoding.parquet.footer import MAGIC
from curation.tokenize.encoding.parquet.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, varint, write_struct

_INT32, _PLAIN, _RLE, _UNCOMPRESSED, _DATA_PAGE = 1, 0, 3, 0, 0
_PAGE_TYPE, _PAGE_BYTES, _PAGE_COMPRESSED, _PAGE_DETAILS = 1, 2, 3, 5  # PageHeader


def write_plain_lists(file: HashingFile, table: pa.Table, rows: int, dictionaries: Sequence[str]) -> None:
    """Write a table as Parquet. Each value of the first column takes four bytes; zstd compresses the other columns.

    Args:
        file: Where to write.
        table: Its first column holds fixed-size lists of integers of at most 32 bits, without nulls.
        rows: Rows per row group.
        dictionaries: Paths of the other columns to encode with a dictionary.
    """
    side = _others(table, rows, dictionaries)
    footer, path = _empty(table.schema)
    groups = parquet.row_groups(parquet.read_footer(side))
    file.write(MAGIC)
    for number, group in enumerate(groups):
        lists = table.column(0).slice(number * rows, rows).combine_chunks()
        values = lists.flatten().to_numpy().astype("<u4", copy=False)
        offset = file.tell()
        file.write(_page_start(len(lists), lists.type.list_size))
        file.write(values)
        own, others = _chunk(path, offset, file.tell() - offset, len(values)), parquet.chunks(group)
        first, last = min(map(parquet.begin, others)), max(map(parquet.end, others))
        for chunk in others:
            parquet.move(chunk, file.tell() - first)
        file.write(memoryview(side)[first:last])
        others.insert(0, own)
        for total in (parquet.GROUP_BYTES, parquet.GROUP_COMPRESSED):
            group[total] = (I64, group[total][1] + parquet.fields(own)[parquet.COMPRESSED][1])
        group[parquet.FILE_OFFSET] = (I64, offset)
    footer[parquet.ROWS] = (I64, table.num_rows)
    footer[parquet.ROW_GROUPS] = (LIST, (STRUCT, groups))
    file.write(parquet.footer_bytes(footer))


def _others(table: pa.Table, rows: int, dictionaries: Sequence[str]) -> bytes:
    """A Parquet file with all columns but the first."""
    sink, others = pa.BufferOutputStream(), table.drop_columns([table.column_names[0]])
    with pq.ParquetWriter(
        sink, others.schema, compression="zstd", use_dictionary=[*dictionaries], write_statistics=False
    ) as writer:
        for first in range(0, table.num_rows, rows):
            writer.write_table(others.slice(first, rows), rows)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _empty(schema: pa.Schema) -> tuple[Struct, list[bytes]]:
    """The footer of a file without rows, and the path of its first column."""
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, schema).close()
    data = sink.getvalue().to_pybytes()
    path = pq.ParquetFile(pa.BufferReader(data)).schema.column(0).path
    return parquet.read_footer(data), path.encode().split(b".")


def _page_start(lists: int, length: int) -> bytes:
    """Header and levels of a data page. The first value of each list has repetition level 0, the others 1; no nulls."""
    repetition = (varint(1 << 1) + b"\0" + varint(length - 1 << 1) + b"\1") * lists
    definition = varint(lists * length << 1) + b"\1"
    levels = b"".join(struct.pack("<I", len(level)) + level for level in (repetition, definition))
    size = (I32, len(levels) + lists * length * 4)
    details = {1: (I32, lists * length), 2: (I32, _PLAIN), 3: (I32, _RLE), 4: (I32, _RLE)}
    header = {
        _PAGE_TYPE: (I32, _DATA_PAGE),
        _PAGE_BYTES: size,
        _PAGE_COMPRESSED: size,
        _PAGE_DETAILS: (STRUCT, details),
    }
    return write_struct(header) + levels


def _chunk(path: list[bytes], offset: int, size: int, values: int) -> Struct:
    """The column chunk of one page."""
    details = {
        parquet.TYPE: (I32, _INT32),
        parquet.ENCODINGS: (LIST, (I32, [_RLE, _PLAIN])),
        parquet.PATH: (LIST, (BINARY, path)),
        parquet.CODEC: (I32, _UNCOMPRESSED),
        parquet.VALUES: (I64, values),
        parquet.UNCOMPRESSED: (I64, size),
        parquet.COMPRESSED: (I64, size),
        parquet.DATA: (I64, offset),
    }
    return {parquet.CHUNK_OFFSET: (I64, 0), parquet.CHUNK_METADATA: (STRUCT, details)}
