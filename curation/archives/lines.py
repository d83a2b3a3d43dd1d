"""Lines of a file, packed or not, with their numbers: of the whole file, or of those that begin in a part of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import IO, NamedTuple

from curation.archives.inputs import Input
from curation.archives.packings import GZIP, SKIPPABLE, ZSTD
from curation.archives.unpack import Unpacker

BLOCK = 1 << 20
"""Bytes to read at a time."""


class Line(NamedTuple):
    """A line without its end.

    Attributes:
        row: Its number in the file, from 0.
        offset: File offset of its first byte; of packed files 0.
        size: Its bytes in the file with the line end; of packed files 0.
        data: Its bytes; None if it is longer than allowed.
    """

    row: int
    offset: int
    size: int
    data: bytes | None


class Damaged(Exception):
    """A packed file breaks off or is damaged; what came before was read.

    Attributes:
        cause: truncated, damaged_gzip, damaged_zstd or too_large.
        offset: File offset up to which it was read.
    """

    def __init__(self, cause: str, offset: int) -> None:
        super().__init__(f"{cause} at offset {offset}")
        self.cause, self.offset = cause, offset


def read_lines(stream: IO[bytes], source: Input, longest: int) -> Iterator[Line]:
    """Yield the lines of a file that begin in the part that `source` describes.

    Args:
        stream: The file, at its start.
        source: Its description.
        longest: Largest number of bytes of a line to hold.

    Raises:
        Damaged: The file is packed, and damaged.
    """
    blocks, row, offset, is_packed = _open(stream, source)
    parts: list[bytes] = []
    held = size = 0
    begin = offset
    for block in blocks:
        at = 0
        while at < len(block):
            if not size and not is_packed and begin >= source.end:
                return
            end = block.find(b"\n", at) + 1
            piece = block[at : end or len(block)]
            at, size = at + len(piece), size + len(piece)
            if held + len(piece) <= longest + 2:
                parts.append(piece)
                held += len(piece)
            else:
                parts, held = [], longest + 2
            if end:
                yield _line(row, begin, size, parts, is_packed)
                row, begin, parts, held, size = row + 1, begin + size, [], 0, 0
    if size:
        yield _line(row, begin, size, parts, is_packed)


def _line(row: int, begin: int, size: int, parts: list[bytes], is_packed: bool) -> Line:
    data = b"".join(parts) if parts else None
    if data is not None:
        data = data[:-1] if data.endswith(b"\n") else data
        data = data[3:] if row == 0 and data.startswith(b"\xef\xbb\xbf") else data
    return Line(row, 0 if is_packed else begin, 0 if is_packed else size, data)


def read_unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked, in blocks; Damaged if it is packed, and damaged."""
    return _unpacked(stream) if _is_packed(stream) else _blocks(stream)


def _is_packed(stream: IO[bytes]) -> bool:
    head = stream.read(4)
    stream.seek(0)
    return head.startswith(GZIP) or head == ZSTD or SKIPPABLE.match(head) is not None


def _open(stream: IO[bytes], source: Input) -> tuple[Iterator[bytes], int, int, bool]:
    """The blocks from the first line on, its number, its offset, and whether the file is packed."""
    if _is_packed(stream):
        return _unpacked(stream), 0, 0, True
    if not source.start:
        return _blocks(stream), 0, 0, False
    row = source.first_row if source.first_row is not None else count_lines(stream, 0, source.start)
    stream.seek(source.start - 1)
    offset = source.start - 1
    blocks = _blocks(stream)
    for block in blocks:
        end = block.find(b"\n") + 1
        if end:
            begins_here = offset + end == source.start
            return chain([block[end:]], blocks), row + (not begins_here), offset + end, False
        offset += len(block)
    return iter(()), row, offset, False


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield block


def _unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    unpacker = Unpacker(stream)
    while (piece := unpacker.next()) is not None:
        if piece.damage is not None:
            raise Damaged(piece.damage, piece.begin)
        yield piece.data


def count_lines(stream: IO[bytes], start: int, stop: int) -> int:
    """The number of line ends among the bytes from `start` to `stop`."""
    stream.seek(start)
    count, left = 0, stop - start
    while left > 0 and (block := stream.read(min(BLOCK, left))):
        count += block.count(b"\n")
        left -= len(block)
    return count
