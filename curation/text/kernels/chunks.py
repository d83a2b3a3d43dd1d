"""Chunks: the pieces of text between white space, their keys, and the words that are emitted for them.

A chunk is known by two independent 64-bit keys. Each chunk has an entry: `ONE_WORD`, or the number of an entry in the
memo (at least 0), or `LOCAL - k` for the k-th entry of the batch's own. An entry says how many words the chunk has, how
long each is, and how the chunk can meet its neighbours (`curation.text.english.Edge`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.text.kernels.characters import ALPHA, PUNCTUATION, SPACE, STOP, SYMBOL
from curation.text.kernels.chunk_keys import SEED_A, SEED_B, Keys, find, hashed_on, mixed
from curation.text.kernels.simple_chunks import Simple, simple_words


class Texts(NamedTuple):
    """Code points of texts, text i at `first[i]:last[i]`, and the table of classes."""

    codepoints: UInt32s
    first: Int64s
    last: Int64s
    classes: UInt8s


class Chunks(NamedTuple):
    """Spans of chunks of code points and the entry of each; text i has the chunks `first[i]:last[i]`."""

    starts: Int64s
    ends: Int64s
    entries: Int64s
    first: Int64s
    last: Int64s


class Answers(NamedTuple):
    """By entry: its words have the lengths `lengths[begins[e] : begins[e] + counts[e]]`; its edge."""

    begins: Int64s
    counts: Int32s
    edges: UInt8s
    lengths: Int32s


class ChunkTables(NamedTuple):
    """Entries by key: `reserved` for chunks of letters that are not simply one word, `slots` for the others."""

    keys: Keys
    reserved: Int32s
    slots: Int32s
    answers: Answers
    simple: Simple


ONE_WORD = -1
"""Letters alone that no exception names: one word, which meets no neighbour."""
LOCAL = -2
"""Entry of the batch's own number 0; number k is `LOCAL - k`."""


HAS_ALPHA = 1
"""The word has a letter."""
ALL_SYMBOLS = 2
"""Every character of the word is in datatrove's `PUNCTUATION_SET`."""
IS_PUNCTUATION = 4
"""Every character is Unicode punctuation: spaCy's `is_punct`."""
IS_STOP = 8
"""The word is one of the sentencizer's sentence ends."""


@kernel
def find_chunks(texts: Texts, chunks: Chunks, keys: Keys, letters: UInt8s) -> int:
    """Fill in the spans of the chunks, their keys, and whether each is of letters alone (else 0); their number."""
    codepoints, first, last, classes = texts
    at = 0
    for row in range(first.size):
        chunks.first[row] = at
        i, end = first[row], last[row]
        while i < end:
            if classes[codepoints[i]] & SPACE:
                i += 1
                continue
            chunks.starts[at] = i
            a, b, alpha = SEED_A, SEED_B, np.uint8(ALPHA)
            while i < end:
                code = codepoints[i]
                kind = classes[code]
                if kind & SPACE:
                    break
                alpha &= kind
                a, b = hashed_on(a, b, code)
                i += 1
            chunks.ends[at] = i
            keys.a[at], keys.b[at] = mixed(a), mixed(b)
            letters[at] = alpha
            at += 1
        chunks.last[row] = at
    return at


class LookupProgress(NamedTuple):
    """How far `look_up` came: the next chunk, entries and lengths used, local entries, and new entries to fill in."""

    chunk: int
    entries: int
    lengths: int
    local: int
    missing: int


@kernel
def look_up(
    texts: Texts,
    chunks: Chunks,
    keys: Keys,
    letters: UInt8s,
    tables: ChunkTables,
    longest_reserved: int,
    longest: int,
    at: LookupProgress,
    missing: Int64s,
    local: Int64s,
) -> LookupProgress:
    """Entries of the chunks from `at.chunk` on, with new ones for those not known; simple chunks are answered.

    The other new entries' chunks are put into `missing`. Chunks over `longest` get local entries and are put into
    `local`. Stops early where the tables are full.
    """
    answers = tables.answers
    _, count, used, n_local, n_missing = at
    for chunk in range(at.chunk, chunks.starts.size):
        start, end = chunks.starts[chunk], chunks.ends[chunk]
        a, b = keys.a[chunk], keys.b[chunk]
        if letters[chunk]:
            entry = find(tables.reserved, tables.keys, a, b) if end - start <= longest_reserved else -1
            chunks.entries[chunk] = max(entry, ONE_WORD)
            continue
        if end - start > longest:
            chunks.entries[chunk] = LOCAL - n_local
            local[n_local] = chunk
            n_local += 1
            continue
        entry = find(tables.slots, tables.keys, a, b)
        if entry < 0:
            if count == tables.keys.a.size or used + longest > answers.lengths.size:
                return LookupProgress(chunk, count, used, n_local, n_missing)
            tables.slots[-1 - entry] = count
            entry = count
            count += 1
            tables.keys.a[entry], tables.keys.b[entry] = a, b
            words, edge = simple_words(
                texts.codepoints, texts.classes, start, end, tables.simple, answers.lengths, used
            )
            answers.begins[entry], answers.counts[entry], answers.edges[entry] = used, words, edge
            used += words
            if words == 0:
                missing[n_missing] = chunk
                n_missing += 1
        chunks.entries[chunk] = entry
    return LookupProgress(chunks.starts.size, count, used, n_local, n_missing)


@kernel
def survey(
    texts: Texts,
    chunks: Chunks,
    known: Answers,
    local: Answers,
    opens: int,
    closes: int,
    alters: int,
    words_first: Int64s,
    words_last: Int64s,
    meetings: Int64s,
) -> tuple[int, int]:
    """Where the words of each text begin and end among all words; their number.

    And put into `meetings` each chunk that meets the next one so that the words of either may change; their number.
    """
    words, found = 0, 0
    for row in range(chunks.first.size):
        words_first[row] = words
        before = np.uint8(0)
        for chunk in range(chunks.first[row], chunks.last[row]):
            entry = chunks.entries[chunk]
            if entry == ONE_WORD:
                words += 1
                before = np.uint8(0)
                continue
            if entry >= 0:
                edge = known.edges[entry]
                words += known.counts[entry]
            else:
                edge = local.edges[LOCAL - entry]
                words += local.counts[LOCAL - entry]
            if before & opens and edge & closes and (before | edge) & alters:
                gap = chunks.ends[chunk - 1]
                if chunks.starts[chunk] == gap + 1 and texts.codepoints[gap] == 32 and found < meetings.size:
                    meetings[found] = chunk - 1
                    found += 1
            before = edge
        words_last[row] = words
    return words, found


@kernel
def emit_words(
    texts: Texts, chunks: Chunks, known: Answers, local: Answers, starts: Int64s, ends: Int64s, flags: UInt8s
) -> None:
    """Spans and flags of all words, in order."""
    at = 0
    for chunk in range(chunks.starts.size):
        entry = chunks.entries[chunk]
        start = chunks.starts[chunk]
        if entry == ONE_WORD:
            starts[at] = start
            ends[at] = chunks.ends[chunk]
            flags[at] = HAS_ALPHA
            at += 1
            continue
        if entry >= 0:
            lengths, begin, count = known.lengths, known.begins[entry], known.counts[entry]
        else:
            lengths, begin, count = local.lengths, local.begins[LOCAL - entry], local.counts[LOCAL - entry]
        for k in range(begin, begin + count):
            end = start + lengths[k]
            starts[at] = start
            ends[at] = end
            flags[at] = _flags(texts, start, end)
            start = end
            at += 1


@kernel
def _flags(texts: Texts, start: int, end: int) -> np.uint8:
    every = np.uint8(0xFF)
    some = np.uint8(0)
    for i in range(start, end):
        kind = texts.classes[texts.codepoints[i]]
        every &= kind
        some |= kind
    flags = 0
    if some & ALPHA:
        flags |= HAS_ALPHA
    if every & SYMBOL:
        flags |= ALL_SYMBOLS
    if every & PUNCTUATION:
        flags |= IS_PUNCTUATION
    if end == start + 1 and every & STOP:
        flags |= IS_STOP
    return np.uint8(flags)
