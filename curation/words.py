"""Words of texts as spaCy's English tokenizer cuts them, each distinct chunk tokenized once a process.

Text between white space is cut by itself (`curation.english`) and the answer is remembered under the chunk's 128-bit
key, since chunks recur: of 3.3 million chunks in 2,342 real pages, 5 % ask the tokenizer. The memo only saves time:
words are the same whatever it holds. It is bounded, cleared when full, and shared by the threads of a process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curation import english
from curation.english import Edge
from curation.kernels import chunks as kernels
from curation.kernels.characters import Codepoints, Offsets, classes
from curation.kernels.chunks import LOCAL, Answers, Chunks, Flags, Keys, Tables, Texts

MAX_ENTRIES = 1 << 19
"""Chunks remembered before the memo is cleared; with their words some 40 MB."""
MAX_STORED = 64
"""Longer chunks are tokenized each time they come: they seldom come twice. So a stored chunk has at most 64 words."""

Scalar = TypeVar("Scalar", bound=np.generic)

_FIRST_ENTRIES = 1 << 12
_OPENS = int(Edge.OPENS | Edge.INSIDE)
_CLOSES = int(Edge.CLOSES | Edge.INSIDE)
_ALTERS = int(Edge.ALTERS)


def words(codepoints: Codepoints, first: Offsets, last: Offsets) -> tuple[Offsets, Offsets, Offsets, Offsets, Flags]:
    """Words of the texts `codepoints[first[i]:last[i]]`: spaCy's English tokens that are not white space.

    Returns starts and ends of the words as code points, first and last word of each text, and the words' flags
    (`curation.kernels.chunks`: HAS_ALPHA, ...).
    """
    texts = Texts(codepoints, first, last, classes())
    chunks, known, local = _MEMO.resolve(texts)
    words_first, words_last = np.empty_like(first), np.empty_like(last)
    total = kernels.count_words(chunks, known, local, words_first, words_last)
    starts, ends = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
    flags = np.empty(total, dtype=np.uint8)
    kernels.emit_words(texts, chunks, known, local, starts, ends, flags)
    return starts, ends, words_first, words_last, flags


class _Answers:
    """Growing arrays of `Answers`. What was handed out is never changed: entries are added behind it."""

    __slots__ = ("arrays", "entries", "lengths")

    def __init__(self, entries: int) -> None:
        self.arrays = Answers(
            np.zeros(entries, dtype=np.int64),
            np.zeros(entries, dtype=np.int32),
            np.zeros(entries, dtype=np.uint8),
            np.zeros(2 * entries, dtype=np.int32),
        )
        self.entries = self.lengths = 0

    def add(self, words: Sequence[Sequence[str]], edges: Sequence[int]) -> None:
        """One entry more for each sequence of words."""
        if not words:
            return
        new_lengths = [len(word) for parts in words for word in parts]
        new_counts = [len(parts) for parts in words]
        begin, end = self.entries, self.entries + len(words)
        begins, counts, known_edges, lengths = self.arrays
        if end > begins.size:
            more = max(len(words), begins.size)
            begins, counts, known_edges = _longer(begins, more), _longer(counts, more), _longer(known_edges, more)
        if self.lengths + len(new_lengths) > lengths.size:
            lengths = _longer(lengths, max(len(new_lengths), lengths.size))
        counts[begin:end] = new_counts
        begins[begin:end] = self.lengths + np.cumsum([0, *new_counts[:-1]])
        known_edges[begin:end] = edges
        lengths[self.lengths : self.lengths + len(new_lengths)] = new_lengths
        self.arrays = Answers(begins, counts, known_edges, lengths)
        self.entries = end
        self.lengths += len(new_lengths)


class Memo:
    """What is known of chunks, bounded by `max_entries` and what one batch adds. Threads may share it."""

    __slots__ = ("_answers", "_lock", "_longest_reserved", "_max_entries", "_reserved", "_tables")

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._lock = threading.Lock()
        self._answers = _Answers(0)

    @property
    def entries(self) -> int:
        """Chunks remembered now."""
        return self._answers.entries

    def resolve(self, texts: Texts) -> tuple[Chunks, Answers, Answers]:
        """The chunks of the texts with their entries, the memo's answers, and the answers of the batch's own."""
        chunks, keys, letters = _cut(texts)
        local = _Answers(1)
        with self._lock:
            if not 0 < self._answers.entries <= self._max_entries:
                self._clear()
            try:
                long = self._look_up(texts, chunks, keys, letters)
            except BaseException:
                self._answers = _Answers(0)
                raise
            known = self._answers.arrays
        _learn(texts, chunks, long, local)
        _let_meet(texts, chunks, known, local)
        return chunks, known, local.arrays

    def _clear(self) -> None:
        """Know the reserved chunks only: entries from 0 on, in a table of their own."""
        reserved = english.tokenizer().reserved()
        texts = _flat(reserved)
        chunks, keys, _ = _cut(texts)
        self._reserved, self._longest_reserved = len(reserved), max(map(len, reserved))
        slots = np.full(1 << (4 * len(reserved)).bit_length(), -1, dtype=np.int32)
        kernels.enter(slots, keys, 0, len(reserved))
        longer = Keys(_longer(keys.a, _FIRST_ENTRIES), _longer(keys.b, _FIRST_ENTRIES))
        self._tables = Tables(longer, slots, _free_slots(longer))
        answers = _Answers(_FIRST_ENTRIES)
        _learn(texts, chunks, range(len(reserved)), answers)
        self._answers = answers

    def _look_up(self, texts: Texts, chunks: Chunks, keys: Keys, letters: Flags) -> list[int]:
        """Find or make the entries of all chunks; returns the chunks that have local ones, in order."""
        missing, long = np.empty_like(chunks.starts), np.empty_like(chunks.starts)
        found: list[int] = []
        at = 0
        while True:
            at, n_missing, n_long = kernels.look_up(
                chunks,
                keys,
                letters,
                self._tables,
                self._longest_reserved,
                MAX_STORED,
                at,
                self._answers.entries,
                len(found),
                missing,
                long,
            )
            _learn(texts, chunks, missing[:n_missing].tolist(), self._answers)
            found += long[:n_long].tolist()
            if at == chunks.starts.size:
                return found
            self._grow()

    def _grow(self) -> None:
        known, reserved, _ = self._tables
        longer = Keys(_longer(known.a, known.a.size), _longer(known.b, known.b.size))
        slots = _free_slots(longer)
        kernels.enter(slots, longer, self._reserved, self._answers.entries)
        self._tables = Tables(longer, reserved, slots)


def _free_slots(keys: Keys) -> kernels.Slots:
    return np.full(1 << (2 * keys.a.size).bit_length(), -1, dtype=np.int32)


def _longer(array: npt.NDArray[Scalar], more: int) -> npt.NDArray[Scalar]:
    return np.concatenate([array, np.zeros(more, dtype=array.dtype)])


def _cut(texts: Texts) -> tuple[Chunks, Keys, Flags]:
    size = kernels.count_chunks(texts)
    chunks = Chunks(
        np.empty(size, dtype=np.int64),
        np.empty(size, dtype=np.int64),
        np.empty(size, dtype=np.int64),
        np.empty_like(texts.first),
        np.empty_like(texts.last),
    )
    keys, letters = (
        Keys(np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint64)),
        np.empty(size, dtype=np.uint8),
    )
    kernels.find_chunks(texts, chunks, keys, letters)
    return chunks, keys, letters


_UTF_32 = f"utf-32-{sys.byteorder[0]}e"


def _flat(texts: Sequence[str]) -> Texts:
    codepoints = np.frombuffer("".join(texts).encode(_UTF_32), dtype=np.uint32)
    last = np.cumsum([len(text) for text in texts])
    return Texts(codepoints, last - [len(text) for text in texts], last, classes())


def _text(texts: Texts, chunks: Chunks, chunk: int) -> str:
    return texts.codepoints[chunks.starts[chunk] : chunks.ends[chunk]].tobytes().decode(_UTF_32)


def _learn(texts: Texts, chunks: Chunks, which: Sequence[int], answers: _Answers) -> None:
    tokenize = english.tokenizer()
    found = [tokenize(_text(texts, chunks, chunk)) for chunk in which]
    answers.add([words for words, _ in found], [edge for _, edge in found])


def _let_meet(texts: Texts, chunks: Chunks, known: Answers, local: _Answers) -> None:
    """Give local entries to neighbours whose words change because an exception of spaCy's reaches over a space."""
    found = np.empty_like(chunks.starts)
    count = kernels.find_meetings(texts, chunks, known, local.arrays, _OPENS, _CLOSES, _ALTERS, found)
    done = -1
    for chunk in found[:count].tolist():
        if chunk >= done:
            done = _join(texts, chunks, known, local, chunk)


def _join(texts: Texts, chunks: Chunks, known: Answers, local: _Answers, chunk: int) -> int:
    """Tokenize `chunk` together with all neighbours that it can meet, itself or through others; the last of them."""
    row = int(np.searchsorted(chunks.last, chunk, side="right"))

    def edge(which: int) -> int:
        entry = int(chunks.entries[which])
        if entry >= 0:
            return int(known.edges[entry])
        return int(local.arrays.edges[LOCAL - entry]) if entry <= LOCAL else 0

    def meets_next(which: int) -> bool:
        gap = chunks.ends[which]
        one_space = chunks.starts[which + 1] == gap + 1 and texts.codepoints[gap] == ord(" ")
        return bool(one_space) and english.can_meet(edge(which), edge(which + 1))

    begin = end = chunk
    while begin > chunks.first[row] and meets_next(begin - 1):
        begin -= 1
    while end + 1 < chunks.last[row] and meets_next(end):
        end += 1
    parts = [english.tokenizer().split(_text(texts, chunks, part)) for part in range(begin, end + 1)]
    edges = [edge(part) for part in range(begin, end + 1)]
    chunks.entries[begin : end + 1] = LOCAL - np.arange(local.entries, local.entries + len(parts))
    local.add(english.tokenizer().together(parts), edges)
    return end


_MEMO = Memo()
