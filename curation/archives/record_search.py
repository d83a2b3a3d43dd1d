"""Finds the next record in the bytes of an archive: an uncompressed one, or a gzip member or zstd frame with one.

Hostile data can look like the start of a member at every tenth byte. So a candidate is unpacked in small steps, only as
long as its output may be the start of a record, and the work on larger members is limited by a budget.
"""

from __future__ import annotations

import re
import zlib

import zstandard

from curation.archives.packings import DICTIONARY, GZIP, GZIP_WINDOW, ZSTD
from curation.archives.raw_file import BUFFER, RawFile
from curation.archives.start_lines import ARC_START, MAX_LINE, WARC_START, begins_record
from curation.archives.zstd_dictionaries import DICTIONARY_START, MAX_WINDOW, Dictionaries

PROBE = 1 << 12
"""Packed bytes of a gzip member to unpack to see whether a record begins."""

PROBE_BYTES = 1 << 14
"""Unpacked bytes to look at for the same purpose."""

MEMBER_BYTES = 1 << 24
"""Largest member, unpacked, in which a record that does not begin it is searched for."""

MEMBER_WORK = 16
"""Bytes that a search may unpack for that purpose per byte that it has advanced: hostile data can look like the start
of a member at every tenth byte."""

MAX_BLOCK = 1 << 17
"""Largest block of a zstd frame in bytes (RFC 8878, section 3.1.1.2)."""

OVERLAP = MAX_LINE + (1 << 12)
"""Bytes by which consecutive windows overlap in a search for a record: more than the patterns are long."""

# A gzip header as writers make it: no reserved flag, and one of the three values of XFL (RFC 1952). Candidates overlap.
_CANDIDATE = re.compile(
    rb"\x1f\x8b\x08(?=[\x00-\x1f][\x00-\xff]{4}[\x00\x02\x04])|\x28\xb5\x2f\xfd|"
    + DICTIONARY_START.pattern
    + rb"|"
    + WARC_START.pattern
    + rb"|(?<![^\n])(?="
    + ARC_START
    + rb")"
)


class RecordSearch:
    """A search for records in a file, without a change of its position."""

    def __init__(self, raw: RawFile, dictionaries: Dictionaries) -> None:
        self._raw, self._dictionaries = raw, dictionaries
        self._start = 0  # of the last search that was not limited
        self._found: int | None = -1

    def find(self, offset: int, stop: int | None = None) -> int | None:
        """Offset of the next record, or of the next member that begins with one, from `offset` on and before `stop`."""
        if stop is not None:
            return self._find(offset, stop)
        if not self._start <= offset <= (self._raw.size() if self._found is None else self._found):
            self._start, self._found = offset, self._find(offset)
        return self._found

    def _find(self, offset: int, stop: int | None = None) -> int | None:
        start, size, work = offset, 1 << 14, 0
        while True:
            before = min(offset, 1)
            data = self._raw.peek_at(offset - before, size)
            for match in _CANDIDATE.finditer(data, before):
                place = offset - before + match.start()
                if stop is not None and place >= stop:
                    return None
                budget = MEMBER_WORK * (place - start) + MEMBER_BYTES - work
                begins, cost = self._begins_record(place, budget)
                work += cost
                if begins:
                    return place
            if len(data) < size or (stop is not None and offset >= stop):
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
            return self.frame_begins_record(data, offset), 0
        if data.startswith(DICTIONARY):
            following = self._dictionaries.learn(offset)
            frame = b"" if following is None else self._raw.peek_at(following, PROBE)
            return frame.startswith(ZSTD) and self.frame_begins_record(frame, following or 0), 0
        return begins_record(self._raw.peek_at(offset, MAX_LINE)), 0

    def _member_begins_record(self, data: bytes, offset: int, budget: int) -> tuple[bool, int]:
        engine, unpacked = zlib.decompressobj(GZIP_WINDOW), b""
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
            engine = zlib.decompressobj(GZIP_WINDOW)
            unpacked = engine.decompress(self._raw.peek_at(offset, BUFFER), MEMBER_BYTES)
            return engine.eof and WARC_START.search(unpacked) is not None, len(unpacked) + BUFFER
        except zlib.error:
            return False, PROBE

    def frame_begins_record(self, data: bytes, offset: int) -> bool:
        """Whether a zstd frame begins with a record: its first block is unpacked, completely or not at all.

        The dictionary that it needs is known afterwards. `data` is the beginning of the frame.
        """
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


def _may_begin(unpacked: bytes) -> bool:
    """Whether the first bytes of a member may be the first line of a record."""
    return unpacked.startswith(b"WARC/") or b":" in unpacked[:64]
