"""Reads and writes Thrift structs in the compact protocol, the encoding of Parquet's footers and page headers.

A struct is a mapping of field numbers to (type, value); field names are not known here. Whatever is not changed is
written back as it was read. The protocol is described in thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

Struct = dict[int, tuple[int, Any]]
"""Field number → (type, value). The value of a list is (element type, values)."""

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12


def read_struct(data: bytes | mmap.mmap, offset: int = 0) -> tuple[Struct, int]:
    """Read the struct at `offset`; returns it and the offset after it.

    Raises:
        ValueError: It has a type that Parquet does not use.
    """
    fields: Struct = {}
    number = 0
    while head := data[offset]:
        offset += 1
        if head >> 4:
            number += head >> 4
        else:
            number, offset = _read_signed(data, offset)
        kind = head & 15
        if kind in (TRUE, FALSE):
            fields[number] = (kind, kind == TRUE)
        else:
            value, offset = _read_value(data, offset, kind)
            fields[number] = (kind, value)
    return fields, offset + 1


def _read_value(data: bytes | mmap.mmap, offset: int, kind: int) -> tuple[Any, int]:
    if kind in (I16, I32, I64):
        return _read_signed(data, offset)
    if kind in (TRUE, FALSE, BYTE):
        return data[offset], offset + 1
    if kind == DOUBLE:
        return data[offset : offset + 8], offset + 8
    if kind == BINARY:
        length, offset = _read_varint(data, offset)
        return data[offset : offset + length], offset + length
    if kind in (LIST, SET):
        return _read_list(data, offset)
    if kind == STRUCT:
        return read_struct(data, offset)
    raise ValueError(f"unsupported type {kind} in Thrift's compact protocol at byte {offset}")


def _read_list(data: bytes | mmap.mmap, offset: int) -> tuple[Any, int]:
    head = data[offset]
    offset += 1
    count, kind = head >> 4, head & 15
    if count == 15:
        count, offset = _read_varint(data, offset)
    values = []
    for _ in range(count):
        value, offset = _read_value(data, offset, kind)
        values.append(value)
    return (kind, values), offset


def _read_varint(data: bytes | mmap.mmap, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, offset


def _read_signed(data: bytes | mmap.mmap, offset: int) -> tuple[int, int]:
    value, offset = _read_varint(data, offset)
    return (value >> 1) ^ -(value & 1), offset


def write_struct(fields: Struct) -> bytes:
    """Encode a struct; the inverse of `read_struct`."""
    parts: list[bytes] = []
    _write_struct(fields, parts.append)
    return b"".join(parts)


def _write_struct(fields: Struct, put: Callable[[bytes], None]) -> None:
    before = 0
    for number, (kind, value) in sorted(fields.items()):
        step = number - before
        put(bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _signed(number))
        if kind not in (TRUE, FALSE):
            _write_value(kind, value, put)
        before = number
    put(b"\0")


def _write_value(kind: int, value: Any, put: Callable[[bytes], None]) -> None:
    if kind in (I16, I32, I64):
        put(_signed(value))
    elif kind in (TRUE, FALSE, BYTE):
        put(bytes([value]))
    elif kind == DOUBLE:
        put(value)
    elif kind == BINARY:
        put(varint(len(value)) + value)
    elif kind in (LIST, SET):
        element, values = value
        put(bytes([len(values) << 4 | element]) if len(values) < 15 else bytes([0xF0 | element]) + varint(len(values)))
        for part in values:
            _write_value(element, part, put)
    else:
        _write_struct(value, put)


def varint(value: int) -> bytes:
    """Encode an integer with seven bits per byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _signed(value: int) -> bytes:
    return varint(value << 1 ^ value >> 63)
