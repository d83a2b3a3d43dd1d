"""Keys of chunks, and open-addressing hash tables from key to entry.

A key is two independent 64-bit hashes of the code points: among 2^32 chunks, two share a key with a probability of
2^-65.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from curation.arrays import Int32s, UInt32s, UInt64s
from curation.running.compiled import inner, kernel

SEED_A, SEED_B = np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344)
_BASE_A, _BASE_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


class Keys(NamedTuple):
    """Two hashes per chunk."""

    a: UInt64s
    b: UInt64s


@inner
def extend_hash(a: np.uint64, b: np.uint64, code: np.uint32) -> tuple[np.uint64, np.uint64]:
    """Add a code point to both hashes, polynomials in two bases modulo 2^64; call `mix` after the last one."""
    return np.uint64(a * _BASE_A + np.uint64(code)), np.uint64(b * _BASE_B + np.uint64(code))


@inner
def mix(value: np.uint64) -> np.uint64:
    """Mix the high bits of a hash into the low ones, which index a table (as in splitmix64)."""
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    return np.uint64(value ^ (value >> np.uint64(32)))


@inner
def key_of(codepoints: UInt32s, start: int, end: int) -> tuple[np.uint64, np.uint64]:
    """The key of `codepoints[start:end]`."""
    a, b = SEED_A, SEED_B
    for i in range(start, end):
        a, b = extend_hash(a, b, codepoints[i])
    return mix(a), mix(b)


@inner
def find(slots: Int32s, keys: Keys, a: np.uint64, b: np.uint64) -> int:
    """The entry of the key (a, b), or -1 minus the free slot where it belongs."""
    mask = np.uint64(slots.size - 1)
    slot = a & mask
    while slots[slot] >= 0:
        entry = slots[slot]
        if keys.a[entry] == a and keys.b[entry] == b:
            return int(entry)
        slot = (slot + np.uint64(1)) & mask
    return -1 - int(slot)


@kernel
def insert(slots: Int32s, keys: Keys, begin: int, end: int) -> None:
    """Insert the new entries `begin` to `end` into the table `slots`, where -1 is free."""
    for entry in range(begin, end):
        slots[-1 - find(slots, keys, keys.a[entry], keys.b[entry])] = entry
