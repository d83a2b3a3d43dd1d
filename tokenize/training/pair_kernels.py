"""Kernels for the candidate pairs: a hash table of how often each occurs and a heap of which is merged next.

`sizes` is the caller's array of totals. Two of them are used here: pairs in the table (PAIRS) and pairs in the heap
(WAITING). A full array is replaced by a larger one, which the function returns.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s
from curation.running.compiled import doubled, inner

PAIRS, WAITING = 0, 1
COUNT, PAIR, START, LENGTH = range(4)
"""Columns of the heap: the pair's count when it was pushed, the pair, and start and length of its slice of `places`."""


@inner
def _before(heap: Int64s, left: int, right: int) -> bool:
    """Whether entry `left` comes up before `right`: the more frequent pair first, then the smaller one."""
    if heap[left, COUNT] != heap[right, COUNT]:
        return bool(heap[left, COUNT] > heap[right, COUNT])
    return bool(heap[left, PAIR] < heap[right, PAIR])


@inner
def _swap(heap: Int64s, left: int, right: int) -> None:
    for column in range(4):
        heap[left, column], heap[right, column] = heap[right, column], heap[left, column]


@inner
def push(heap: Int64s, sizes: Int64s, count: int, pair: int | np.int64, start: int, length: int) -> Int64s:
    """Push a pair with its count and its slice of `places`; returns the heap."""
    entry = sizes[WAITING]
    if entry == len(heap):
        heap = doubled(heap)
    heap[entry, COUNT], heap[entry, PAIR], heap[entry, START], heap[entry, LENGTH] = count, pair, start, length
    sizes[WAITING] = entry + 1
    while entry > 0 and _before(heap, entry, (entry - 1) >> 2):
        _swap(heap, entry, (entry - 1) >> 2)
        entry = (entry - 1) >> 2
    return heap


@inner
def pop(heap: Int64s, sizes: Int64s) -> None:
    """Remove the first pair of the heap."""
    sizes[WAITING] -= 1
    _swap(heap, 0, sizes[WAITING])
    sift_down(heap, sizes[WAITING])


@inner
def sift_down(heap: Int64s, size: int) -> None:
    """Restore the heap of `size` pairs after the count of the first one fell."""
    entry = 0
    while 4 * entry + 1 < size:
        best = 4 * entry + 1
        for child in range(best + 1, min(best + 4, size)):
            if _before(heap, child, best):
                best = child
        if not _before(heap, best, entry):
            return
        _swap(heap, best, entry)
        entry = best


@inner
def empty_pairs(slots: int) -> Int64s:
    """An empty table with `slots` slots, a power of two; a free slot has the key -1."""
    pairs = np.zeros((slots, 2), np.int64)
    pairs[:, 0] = -1
    return pairs


@inner
def mixed(key: int | np.int64) -> np.int64:
    """Hash a number to 44 bits."""
    product = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(product >> np.uint64(20))


@inner
def find_pair(pairs: Int64s, pair: int | np.int64) -> np.int64:
    """The slot of a pair, or the free slot (key -1, count 0) where it belongs."""
    mask = len(pairs) - 1
    slot = mixed(pair) & mask
    while pairs[slot, 0] != pair and pairs[slot, 0] >= 0:
        slot = (slot + 1) & mask
    return slot


@inner
def add_pair(pairs: Int64s, sizes: Int64s, pair: int | np.int64, count: int | np.int64, least: int) -> Int64s:
    """Add a pair that is not in the table. If the table is nearly full, pairs rarer than `least` are removed first."""
    if 4 * (sizes[PAIRS] + 1) > 3 * len(pairs):
        pairs = _with_room(pairs, sizes, least)
    slot = find_pair(pairs, pair)
    pairs[slot, 0], pairs[slot, 1] = pair, count
    sizes[PAIRS] += 1
    return pairs


@inner
def _with_room(pairs: Int64s, sizes: Int64s, least: int) -> Int64s:
    """Copy the pairs that occur at least `least` times to a table that is at most five eighths full."""
    sizes[PAIRS] = 0
    for old in range(len(pairs)):
        sizes[PAIRS] += pairs[old, 1] >= least
    larger = empty_pairs(len(pairs) if 8 * sizes[PAIRS] < 5 * len(pairs) else 2 * len(pairs))
    for old in range(len(pairs)):
        if pairs[old, 1] >= least:
            slot = find_pair(larger, pairs[old, 0])
            larger[slot, 0], larger[slot, 1] = pairs[old, 0], pairs[old, 1]
    return larger
