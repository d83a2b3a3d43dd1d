"""Just enough of the Parquet format to know that a column chunk is one plain page, whose values can be mapped.

A page begins with a Thrift compact-protocol struct (parquet-format, parquet.thrift, PageHeader): 1 type, 2 uncompressed
size, 3 compressed size, 4 checksum (optional), then 5 DataPageHeader or 8 DataPageHeaderV2, either of which begins with
its number of values.
"""

from __future__ import annotations

import mmap

_I32, _STRUCT = 5, 12
_DATA_PAGE, _DATA_PAGE_V2 = 0, 3
_HEADERS = {_DATA_PAGE: 5, _DATA_PAGE_V2: 8}


def single_page(file: bytes | mmap.mmap, offset: int, values: int) -> bool:
    """Whether the page that begins at `offset` is a data page of exactly `values` values."""
    data = memoryview(file)
    field, kind = 0, -1
    while True:
        head = data[offset]
        offset += 1
        field += head >> 4
        if head >> 4 == 0 or head & 15 not in (_I32, _STRUCT):
            return False
        if head & 15 == _STRUCT:
            break
        number, offset = _varint(data, offset)
        if field == 1:
            kind = number
    if field != _HEADERS.get(kind) or data[offset] != (1 << 4 | _I32):
        return False
    return _varint(data, offset + 1)[0] == values


def _varint(data: memoryview, offset: int) -> tuple[int, int]:
    """A zigzag variable-length integer and the offset after it."""
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (value >> 1) ^ -(value & 1), offset
