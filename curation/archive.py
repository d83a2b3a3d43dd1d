"""Records of WARC and ARC files, whatever shape the file is in.

fastwarc reads what is well formed. Where it meets damage it stops; reading is then taken up at the next place where a
record begins: a gzip member or zstd frame that unpacks into a record's first bytes, or in an uncompressed file a line
that begins one. A record that the file's end cuts short is counted and left out. ARC (version 1), which fastwarc does
not read, is parsed here.
"""

from __future__ import annotations

import io
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from curation.errors import CurationError

GZIP, ZSTD, ZSTD_DICTIONARY = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x5d\x2a\x4d\x18"
WARC_START = b"WARC/"
ARC_START = b"filedesc:"

SCAN = 1 << 20
"""Bytes read at a time while looking for the next record."""

CARRIED = 64
"""Bytes of one scan looked at again with the next: more than the beginning of a record that is looked for."""

PROBE = 1 << 16
"""Compressed bytes unpacked to see whether a record begins there."""

RECENT = 4096
"""Offsets remembered, to find the last sure one when damage is met."""

OFFSETS_CHECKED = 8
"""Records at the start of a file whose offsets are checked before they are believed."""

SWALLOWED = re.compile(rb"\nWARC/\d\.\d\r?\n")
"""In a record's content: another record's beginning, which a length too long may have swallowed."""

_ARC_LINE = re.compile(rb"^(\S.*) (\S+) (\d{8,14}) (\S+) (\d+)\s*$")


_ARC_ATTEMPT = re.compile(rb"^\w+://.* \S+ \S+ \S+ \S+\s*$")
"""A line that was meant to begin an ARC record."""


class UnreadableArchive(CurationError):
    """A file of which nothing is an archive."""


class DamageError(OSError):
    """Damage that fastwarc does not see; never leaves this module. Its text is the cause that is counted."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record: byte offset in the file, type, headers (names lower-cased), and content.

    The offset is None where records share a compressed member, which cannot be entered in its middle.
    `kind` is the WARC type; an ARC record is a "response", its header line turned into WARC's names.
    """

    offset: int | None
    kind: str
    headers: dict[str, str]
    content: bytes


_PASSED = Record(None, "", {}, b"")
"""A record that is not wanted: it shows that the one before it ended well."""


class Window(io.RawIOBase):
    """The part of a seekable stream from `start` on, as a stream of its own."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        self._stream, self._start = stream, start
        stream.seek(start)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all if negative."""
        return self._stream.read(size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        """Bytes from the start of the window."""
        return self._stream.tell() - self._start

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move within the window."""
        self._stream.seek(offset + self._start if whence == 0 else offset, whence)
        return self.tell()


def read_records(stream: IO[bytes], counts: Counter[str], wanted: frozenset[str], max_bytes: int) -> Iterator[Record]:
    """Records of the kinds `wanted` in file order; others are counted only, as is everything that is lost.

    Raises UnreadableArchive if the file has bytes but no record in any form.
    """
    head = stream.read(8)
    stream.seek(0)
    if not head:
        counts["file.empty"] += 1
        return
    if _is_arc(stream):
        yield from _read_arc(stream, counts, max_bytes)
        return
    reader = _Reader(stream, counts, wanted, max_bytes)
    yield from reader.records()
    if not reader.found and not _is_empty_gzip(stream):
        raise UnreadableArchive(f"no WARC or ARC record in it (begins with {head[:8]!r})")


class _Reader:
    """One pass over a WARC file, from damage to damage."""

    def __init__(self, stream: IO[bytes], counts: Counter[str], wanted: frozenset[str], max_bytes: int) -> None:
        self._stream, self._counts, self._wanted, self._max_bytes = stream, counts, wanted, max_bytes
        self._recent: deque[int] = deque([0], maxlen=RECENT)
        self.found = False

    def records(self) -> Iterator[Record]:
        """All records wanted that can be found."""
        start: int | None = 0
        while start is not None:
            self._recent.append(start)
            held: Record | None = None
            try:
                for record in self._attempt(start):
                    if held is not None and held.kind:
                        yield held
                    held = record
                if held is not None and held.kind:
                    yield held
                return
            except OSError as error:
                cause = _cause(error)
                following = find_record(self._stream, max(self._last_beginning(), start) + 1)
                if held is not None and self._is_sound(held, cause):
                    yield held
                elif following is None and cause == "damaged_header":
                    cause = "truncated"
                self._counts[f"skipped.{cause}"] += 1
                start = following

    def _is_sound(self, record: Record, cause: str) -> bool:
        """Whether the last record before damage is whole: its checksum is only looked at once it was read."""
        if not record.kind:
            return False
        if cause == "damaged_header" or record.offset is None:
            return SWALLOWED.search(record.content) is None
        self._stream.seek(record.offset)
        data = self._stream.read(len(record.content) + PROBE)
        if not data.startswith(GZIP):
            return True
        engine = zlib.decompressobj(31)
        try:
            engine.decompress(data)
        except zlib.error:
            return False
        return engine.eof

    def _last_beginning(self) -> int:
        """The last known offset at which a record really begins.

        Of records that share a gzip member, fastwarc gives the place it has read ahead to; those are passed over.
        """
        return next((offset for offset in reversed(self._recent) if _begins_record(self._stream, offset)), 0)

    def _attempt(self, start: int) -> Iterator[Record]:
        """Records until the end or the first damage (OSError)."""
        from fastwarc.warc import ArchiveIterator

        window = Window(self._stream, start)
        for number, raw in enumerate(ArchiveIterator(window, parse_http=False, auto_decode="none")):
            self.found = True
            kind, offset = str(raw.record_type), start + raw.stream_pos
            self._recent.append(offset)
            self._counts[f"records.{kind}"] += 1
            if kind not in self._wanted:
                yield _PASSED
                continue
            if raw.content_length > self._max_bytes:
                self._counts["skipped.too_large"] += 1
                continue
            content = raw.reader.read()
            if len(content) < raw.content_length:
                raise DamageError("truncated")
            if SWALLOWED.search(content) and self._spans_members(window, offset, len(content)):
                raise DamageError("wrong_length")
            if number <= OFFSETS_CHECKED:
                self._check_offset(window, offset)
            headers = {name.lower(): value for name, value in raw.headers}
            yield Record(offset if self._seekable else None, kind, headers, content)

    _seekable = True

    def _spans_members(self, window: Window, offset: int, length: int) -> bool:
        """Whether a record that seems to hold others goes on past the end of its gzip member."""
        position = window.tell()
        self._stream.seek(offset)
        data = self._stream.read(length + PROBE)
        window.seek(position)
        if not data.startswith(GZIP):
            return False
        engine = zlib.decompressobj(31)
        try:
            return len(engine.decompress(data)) < length
        except zlib.error:
            return True

    def _check_offset(self, window: Window, offset: int) -> None:
        position = window.tell()
        self._seekable = self._seekable and _begins_record(self._stream, offset)
        window.seek(position)


def _cause(error: OSError) -> str:
    if isinstance(error, DamageError):
        return str(error)
    text = str(error).lower()
    if "gzip" in text:
        return "damaged_gzip"
    if "zstd" in text:
        return "damaged_zstd"
    return "damaged_header" if "header" in text else "damaged_record"


def _is_empty_gzip(stream: IO[bytes]) -> bool:
    stream.seek(0)
    data = stream.read(PROBE)
    return data.startswith(GZIP) and _inflate(data, 1) == b""


def _inflate(data: bytes, size: int) -> bytes | None:
    """The first bytes of a gzip member, or None if it is none."""
    try:
        return zlib.decompressobj(31).decompress(data, size)
    except zlib.error:
        return None


def _unzstd(data: bytes, size: int) -> bytes | None:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=False).read(size)
    except zstandard.ZstdError:
        return None


def find_record(stream: IO[bytes], after: int) -> int | None:
    """The offset of the next place at or after `after` where a record begins, or None."""
    position = after
    carried = b""
    while True:
        stream.seek(position + len(carried))
        fresh = stream.read(SCAN)
        if not fresh:
            return None
        data = carried + fresh
        for match in _CANDIDATE.finditer(data):
            if _begins_record(stream, position + match.start()):
                return position + match.start()
        keep = min(len(data), CARRIED)
        position += len(data) - keep
        carried = data[-keep:]


_CANDIDATE = re.compile(re.escape(GZIP) + b"\x08|" + re.escape(ZSTD) + rb"|WARC/\d\.\d\r?\n(?=[A-Za-z-]{2,32}:)")


def _begins_record(stream: IO[bytes], offset: int) -> bool:
    stream.seek(offset)
    data = stream.read(PROBE)
    if data.startswith(WARC_START):
        return True
    unpacked = _inflate(data, 16) if data.startswith(GZIP) else _unzstd(data, 16)
    return unpacked is not None and unpacked.startswith(WARC_START)


def _is_arc(stream: IO[bytes]) -> bool:
    data = stream.read(PROBE)
    stream.seek(0)
    start = _inflate(data, 16) if data.startswith(GZIP) else data[:16]
    return start is not None and start.startswith(ARC_START)


def _unpacked(stream: IO[bytes], counts: Counter[str]) -> Iterator[tuple[int, bytes]]:
    """Offset and bytes of each gzip member of a file, or of the whole file if it is not compressed."""
    data = stream.read()
    if not data.startswith(GZIP):
        yield 0, data
        return
    offset = 0
    while 0 <= offset < len(data):
        engine = zlib.decompressobj(31)
        try:
            content = engine.decompress(data[offset:])
        except zlib.error:
            counts["skipped.damaged_gzip"] += 1
            offset = data.find(GZIP + b"\x08", offset + 1)
            continue
        if not engine.eof:
            counts["skipped.truncated"] += 1
            return
        yield offset, content
        offset = len(data) - len(engine.unused_data)


def _read_arc(stream: IO[bytes], counts: Counter[str], max_bytes: int) -> Iterator[Record]:
    """Records of an ARC file, version 1: a line of URL, IP, date, content type and length, then that many bytes."""
    plain = not stream.read(2).startswith(GZIP)
    stream.seek(0)
    for offset, data in _unpacked(stream, counts):
        position = 0
        while position < len(data):
            end = data.find(b"\n", position)
            end = len(data) if end < 0 else end
            match = _ARC_LINE.match(data[position:end])
            if match is None:
                if _ARC_ATTEMPT.match(data[position:end]):
                    counts["skipped.damaged_header"] += 1
                position = end + 1
                continue
            url, _, date, kind, length = (part.decode("utf-8", "replace") for part in match.groups())
            start = end + 1
            position = start + int(length)
            is_file_header = url.startswith("filedesc:")
            counts["records.arc_header" if is_file_header else "records.response"] += 1
            if is_file_header:
                continue
            if position > len(data) + _lost_returns(data[start:]):
                counts["skipped.truncated"] += 1
            elif int(length) > max_bytes:
                counts["skipped.too_large"] += 1
            else:
                headers = {"warc-target-uri": url, "warc-date": _iso(date), "content-type": kind}
                at = offset + (end - len(match[0]) if plain else 0)
                yield Record(at, "response", headers, data[start:position])


def _lost_returns(content: bytes) -> int:
    """Bytes that a block is short by because its HTTP header's line ends were once converted from CRLF to LF."""
    header = content.partition(b"\n\n")[0]
    return 0 if b"\r\n" in header else header.count(b"\n") + 2


def _iso(date: str) -> str:
    """20140401000000 → 2014-04-01T00:00:00Z; shorter ones padded with zeros."""
    d = date.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
