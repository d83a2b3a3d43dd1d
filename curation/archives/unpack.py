"""From the bytes of an archive to unpacked pieces: gzip members, zstd frames, or what is not packed at all.

A file may be one gzip member, one a record (as the standards advise), members cut anywhere, or a mixture with plain
parts. Where a member is damaged, what unpacks before the damage is given, then the damage is named, then reading is
taken up at the next place in the file where a record begins. ISA-L inflates in half of zlib's time; zlib has the last
word where ISA-L finds damage, for it finds some in sound members (a gzip header cut in two by a buffer's end).

zstd: the dictionary of https://iipc.github.io/warc-specifications/specifications/warc-zstd/ is a skippable frame at
the start of the file.
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
"""Packed bytes unpacked at a time; bounds what a bomb unpacks to at once (about 1,000 and 30,000 times as much)."""

STEP = 16
"""Packed bytes unpacked at a time to get what stands before damage."""

PROBE = {"gzip": 1 << 12, "zstd": 1 << 18}
"""Packed bytes unpacked to see what begins there; a zstd block (128 KiB at most) unpacks as a whole or not at all."""

OVERLAP = 1 << 12
"""Bytes looked at again with the next ones while looking for a record: more than the beginnings looked for."""

_ERRORS = cast("tuple[type[Exception], ...]", (zlib.error, isal_zlib.IsalError, zstandard.ZstdError))

_GZIP_WINDOW = 31  # zlib's number for a gzip wrapper and the largest window

WARC_LINE = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n")
ARC_LINE = re.compile(
    rb"(?P<url>[A-Za-z][A-Za-z0-9+.-]{0,40}:[^\r\n]*) \S+ (?P<date>\d{12,20}) "
    rb"(?P<rest>[^\r\n]*?)(?P<size>\S+) *\r?\n"
)
"""URL, address, date, content type, in version 2 more fields, and last the length. URLs may have spaces in them."""

WARC_START = re.compile(WARC_LINE.pattern + rb"[A-Za-z-]{2,64}:")
"""A record's first line and the name of its first field."""

_CANDIDATE = re.compile(
    b"|".join((re.escape(GZIP), re.escape(ZSTD), WARC_START.pattern, rb"(?<![^\n])" + ARC_LINE.pattern))
)


def begins_record(data: bytes) -> bool:
    """Whether unpacked bytes begin with the first line of a WARC or ARC record."""
    return bool(WARC_LINE.match(data) or ARC_LINE.match(data))


@dataclass(frozen=True, slots=True)
class UnpackedPiece:
    """Unpacked bytes. `offset`: where in the file they begin, if they begin a member or are not packed.

    damage: the member ends here, and why: damaged_gzip, damaged_zstd or truncated. No bytes then; the offset is the
    member's if nothing of it came before. doubt: the damage that comes soon after, so that these bytes may be wrong.
    whole: the piece is all of a member, its checksum proved.
    """

    data: bytes
    offset: int | None = None
    packed: bool = True
    damage: str | None = None
    doubt: str | None = None
    whole: bool = False


class Unpacker:
    """Pieces of a seekable file from its present position on, one after the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._raw = _Raw(stream)
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        self._dictionary_known = False
        self._pieces = self._unpack()

    def resume(self, offset: int | None) -> None:
        """Go on at `offset`, where a member, a frame or a plain record begins; None is the end."""
        self._raw.seek(offset)
        self._pieces = self._unpack()

    def next(self) -> UnpackedPiece | None:
        """The next piece, or None at the end of the file."""
        return next(self._pieces, None)

    def find(self, offset: int) -> int | None:
        """Where, at or after `offset`, the next record, or member that begins with one, begins."""
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
            # Members may be cut anywhere: one that is whole and in which a record begins will do.
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
        """All the rest: whoever reads it says, by `resume`, where something else begins."""
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
        """Feed the member again, by another engine, the part that failed in small steps.

        Returns the engine, what it unpacks of that part, and whether it too finds damage.
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
    """Buffered reading of a stream, with going back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data, self._at = b"", 0
        self._base = stream.tell()

    @property
    def position(self) -> int:
        return self._base + self._at

    def seek(self, offset: int | None) -> None:
        """Go to an offset of the file, or to its end."""
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
        """The next `size` bytes, fewer only at the end."""
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
        """The next `size` bytes, not copied; fewer only at the end."""
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
