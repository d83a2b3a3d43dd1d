"""Unpack the bytes of an archive: gzip members, zstd frames, or uncompressed data.

A file may be a single gzip member, one member per record (as the standards recommend), members cut anywhere, or a
mixture with uncompressed parts. For a damaged member, the bytes before the damage are yielded, then the damage is
reported, and reading resumes at the next place in the file where a record begins. ISA-L inflates in half of zlib's
time; where it reports damage zlib decides, because ISA-L also reports damage in sound members (when a buffer ends
inside a gzip header).

The zstd dictionary of https://iipc.github.io/warc-specifications/specifications/warc-zstd/ is a skippable frame at the
start of the file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import zstandard
from isal import isal_zlib

GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
BLANK = b"\r\n\t \0"

BUFFER = 1 << 20
"""Bytes read from the file at a time."""

FEED = {"gzip": 1 << 16, "zstd": 1 << 13}
"""Packed bytes to unpack at a time; limits what a decompression bomb yields at once (about 1,000 and 30,000 times as
much)."""

STEP = 16
"""Packed bytes to unpack at a time to recover the data just before damage."""

PROBE = {"gzip": 1 << 12, "zstd": 1 << 18}
"""Packed bytes to unpack to see whether a record begins; a zstd block (at most 128 KiB) unpacks completely or not at
all."""

OVERLAP = 1 << 12
"""Bytes by which consecutive buffers overlap in a search for a record: more than the patterns are long."""

_ERRORS = cast("tuple[type[Exception], ...]", (zlib.error, isal_zlib.IsalError, zstandard.ZstdError))

_GZIP_WINDOW = 31  # zlib's code for a gzip wrapper and the largest window

WARC_LINE = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
ARC_LINE = re.compile(
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{0,40}:[^\r\n]*) \S+ (?P<date>\d{12,20}) "
    rb"(?P<rest>[^\r\n]*?)(?P<size>\S+) *\r?\n"
)
"""URL, IP address, date, content type, more fields in version 2, and the length last. URLs may contain spaces."""

WARC_START = re.compile(WARC_LINE.pattern + rb"[A-Za-z-]{2,64}:")
"""The first line of a record and the name of its first field."""

_CANDIDATE = re.compile(
    b"|".join((re.escape(GZIP), re.escape(ZSTD), WARC_START.pattern, rb"(?<![^\n])" + ARC_LINE.pattern))
)


def begins_record(data: bytes) -> bool:
    """Whether unpacked bytes start with the first line of a WARC or ARC record."""
    return bool(WARC_LINE.match(data) or ARC_LINE.match(data))


@dataclass(frozen=True, slots=True)
class UnpackedPiece:
    """Unpacked bytes.

    Attributes:
        data: The bytes.
        offset: File offset of the first byte, if it begins a member or is uncompressed.
        packed: Whether the bytes were compressed.
        damage: Why the member ends here: damaged_gzip, damaged_zstd or truncated. Such a piece has no data; its offset
            is the member's if no piece of that member came before.
        doubt: Damage that follows soon after, so that these bytes may be wrong.
        whole: Whether the piece is a complete member with a valid checksum.
    """

    data: bytes
    offset: int | None = None
    packed: bool = True
    damage: str | None = None
    doubt: str | None = None
    whole: bool = False


class Unpacker:
    """Yields the pieces of a seekable file one by one, starting at its current position."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._raw = _Raw(stream)
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        self._dictionary_known = False
        self._pieces = self._unpack()

    def resume(self, offset: int | None) -> None:
        """Continue at `offset`, where a member, a frame or an uncompressed record begins; None is the end."""
        self._raw.seek(offset)
        self._pieces = self._unpack()

    def next(self) -> UnpackedPiece | None:
        """The next piece, or None at the end of the file."""
        return next(self._pieces, None)

    def find(self, offset: int) -> int | None:
        """Offset of the next record, or of the next member that begins with one, at or after `offset`."""
        while True:
            before = min(offset, 1)
            data = self._raw.peek_at(offset - before, BUFFER)
            for match in _CANDIDATE.finditer(data, before):
                place = offset - before + match.start()
                if self._begins_record(place):
                    return place
            if len(data) < BUFFER:
                return None
            offset += BUFFER - OVERLAP

    def _begins_record(self, offset: int) -> bool:
        data = self._raw.peek_at(offset, OVERLAP)
        kind = "gzip" if data.startswith(GZIP) else "zstd" if data.startswith(ZSTD) else None
        if kind is None:
            return begins_record(data)
        engine = self._engine(kind)
        try:
            unpacked = engine.decompress(self._raw.peek_at(offset, PROBE[kind]))
            if begins_record(unpacked):
                return True
            # Members may be cut anywhere, so a complete member in which a record begins is good enough.
            unpacked += b"" if engine.eof else engine.decompress(self._raw.peek_at(offset + PROBE[kind], BUFFER))
            return engine.eof and WARC_START.search(unpacked) is not None
        except _ERRORS:
            return False

    def _learn_dictionary(self) -> None:
        self._dictionary_known = True
        head = self._raw.peek_at(0, 8)
        if not head.startswith(DICTIONARY):
            return
        content = self._raw.peek_at(8, int.from_bytes(head[4:8], "little"))
        if content.startswith(ZSTD):
            content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        self._dictionary = zstandard.ZstdCompressionDict(content)

    def _engine(self, kind: str, *, careful: bool = False) -> Any:
        if kind == "gzip":
            return (zlib if careful else isal_zlib).decompressobj(_GZIP_WINDOW)
        if not self._dictionary_known:
            self._learn_dictionary()
        return zstandard.ZstdDecompressor(self._dictionary, max_window_size=1 << 31).decompressobj()

    def _unpack(self) -> Iterator[UnpackedPiece]:
        raw = self._raw
        while head := raw.peek(4):
            if head.startswith(GZIP):
                yield from self._member("gzip")
            elif head == ZSTD or SKIPPABLE.match(head):
                yield from self._member("zstd")
            else:
                yield from self._plain()
                return

    def _plain(self) -> Iterator[UnpackedPiece]:
        """Yield the rest of the file as uncompressed data; the reader calls `resume` where compressed data begins."""
        while True:
            offset = self._raw.position
            data = bytes(self._raw.take(BUFFER))
            if not data:
                return
            yield UnpackedPiece(data, offset, packed=False)

    def _member(self, kind: str) -> Iterator[UnpackedPiece]:
        raw, start, engine = self._raw, self._raw.position, self._engine(kind)
        offset: int | None = start
        while not engine.eof:
            fed_from = raw.position
            packed = raw.take(FEED[kind])
            cause = None if packed else "truncated"
            try:
                data = engine.decompress(packed)
            except _ERRORS:
                engine, data, is_damaged = self._unpack_carefully(kind, start, fed_from)
                cause = f"damaged_{kind}" if is_damaged else None
            if engine.eof:
                raw.back(len(engine.unused_data))
            if data:
                yield UnpackedPiece(data, offset, doubt=cause, whole=engine.eof and offset is not None)
                offset = None
            if cause is not None:
                following = self.find(start + 1)
                yield UnpackedPiece(b"", offset, damage=cause if following is None else f"damaged_{kind}")
                raw.seek(following)
                return

    def _unpack_carefully(self, kind: str, start: int, failed: int) -> tuple[Any, bytes, bool]:
        """Unpack a member again with the slower engine, in small steps from where the fast one failed.

        Args:
            kind: "gzip" or "zstd".
            start: File offset of the member.
            failed: File offset of the packed bytes that failed.

        Returns:
            The engine, the bytes it unpacked from the failed part, and whether it also reports damage.
        """
        raw, engine = self._raw, self._engine(kind, careful=True)
        raw.seek(start)
        parts: list[bytes] = []
        try:
            while raw.position < failed:
                engine.decompress(raw.take(min(FEED[kind], failed - raw.position)))
            while not engine.eof and raw.position < failed + FEED[kind] and (packed := raw.take(STEP)):
                parts.append(engine.decompress(packed))
        except _ERRORS:
            return engine, b"".join(parts), True
        return engine, b"".join(parts), False


class _Raw:
    """A buffered stream that can go back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data, self._at = b"", 0
        self._base = stream.tell()

    @property
    def position(self) -> int:
        return self._base + self._at

    def seek(self, offset: int | None) -> None:
        """Move to an offset of the file, or to its end if None."""
        if offset is None:
            offset = self._stream.seek(0, 2)
        elif self._base <= offset <= self._base + len(self._data):
            self._at = offset - self._base
            return
        else:
            self._stream.seek(offset)
        self._data, self._at, self._base = b"", 0, offset

    def back(self, size: int) -> None:
        self.seek(self.position - size)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without consuming them; fewer only at the end."""
        if len(self._data) - self._at < size:
            self._fill(size)
        return self._data[self._at : self._at + size]

    def peek_at(self, offset: int, size: int) -> bytes:
        here = self.position
        self.seek(offset)
        data = self.peek(size)
        self.seek(here)
        return data

    def take(self, size: int) -> memoryview:
        """Consume the next `size` bytes and return them without a copy; fewer only at the end."""
        if len(self._data) - self._at < size:
            self._fill(size)
        data = memoryview(self._data)[self._at : self._at + size]
        self._at += len(data)
        return data

    def _fill(self, size: int) -> None:
        parts = [self._data[self._at :]]
        have = len(parts[0])
        while have < size:
            part = self._stream.read(max(BUFFER, size - have))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._base += self._at
        self._data, self._at = b"".join(parts), 0
