"""Unpack the bytes of an archive: gzip members, zstd frames, or uncompressed data.

A file may be a single gzip member, one member per record (as the standards recommend), members cut anywhere, or a
mixture with uncompressed parts. For a damaged member, the bytes before the damage are yielded, then the damage is
reported, and reading resumes at the next place in the file where a record begins. ISA-L inflates in half of zlib's
time; where it reports damage zlib decides, because ISA-L also reports damage in sound members (when a buffer ends
inside a gzip header).

What hostile data can cost is bounded: the output per step and member, and the windows and dictionaries of zstd.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, cast

import zstandard
from isal import isal_zlib

from curation.archives.allocation import reuse_large_blocks
from curation.archives.budget import PER_BYTE, Budget
from curation.archives.packings import GZIP, GZIP_WINDOW, PACKED, SKIPPABLE, ZSTD
from curation.archives.raw_file import BUFFER, RawFile
from curation.archives.record_search import PROBE, RecordSearch
from curation.archives.start_lines import MAX_LINE, begins_record, count_types
from curation.archives.zstd_dictionaries import Dictionaries

BLANK = b"\r\n\t \0"

FEED = {"gzip": 1 << 16, "zstd": 1 << 11}
"""Packed bytes to unpack at a time; limits what a decompression bomb yields at once (about 1,000 and 30,000 times as
much)."""

SMALL = 1 << 10
"""Packed bytes of a member that is unpacked alone: of more, it takes longer to see where it ends."""

PIECE = 1 << 20
"""Unpacked bytes after which a piece is passed on before its member ends."""

FIRST_PLAIN = 1 << 16
"""Bytes of the first piece of uncompressed data; the next ones are larger. Often, something packed follows damage."""

BOMB_BYTES, BOMB_RATIO = 1 << 27, 2_000
"""A member is a decompression bomb if it unpacks to more bytes than this, and to more than this multiple of its packed
size. gzip reaches 1,032 times at most, so its bombs cost about a second per megabyte and are read. What small members
unpack to beyond that multiple is added up, and each bomb in a file halves the bytes that the next ones may have."""

UNWRITTEN = 64
"""So many zeros at the end of a file are storage that was reserved and never written. They unpack, too: to copies of
what came before them."""

STEP = 16
"""Packed bytes to unpack at a time to recover the data just before damage."""

MAGIC = {"gzip": GZIP, "zstd": ZSTD}

_ERRORS = cast("tuple[type[Exception], ...]", (zlib.error, isal_zlib.IsalError, zstandard.ZstdError))


class UnpackedPiece(NamedTuple):
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
    """Yields the pieces of a seekable file one by one, starting at its current position.

    Attributes:
        budget: Limits what is unpacked of members that are damaged behind the place where the next one begins.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        reuse_large_blocks()
        self._raw = RawFile(stream)
        self._dictionaries = Dictionaries(self._raw)
        self._search = RecordSearch(self._raw, self._dictionaries)
        self._covered = self._raw.position
        self.budget = Budget(self._covered)
        self._member_start, self._kind = self._covered, "gzip"
        self._bomb_bytes, self._excess = BOMB_BYTES, 0
        self._nonzero = 0  # the first byte behind zeros that were looked at last, if any
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

    def find(self, offset: int) -> int | None:
        """Offset of the next record, or of the next member that begins with one, at or after `offset`."""
        return self._search.find(offset)

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
                    while not engine.eof and (packed := self._take(FEED[self._kind])):
                        engine.decompress(packed)
                except _ERRORS:
                    continue
                return None
        finally:
            raw.seek(here)
        return f"damaged_{self._kind}"

    def _take(self, size: int) -> memoryview:
        """The next packed bytes: fewer at the end of the file, none from where it has nothing but zeros."""
        raw = self._raw
        packed = raw.take(size)
        if packed[-UNWRITTEN:] != bytes(UNWRITTEN) or raw.position < self._nonzero:
            return packed
        place, ahead = raw.position, UNWRITTEN
        while part := raw.peek_at(place, ahead):
            if rest := part.lstrip(b"\0"):
                self._nonzero = place + len(part) - len(rest)
                return packed
            place, ahead = place + ahead, min(2 * ahead, BUFFER)
        written = len(bytes(packed).rstrip(b"\0"))
        raw.back(len(packed) - written)
        return packed[:written]

    def _last_bytes(self, engine: Any) -> bytes:
        """What the next zeros of the file unpack to if the member ends in them; else nothing."""
        zeros = self._raw.peek(UNWRITTEN)
        try:
            data: bytes = b"" if zeros.strip(b"\0") else engine.decompress(self._raw.take(UNWRITTEN))
        except _ERRORS:
            return b""
        return data if engine.eof else b""

    def _engine(self, kind: str, *, careful: bool = False) -> Any:
        if kind == "gzip":
            return (zlib if careful else isal_zlib).decompressobj(GZIP_WINDOW)
        return self._dictionaries.engine(self._member_start)

    def _unpack(self, *, jumped: bool) -> Iterator[UnpackedPiece]:
        raw = self._raw
        if jumped and raw.peek(4) == ZSTD:
            self._search.frame_begins_record(raw.peek(PROBE), raw.position)  # finds its dictionary
        while head := raw.peek(4):
            if head.startswith(GZIP):
                yield from self._members("gzip")
            elif head == ZSTD:
                yield from self._members("zstd")
            elif SKIPPABLE.match(head):
                yield from self._skippable()
            else:
                yield from self._plain()
                return

    def _piece(self, data: bytes, **options: Any) -> UnpackedPiece:
        """A piece that covers the file from the end of the last one to the current position."""
        begin, self._covered = self._covered, self._raw.position
        return UnpackedPiece(data, begin, self._covered, **options)

    def _plain(self) -> Iterator[UnpackedPiece]:
        """Yield the rest of the file as uncompressed data; the reader calls `resume` where compressed data begins."""
        size = FIRST_PLAIN
        while True:
            offset = self._raw.position
            data = bytes(self._raw.take(size))
            size = min(2 * size, BUFFER)
            if not data:
                return
            yield self._piece(data, offset=offset, packed=False)

    def _skippable(self) -> Iterator[UnpackedPiece]:
        """Pass over a frame without data, unless its size is wrong, and learn what is in it if it is a dictionary."""
        raw = self._raw
        start = raw.position
        size = int.from_bytes(raw.peek(8)[4:], "little")
        following = raw.peek_at(start + 8 + size, MAX_LINE)
        if following and PACKED.match(following) is None and not begins_record(following.lstrip(BLANK)):
            raw.seek(self._search.find(start + 1))
            yield self._piece(b"", offset=start, damage="damaged_zstd")
            return
        self._dictionaries.learn(start)
        yield from self._members("zstd")

    def _members(self, kind: str) -> Iterator[UnpackedPiece]:
        """Yield the pieces of members or frames, up to damage or to something else."""
        raw, feed, magic = self._raw, FEED[kind], MAGIC[kind]
        self._kind = kind
        while True:
            start = self._member_start = raw.position
            engine = self._engine(kind)
            stop = None if self.budget.allows(start) else self._search.find(start + 1)
            offset: int | None = start
            parts: list[bytes] = []
            size = unpacked = taken = 0
            wanted = raw.distance(magic, len(magic), SMALL) or feed  # what follows is not unpacked, but copied
            while not engine.eof:
                packed = self._take(wanted if stop is None else max(0, min(wanted, stop - raw.position)))
                taken += len(packed)
                wanted = feed - taken % feed
                try:
                    data = engine.decompress(packed) if packed else self._last_bytes(engine)
                    cause = None if packed or engine.eof else "truncated"
                except _ERRORS:
                    engine, data, is_damaged = self._unpack_carefully(kind, start, raw.position - len(packed))
                    cause = f"damaged_{kind}" if is_damaged else None
                if engine.eof:
                    raw.back(len(engine.unused_data))
                parts.append(data)
                size, unpacked = size + len(data), unpacked + len(data)
                is_large = unpacked + self._excess > self._bomb_bytes
                if cause is None and is_large and unpacked > BOMB_RATIO * (raw.position - start):
                    cause = "too_large"
                    self._bomb_bytes, self._excess = self._bomb_bytes // 2, 0
                following = None
                if cause is not None and (following := self._search.find(start + 1)) is not None:
                    if following < raw.position:  # garbage may have been unpacked from the next member
                        self.budget.spend(PER_BYTE * unpacked * (raw.position - following) // (raw.position - start))
                        raw.seek(following)
                    cause = f"damaged_{kind}" if cause == "truncated" else cause
                if size and (engine.eof or size >= PIECE or cause is not None):
                    doubt = None if cause == "truncated" else cause
                    begin, self._covered = self._covered, raw.position
                    data = parts[0] if len(parts) == 1 else b"".join(parts)
                    yield UnpackedPiece(data, begin, self._covered, offset, True, None, doubt, engine.eof)
                    offset, parts, size = None, [], 0
                if cause is not None:
                    raw.seek(following)
                    yield self._piece(b"", offset=offset, damage=cause)
                    return
            self._excess = max(0, self._excess + unpacked - BOMB_RATIO * (raw.position - start))
            if not raw.peek(4).startswith(magic):
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
        raw, engine, before = self._raw, self._engine(kind, careful=True), None
        raw.seek(start)
        parts: list[bytes] = []
        try:
            while raw.position < failed:
                engine.decompress(raw.take(min(FEED[kind], failed - raw.position)))
            while not engine.eof and raw.position < failed + FEED[kind] and (packed := raw.take(STEP)):
                before = engine.copy() if kind == "gzip" else None
                parts.append(engine.decompress(packed))
        except _ERRORS:
            if before is not None:
                parts += _bytewise(before, packed)
            return engine, b"".join(parts), True
        return engine, b"".join(parts), False


def _bytewise(engine: Any, packed: memoryview) -> Iterator[bytes]:
    """What a gzip engine unpacks before the byte at which it fails."""
    for place in range(len(packed)):
        try:
            yield engine.decompress(packed[place : place + 1])
        except _ERRORS:
            return
