"""Repeated n-grams of words by Gopher's repetition rules (datatrove 0.10, gopher_repetition_filter.py).

Top n-grams are equal if their words are, so each is identified by the number of its first n-1 words and that of its
last word: exact, with one table lookup per n-gram. Duplicate n-grams are equal if their words, joined without spaces,
have the same characters, wherever the words end: a rolling hash finds candidates and the characters decide.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int32s, Int64s, UInt32s, UInt64s
from curation.running.compiled import inner, kernel
from curation.text.kernels.chunk_keys import mix
from curation.text.kernels.duplicates import are_equal, hash_span, table_size

_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(0xF1DE83E19937733D)
"""_BASE * _INVERSE = 1 modulo 2^64."""


@kernel
def measure_ngrams(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    first: Int64s,
    last: Int64s,
    top_sizes: Int64s,
    duplicate_sizes: Int64s,
    top: Int64s,
    duplicate: Int64s,
) -> None:
    """Count the characters in repeated n-grams of each text.

    Args:
        codepoints: Code points of all texts.
        starts: First code point of each word.
        ends: Code point after each word.
        first: First word of each text.
        last: Word after the last of each text.
        top_sizes: Words per top n-gram, ascending, from 2.
        duplicate_sizes: Words per duplicate n-gram.
        top: Output, shape (texts, top sizes): length of the most frequent n-gram, its words joined by spaces, times its
            occurrences; the first in the text if several are most frequent.
        duplicate: Output, shape (texts, duplicate sizes): characters of all n-grams that occurred before, words joined
            without spaces, scanned from the left without overlap.
    """
    words, characters = 0, 0
    for row in range(first.size):
        count = last[row] - first[row]
        words = max(words, count)
        length = 0
        for k in range(first[row], last[row]):
            length += ends[k] - starts[k]
        characters = max(characters, length)
    slots = np.empty(table_size(words), dtype=np.int32)
    ids, grams = np.empty(words, dtype=np.int32), np.empty(words, dtype=np.int32)
    keys, counts, places = (
        np.empty(words, dtype=np.uint64),
        np.empty(words, dtype=np.int32),
        np.empty(words, dtype=np.int32),
    )
    joined = np.empty(characters, dtype=np.uint32)
    offsets = np.empty(words + 1, dtype=np.int64)
    sums, scales = np.empty(words + 1, dtype=np.uint64), np.empty(words + 1, dtype=np.uint64)
    for row in range(first.size):
        begin, n_words = first[row], last[row] - first[row]
        size = table_size(n_words)
        number_words(codepoints, starts, ends, begin, n_words, slots[:size], ids, counts)
        for k in range(n_words):
            grams[k] = ids[k]
        n = 1
        for j in range(top_sizes.size):
            while n < top_sizes[j]:
                n += 1
                number_ngrams(ids, grams, n, n_words, slots[:size], keys, counts, places)
            top[row, j] = _top_characters(starts, ends, begin, n, n_words, grams, counts, places)
        _join(codepoints, starts, ends, begin, n_words, joined, offsets, sums, scales)
        for j in range(duplicate_sizes.size):
            duplicate[row, j] = _duplicate_characters(
                joined, offsets, sums, scales, n_words, duplicate_sizes[j], slots[:size]
            )


@inner
def number_words(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    begin: int,
    n_words: int,
    slots: Int32s,
    ids: Int32s,
    places: Int32s,
) -> None:
    """Number the words in order of first occurrence, from 0: `ids[k]` is equal for equal words."""
    slots[:] = -1
    mask = np.uint64(slots.size - 1)
    known = 0
    for k in range(n_words):
        start, length = starts[begin + k], ends[begin + k] - starts[begin + k]
        slot = hash_span(codepoints, start, start + length) & mask
        while True:
            number = slots[slot]
            if number < 0:
                slots[slot] = number = known
                places[known] = k
                known += 1
                break
            other = begin + places[number]
            if ends[other] - starts[other] == length and are_equal(codepoints, starts[other], start, length):
                break
            slot = (slot + np.uint64(1)) & mask
        ids[k] = number


@inner
def number_ngrams(
    ids: Int32s, grams: Int32s, n: int, n_words: int, slots: Int32s, keys: UInt64s, counts: Int32s, places: Int32s
) -> None:
    """Turn `grams`, the numbers of (n-1)-grams by first word, into the numbers of n-grams, and count them."""
    slots[:] = -1
    mask = np.uint64(slots.size - 1)
    known = 0
    for k in range(n_words - n + 1):
        key = np.uint64(grams[k]) << np.uint64(32) | np.uint64(ids[k + n - 1])
        slot = mix(key * _BASE) & mask
        while slots[slot] >= 0 and keys[slots[slot]] != key:
            slot = (slot + np.uint64(1)) & mask
        number = slots[slot]
        if number < 0:
            slots[slot] = number = known
            keys[known], counts[known], places[known] = key, 0, k
            known += 1
        counts[number] += 1
        grams[k] = number


@inner
def _top_characters(
    starts: Int64s, ends: Int64s, begin: int, n: int, n_words: int, grams: Int32s, counts: Int32s, places: Int32s
) -> int:
    best, known = 0, 0
    for k in range(n_words - n + 1):
        if grams[k] == known:
            if counts[known] > counts[best]:
                best = known
            known += 1
    if known == 0:
        return 0
    length = n - 1
    for k in range(begin + places[best], begin + places[best] + n):
        length += ends[k] - starts[k]
    return int(length * counts[best])


@inner
def _join(
    codepoints: UInt32s,
    starts: Int64s,
    ends: Int64s,
    begin: int,
    n_words: int,
    joined: UInt32s,
    offsets: Int64s,
    sums: UInt64s,
    scales: UInt64s,
) -> None:
    """Join all words without spaces; fill in each word's start, the sum of c·BASE^i before it, and BASE^-start."""
    at = 0
    total, power, scale = np.uint64(0), np.uint64(1), np.uint64(1)
    for k in range(n_words):
        offsets[k], sums[k], scales[k] = at, total, scale
        for i in range(starts[begin + k], ends[begin + k]):
            code = codepoints[i]
            joined[at] = code
            at += 1
            total += np.uint64(code) * power
            power *= _BASE
            scale *= _INVERSE
    offsets[n_words], sums[n_words], scales[n_words] = at, total, scale


@inner
def _duplicate_characters(
    joined: UInt32s, offsets: Int64s, sums: UInt64s, scales: UInt64s, n_words: int, n: int, slots: Int32s
) -> int:
    slots[:] = -1
    mask = np.uint64(slots.size - 1)
    repeated, k = 0, 0
    while k + n <= n_words:
        length = offsets[k + n] - offsets[k]
        slot = mix((sums[k + n] - sums[k]) * scales[k]) & mask
        while True:
            other = slots[slot]
            if other < 0:
                slots[slot] = k
                k += 1
                break
            if offsets[other + n] - offsets[other] == length and are_equal(joined, offsets[other], offsets[k], length):
                repeated += length
                k += n
                break
            slot = (slot + np.uint64(1)) & mask
    return int(repeated)
