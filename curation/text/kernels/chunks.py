"""Chunks: the pieces of text between white space, their keys, and the words they consist of.

A chunk is identified by two independent 64-bit hashes. Each chunk has an entry: `ONE_WORD`, the number of an entry in
the memo (at least 0), or `LOCAL - k` for the k-th entry that exists for this batch only. An entry holds the number of
words of the chunk, their lengths, and how the chunk interacts with its neighbors (`curation.text.english.Edge`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel
from curation.text.kernels.characters import ALPHA, PUNCTUATION, SPACE, STOP, SYMBOL
from curation.text.kernels.chunk_keys import SEED_A, SEED_B, Keys, extend_hash, find, mix
from curation.text.kernels.simple_chunks import Simple, simple_words


class Texts(NamedTuple):
    """Code points of texts, of which text i is `codepoints[first[i]:last[i]]`, and the table of classes."""

    codepoints: UInt32s
    first: Int64s
    last: Int64s
    classes: UInt8s


class Chunks(NamedTuple):
    """Spans of chunks in the code points and the entry of each; text i has the chunks `first[i]:last[i]`."""

    starts: Int64s
    ends: Int64s
    entries: Int64s
    first: Int64s
    last: Int64s


class Answers(NamedTuple):
    """Words by entry: entry e has words of the lengths `lengths[begins[e] : begins[e] + counts[e]]`, and an edge."""

    begins: Int64s
    counts: Int32s
    edges: UInt8s
    lengths: Int32s


class ChunkTables(NamedTuple):
    """Hash tables from key to entry: `reserved` for chunks of letters that are not one word, `slots` for the others."""

    keys: Keys
    reserved: Int32s
    slots: Int32s
    answers: Answers
    simple: Simple


ONE_WORD = -1
"""Entry of a chunk of letters that is in no exception: one word that never interacts with a neighbor."""
LOCAL = -2
"""The first entry that exists for this batch only; the k-th one is `LOCAL - k`."""

HAS_ALPHA = 1
"""The word contains a letter."""
ALL_SYMBOLS = 2
"""Every character of the word is in datatrove's `PUNCTUATION_SET`."""
IS_PUNCTUATION = 4
"""Every character is Unicode punctuation: spaCy's `is_punct`."""
IS_STOP = 8
"""The word is one of the sentencizer's sentence-ending characters."""


@kernel
def find_chunks(texts: Texts, chunks: Chunks, keys: Keys, letters: UInt8s) -> int:
    """Find the chunks of texts.

    Args:
        texts: The texts.
        chunks: Output: spans of the chunks, and the chunks of each text; entries are not filled in.
        keys: Output: key of each chunk.
        letters: Output: nonzero for a chunk that consists of letters only.

    Returns:
        The number of chunks.
    """
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
                a, b = extend_hash(a, b, code)
                i += 1
            chunks.ends[at] = i
            keys.a[at], keys.b[at] = mix(a), mix(b)
            letters[at] = alpha
            at += 1
        chunks.last[row] = at
    return at


class LookupProgress(NamedTuple):
    """Progress of `look_up`.

    Attributes:
        chunk: The next chunk to look up.
        entries: Number of entries in the memo.
        lengths: Number of word lengths in the memo.
        local: Number of local entries.
        missing: Number of new entries that must be filled in.
    """

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
    """Look up the entries of chunks, and create entries for unknown ones.

    Args:
        texts: The texts.
        chunks: Their chunks; `chunks.entries` is filled in.
        keys: Keys of the chunks.
        letters: Nonzero for chunks of letters only.
        tables: Hash tables; new entries are added. Those of simple chunks are filled in here.
        longest_reserved: Characters of the longest reserved chunk.
        longest: Characters of the longest chunk to store; longer ones get local entries.
        at: Progress so far.
        missing: Output: chunks whose new entries must be filled in by the tokenizer.
        local: Output: chunks with local entries.

    Returns:
        The progress, which is incomplete if the tables are full.
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
            words, edge = 0, 0
            if tables.simple.affixes.size:
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
def locate_words(
    texts: Texts,
    chunks: Chunks,
    known: Answers,
    local: Answers,
    opens: int,
    closes: int,
    alters: int,
    words_first: Int64s,
    words_last: Int64s,
    pairs: Int64s,
) -> tuple[int, int]:
    """Locate the words of each text among all words, and find the chunks that interact with the next one.

    Args:
        texts: The texts.
        chunks: Their chunks with entries.
        known: Words of the entries in the memo.
        local: Words of the local entries.
        opens: Edge flags of a chunk that can interact with the next one.
        closes: Edge flags of a chunk that can interact with the previous one.
        alters: Edge flag of a chunk whose words may change.
        words_first: Output: first word of each text.
        words_last: Output: word after the last of each text.
        pairs: Output: chunks that interact with the next one so that the words of either may change.

    Returns:
        The number of words and the number of interactions.
    """
    words, n_pairs = 0, 0
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
                if chunks.starts[chunk] == gap + 1 and texts.codepoints[gap] == 32 and n_pairs < pairs.size:
                    pairs[n_pairs] = chunk - 1
                    n_pairs += 1
            before = edge
        words_last[row] = words
    return words, n_pairs


@kernel
def emit_words(
    texts: Texts, chunks: Chunks, known: Answers, local: Answers, starts: Int64s, ends: Int64s, flags: UInt8s
) -> None:
    """Fill in the spans and flags of all words, in order."""
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


@inner
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
