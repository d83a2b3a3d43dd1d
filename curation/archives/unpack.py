"""Unpack the bytes of an archive: gzip members, zstd frames, or uncompressed data.

A file may be a single gzip member, one member per record (as the standards recommend), members cut anywhere, or a
mixture with uncompressed parts. For a damaged member, the bytes before the damage are yielded, then the damage is
reported, and reading resumes at the next place in the file where a record begins. ISA-L inflates in half of zlib's
time; where it reports damage zlib decides, because ISA-L also reports damage in sound members (when a buffer ends
inside a gzip header).

The zstd dictionary of https://iipc.github.io/warc-specifications/specifications/warc-zstd/ is a skippable frame at the
start of the file. A file joined from several has several; each applies up to the next one.

What hostile data can cost is bounded: output per step, windows and dictionaries of zstd, and the work that a search for
the next record spends on bytes that merely look like the start of a member.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

import zstandard
from isal import isal_zlib

from curation.archives.start_lines import ARC_START, MAX_LINE, WARC_START, begins_record, count_types

GZIP, ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
DICTIONARY = b"\x5d\x2a\x4d\x18"
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
BLANK = b"\r\n\t \0"

BUFFER = 1 << 20
"""Bytes read from the file at a time."""

FEED = {"gzip": 1 << 16, "zstd": 1 << 11}
"""Packed bytes to unpack at a time; limits what a decompression bomb yields at once (about 1,000 and 30,000 times as
much)."""

PIECE = 1 << 20
"""Unpacked bytes after which a piece is passed on before its member ends."""

BOMB_BYTES, BOMB_RATIO = 1 << 27, 2_000
"""A member is a decompression bomb if it unpacks to more bytes than this, and to more than this multiple of its packed
size. gzip reaches 1,032 times at most, so its bombs cost about a second per megabyte and are read."""

STEP = 16
"""Packed bytes to unpack at a time to recover the data just before damage."""

PROBE = 1 << 12
"""Packed bytes of a gzip member to unpack to see whether a record begins."""

PROBE_BYTES = 1 << 14
"""Unpacked bytes to look at for the same purpose."""

MEMBER_BYTES = 1 << 24
"""Largest member, unpacked, in which a record that does not begin it is searched for."""

MEMBER_WORK = 16
"""Bytes that a search may unpack for that purpose per byte that it has advanced: hostile data can look like the start
of a member at every tenth byte."""

MAX_WINDOW = 1 << 27
"""Largest window of a zstd frame in bytes: the limit of the zstd command without `--long=31`."""

MAX_DICTIONARY = 1 << 24
"""Largest zstd dictionary in bytes, unpacked; those of archives have about 100 kB."""

MAX_BLOCK = 1 << 17
"""Largest block of a zstd frame in bytes (RFC 8878, section 3.1.1.2)."""

OVERLAP = MAX_LINE + (1 << 12)
"""Bytes by which consecutive windows overlap in a search for a record: more than the patterns are long."""

_ERRORS = cast("tuple[type[Exception], ...]", (zlib.error, isal_zlib.IsalError, zstandard.ZstdError))

_GZIP_WINDOW = 31  # zlib's code for a gzip wrapper and the largest window

_IN_DICTIONARY = (ZSTD, b"\x37\xa4\x30\xec")
_DICTIONARY_START = re.compile(rb"\x5d\x2a\x4d\x18[\x00-\xff]{4}(?:\x28\xb5\x2f\xfd|\x37\xa4\x30\xec)")

# A gzip header as writers make it: no reserved flag, and one of the three values of XFL (RFC 1952).
_CANDIDATE = re.compile(
    rb"\x1f\x8b\x08[\x00-\x1f][\x00-\xff]{4}[\x00\x02\x04]|\x28\xb5\x2f\xfd|"
    + WARC_START.pattern
    + rb"|(?<![^\n])(?="
    + ARC_START
    + rb")"
)


@dataclass(frozen=True, slots=True)
class UnpackedPiece:
    """Unpacked bytes. Consecutive pieces cover the file without a gap.

    Attributes:
        data: The bytes.
        begin: File offset of the first byte that the piece covers.
        end: File offset after the last byte that it covers.
        offset: File offset of the first byte, if it begins a member or is uncompressed.
        packed: Whether the bytes were compressed.
        damage: Why the member ends here: damaged_gzip, damaged_zstd, truncated or too_large. Such a piece has no data;
            its offset is the member's if no piece of that member came before. It covers everything up to the next
            record.
        doubt: Damage that follows soon after, so that these bytes may be wrong.
        last: Whether the member ends with this piece, with a valid checksum.
        whole: Whether the piece is a complete member.
    """

    data: bytes
    begin: int
    end: int
    offset: int | None = None
    packed: bool = True
    damage: str | None = None
    doubt: str | None = None
    last: bool = False

    @property
    def whole(self) -> bool:
        """Whether the piece is a complete member."""
        return self.last and self.offset is not None


class Unpacker:
    """Yields the pieces of a seekable file one by one, starting at its current position."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._raw = _Raw(stream)
        self._dictionaries = Dictionaries(self._raw)
        self._covered = self._raw.position
        self._member_start, self._kind = self._covered, "gzip"
        self._pieces = self._unpack(jumped=self._covered > 0)

    @property
    def covered(self) -> int:
        """File offset up to which the pieces so far cover the file."""
        return self._covered

    def resume(self, offset: int | None) -> None:
        """Continue at `offset`, where a member, a frame or an uncompressed record begins; None is the end."""
        self._raw.seek(offset)
        self._covered = self._raw.position
        self._pieces = self._unpack(jumped=True)

    def dictionary(self, offset: int) -> tuple[int, int] | None:
        """File offset and size in bytes of the zstd dictionary for a frame that `find` found; None without one."""
        return self._dictionaries.place(offset)

    def next(self) -> UnpackedPiece | None:
        """The next piece, or None at the end of the file."""
        return next(self._pieces, None)

    def size(self) -> int:
        """Size of the file in bytes."""
        return self._raw.size()

    def peek(self, offset: int, size: int) -> bytes:
        """Bytes of the file at an offset; fewer than `size` only at its end."""
        return self._raw.peek_at(offset, size)

    def count_types(self, start: int, stop: int) -> int:
        """Number of lines in a part of the file that state the type of a WARC record."""
        count = 0
        for place in range(start, stop, BUFFER):
            before, size = min(place, 1), min(BUFFER, stop - place)
            count += count_types(self._raw.peek_at(place - before, before + size + 32), before, before + size)
        return count

    def damage_ahead(self) -> str | None:
        """The damage in the rest of the member of the last piece; reads the member once more, to its end."""
        raw, here = self._raw, self._raw.position
        try:
            for careful in (False, True):
                engine = self._engine(self._kind, careful=careful)
                raw.seek(self._member_start)
                try:
                    while not engine.eof and (packed := raw.take(FEED[self._kind])):
                        engine.decompress(packed)
                except _ERRORS:
                    continue
                return None
        finally:
            raw.seek(here)
        return f"damaged_{self._kind}"

    def find(self, offset: int) -> int | None:
        """Offset of the next record, or of the next member that begins with one, at or after `offset`."""
        start, size, work = offset, 1 << 14, 0
        while True:
            before = min(offset, 1)
            data = self._raw.peek_at(offset - before, size)
            for match in _CANDIDATE.finditer(data, before):
                place = offset - before + match.start()
                budget = MEMBER_WORK * (place - start) + MEMBER_BYTES - work
                begins, cost = self._begins_record(place, budget)
                work += cost
                if begins:
                    return place
            if len(data) < size:
                return None
            if size > OVERLAP + before:
                offset += size - OVERLAP - before
            size = BUFFER

    def _begins_record(self, offset: int, budget: int) -> tuple[bool, int]:
        """Whether a record or a member with a record begins at an offset, and how many bytes were unpacked to see.

        Args:
            offset: File offset.
            budget: Number of bytes that may be unpacked to search a member for a record that does not begin it.
        """
        data = self._raw.peek_at(offset, PROBE)
        if data.startswith(GZIP):
            return self._member_begins_record(data, offset, budget)
        if data.startswith(ZSTD):
            return self._frame_begins_record(data, offset), 0
        return begins_record(self._raw.peek_at(offset, MAX_LINE)), 0

    def _member_begins_record(self, data: bytes, offset: int, budget: int) -> tuple[bool, int]:
        engine, unpacked = self._engine("gzip", careful=True), b""
        try:
            for part in (data[:64], data[64:512], data[512:]):
                unpacked += engine.decompress(part, PROBE_BYTES)
                if engine.eof or (len(unpacked) > len(b"WARC/0.10 ") and not _may_begin(unpacked)):
                    break
            if begins_record(unpacked):
                return True, 0
            # Members may be cut anywhere, so a complete member in which a record begins is good enough.
            if not unpacked or budget <= 0:
                return False, 0
            engine = self._engine("gzip", careful=True)
            unpacked = engine.decompress(self._raw.peek_at(offset, BUFFER), MEMBER_BYTES)
            return engine.eof and WARC_START.search(unpacked) is not None, len(unpacked) + BUFFER
        except _ERRORS:
            return False, PROBE

    def _frame_begins_record(self, data: bytes, offset: int) -> bool:
        """Whether a zstd frame begins with a record: its first block is unpacked, completely or not at all."""
        try:
            size = zstandard.frame_header_size(data[:18])
            window = zstandard.get_frame_parameters(data[:18]).window_size
        except zstandard.ZstdError:
            return False
        head = int.from_bytes(data[size : size + 3], "little")
        kind, length = head >> 1 & 3, head >> 3
        if length > min(MAX_BLOCK, max(window, 1)) or window > MAX_WINDOW or kind in (1, 3):
            return False
        if kind == 0:
            return begins_record(self._raw.peek_at(offset + size + 3, min(length, MAX_LINE)))
        return self._dictionaries.begins_record(offset, self._raw.peek_at(offset, size + 3 + length))

    def _engine(self, kind: str, *, careful: bool = False) -> Any:
        if kind == "gzip":
            return (zlib if careful else isal_zlib).decompressobj(_GZIP_WINDOW)
        return self._dictionaries.engine(self._member_start)

    def _unpack(self, *, jumped: bool) -> Iterator[UnpackedPiece]:
        raw = self._raw
        if jumped and raw.peek(4) == ZSTD:
            self._frame_begins_record(raw.peek(PROBE), raw.position)  # finds its dictionary
        while head := raw.peek(4):
            if head.startswith(GZIP):
                yield from self._member("gzip")
            elif head == DICTIONARY:
                self._dictionaries.learn(raw.position)
                yield from self._member("zstd")
            elif head == ZSTD or SKIPPABLE.match(head):
                yield from self._member("zstd")
            else:
                yield from self._plain()
                return

    def _piece(self, data: bytes, **options: Any) -> UnpackedPiece:
        """A piece that covers the file from the end of the last one to the current position."""
        begin, self._covered = self._covered, self._raw.position
        return UnpackedPiece(data, begin, self._covered, **options)

    def _plain(self) -> Iterator[UnpackedPiece]:
        """Yield the rest of the file as uncompressed data; the reader calls `resume` where compressed data begins."""
        while True:
            offset = self._raw.position
            data = bytes(self._raw.take(BUFFER))
            if not data:
                return
            yield self._piece(data, offset=offset, packed=False)

    def _member(self, kind: str) -> Iterator[UnpackedPiece]:
        raw = self._raw
        start = self._member_start = raw.position
        self._kind = kind
        engine = self._engine(kind)
        offset: int | None = start
        parts: list[bytes] = []
        size = unpacked = 0
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
            parts.append(data)
            size, unpacked = size + len(data), unpacked + len(data)
            if cause is None and unpacked > max(BOMB_BYTES, BOMB_RATIO * (raw.position - start)):
                cause = "too_large"
            following = None if cause is None else self.find(start + 1)
            if following is not None:
                raw.seek(min(raw.position, following))  # garbage may have been unpacked from the next member
            if cause == "truncated" and following is not None:
                cause = f"damaged_{kind}"
            if size and (engine.eof or size >= PIECE or cause is not None):
                doubt = None if cause == "truncated" else cause
                yield self._piece(b"".join(parts), offset=offset, doubt=doubt, last=engine.eof)
                offset, parts, size = None, [], 0
            if cause is not None:
                raw.seek(following)
                yield self._piece(b"", offset=offset, damage=cause)
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


def _may_begin(unpacked: bytes) -> bool:
    """Whether the first bytes of a member may be the first line of a record."""
    return unpacked.startswith(b"WARC/") or b":" in unpacked[:64]


class Dictionaries:
    """The zstd dictionaries of a file. Each applies to the frames between it and the next one."""

    def __init__(self, raw: _Raw) -> None:
        self._raw = raw
        self._known: dict[int, tuple[int, zstandard.ZstdDecompressor]] = {}
        self._without = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._scanned, self._looked_at_start = 0, False

    def learn(self, offset: int) -> None:
        """Read the dictionary frame at an offset; one that is damaged or too large is ignored."""
        head = self._raw.peek_at(offset, 12)
        size = int.from_bytes(head[4:8], "little")
        if not head.startswith(DICTIONARY) or not head[8:].startswith(_IN_DICTIONARY) or size > MAX_DICTIONARY:
            return
        content = self._raw.peek_at(offset + 8, size)
        try:
            if content.startswith(ZSTD):
                content = self._without.stream_reader(content).read(MAX_DICTIONARY + 1)
            dictionary = zstandard.ZstdCompressionDict(content)
            unpacker = zstandard.ZstdDecompressor(dictionary, max_window_size=MAX_WINDOW)
            unpacker.decompressobj().decompress(b"")
        except zstandard.ZstdError:
            return
        if len(content) <= MAX_DICTIONARY:
            self._known[offset] = 8 + size, unpacker

    def place(self, offset: int) -> tuple[int, int] | None:
        """File offset and size of the dictionary frame that applies at an offset, as far as read; None without one."""
        before = max((place for place in self._known if place < offset), default=None)
        return None if before is None else (before, self._known[before][0])

    def engine(self, offset: int) -> Any:
        """An object that unpacks the frame at an offset that was reached by reading everything before it."""
        place = self.place(offset)
        return (self._without if place is None else self._known[place[0]][1]).decompressobj()

    def begins_record(self, offset: int, block: bytes) -> bool:
        """Whether a frame unpacks to the beginning of a record, with any dictionary before it.

        Args:
            offset: File offset of the frame. What was not read of the file before it is searched for dictionaries.
            block: The frame up to the end of its first block.
        """
        if not self._looked_at_start:
            self._looked_at_start = True
            self.learn(0)
        tried: set[int] = set()
        while True:
            places = sorted((place for place in self._known if place < offset and place not in tried), reverse=True)
            for place in (*places, None):
                try:
                    unpacker = self._without if place is None else self._known[place][1]
                    if begins_record(unpacker.decompressobj().decompress(block)):
                        return True
                except zstandard.ZstdError:
                    continue
            tried.update(places)
            if self._scanned >= offset or not self._known:
                return False
            self._scan(offset)

    def _scan(self, stop: int) -> None:
        """Learn the dictionaries in the part of the file up to an offset that was not scanned before."""
        while self._scanned < stop:
            data = self._raw.peek_at(self._scanned, BUFFER)
            for match in _DICTIONARY_START.finditer(data):
                if (place := self._scanned + match.start()) not in self._known:
                    self.learn(place)
            if len(data) < BUFFER:
                break
            self._scanned += BUFFER - 16
        self._scanned = max(self._scanned, stop)


class _Raw:
    """A buffered stream that can go back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._data, self._at = b"", 0
        self._base = stream.tell()
        self._size: int | None = None

    @property
    def position(self) -> int:
        return self._base + self._at

    def size(self) -> int:
        """Size of the file."""
        if self._size is None:
            self._size = self._stream.seek(0, 2)
            self._stream.seek(self._base + len(self._data))
        return self._size

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
