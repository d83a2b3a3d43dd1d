"""Counts pre-tokens in an open-addressing hash table (a kernel) and spills the table as a sorted run when it is full.

Counts have 64 bits. A pre-token longer than `longest` bytes (an endless run of letters, which no written language has)
is cut to its first `longest` bytes, between two characters: learning merges from all of it would cost much and gain
nothing for real text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt64s
from curation.running.compiled import inner, kernel
from curation.store.folder import Folder
from curation.tokenize.training.memory import release_memory
from curation.tokenize.training.pretokens import Splitter, Text
from curation.tokenize.training.sorted_counts import HEAD, Counts, merge_runs, read_run, sorted_run, write_run

SPILL_BYTES = 64 << 20
"""Table size above which it is spilled to disk: about a million distinct pre-tokens."""

PART_BYTES = 1 << 20
"""Text split at once. It bounds the memory for pre-token offsets and fits in the CPU cache."""


@dataclass(frozen=True, slots=True)
class CounterTotals:
    """Totals of a counter.

    Attributes:
        bytes: UTF-8 bytes of text.
        pretokens: Pre-tokens in the text.
        cut: Pre-tokens that were too long and were cut.
    """

    bytes: int
    pretokens: int
    cut: int


class Counter:
    """Counts the pre-tokens of texts.

    Args:
        splitter: Cuts text into pre-tokens.
        longest: Maximum bytes of a pre-token; longer ones are cut.
        scratch: Folder and path in it for spilled runs, which `clear` removes. With None nothing is spilled and the
            table grows with the text.
        spill_bytes: Table size at which it is spilled; SPILL_BYTES by default.
    """

    def __init__(
        self,
        splitter: Splitter,
        longest: int,
        scratch: tuple[Folder, str] | None = None,
        spill_bytes: int | None = None,
    ) -> None:
        self._splitter, self._longest, self._scratch = splitter, longest, scratch
        self._spill_bytes = SPILL_BYTES if spill_bytes is None else spill_bytes
        self._table = _empty_table()
        self._bytes = self._pretokens = self._cut = self.spilled = 0

    @property
    def totals(self) -> CounterTotals:
        """The totals so far."""
        return CounterTotals(self._bytes, self._pretokens, self._cut)

    def add(self, text: Text) -> None:
        """Count the pre-tokens of these texts."""
        for part in _parts(text):
            ends = self._splitter(part)
            self._table, cut = _add(self._table, part.data, ends, self._longest)
            self._bytes += len(part.data)
            self._pretokens += len(ends)
            self._cut += cut
            if self._scratch is not None and sum(array.nbytes for array in self._table) > self._spill_bytes:
                folder, path = self._scratch
                write_run(folder, _spill_path(path, self.spilled), self._take().chunks())
                self.spilled += 1
                release_memory()

    def runs(self) -> Iterator[Counts]:
        """Return all counts as one sorted run, in chunks. Nothing can be added afterwards."""
        last = self._take().chunks()
        if self._scratch is None or not self.spilled:
            return last
        folder, path = self._scratch
        return merge_runs([last, *(read_run(folder, _spill_path(path, number)) for number in range(self.spilled))])

    def clear(self) -> None:
        """Remove the spilled runs."""
        if self._scratch is not None and self.spilled:
            folder, path = self._scratch
            folder.remove(path)

    def _take(self) -> Counts:
        table, self._table = self._table, _empty_table()
        entries, used = table.size
        sizes = table.rows[:entries, _PLACE] & np.uint64((1 << _SIZE_BITS) - 1)
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        return sorted_run(Counts(table.data[:used], offsets, table.rows[:entries, _COUNT].astype(np.int64)))


def _spill_path(path: str, number: int) -> str:
    return f"{path}/{number:04d}.arrow"


def _parts(text: Text) -> Iterator[Text]:
    """Split the texts into slices of about PART_BYTES, without cutting a text."""
    first, rows = 0, len(text.offsets) - 1
    while first < rows:
        start = text.offsets[first]
        last = max(first + 1, int(np.searchsorted(text.offsets, start + PART_BYTES, "right")) - 1)
        yield Text(text.data[start : text.offsets[last]], text.offsets[first : last + 1] - start)
        first = last


_HEAD, _PLACE, _COUNT, _HASH = range(4)
_SIZE_BITS = 16


class _Table(NamedTuple):
    """The hash table.

    Attributes:
        slots: int32[a power of two]. Entry number + 1 by hash, or 0 for a free slot.
        rows: uint64[capacity, 4]. Each entry's first bytes as a number (_HEAD), its start in `data` and its length
            packed in one number (_PLACE), its count (_COUNT) and its hash (_HASH): an entry fits in half a cache line.
        data: uint8. Bytes of the entries, one after the other.
        size: int64[2]. Number of entries, and used bytes of `data`.
    """

    slots: Int32s
    rows: UInt64s
    data: UInt8s
    size: Int64s


_FIRST_ENTRIES = 1 << 14


def _empty_table() -> _Table:
    rows = np.empty((_FIRST_ENTRIES, 4), np.uint64)
    return _Table(np.zeros(2 * len(rows), np.int32), rows, np.empty(8 * len(rows), np.uint8), np.zeros(2, np.int64))


@kernel
def _add(table: _Table, data: UInt8s, ends: Int64s, longest: int) -> tuple[_Table, int]:
    slots, rows, stored, size = table
    begin, cut = 0, 0
    for end in ends:
        last = end
        if end - begin > longest:
            last = begin + longest
            while last > begin and data[last] & 0xC0 == 0x80:
                last -= 1
            cut += 1
        head = _word(data, begin, last)
        hashed = _hash(data, begin, last, head)
        slot = _find(slots, rows, stored, data, begin, last, head, hashed)
        entry = slots[slot] - 1
        if entry < 0:
            entry, used = size[0], size[1]
            if used + last - begin > len(stored):
                stored = _more_bytes(stored, used, last - begin)
            if entry == len(rows):
                slots, rows = _more_rows(rows)
                slot = _find(slots, rows, stored, data, begin, last, head, hashed)
            slots[slot] = entry + 1
            rows[entry, _HEAD], rows[entry, _COUNT], rows[entry, _HASH] = head, 0, hashed
            rows[entry, _PLACE] = np.uint64(used) << np.uint64(_SIZE_BITS) | np.uint64(last - begin)
            for place in range(last - begin):
                stored[used + place] = data[begin + place]
            size[0], size[1] = entry + 1, used + last - begin
        rows[entry, _COUNT] += np.uint64(1)
        begin = end
    return _Table(slots, rows, stored, size), cut


@inner
def _word(data: UInt8s, begin: int, end: int) -> np.uint64:
    """Up to eight bytes as a big-endian number, zero-padded on the right."""
    size = min(HEAD, end - begin)
    head = np.uint64(0)
    for place in range(size):
        head = (head << np.uint64(8)) | np.uint64(data[begin + place])
    return head << np.uint64(8 * (HEAD - size)) if size else head


@inner
def _hash(data: UInt8s, begin: int, end: int, head: np.uint64) -> np.uint64:
    multiplier = np.uint64(0x9E3779B97F4A7C15)
    mixed = (head ^ np.uint64(end - begin)) * multiplier
    place = begin + HEAD
    while place < end:
        mixed = ((mixed ^ (mixed >> np.uint64(29))) + _word(data, place, end)) * multiplier
        place += HEAD
    return mixed ^ (mixed >> np.uint64(32))


@inner
def _find(
    slots: Int32s, rows: UInt64s, stored: UInt8s, data: UInt8s, begin: int, end: int, head: np.uint64, hashed: np.uint64
) -> np.int64:
    """The slot of a string, or the free slot where it belongs."""
    mask = len(slots) - 1
    slot = np.int64(hashed & np.uint64(mask))
    size = end - begin
    while True:
        entry = slots[slot] - 1
        if entry < 0:
            return slot
        if rows[entry, _HEAD] == head and rows[entry, _HASH] == hashed:
            where = rows[entry, _PLACE]
            if np.int64(where & np.uint64((1 << _SIZE_BITS) - 1)) == size:
                start, place = np.int64(where >> np.uint64(_SIZE_BITS)), HEAD
                while place < size and stored[start + place] == data[begin + place]:
                    place += 1
                if place >= size:
                    return slot
        slot = (slot + 1) & mask


@inner
def _more_bytes(stored: UInt8s, used: int, needed: int) -> UInt8s:
    larger = np.empty(max(2 * len(stored), used + needed), np.uint8)
    for place in range(used):
        larger[place] = stored[place]
    return larger


@inner
def _more_rows(rows: UInt64s) -> tuple[Int32s, UInt64s]:
    """Double the capacity of a full table; returns the new slots and rows."""
    entries = len(rows)
    larger = np.empty((2 * entries, 4), np.uint64)
    slots = np.zeros(4 * entries, np.int32)
    mask = len(slots) - 1
    for entry in range(entries):
        for column in range(4):
            larger[entry, column] = rows[entry, column]
        slot = np.int64(rows[entry, _HASH] & np.uint64(mask))
        while slots[slot] != 0:
            slot = (slot + 1) & mask
        slots[slot] = entry + 1
    return slots, larger
