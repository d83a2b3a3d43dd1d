"""A kernel that tells which of many short stretches of values are alike, so that each sort is judged once."""

from __future__ import annotations

import random

import numpy as np

from curation.arrays import Int64s, UInt32s
from curation.running.compiled import kernel, leaf

_SEED = random.getrandbits(62)
"""Changes the hashes in each process, so that no text can be made whose stretches all have the same hash."""


def number_alike(values: UInt32s, starts: Int64s, ends: Int64s) -> tuple[Int64s, Int64s]:
    """Number stretches of values so that those that are alike have the same number.

    Args:
        values: Values of all stretches.
        starts: Place of the first value of each stretch.
        ends: Place after its last one.

    Returns:
        The number of each stretch, counted from zero in the order in which sorts first occur; and for each sort the
        first stretch of it.
    """
    numbers, firsts = np.empty(len(starts), np.int64), np.empty(len(starts), np.int64)
    room = np.full(1 << (2 * len(starts)).bit_length(), -1, np.int64)
    return numbers, firsts[: _number_alike(values, starts, ends, _SEED, room, numbers, firsts)]


@kernel
def _number_alike(
    values: UInt32s, starts: Int64s, ends: Int64s, seed: int, room: Int64s, numbers: Int64s, firsts: Int64s
) -> int:
    """Write the numbers and the first stretches of `number_alike`, and return how many sorts there are.

    Args:
        values: Values of all stretches.
        starts: Place of the first value of each stretch.
        ends: Place after its last one.
        seed: Where hashes begin.
        room: A hash table, of -1; its size is a power of two that is greater than the number of stretches.
        numbers: Output: the number of each stretch.
        firsts: Output: the first stretch of each sort.
    """
    count = 0
    for stretch in range(starts.size):
        place = _hash(values, starts[stretch], ends[stretch], seed) & (room.size - 1)
        while room[place] >= 0 and not _are_alike(values, starts, ends, firsts[room[place]], stretch):
            place = (place + 1) & (room.size - 1)
        if room[place] < 0:
            room[place], firsts[count] = count, stretch
            count += 1
        numbers[stretch] = room[place]
    return count


@leaf
def _hash(values: UInt32s, start: int, end: int, seed: int) -> int:
    """A hash of the values between two places."""
    mixed = seed + end - start
    for place in range(start, end):
        mixed = (mixed ^ values[place]) * 0x2545F4914F6CDD1D
        mixed ^= mixed >> 29
    return mixed


@leaf
def _are_alike(values: UInt32s, starts: Int64s, ends: Int64s, one: int, other: int) -> bool:
    """Whether two stretches have the same values."""
    size, first, second = ends[one] - starts[one], starts[one], starts[other]
    if ends[other] - second != size:
        return False
    i = 0
    while i < size and values[first + i] == values[second + i]:
        i += 1
    return bool(i == size)
