"""Kernels of the pairs to be merged: how often each occurs, in a hash table, and which is next, in a heap.

`sizes` is the caller's array of totals, of which two count here: pairs in the table (PAIRS), pairs waiting (WAITING).
An array that is full is replaced by a larger one, which the function returns.
"""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s
from curation.running.compiled import kernel

PAIRS, WAITING = 0, 1
COUNT, PAIR, START, LENGTH = range(4)
"""Columns of the heap: the pair's count when it came, the pair, and the stretch of places that it owns."""


@kernel
def _before(heap: Int64s, left: int, right: int) -> bool:
    """Whether an entry comes up before another: the more frequent, then the smaller pair."""
    if heap[left, COUNT] != heap[right, COUNT]:
        return bool(heap[left, COUNT] > heap[right, COUNT])
    return bool(heap[left, PAIR] < heap[right, PAIR])


@kernel
def _swap(heap: Int64s, left: int, right: int) -> None:
    for column in range(4):
        heap[left, column], heap[right, column] = heap[right, column], heap[left, column]


@kernel
def push(heap: Int64s, sizes: Int64s, count: int, pair: int | np.int64, start: int, length: int) -> Int64s:
    """Make a pair wait; a stretch of places belongs to it."""
    entry = sizes[WAITING]
    if entry == len(heap):
        heap = _doubled(heap)
    heap[entry, COUNT], heap[entry, PAIR], heap[entry, START], heap[entry, LENGTH] = count, pair, start, length
    sizes[WAITING] = entry + 1
    while entry > 0 and _before(heap, entry, (entry - 1) >> 2):
        _swap(heap, entry, (entry - 1) >> 2)
        entry = (entry - 1) >> 2
    return heap


@kernel
def pop(heap: Int64s, sizes: Int64s) -> None:
    """Drop the first pair of the heap."""
    sizes[WAITING] -= 1
    _swap(heap, 0, sizes[WAITING])
    sift_down(heap, sizes[WAITING])


@kernel
def sift_down(heap: Int64s, size: int) -> None:
    """Put the first of `size` pairs, whose count fell, in its place."""
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


@kernel
def no_pairs(slots: int) -> Int64s:
    """An empty table of so many slots, a power of two; a free slot has the key -1."""
    pairs = np.zeros((slots, 2), np.int64)
    pairs[:, 0] = -1
    return pairs


@kernel
def mixed(key: int | np.int64) -> np.int64:
    """Scatter a number over 44 bits."""
    product = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(product >> np.uint64(20))


@kernel
def find_pair(pairs: Int64s, pair: int | np.int64) -> np.int64:
    """The slot of a pair, or the free one, of key -1 and count 0, where it belongs."""
    mask = len(pairs) - 1
    slot = mixed(pair) & mask
    while pairs[slot, 0] != pair and pairs[slot, 0] >= 0:
        slot = (slot + 1) & mask
    return slot


@kernel
def add_pair(pairs: Int64s, sizes: Int64s, pair: int | np.int64, count: int | np.int64, least: int) -> Int64s:
    """Enter a pair that is not there. Where room is short, pairs that occur less than `least` times make room."""
    if 4 * (sizes[PAIRS] + 1) > 3 * len(pairs):
        pairs = _with_room(pairs, sizes, least)
    slot = find_pair(pairs, pair)
    pairs[slot, 0], pairs[slot, 1] = pair, count
    sizes[PAIRS] += 1
    return pairs


@kernel
def _with_room(pairs: Int64s, sizes: Int64s, least: int) -> Int64s:
    """The pairs that occur often enough, in a table at most five eighths full."""
    sizes[PAIRS] = (pairs[:, 1] >= least).sum()
    larger = no_pairs(len(pairs) if 8 * sizes[PAIRS] < 5 * len(pairs) else 2 * len(pairs))
    for old in range(len(pairs)):
        if pairs[old, 1] >= least:
            slot = find_pair(larger, pairs[old, 0])
            larger[slot, 0], larger[slot, 1] = pairs[old, 0], pairs[old, 1]
    return larger


@kernel
def _doubled(rows: Int64s) -> Int64s:
    """The rows, with room for as many again."""
    larger = np.empty((2 * len(rows), rows.shape[1]), np.int64)
    larger[: len(rows)] = rows
    return larger
