"""Undo the codings of HTTP bodies (gzip, deflate, br, zstd), as far as a body is sound and no further than a limit.

A body is fed to its decoder in pieces, so that a decompression bomb ends at the limit and the bytes before any damage
are kept. gzip members (RFC 1952) and zstd frames (RFC 8878) may follow each other; whatever else follows is ignored.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from curation.archives.packings import GZIP, SKIPPABLE, ZSTD

MAGIC = {"gzip": re.compile(re.escape(GZIP)), "zstd": re.compile(re.escape(ZSTD) + b"|" + SKIPPABLE.pattern)}
"""How a body in these codings begins. deflate and br have no such mark: they can decode a few bytes of anything."""

MAX_MEMBERS = 1 << 15
"""Most gzip members or zstd frames in a body; the rest is dropped, as if the body were cut there. Servers that flush
often write a member per kilobyte, which makes 32,768 of the largest page."""

_FIRST_PIECE, _PIECE = 1 << 10, 1 << 16
_ZSTD_PIECE = 1 << 9
"""Packed bytes fed at a time. The first pieces are small, since what follows a member in a piece is copied. Four bytes
of zstd can unpack to 128 KiB, and its decoder has no limit of output: 512 bytes are at most 16 MiB."""


class Unpacked(NamedTuple):
    """What a body unpacks to.

    Attributes:
        data: The unpacked bytes, more than the limit if the limit was reached.
        complete: Whether the packed data ends where it should; data without a magic number must also be all there is.
    """

    data: bytes
    complete: bool


class _Engine(Protocol):
    """One pass through a stream."""

    piece: int
    error: type[Exception]

    def feed(self, packed: memoryview, room: int) -> bytes:
        """Unpack; at most about `room` bytes, after which nothing more is fed."""

    def left(self) -> int | None:
        """Number of bytes of the last piece after the end of the stream; None before the end."""


def unpack(data: bytes | memoryview, coding: str, limit: int) -> Unpacked:
    """Undo one coding.

    Args:
        data: The packed body.
        coding: gzip, deflate (zlib or raw), br or zstd.
        limit: Largest number of bytes wanted; unpacking stops soon after.
    """
    view = memoryview(data)
    if coding == "gzip":
        return _members(lambda: _Zlib(31), view, limit, MAGIC[coding])
    if coding == "zstd":
        return _members(_Zstd, view, limit, MAGIC[coding])
    if coding == "br":
        return _whole(_Brotli, view, limit)
    has_header = len(view) > 1 and view[0] & 15 == 8 and (view[0] << 8 | view[1]) % 31 == 0
    found = [_whole(lambda: _Zlib(15), view, limit)] if has_header else []
    if not found or not found[0].complete:
        found.append(_whole(lambda: _Zlib(-15), view, limit))
    return max(found, key=lambda one: (one.complete, len(one.data)))


def _members(make: Callable[[], _Engine], data: memoryview, limit: int, start: re.Pattern[bytes]) -> Unpacked:
    """Unpack members or frames one after the other."""
    parts: list[bytes] = []
    size = at = 0
    for _ in range(MAX_MEMBERS):
        stream = _Stream(make, data, at, limit + 1 - size)
        for part in stream:
            parts.append(part)
            size += len(part)
        at = stream.at
        if not stream.ended or size > limit:
            return Unpacked(b"".join(parts), False)
        if start.match(data, at) is None:
            return Unpacked(b"".join(parts), True)
    return Unpacked(b"".join(parts), False)


def _whole(make: Callable[[], _Engine], data: memoryview, limit: int) -> Unpacked:
    """Unpack a stream that should end where the data ends."""
    stream = _Stream(make, data, 0, limit + 1)
    unpacked = b"".join(stream)
    return Unpacked(unpacked, stream.ended and stream.at == len(data))


class _Stream:
    """Iterates over the unpacked parts of one stream, up to its end, to damage, or to `room` bytes.

    Attributes:
        at: Position after what was read.
        ended: Whether the stream came to its proper end.
    """

    def __init__(self, make: Callable[[], _Engine], data: memoryview, at: int, room: int) -> None:
        self._make, self._data, self._start, self._room = make, data, at, room
        self.at, self.ended = at, False

    def __iter__(self) -> Iterator[bytes]:
        engine, size, step = self._make(), 0, _FIRST_PIECE
        while self.at < len(self._data) and not self.ended and size < self._room:
            step = min(step, engine.piece)
            piece = self._data[self.at : self.at + step]
            try:
                part = engine.feed(piece, self._room - size)
            except engine.error:
                yield from self._before_damage(piece, self._room - size)
                return
            left = engine.left()
            self.ended = left is not None
            self.at += len(piece) - (left or 0)
            size += len(part)
            step *= 2
            yield part

    def _before_damage(self, piece: memoryview, room: int) -> Iterator[bytes]:
        """What a piece with damage unpacks to byte by byte, by a new engine that has read everything before it."""
        engine, at, step = self._make(), self._start, _FIRST_PIECE
        while at < self.at:
            step = min(step, engine.piece, self.at - at)
            engine.feed(self._data[at : at + step], self._room)
            at, step = at + step, step * 2
        try:
            for place in range(len(piece)):
                part = engine.feed(piece[place : place + 1], room)
                self.at += 1
                room -= len(part)
                yield part
                self.ended = engine.left() is not None
                if self.ended or room <= 0:
                    return
        except engine.error:
            return


class _Zlib:
    piece = _PIECE
    error: type[Exception] = zlib.error

    def __init__(self, bits: int) -> None:
        self._engine = zlib.decompressobj(bits)

    def feed(self, packed: memoryview, room: int) -> bytes:
        return self._engine.decompress(packed, room)

    def left(self) -> int | None:
        return len(self._engine.unused_data) if self._engine.eof else None


class _Zstd:
    piece = _ZSTD_PIECE

    def __init__(self) -> None:
        import zstandard

        self.error: type[Exception] = zstandard.ZstdError
        self._engine: Any = zstandard.ZstdDecompressor().decompressobj()

    def feed(self, packed: memoryview, room: int) -> bytes:
        return bytes(self._engine.decompress(packed))

    def left(self) -> int | None:
        return len(self._engine.unused_data) if self._engine.eof else None


class _Brotli:
    piece = _PIECE

    def __init__(self) -> None:
        import brotli

        self.error: type[Exception] = brotli.error
        self._engine: Any = brotli.Decompressor()

    def feed(self, packed: memoryview, room: int) -> bytes:
        parts = [self._engine.process(bytes(packed), output_buffer_limit=room)]
        while parts[-1] and not self._engine.is_finished() and (room := room - len(parts[-1])) > 0:
            parts.append(self._engine.process(b"", output_buffer_limit=room))  # it holds back what it has unpacked
        return b"".join(parts)

    def left(self) -> int | None:
        return 0 if self._engine.is_finished() else None
