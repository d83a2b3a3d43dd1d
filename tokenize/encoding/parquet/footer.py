"""The footer of a Parquet file: reads where its column chunks are, moves them, and writes the footer back.

Field numbers are those of parquet.thrift in apache/parquet-format.
"""

from __future__ import annotations

import struct

from curation.tokenize.encoding.parquet.thrift import I64, Struct, read_struct, write_struct

MAGIC = b"PAR1"

ROWS, ROW_GROUPS = 3, 4  # FileMetaData
CHUNKS, GROUP_BYTES, GROUP_ROWS, FILE_OFFSET, GROUP_COMPRESSED = 1, 2, 3, 5, 6  # RowGroup
CHUNK_OFFSET, CHUNK_METADATA, CHUNK_INDEXES = 2, 3, (4, 5, 6, 7)  # ColumnChunk
TYPE, ENCODINGS, PATH, CODEC, VALUES = 1, 2, 3, 4, 5  # ColumnMetaData
UNCOMPRESSED, COMPRESSED, DATA, DICTIONARY, BLOOM = 6, 7, 9, 11, (14, 15)


def footer_start(data: bytes | memoryview) -> int:
    """Offset of the footer in a file, which is where its columns end."""
    return len(data) - 8 - int(struct.unpack("<I", data[-8:-4])[0])


def read_footer(data: bytes) -> Struct:
    """Read the FileMetaData of a file."""
    return read_struct(data, footer_start(data))[0]


def footer_bytes(footer: Struct) -> bytes:
    """Everything that follows a file's columns."""
    encoded = write_struct(footer)
    return encoded + struct.pack("<I", len(encoded)) + MAGIC


def row_groups(footer: Struct) -> list[Struct]:
    """The RowGroups of a file."""
    groups: list[Struct] = footer[ROW_GROUPS][1][1]
    return groups


def chunks(group: Struct) -> list[Struct]:
    """The ColumnChunks of a row group; they can be changed in place."""
    columns: list[Struct] = group[CHUNKS][1][1]
    return columns


def fields(chunk: Struct) -> Struct:
    """The ColumnMetaData of a chunk."""
    metadata: Struct = chunk[CHUNK_METADATA][1]
    return metadata


def path(chunk: Struct) -> str:
    """The path of a chunk's column, for example "document_ids.list.element"."""
    parts: list[bytes] = fields(chunk)[PATH][1][1]
    return b".".join(parts).decode()


def begin(chunk: Struct) -> int:
    """Offset in the file at which a chunk begins."""
    return min(int(fields(chunk)[number][1]) for number in (DATA, DICTIONARY) if number in fields(chunk))


def end(chunk: Struct) -> int:
    """Offset in the file at which a chunk ends."""
    return begin(chunk) + int(fields(chunk)[COMPRESSED][1])


def move(chunk: Struct, shift: int) -> None:
    """Move a chunk `shift` bytes forward. Drops its indexes and Bloom filters, which do not move with it."""
    for number in CHUNK_INDEXES:
        chunk.pop(number, None)
    values = fields(chunk)
    for number in BLOOM:
        values.pop(number, None)
    for number in (DATA, DICTIONARY):
        if number in values:
            values[number] = (I64, values[number][1] + shift)
    chunk[CHUNK_OFFSET] = (I64, 0)
