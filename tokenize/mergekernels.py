"""The kernels under `merges`: words in cells, tokens by their spelling, and what one merge changes.

A word stands in `cells` as three numbers (its count's low and high half, its length) and its tokens, so that visiting
one costs a miss or two of the cache. A waiting pair owns a stretch of `places`, the words in which it stood when it
came to be; a word may have lost it since, which does no harm. What one merge does to its neighbours is added up by
neighbour first, then told to the hash table, once a neighbour instead of once an occurrence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from curation.compiled import kernel
from curation.tokenize.pairs import (
    COUNT,
    LENGTH,
    PAIR,
    START,
    WAITING,
    Integers,
    add_to_pair,
    doubled,
    doubled_to,
    find_pair,
    mixed,
    no_pairs,
    pop,
    push,
    sift_down,
)

Cells = npt.NDArray[np.uint32]
Octets = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int32]

HEADER = 3
"""Cells before a word's tokens."""

_LOW = (1 << 32) - 1
_BYTE_PAIRS = 1 << 16
TOKENS, _PLACES, MERGES = 2, 3, 4
_SIDE, _NEIGHBOUR, _CHANGE, _LAST, _SIZE, _BEGIN = range(6)
_LEFT, _RIGHT = 0, 1


class Limits(NamedTuple):
    """When to stop: tokens in the vocabulary, least frequency of a pair; and bytes that no token may reach."""

    vocabulary: int
    min_frequency: int
    longest: int


class State(NamedTuple):
    """cells: words. pairs: (key, count) of a hash table. heap: count, pair, start, length of what waits.

    places: see above. text, offsets: bytes of the tokens. spellings: token + 1 by the hash of its bytes. merges: pairs
    made. sizes: pairs in the table, pairs waiting, tokens, places used, merges.
    """

    cells: Cells
    pairs: Integers
    heap: Integers
    places: Cells
    text: Octets
    offsets: Integers
    spellings: Numbers
    merges: Integers
    sizes: Integers


@kernel
def count_cells(offsets: Integers) -> int:
    """Cells that words take; one of less than two bytes takes none, for it has no pairs."""
    size = 0
    for row in range(len(offsets) - 1):
        length = offsets[row + 1] - offsets[row]
        if length > 1:
            size += HEADER + length
    return size


@kernel
def place_words(data: Octets, offsets: Integers, counts: Integers, ids: Integers, cells: Cells) -> None:
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
def first_state(cells: Cells, alphabet: Octets, vocabulary: int) -> State:
    """Nothing merged: pairs of bytes with their counts and places. `alphabet`: the byte of each of the first ids."""
    counts, sizes = _count_byte_pairs(cells)
    begins = np.cumsum(sizes) - sizes
    places = np.empty(max(sizes.sum(), 1024), np.uint32)
    _fill_places(cells, begins.copy(), places)
    text, offsets = np.empty(16 * vocabulary, np.uint8), np.zeros(vocabulary + 1, np.int64)
    spellings = np.zeros(_power_of_two(2 * vocabulary + 2), np.int32)
    totals = np.zeros(5, np.int64)
    for byte in alphabet:
        _enter_token(text, offsets, spellings, totals, byte)
    pairs, heap = no_pairs(1 << 17), np.empty((1 << 14, 4), np.int64)
    for key in range(_BYTE_PAIRS):
        if counts[key] > 0:
            pair = (key >> 8) << 32 | (key & 0xFF)
            pairs = add_to_pair(pairs, totals, pair, counts[key])
            heap = push(heap, totals, counts[key], pair, begins[key], sizes[key])
    totals[_PLACES] = sizes.sum()
    return State(cells, pairs, heap, places, text, offsets, spellings, np.empty((vocabulary, 2), np.int64), totals)


@kernel
def _count_byte_pairs(cells: Cells) -> tuple[Integers, Integers]:
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
def _fill_places(cells: Cells, ends: Integers, places: Cells) -> None:
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
def _count_of(cells: Cells, word: int | np.int64) -> np.int64:
    return np.int64(cells[word]) | np.int64(cells[word + 1]) << 32


@kernel
def advance(state: State, limits: Limits, most: int) -> tuple[State, bool]:
    """Make up to `most` merges; whether there may be more to make."""
    cells, pairs, heap, places, text, offsets, spellings, merges, sizes = state
    buckets = np.empty((2 * limits.vocabulary, 6), np.int64)
    bucket_of = np.full((2, limits.vocabulary), -1, np.int32)
    records = np.empty((1 << 12, 2), np.int64)
    made = 0
    while made < most and sizes[WAITING] and sizes[TOKENS] < limits.vocabulary:
        count, pair, start, length = heap[0, COUNT], heap[0, PAIR], heap[0, START], heap[0, LENGTH]
        now = pairs[find_pair(pairs, pair), 1]
        if now != count:
            heap[0, COUNT] = now
            sift_down(heap, sizes[WAITING])
            continue
        if count < limits.min_frequency:
            break
        pop(heap, sizes)
        first, second = pair >> 32, pair & _LOW
        text, token = _join_tokens(text, offsets, spellings, sizes, first, second)
        if sizes[MERGES] == len(merges):
            merges = doubled(merges)
        merges[sizes[MERGES], 0], merges[sizes[MERGES], 1] = first, second
        sizes[MERGES] += 1
        made += 1
        used = places[start : start + length]
        records, found, recorded = _merge(
            cells, used, first, second, token, offsets, limits.longest, buckets, bucket_of, records
        )
        pairs = _change_pairs(pairs, sizes, buckets[:found], first, second, token, offsets, limits.longest)
        places = _record_places(places, heap, sizes, buckets[:found], records[:recorded])
        for bucket in range(found):
            side, neighbour = buckets[bucket, _SIDE], buckets[bucket, _NEIGHBOUR]
            bucket_of[side, neighbour] = -1
            if buckets[bucket, _SIZE]:
                key = neighbour << 32 | token if side == _LEFT else token << 32 | neighbour
                now = pairs[find_pair(pairs, key), 1]
                if now > 0:
                    heap = push(heap, sizes, now, key, buckets[bucket, _BEGIN], buckets[bucket, _SIZE])
    more = made == most
    return State(cells, pairs, heap, places, text, offsets, spellings, merges, sizes), more


@kernel
def _merge(
    cells: Cells, words: Cells, first: int, second: int, token: int, offsets: Integers, longest: int,
    buckets: Integers, bucket_of: Numbers, records: Integers,
) -> tuple[Integers, int, int]:  # fmt: skip
    """Put `token` for `first`, `second` in the words given; returns records, how many buckets and records there are.

    A bucket is a neighbour of the token on one side, with the count of all such neighbours and of words that gained it;
    a record is a bucket and such a word.
    """
    found, recorded = 0, 0
    size = offsets[token + 1] - offsets[token]
    for word in words:
        count, begin = _count_of(cells, word), np.int64(word) + HEADER
        end = begin + np.int64(cells[word + 2])
        if recorded + 2 * (end - begin) > len(records):
            records = doubled_to(records, recorded + 2 * (end - begin))
        source = begin
        while source + 1 < end and not (cells[source] == first and cells[source + 1] == second):
            source += 1
        target = source
        while source < end:
            if source + 1 < end and cells[source] == first and cells[source + 1] == second:
                for side in (_LEFT, _RIGHT):
                    if side == _LEFT:
                        if target == begin:
                            continue
                        neighbour = np.int64(cells[target - 1])
                    else:
                        if source + 2 >= end:
                            continue
                        neighbour = np.int64(cells[source + 2])
                    bucket = np.int64(bucket_of[side, neighbour])
                    if bucket < 0:
                        bucket = _new_bucket(buckets, bucket_of, found, side, neighbour)
                        found += 1
                    buckets[bucket, _CHANGE] += count
                    if offsets[neighbour + 1] - offsets[neighbour] + size >= longest:
                        continue
                    if side == _RIGHT and neighbour == token:  # the same pair as the token beside itself on the left
                        bucket = np.int64(bucket_of[_LEFT, neighbour])
                        if bucket < 0:
                            bucket = _new_bucket(buckets, bucket_of, found, _LEFT, neighbour)
                            found += 1
                    if buckets[bucket, _LAST] != word:
                        buckets[bucket, _LAST] = word
                        buckets[bucket, _SIZE] += 1
                        records[recorded, 0], records[recorded, 1] = bucket, word
                        recorded += 1
                cells[target] = token
                source += 2
            else:
                cells[target] = cells[source]
                source += 1
            target += 1
        cells[word + 2] = target - begin
    return records, found, recorded


@kernel
def _new_bucket(buckets: Integers, bucket_of: Numbers, bucket: int, side: int, neighbour: np.int64) -> np.int64:
    bucket_of[side, neighbour] = bucket
    buckets[bucket, _SIDE], buckets[bucket, _NEIGHBOUR] = side, neighbour
    buckets[bucket, _CHANGE], buckets[bucket, _LAST], buckets[bucket, _SIZE] = 0, -1, 0
    return np.int64(bucket)


@kernel
def _change_pairs(
    pairs: Integers,
    sizes: Integers,
    buckets: Integers,
    first: int,
    second: int,
    token: int,
    offsets: Integers,
    longest: int,
) -> Integers:
    """Tell the table what each bucket changed: the neighbour lost a pair with a part of the token, won one with it."""
    size = offsets[token + 1] - offsets[token]
    for bucket in range(len(buckets)):
        neighbour, change = buckets[bucket, _NEIGHBOUR], buckets[bucket, _CHANGE]
        left = buckets[bucket, _SIDE] == _LEFT
        slot = find_pair(pairs, neighbour << 32 | first if left else second << 32 | neighbour)
        if pairs[slot, 0] >= 0:  # a pair too long to be made was never counted
            pairs[slot, 1] -= change
        if offsets[neighbour + 1] - offsets[neighbour] + size < longest:
            pairs = add_to_pair(pairs, sizes, neighbour << 32 | token if left else token << 32 | neighbour, change)
    return pairs


@kernel
def _record_places(places: Cells, heap: Integers, sizes: Integers, buckets: Integers, records: Integers) -> Cells:
    """Give each bucket its stretch of `places`."""
    if sizes[_PLACES] + len(records) > len(places):
        places = _compacted(places, heap[: sizes[WAITING]], sizes, len(records))
    used = sizes[_PLACES]
    for bucket in range(len(buckets)):
        buckets[bucket, _BEGIN] = used
        buckets[bucket, _LAST] = used
        used += buckets[bucket, _SIZE]
    for record in range(len(records)):
        bucket = records[record, 0]
        places[buckets[bucket, _LAST]] = records[record, 1]
        buckets[bucket, _LAST] += 1
    sizes[_PLACES] = used
    return places


@kernel
def _compacted(places: Cells, heap: Integers, sizes: Integers, needed: int) -> Cells:
    """The stretches still waiting, in their order, with room for `needed` more places."""
    live = heap[:, LENGTH].sum()
    target = places if 4 * (live + needed) < 3 * len(places) else np.empty(live + live // 2 + needed, np.uint32)
    used = 0
    for entry in np.argsort(heap[:, START]):
        start, length = heap[entry, START], heap[entry, LENGTH]
        for place in range(length):
            target[used + place] = places[start + place]
        heap[entry, START] = used
        used += length
    sizes[_PLACES] = used
    return target


@kernel
def _power_of_two(least: int) -> int:
    size = 1
    while size < least:
        size *= 2
    return size


@kernel
def _enter_token(text: Octets, offsets: Integers, spellings: Numbers, sizes: Integers, byte: int) -> None:
    token = sizes[TOKENS]
    text[token], offsets[token + 1] = byte, token + 1
    spellings[_find_spelling(text, offsets, spellings, token, token + 1)] = token + 1
    sizes[TOKENS] += 1


@kernel
def _join_tokens(
    text: Octets, offsets: Integers, spellings: Numbers, sizes: Integers, first: int, second: int
) -> tuple[Octets, int]:
    """The token spelled like both together: one there is, or a new one."""
    begin = end = offsets[sizes[TOKENS]]
    length = offsets[first + 1] - offsets[first] + offsets[second + 1] - offsets[second]
    if begin + length > len(text):
        larger = np.empty(2 * len(text) + length, np.uint8)
        larger[:begin] = text[:begin]
        text = larger
    for part in (first, second):
        for place in range(offsets[part], offsets[part + 1]):
            text[end] = text[place]
            end += 1
    slot = _find_spelling(text, offsets, spellings, begin, end)
    if spellings[slot]:
        return text, spellings[slot] - 1
    token = sizes[TOKENS]
    offsets[token + 1] = end
    spellings[slot] = token + 1
    sizes[TOKENS] += 1
    return text, token


@kernel
def _find_spelling(text: Octets, offsets: Integers, spellings: Numbers, begin: int, end: int) -> np.int64:
    """The slot of the token spelled `text[begin:end]`, or the free one where it belongs."""
    key = np.int64(end - begin)
    for place in range(begin, end):
        key = mixed(key ^ np.int64(text[place]) << 40)
    mask = len(spellings) - 1
    slot = key & mask
    while spellings[slot]:
        start = offsets[spellings[slot] - 1]
        if offsets[spellings[slot]] - start == end - begin:
            place = 0
            while place < end - begin and text[start + place] == text[begin + place]:
                place += 1
            if place == end - begin:
                return slot
        slot = (slot + 1) & mask
    return slot
