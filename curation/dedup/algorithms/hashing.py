"""Hash kernels: xxHash64 of bytes, which the reference uses, and the mixers of the faster variant."""

from __future__ import annotations

import numpy as np

from curation.arrays import Int64s, UInt8s, UInt64s
from curation.running.compiled import inner, kernel

PRIME_1 = np.uint64(0x9E3779B185EBCA87)
PRIME_2 = np.uint64(0xC2B2AE3D27D4EB4F)
PRIME_3 = np.uint64(0x165667B19E3779F9)
PRIME_4 = np.uint64(0x85EBCA77C2B2AE63)
PRIME_5 = np.uint64(0x27D4EB2F165667C5)
"""xxHash's primes (xxHash specification, XXH64)."""

_U32 = np.uint64(32)


@inner
def rotate(value: np.uint64, bits: np.uint64) -> np.uint64:
    """Rotate `value` left by `bits`."""
    return np.uint64((value << bits) | (value >> (np.uint64(64) - bits)))


@inner
def read_64(data: UInt8s, at: int) -> np.uint64:
    """Read eight bytes, little-endian, at any alignment."""
    # With unsigned indices numba needs no check for negative ones, and LLVM merges the eight loads into one.
    place = np.uint64(at)
    low = read_32(data, at)
    high = np.uint64(data[place + np.uint64(4)]) | np.uint64(data[place + np.uint64(5)]) << np.uint64(8)
    high |= np.uint64(data[place + np.uint64(6)]) << np.uint64(16)
    high |= np.uint64(data[place + np.uint64(7)]) << np.uint64(24)
    return np.uint64(low | high << _U32)


@inner
def read_32(data: UInt8s, at: int) -> np.uint64:
    """Read four bytes, little-endian, at any alignment."""
    place = np.uint64(at)
    value = np.uint64(data[place]) | np.uint64(data[place + np.uint64(1)]) << np.uint64(8)
    value |= np.uint64(data[place + np.uint64(2)]) << np.uint64(16)
    return np.uint64(value | np.uint64(data[place + np.uint64(3)]) << np.uint64(24))


@inner
def _round(accumulator: np.uint64, lane: np.uint64) -> np.uint64:
    return np.uint64(rotate(accumulator + lane * PRIME_2, np.uint64(31)) * PRIME_1)


@inner
def _merge(value: np.uint64, accumulator: np.uint64) -> np.uint64:
    return np.uint64((value ^ _round(np.uint64(0), accumulator)) * PRIME_1 + PRIME_4)


@inner
def _stripes(data: UInt8s, start: int, stop: int) -> np.uint64:
    """The part of XXH64 for inputs of at least 32 bytes: all complete 32-byte stripes."""
    one, two, three, four = PRIME_1 + PRIME_2, PRIME_2, np.uint64(0), np.uint64(0) - PRIME_1
    at = start
    while at + 32 <= stop:
        one = _round(one, read_64(data, at))
        two = _round(two, read_64(data, at + 8))
        three = _round(three, read_64(data, at + 16))
        four = _round(four, read_64(data, at + 24))
        at += 32
    value = rotate(one, np.uint64(1)) + rotate(two, np.uint64(7))
    value += rotate(three, np.uint64(12)) + rotate(four, np.uint64(18))
    return _merge(_merge(_merge(_merge(value, one), two), three), four)


@kernel
def xxhash64(data: UInt8s, start: int, stop: int) -> np.uint64:
    """XXH64, seed 0, of `data[start:stop]`."""
    value = _stripes(data, start, stop) if stop - start >= 32 else PRIME_5
    value += np.uint64(stop - start)
    at = start + (stop - start) // 32 * 32
    while at + 8 <= stop:
        value = rotate(value ^ _round(np.uint64(0), read_64(data, at)), np.uint64(27)) * PRIME_1 + PRIME_4
        at += 8
    if at + 4 <= stop:
        value = rotate(value ^ (read_32(data, at) * PRIME_1), np.uint64(23)) * PRIME_2 + PRIME_3
        at += 4
    while at < stop:
        value = rotate(value ^ (np.uint64(data[at]) * PRIME_5), np.uint64(11)) * PRIME_1
        at += 1
    value = (value ^ (value >> np.uint64(33))) * PRIME_2
    value = (value ^ (value >> np.uint64(29))) * PRIME_3
    return np.uint64(value ^ (value >> _U32))


@inner
def mix(value: np.uint64) -> np.uint64:
    """A permutation of 64-bit values in which every input bit affects every output bit (SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint64(value ^ (value >> np.uint64(31)))


@kernel
def mix_all(values: Int64s) -> UInt64s:
    """`mix` of each value."""
    out = np.empty(len(values), np.uint64)
    for place in range(len(values)):
        out[place] = mix(np.uint64(values[place]))
    return out


@kernel
def pairs_checksum(left: Int64s, right: Int64s) -> np.uint64:
    """Sum of the hashes of the pairs, which does not depend on their order."""
    total = np.uint64(0)
    for place in range(len(left)):
        total += mix(mix(np.uint64(left[place])) * PRIME_1 + np.uint64(right[place]))
    return np.uint64(total)
