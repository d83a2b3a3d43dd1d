"""The zstd dictionaries of an archive, and engines that use them.

The dictionary of https://iipc.github.io/warc-specifications/specifications/warc-zstd/ is a skippable frame at the start
of the file. A file joined from several has several; each applies up to the next one.
"""

from __future__ import annotations

import re
from typing import Any

import zstandard

from curation.archives.packings import DICTIONARY, ZSTD
from curation.archives.raw_file import BUFFER, RawFile
from curation.archives.start_lines import begins_record

MAX_WINDOW = 1 << 27
"""Largest window of a zstd frame in bytes: the limit of the zstd command without `--long=31`."""

MAX_DICTIONARY = 1 << 24
"""Largest zstd dictionary in bytes, unpacked; those of archives have about 100 kB."""

MAX_DICTIONARIES = 8
"""Most dictionaries that are kept, each of which takes memory, and time when they are tried: the first of a file, and
the last before the end of what was read."""

WORK = 16
"""Bytes of what may be dictionaries that are read or unpacked per byte of the file before them: hostile data can look
like a dictionary at every twelfth byte."""

_IN_DICTIONARY = (ZSTD, b"\x37\xa4\x30\xec")
DICTIONARY_HEAD = 12  # bytes of a match
DICTIONARY_START = re.compile(rb"\x5d\x2a\x4d\x18(?=[\x00-\xff]{4}(?:\x28\xb5\x2f\xfd|\x37\xa4\x30\xec))")


class Dictionaries:
    """The zstd dictionaries of a file. Each applies to the frames between it and the next one."""

    def __init__(self, raw: RawFile) -> None:
        self._raw = raw
        self._known: dict[int, tuple[int, zstandard.ZstdDecompressor]] = {}
        self._without = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        self._scanned, self._looked_at_start = 0, False
        self._work = 0

    def learn(self, offset: int) -> int | None:
        """Read the dictionary frame at an offset; one that is damaged or too large is ignored.

        Returns:
            The file offset after the frame, or None if it was ignored.
        """
        if offset in self._known:
            return offset + self._known[offset][0]
        head = self._raw.peek_at(offset, DICTIONARY_HEAD)
        size = int.from_bytes(head[4:8], "little")
        most = min(MAX_DICTIONARY, WORK * offset + MAX_DICTIONARY - self._work)
        if not head.startswith(DICTIONARY) or not head[8:].startswith(_IN_DICTIONARY) or size > most:
            return None
        content = self._raw.peek_at(offset + 8, size)
        self._work += size
        try:
            if content.startswith(ZSTD):
                content = self._without.stream_reader(content).read(MAX_DICTIONARY + 1)
                self._work += len(content)
            dictionary = zstandard.ZstdCompressionDict(content)
            unpacker = zstandard.ZstdDecompressor(dictionary, max_window_size=MAX_WINDOW)
            unpacker.decompressobj().decompress(b"")
        except zstandard.ZstdError:
            return None
        if len(content) > MAX_DICTIONARY:
            return None
        self._known[offset] = 8 + size, unpacker
        if len(self._known) > MAX_DICTIONARIES:
            del self._known[sorted(self._known)[1]]
        return offset + 8 + size

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
            size = min(BUFFER, stop - self._scanned)
            for match in DICTIONARY_START.finditer(self._raw.peek_at(self._scanned, size + DICTIONARY_HEAD - 1)):
                if (place := self._scanned + match.start()) not in self._known:
                    self.learn(place)
            self._scanned += size
