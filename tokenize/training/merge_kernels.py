"""The kernels behind `merges`: words stored in cells, and what one merge changes in them.

A word is stored in `cells` as three numbers (low and high half of its count, its length) followed by its tokens, so
that visiting a word costs one or two cache misses. A waiting pair owns a slice of `places`: the words that contained it
when the pair was created. A word may have lost the pair since, which does no harm. The effects of a merge are summed
per neighboring token first, so that the table of pairs is updated once per neighbor instead of once per occurrence.
Merges shorten words, so from time to time words are moved together, and `places` is updated.

Each token is made by exactly one merge: between boundaries that no merge crosses, a string is merged as if it stood
alone, so there is only one way to build it. A pair therefore gets all its occurrences at once, when the newer of its
two tokens is created, and only loses some later. A pair that is too rare, then or later, can be dropped for good.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import inner, kernel, sorted_rows
from curation.tokenize.training.pair_kernels import (
    COUNT,
    LENGTH,
    PAIR,
    START,
    WAITING,
    add_pair,
    empty_pairs,
    find_pair,
    pop,
    push,
    sift_down,
)

HEADER = 3
"""Cells before a word's tokens."""

BYTES = 256
"""Number of tokens before the first merge."""

_LOW = (1 << 32) - 1
_BYTE_PAIRS = 1 << 16
TOKENS, _PLACES, USED = 2, 3, 4
_SIDE, _NEIGHBOR, _CHANGE, _LAST, _SIZE, _BEGIN, _COUNT = range(7)
_LEFT, _RIGHT = 0, 1


class MergeLimits(NamedTuple):
    """When to stop merging.

    Attributes:
        vocabulary: Number of tokens, the bytes included.
        min_frequency: Minimum frequency of a pair, at least 1.
        longest: Length in bytes that every merged token of more than two bytes must stay below.
    """

    vocabulary: int
    min_frequency: int
    longest: int


class MergeState(NamedTuple):
    """The arrays that the kernels work on.

    Attributes:
        cells: uint32. The words, see the module docstring.
        pairs: int64[slots, 2]. Hash table of (pair, count); a pair is its left id << 32 | its right id.
        heap: int64[capacity, 4]. Waiting pairs: count, pair, start and length of the slice of `places`.
        places: uint32. Where the words that contain a waiting pair start in `cells`.
        lengths: int64[vocabulary]. Bytes of each token.
        merges: int32[vocabulary - 256, 2]. The two parts of each token after the bytes.
        sizes: int64[5]. Pairs in the table, pairs waiting, tokens, used `places`, cells occupied by words.
    """

    cells: UInt32s
    pairs: Int64s
    heap: Int64s
    places: UInt32s
    lengths: Int64s
    merges: Int32s
    sizes: Int64s


@kernel
def count_cells(offsets: Int64s) -> int:
    """Number of cells that words need; a word of less than two bytes needs none, because it has no pairs."""
    size = 0
    for row in range(len(offsets) - 1):
        length = offsets[row + 1] - offsets[row]
        if length > 1:
            size += HEADER + length
    return size


@kernel
def place_words(data: UInt8s, offsets: Int64s, counts: Int64s, ids: Int64s, cells: UInt32s) -> None:
    """Write words to `cells`.

    Args:
        data: Bytes of the words.
        offsets: Word `i` is `data[offsets[i]:offsets[i + 1]]`.
        counts: How often each word occurs.
        ids: int64[256]. Token of each byte.
        cells: Array to fill, `count_cells(offsets)` long.
    """
    used = 0
    for row in range(len(counts)):
        begin, length = offsets[row], offsets[row + 1] - offsets[row]
        if length < 2:
            continue
        cells[used], cells[used + 1], cells[used + 2] = counts[row] & _LOW, counts[row] >> 32, length
        for place in range(length):
            cells[used + HEADER + place] = ids[data[begin + place]]
        used += HEADER + length


@kernel
def first_state(cells: UInt32s, limits: MergeLimits) -> MergeState:
    """The state before the first merge: pairs of bytes with their counts and places."""
    counts, sizes = _count_byte_pairs(cells)
    begins, total = np.empty(_BYTE_PAIRS, np.int64), np.int64(0)
    for key in range(_BYTE_PAIRS):
        begins[key] = total
        total += sizes[key]
    places = np.empty(max(int(total) * 8 // 5, 1024), np.uint32)  # usually enough for the whole training
    _fill_places(cells, begins.copy(), places)
    totals = np.zeros(5, np.int64)
    # Unused capacity takes no memory, but growing takes three times what is used.
    pairs, heap = empty_pairs(1 << 17), np.empty((max(len(cells) // 8, 1 << 14), 4), np.int64)
    for key in range(_BYTE_PAIRS):
        if counts[key] >= limits.min_frequency:
            pair = (key >> 8) << 32 | (key & 0xFF)
            pairs = add_pair(pairs, totals, pair, counts[key], limits.min_frequency)
            heap = push(heap, totals, counts[key], pair, begins[key], sizes[key])
    totals[TOKENS], totals[_PLACES], totals[USED] = BYTES, total, len(cells)
    lengths = np.ones(limits.vocabulary, np.int64)
    return MergeState(cells, pairs, heap, places, lengths, np.empty((limits.vocabulary - BYTES, 2), np.int32), totals)


@inner
def _count_byte_pairs(cells: UInt32s) -> tuple[Int64s, Int64s]:
    """How often each pair of bytes occurs, and in how many words."""
    counts, sizes = np.zeros(_BYTE_PAIRS, np.int64), np.zeros(_BYTE_PAIRS, np.int64)
    last = np.full(_BYTE_PAIRS, -1, np.int64)
    word = np.int64(0)
    while word < len(cells):
        count, length = _count_of(cells, word), np.int64(cells[word + 2])
        for place in range(word + HEADER, word + HEADER + length - 1):
            key = np.int64(cells[place]) << 8 | np.int64(cells[place + 1])
            counts[key] += count
            if last[key] != word:
                sizes[key] += 1
                last[key] = word
        word += HEADER + length
    return counts, sizes


@inner
def _fill_places(cells: UInt32s, ends: Int64s, places: UInt32s) -> None:
    last = np.full(_BYTE_PAIRS, -1, np.int64)
    word = np.int64(0)
    while word < len(cells):
        length = np.int64(cells[word + 2])
        for place in range(word + HEADER, word + HEADER + length - 1):
            key = np.int64(cells[place]) << 8 | np.int64(cells[place + 1])
            if last[key] != word:
                places[ends[key]] = word
                ends[key] += 1
                last[key] = word
        word += HEADER + length


@kernel
def find_words(cells: UInt32s) -> UInt32s:
    """Where each word begins in `cells`."""
    starts, words = np.empty(len(cells) // (HEADER + 2), np.uint32), 0
    word = np.int64(0)
    while word < len(cells):
        starts[words] = word
        words += 1
        word += HEADER + np.int64(cells[word + 2])
    return starts[:words]


@kernel
def compact_words(state: MergeState, starts: UInt32s) -> None:
    """Move the words, which begin at `starts`, to the front of `cells`, closing the gaps that merges left."""
    cells, places = state.cells, state.places
    first_cells = np.empty(len(starts), np.uint32)  # the first cells, which temporarily hold the words' new positions
    used = np.int64(0)
    for word in range(len(starts)):
        begin = np.int64(starts[word])
        first_cells[word], cells[begin] = cells[begin], used
        used += HEADER + np.int64(cells[begin + 2])
    for place in range(state.sizes[_PLACES]):
        places[place] = cells[places[place]]
    for word in range(len(starts)):
        begin = np.int64(starts[word])
        target = np.int64(cells[begin])
        cells[begin], starts[word] = first_cells[word], target
        for place in range(HEADER + np.int64(cells[begin + 2])):
            cells[target + place] = cells[begin + place]


@inner
def _count_of(cells: UInt32s, word: int | np.int64) -> np.int64:
    return np.int64(cells[word]) | np.int64(cells[word + 1]) << 32


@kernel
def advance(state: MergeState, limits: MergeLimits, most: int) -> tuple[MergeState, bool]:
    """Make up to `most` merges; returns the new state and whether there may be more merges to make."""
    cells, pairs, heap, places, lengths, merges, sizes = state
    buckets = np.empty((2 * limits.vocabulary, 7), np.int64)
    bucket_of = np.full((2, limits.vocabulary), -1, np.int32)
    records = np.empty((1 << 12, 2), np.uint32)
    merged = 0
    while merged < most and sizes[WAITING] and sizes[TOKENS] < limits.vocabulary:
        pair, start, length = heap[0, PAIR], heap[0, START], heap[0, LENGTH]
        slot = find_pair(pairs, pair)
        count = pairs[slot, 1]
        if count != heap[0, COUNT]:
            heap[0, COUNT] = count
            if count < limits.min_frequency:
                pop(heap, sizes)
            else:
                sift_down(heap, sizes[WAITING])
            continue
        pop(heap, sizes)
        pairs[slot, 1] = 0
        first, second = pair >> 32, pair & _LOW
        token = sizes[TOKENS]
        sizes[TOKENS] += 1
        lengths[token] = lengths[first] + lengths[second]
        merges[token - BYTES, 0], merges[token - BYTES, 1] = first, second
        merged += 1
        words = places[start : start + length]
        records, n_buckets, recorded, freed = _merge(cells, words, first, second, token, buckets, bucket_of, records)
        sizes[USED] -= freed
        filled = buckets[:n_buckets]
        pairs = _change_pairs(pairs, sizes, filled, first, second, token, lengths, limits)
        places = _record_places(places, pairs, heap, sizes, filled, records[:recorded], token, limits.min_frequency)
        for bucket in range(n_buckets):
            bucket_of[filled[bucket, _SIDE], filled[bucket, _NEIGHBOR]] = -1
            if filled[bucket, _SIZE]:
                key = _pair_with(filled[bucket], token)
                heap = push(heap, sizes, filled[bucket, _COUNT], key, filled[bucket, _BEGIN], filled[bucket, _SIZE])
    return MergeState(cells, pairs, heap, places, lengths, merges, sizes), merged == most


@inner
def _pair_with(bucket: Int64s, token: int) -> np.int64:
    neighbor = bucket[_NEIGHBOR]
    return np.int64(neighbor << 32 | token if bucket[_SIDE] == _LEFT else token << 32 | neighbor)


@inner
def _merge(
    cells: UInt32s, words: UInt32s, first: int, second: int, token: int,
    buckets: Int64s, bucket_of: Int32s, records: UInt32s,
) -> tuple[UInt32s, int, int, np.int64]:  # fmt: skip
    """Replace `first`, `second` by `token` in the given words.

    A bucket collects one neighbor of the token on one side: how often it occurs there, and in how many words. A record
    is a bucket and one of these words.

    Returns:
        The records, the number of buckets, the number of records, and the number of cells freed.
    """
    n_buckets, recorded, freed = 0, 0, np.int64(0)
    for word in words:
        begin = np.int64(word) + HEADER
        end = begin + np.int64(cells[word + 2])
        if recorded + 2 * (end - begin) > len(records):
            larger = np.empty((2 * len(records) + 2 * (end - begin), 2), np.uint32)
            for record in range(recorded):
                larger[record, 0], larger[record, 1] = records[record, 0], records[record, 1]
            records = larger
        source = begin
        while source + 1 < end and not (cells[source] == first and cells[source + 1] == second):
            source += 1
        target = source
        while source < end:
            if source + 1 < end and cells[source] == first and cells[source + 1] == second:
                if target > begin:
                    near = (_LEFT, np.int64(cells[target - 1]))
                    n_buckets, recorded = _record(cells, word, near, buckets, bucket_of, records, n_buckets, recorded)
                if source + 2 < end:
                    near = (_RIGHT, np.int64(cells[source + 2]))
                    n_buckets, recorded = _record(cells, word, near, buckets, bucket_of, records, n_buckets, recorded)
                cells[target] = token
                source += 2
            else:
                cells[target] = cells[source]
                source += 1
            target += 1
        cells[word + 2] = target - begin
        freed += end - target
    return records, n_buckets, recorded, freed


@inner
def _record(
    cells: UInt32s, word: int, near: tuple[int, np.int64], buckets: Int64s, bucket_of: Int32s, records: UInt32s,
    n_buckets: int, recorded: int,
) -> tuple[int, int]:  # fmt: skip
    """Record a neighbor (side, token id) of the new token in a word; returns the numbers of buckets and records."""
    side, neighbor = near
    bucket = np.int64(bucket_of[side, neighbor])
    if bucket < 0:
        bucket = np.int64(n_buckets)
        n_buckets += 1
        bucket_of[side, neighbor] = bucket
        buckets[bucket, _SIDE], buckets[bucket, _NEIGHBOR] = side, neighbor
        buckets[bucket, _CHANGE], buckets[bucket, _LAST], buckets[bucket, _SIZE] = 0, -1, 0
    buckets[bucket, _CHANGE] += _count_of(cells, word)
    if buckets[bucket, _LAST] != word:
        buckets[bucket, _LAST] = word
        buckets[bucket, _SIZE] += 1
        records[recorded, 0], records[recorded, 1] = bucket, word
        recorded += 1
    return n_buckets, recorded


@inner
def _change_pairs(
    pairs: Int64s, sizes: Int64s, buckets: Int64s, first: int, second: int, token: int, lengths: Int64s,
    limits: MergeLimits,
) -> Int64s:  # fmt: skip
    """Update the table per bucket: its neighbor lost a pair with a part of the token and gained one with the token.

    Buckets come in the order in which neighbors were recorded. Where the token follows itself, the pair (token, first)
    is therefore added, by the bucket of the right neighbor, before it is subtracted.
    """
    for bucket in range(len(buckets)):
        neighbor, change = buckets[bucket, _NEIGHBOR], buckets[bucket, _CHANGE]
        left = buckets[bucket, _SIDE] == _LEFT
        slot = find_pair(pairs, neighbor << 32 | first if left else second << 32 | neighbor)
        if pairs[slot, 1] > 0:
            pairs[slot, 1] -= change
        if change >= limits.min_frequency and lengths[neighbor] + lengths[token] < limits.longest:
            pairs = add_pair(pairs, sizes, _pair_with(buckets[bucket], token), change, limits.min_frequency)
    return pairs


@inner
def _record_places(
    places: UInt32s, pairs: Int64s, heap: Int64s, sizes: Int64s, buckets: Int64s, records: UInt32s,
    token: int, min_frequency: int,
) -> UInt32s:  # fmt: skip
    """Give each bucket whose pair is frequent enough its slice of `places`; the others get size 0."""
    if sizes[_PLACES] + len(records) > len(places):
        places = _compacted(places, heap[: sizes[WAITING]], sizes, len(records))
    used = sizes[_PLACES]
    for bucket in range(len(buckets)):
        buckets[bucket, _COUNT] = pairs[find_pair(pairs, _pair_with(buckets[bucket], token)), 1]
        if buckets[bucket, _COUNT] < min_frequency:
            buckets[bucket, _SIZE] = 0
        buckets[bucket, _BEGIN] = used
        buckets[bucket, _LAST] = used
        used += buckets[bucket, _SIZE]
    for record in range(len(records)):
        bucket = records[record, 0]
        if buckets[bucket, _SIZE]:
            places[buckets[bucket, _LAST]] = records[record, 1]
            buckets[bucket, _LAST] += 1
    sizes[_PLACES] = used
    return places


@inner
def _compacted(places: UInt32s, heap: Int64s, sizes: Int64s, needed: int) -> UInt32s:
    """The slices of the waiting pairs, in their order, with room for `needed` more places."""
    starts, live = np.empty(len(heap), np.int64), np.int64(0)
    for entry in range(len(heap)):
        starts[entry] = heap[entry, START]
        live += heap[entry, LENGTH]
    target = places if 8 * (live + needed) < 7 * len(places) else np.empty(live + live // 2 + needed, np.uint32)
    used = 0
    for entry in sorted_rows(starts, np.arange(len(starts))):
        start, length = heap[entry, START], heap[entry, LENGTH]
        for place in range(length):
            target[used + place] = places[start + place]
        heap[entry, START] = used
        used += length
    sizes[_PLACES] = used
    return target
