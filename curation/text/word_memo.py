"""A memo of the words of chunks by a 128-bit key, so that each chunk is tokenized once per process.

Chunks recur: of 3.3 million in 2,342 real pages, 2 % are new and not simple, and need the tokenizer. The memo only
saves time: words are the same whatever it holds. It is bounded, cleared when full, and shared by all threads.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curation.arrays import Int32s, Int64s, UInt8s
from curation.text import english
from curation.text.english import EnglishTokenizer
from curation.text.kernels import chunks as kernels
from curation.text.kernels.characters import classes
from curation.text.kernels.chunk_keys import Keys, insert
from curation.text.kernels.chunks import Answers, Chunks, ChunkTables, Texts
from curation.text.kernels.simple_chunks import Simple, affixes

MAX_ENTRIES = 1 << 19
"""Number of chunks at which the memo is cleared; with their words they take some 40 MB."""
MAX_STORED = 64
"""Longest chunk to store, in characters, so that it has at most 64 words. Longer ones rarely recur and are tokenized
each time."""

Scalar = TypeVar("Scalar", bound=np.generic)

_FIRST_ENTRIES = 1 << 12


class Memo:
    """Words and edges of chunks, limited to `max_entries` plus what one batch adds. Threads may share it."""

    __slots__ = ("_lengths", "_lock", "_longest_reserved", "_max_entries", "_tables", "_tokenizer", "entries")

    def __init__(self, max_entries: int = MAX_ENTRIES, tokenizer: EnglishTokenizer | None = None) -> None:
        """Create an empty memo.

        Args:
            max_entries: Number of chunks at which it is cleared.
            tokenizer: Finds the words of a chunk; by default spaCy's for English.
        """
        self._tokenizer = tokenizer
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self.entries = 0
        """Number of chunks stored."""

    @property
    def tokenizer(self) -> EnglishTokenizer:
        """The tokenizer whose words are stored."""
        return self._tokenizer or english.tokenizer()

    def resolve(self, texts: Texts) -> tuple[Chunks, Answers, list[int]]:
        """Find the words of all chunks of some texts.

        Returns:
            The chunks with their entries, the words by entry, and the chunks too long to store, of which the k-th has
            the entry `LOCAL - k`.
        """
        chunks, keys, letters = _cut(texts)
        with self._lock:
            if not 0 < self.entries <= self._max_entries:
                self._clear()
            try:
                long = self._look_up(texts, chunks, keys, letters)
            except BaseException:
                self.entries = 0
                raise
            return chunks, self._tables.answers, long

    def _clear(self) -> None:
        """Drop everything but the reserved chunks, which have the first entries and a separate table."""
        words = self.tokenizer.reserved()
        keys, slots = _table(words)
        self._longest_reserved = max(map(len, words), default=0)
        self.entries = self._lengths = 0
        more = _FIRST_ENTRIES
        answers = Answers(
            np.zeros(more + len(words), dtype=np.int64),
            np.zeros(more + len(words), dtype=np.int32),
            np.zeros(more + len(words), dtype=np.uint8),
            np.zeros(2 * (more + len(words)), dtype=np.int32),
        )
        longer = Keys(_extended(keys.a, more), _extended(keys.b, more))
        self._tables = ChunkTables(longer, slots, _free_slots(longer), answers, _simple(self.tokenizer))
        self._fill(np.arange(len(words)), words)
        self.entries = len(words)

    def _fill(self, entries: Int64s, chunks: Sequence[str]) -> None:
        """Tokenize the chunks of entries that were created but not filled in."""
        results = [self.tokenizer(chunk) for chunk in chunks]
        lengths = [len(word) for words, _ in results for word in words]
        counts = np.array([len(words) for words, _ in results], dtype=np.int32)
        begins, all_counts, edges, all_lengths = self._tables.answers
        if self._lengths + len(lengths) > all_lengths.size:
            all_lengths = _extended(all_lengths, max(all_lengths.size, len(lengths)))
            self._tables = self._tables._replace(answers=Answers(begins, all_counts, edges, all_lengths))
        begins[entries] = self._lengths + np.cumsum(counts) - counts
        all_counts[entries] = counts
        edges[entries] = [edge for _, edge in results]
        all_lengths[self._lengths : self._lengths + len(lengths)] = lengths
        self._lengths += len(lengths)

    def _look_up(self, texts: Texts, chunks: Chunks, keys: Keys, letters: UInt8s) -> list[int]:
        """Find or create the entries of all chunks; returns the chunks with local entries, in order."""
        missing, long = np.empty_like(chunks.starts), np.empty_like(chunks.starts)
        at = kernels.LookupProgress(0, self.entries, self._lengths, 0, 0)
        while True:
            at = kernels.look_up(
                texts, chunks, keys, letters, self._tables, self._longest_reserved, MAX_STORED, at, missing, long
            )
            self.entries, self._lengths = at.entries, at.lengths
            if at.chunk == chunks.starts.size:
                break
            self._grow()
        new = missing[: at.missing]
        self._fill(chunks.entries[new], [text_of(texts, chunks, chunk) for chunk in new.tolist()])
        return [int(chunk) for chunk in long[: at.local]]

    def _grow(self) -> None:
        """Double the capacity. Arrays returned earlier keep their content."""
        keys, reserved, _, answers, simple = self._tables
        longer = Keys(_extended(keys.a, keys.a.size), _extended(keys.b, keys.b.size))
        slots = _free_slots(longer)
        insert(slots, longer, len(self.tokenizer.reserved()), self.entries)
        begins, counts, edges, lengths = answers
        size = begins.size
        more = Answers(
            _extended(begins, size), _extended(counts, size), _extended(edges, size), _extended(lengths, lengths.size)
        )
        self._tables = ChunkTables(longer, reserved, slots, more, simple)


def _free_slots(keys: Keys) -> Int32s:
    return np.full(1 << (2 * keys.a.size).bit_length(), -1, dtype=np.int32)


def _extended(array: npt.NDArray[Scalar], more: int) -> npt.NDArray[Scalar]:
    return np.concatenate([array, np.zeros(more, dtype=array.dtype)])


def _cut(texts: Texts) -> tuple[Chunks, Keys, UInt8s]:
    max_chunks = (int((texts.last - texts.first).sum()) + texts.first.size) // 2 + 1
    starts, ends, entries = (np.empty(max_chunks, dtype=np.int64) for _ in range(3))
    keys = Keys(np.empty(max_chunks, dtype=np.uint64), np.empty(max_chunks, dtype=np.uint64))
    letters = np.empty(max_chunks, dtype=np.uint8)
    chunks = Chunks(starts, ends, entries, np.empty_like(texts.first), np.empty_like(texts.last))
    size = kernels.find_chunks(texts, chunks, keys, letters)
    chunks = Chunks(starts[:size], ends[:size], entries[:size], chunks.first, chunks.last)
    return chunks, Keys(keys.a[:size], keys.b[:size]), letters[:size]


_UTF_32 = f"utf-32-{sys.byteorder[0]}e"


def _flat(texts: Sequence[str]) -> Texts:
    codepoints = np.frombuffer("".join(texts).encode(_UTF_32), dtype=np.uint32)
    sizes = np.array([len(text) for text in texts], dtype=np.int64)
    last = np.cumsum(sizes)
    return Texts(codepoints, last - sizes, last, classes())


def text_of(texts: Texts, chunks: Chunks, chunk: int) -> str:
    """The chunk as a string."""
    return texts.codepoints[chunks.starts[chunk] : chunks.ends[chunk]].tobytes().decode(_UTF_32)


def _table(chunks: Sequence[str]) -> tuple[Keys, Int32s]:
    """The keys of some chunks, and the hash table from key to position."""
    _, keys, _ = _cut(_flat(chunks))
    slots = np.full(1 << (4 * len(chunks)).bit_length(), -1, dtype=np.int32)
    insert(slots, keys, 0, len(chunks))
    return keys, slots


@cache
def _simple(tokenize: EnglishTokenizer) -> Simple:
    """Tables for simple chunks; empty ones if chunks of that form are not simple for the tokenizer."""
    if not tokenize.has_simple_chunks:
        keys, slots = _table([])
        return Simple(keys, slots, np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint8))
    keys, slots = _table(tokenize.hot_runs())
    table = affixes()
    edges = [tokenize.edge_alone(chr(code)) if table[code] or chr(code) == "." else 0 for code in range(table.size)]
    return Simple(keys, slots, table, np.array(edges, dtype=np.uint8))
