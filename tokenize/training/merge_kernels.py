"""The kernels under `merges`: words in cells, and what one merge changes in them.

A word stands in `cells` as three numbers (its count's low and high half, its length) and its tokens, so that visiting
one costs a miss or two of the cache. A waiting pair owns a stretch of `places`, the words in which it stood when it
came to be; a word may have lost it since, which does no harm. What one merge does to its neighbours is added up by
neighbour first, then told to the table of pairs, once a neighbour instead of once an occurrence. Merges shorten words:
now and then these move together, and places with them.

A token is made by one merge only: within bounds that no merge crosses, a string is merged as it would be by itself, so
there are no two ways to the same one. Hence a pair comes to be when the newer of its tokens does, all of it at once,
and then only loses occurrences. One that is too rare, then or later, is forgotten for good.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, Int64s, UInt8s, UInt32s
from curation.running.compiled import kernel
from curation.tokenize.training.pair_kernels import (
    COUNT,
    LENGTH,
    PAIR,
    START,
    WAITING,
    add_pair,
    find_pair,
    no_pairs,
    pop,
    push,
    sift_down,
)

HEADER = 3
"""Cells before a word's tokens."""

BYTES = 256
"""Tokens before the first merge."""

_LOW = (1 << 32) - 1
_BYTE_PAIRS = 1 << 16
TOKENS, _PLACES, USED = 2, 3, 4
_SIDE, _NEIGHBOUR, _CHANGE, _LAST, _SIZE, _BEGIN, _COUNT = range(7)
_LEFT, _RIGHT = 0, 1


class MergeLimits(NamedTuple):
    """When to stop: tokens in the vocabulary, least frequency of a pair (at least 1); bytes that no token may reach."""

    vocabulary: int
    min_frequency: int
    longest: int


class MergeState(NamedTuple):
    """cells: words. pairs: (key, count) of a hash table. heap: count, pair, start, length of what waits.

    places: see above. lengths: bytes of each token. merges: both parts of each token after the bytes. sizes: pairs in
    the table, pairs waiting, tokens, places used, cells that words take.
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
    """Cells that words take; one of less than two bytes takes none, for it has no pairs."""
    size = 0
    for row in range(len(offsets) - 1):
        length = offsets[row + 1] - offsets[row]
        if length > 1:
            size += HEADER + length
    return size


@kernel
def place_words(data: UInt8s, offsets: Int64s, counts: Int64s, ids: Int64s, cells: UInt32s) -> None:
    """Fill the cells of words. `ids`: the token of each byte."""
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
    """Nothing merged: pairs of bytes with their counts and places."""
    counts, sizes = _count_byte_pairs(cells)
    begins = np.cumsum(sizes) - sizes
    places = np.empty(max(sizes.sum() * 8 // 5, 1024), np.uint32)  # enough, mostly, for ever
    _fill_places(cells, begins.copy(), places)
    totals = np.zeros(5, np.int64)
    # Room that is not used takes no memory, while to outgrow it takes three times what is used.
    pairs, heap = no_pairs(1 << 17), np.empty((max(len(cells) // 8, 1 << 14), 4), np.int64)
    for key in range(_BYTE_PAIRS):
        if counts[key] >= limits.min_frequency:
            pair = (key >> 8) << 32 | (key & 0xFF)
            pairs = add_pair(pairs, totals, pair, counts[key], limits.min_frequency)
            heap = push(heap, totals, counts[key], pair, begins[key], sizes[key])
    totals[TOKENS], totals[_PLACES], totals[USED] = BYTES, sizes.sum(), len(cells)
    lengths = np.ones(limits.vocabulary, np.int64)
    return MergeState(cells, pairs, heap, places, lengths, np.empty((limits.vocabulary - BYTES, 2), np.int32), totals)


@kernel
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


@kernel
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
    """Where each word begins: the used part of room for as many words as there could be."""
    starts, words = np.empty(len(cells) // (HEADER + 2), np.uint32), 0
    word = np.int64(0)
    while word < len(cells):
        starts[words] = word
        words += 1
        word += HEADER + np.int64(cells[word + 2])
    return starts[:words]


@kernel
def move_together(state: MergeState, starts: UInt32s) -> None:
    """Move words, which begin at `starts`, to the beginning of `cells`, without what merges left empty between them."""
    cells, places = state.cells, state.places
    kept = np.empty(len(starts), np.uint32)  # while a word's first cell says where it goes
    used = np.int64(0)
    for word in range(len(starts)):
        begin = np.int64(starts[word])
        kept[word], cells[begin] = cells[begin], used
        used += HEADER + np.int64(cells[begin + 2])
    for place in range(state.sizes[_PLACES]):
        places[place] = cells[places[place]]
    for word in range(len(starts)):
        begin = np.int64(starts[word])
        target = np.int64(cells[begin])
        cells[begin], starts[word] = kept[word], target
        for place in range(HEADER + np.int64(cells[begin + 2])):
            cells[target + place] = cells[begin + place]


@kernel
def _count_of(cells: UInt32s, word: int | np.int64) -> np.int64:
    return np.int64(cells[word]) | np.int64(cells[word + 1]) << 32


@kernel
def advance(state: MergeState, limits: MergeLimits, most: int) -> tuple[MergeState, bool]:
    """Make up to `most` merges; whether there may be more to make."""
    cells, pairs, heap, places, lengths, merges, sizes = state
    buckets = np.empty((2 * limits.vocabulary, 7), np.int64)
    bucket_of = np.full((2, limits.vocabulary), -1, np.int32)
    records = np.empty((1 << 12, 2), np.uint32)
    made = 0
    while made < most and sizes[WAITING] and sizes[TOKENS] < limits.vocabulary:
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
        made += 1
        used = places[start : start + length]
        records, found, recorded, freed = _merge(cells, used, first, second, token, buckets, bucket_of, records)
        sizes[USED] -= freed
        met = buckets[:found]
        pairs = _change_pairs(pairs, sizes, met, first, second, token, lengths, limits)
        places = _record_places(places, pairs, heap, sizes, met, records[:recorded], token, limits.min_frequency)
        for bucket in range(found):
            bucket_of[met[bucket, _SIDE], met[bucket, _NEIGHBOUR]] = -1
            if met[bucket, _SIZE]:
                key = _pair_with(met[bucket], token)
                heap = push(heap, sizes, met[bucket, _COUNT], key, met[bucket, _BEGIN], met[bucket, _SIZE])
    return MergeState(cells, pairs, heap, places, lengths, merges, sizes), made == most


@kernel
def _pair_with(bucket: Int64s, token: int) -> np.int64:
    neighbour = bucket[_NEIGHBOUR]
    return np.int64(neighbour << 32 | token if bucket[_SIDE] == _LEFT else token << 32 | neighbour)


@kernel
def _merge(
    cells: UInt32s, words: UInt32s, first: int, second: int, token: int,
    buckets: Int64s, bucket_of: Int32s, records: UInt32s,
) -> tuple[UInt32s, int, int, np.int64]:  # fmt: skip
    """Put `token` for `first`, `second` in the words given; returns records, how many buckets, of these, cells freed.

    A bucket is a neighbour of the token on one side, with the count of all such neighbours and of words that gained it;
    a record is a bucket and such a word.
    """
    found, recorded, freed = 0, 0, np.int64(0)
    for word in words:
        begin = np.int64(word) + HEADER
        end = begin + np.int64(cells[word + 2])
        if recorded + 2 * (end - begin) > len(records):
            larger = np.empty((2 * len(records) + 2 * (end - begin), 2), np.uint32)
            larger[:recorded] = records[:recorded]
            records = larger
        source = begin
        while source + 1 < end and not (cells[source] == first and cells[source + 1] == second):
            source += 1
        target = source
        while source < end:
            if source + 1 < end and cells[source] == first and cells[source + 1] == second:
                if target > begin:
                    met = (_LEFT, np.int64(cells[target - 1]))
                    found, recorded = _meet(cells, word, met, buckets, bucket_of, records, found, recorded)
                if source + 2 < end:
                    met = (_RIGHT, np.int64(cells[source + 2]))
                    found, recorded = _meet(cells, word, met, buckets, bucket_of, records, found, recorded)
                cells[target] = token
                source += 2
            else:
                cells[target] = cells[source]
                source += 1
            target += 1
        cells[word + 2] = target - begin
        freed += end - target
    return records, found, recorded, freed


@kernel
def _meet(
    cells: UInt32s, word: int, met: tuple[int, np.int64], buckets: Int64s, bucket_of: Int32s, records: UInt32s,
    found: int, recorded: int,
) -> tuple[int, int]:  # fmt: skip
    """Enter that the token has a neighbour in a word: its side and itself. Returns how many buckets and records now."""
    side, neighbour = met
    bucket = np.int64(bucket_of[side, neighbour])
    if bucket < 0:
        bucket = np.int64(found)
        found += 1
        bucket_of[side, neighbour] = bucket
        buckets[bucket, _SIDE], buckets[bucket, _NEIGHBOUR] = side, neighbour
        buckets[bucket, _CHANGE], buckets[bucket, _LAST], buckets[bucket, _SIZE] = 0, -1, 0
    buckets[bucket, _CHANGE] += _count_of(cells, word)
    if buckets[bucket, _LAST] != word:
        buckets[bucket, _LAST] = word
        buckets[bucket, _SIZE] += 1
        records[recorded, 0], records[recorded, 1] = bucket, word
        recorded += 1
    return found, recorded


@kernel
def _change_pairs(
    pairs: Int64s, sizes: Int64s, buckets: Int64s, first: int, second: int, token: int, lengths: Int64s,
    limits: MergeLimits,
) -> Int64s:  # fmt: skip
    """Tell the table what each bucket changed: the neighbour lost a pair with a part of the token, won one with it.

    A token's right neighbours are told before it is its own left one (the next of its kind took that place), since they
    were met in this order.
    """
    for bucket in range(len(buckets)):
        neighbour, change = buckets[bucket, _NEIGHBOUR], buckets[bucket, _CHANGE]
        left = buckets[bucket, _SIDE] == _LEFT
        slot = find_pair(pairs, neighbour << 32 | first if left else second << 32 | neighbour)
        if pairs[slot, 1] > 0:
            pairs[slot, 1] -= change
        if change >= limits.min_frequency and lengths[neighbour] + lengths[token] < limits.longest:
            pairs = add_pair(pairs, sizes, _pair_with(buckets[bucket], token), change, limits.min_frequency)
    return pairs


@kernel
def _record_places(
    places: UInt32s, pairs: Int64s, heap: Int64s, sizes: Int64s, buckets: Int64s, records: UInt32s,
    token: int, min_frequency: int,
) -> UInt32s:  # fmt: skip
    """Give each bucket whose pair is frequent enough its stretch of `places`; the others have size 0 from here on."""
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


@kernel
def _compacted(places: UInt32s, heap: Int64s, sizes: Int64s, needed: int) -> UInt32s:
    """The stretches still waiting, in their order, with room for `needed` more places."""
    live = heap[:, LENGTH].sum()
    target = places if 8 * (live + needed) < 7 * len(places) else np.empty(live + live // 2 + needed, np.uint32)
    used = 0
    for entry in np.argsort(heap[:, START]):
        start, length = heap[entry, START], heap[entry, LENGTH]
        for place in range(length):
            target[used + place] = places[start + place]
        heap[entry, START] = used
        used += length
    sizes[_PLACES] = used
    return target
