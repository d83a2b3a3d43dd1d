"""MinHash: the minimum of each permutation over a document's shingles, then band keys and a compact sketch.

`datatrove` permutes like the reference, `(h·a + b) mod (2^61 − 1)` with the product wrapping at 64 bits; `fast` takes
the upper half of the shingle's hash and permutes 32-bit values by `h·a + b`, `a` odd: half the vector width. With
either, the probability that two documents have the same minimum is their Jaccard similarity (Broder, "On the
resemblance and containment of documents", 1997). The minima of a document (900 bytes) stay in the first-level cache
while its shingles are processed, a few permutations per vector instruction: 15 µs per document of 700 words, where a
matrix of permutations × shingles takes a hundred times as long, and the memory.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from curation.arrays import Float64s, Int64s, UInt8s, UInt32s, UInt64s, UnsignedInts
from curation.dedup.algorithms.hashing import PRIME_1, PRIME_2, PRIME_4, mix
from curation.dedup.algorithms.shingles import Shingles
from curation.running.compiled import kernel

MERSENNE = np.uint64((1 << 61) - 1)


@cache
def parameters_61(seed: int, permutations: int) -> tuple[UInt64s, UInt64s]:
    """`a` and `b` of the reference (datatrove 0.10, MinhashDedupSignature.parameters), shape (permutations,) each."""
    generator = np.random.RandomState(seed)
    a = generator.randint(1, MERSENNE, dtype=np.uint64, size=permutations)
    return a, generator.randint(0, MERSENNE, dtype=np.uint64, size=permutations)


@cache
def parameters_32(seed: int, permutations: int) -> tuple[UInt32s, UInt32s]:
    """Odd `a` and any `b` from PCG64 with the given seed, shape (permutations,) each."""
    generator = np.random.Generator(np.random.PCG64(seed))
    values = generator.integers(0, 1 << 32, size=(2, permutations), dtype=np.uint32)
    return values[0] | np.uint32(1), values[1]


@kernel
def _minima_61(hashes: UInt64s, first: Int64s, last: Int64s, a: UInt64s, b: UInt64s, out: UInt64s) -> None:
    permutations = len(a)
    for document in range(len(first)):
        for position in range(first[document], last[document]):
            shingle = hashes[position]
            for row in range(permutations):
                value = shingle * a[row] + b[row]
                value = (value & MERSENNE) + (value >> np.uint64(61))
                # A value above the modulus becomes its remainder; one below wraps to far above the modulus.
                value = min(value, value - MERSENNE)
                out[document, row] = min(out[document, row], value)


@kernel
def _minima_32(hashes: UInt64s, first: Int64s, last: Int64s, a: UInt32s, b: UInt32s, out: UInt32s) -> None:
    permutations = len(a)
    for document in range(len(first)):
        for position in range(first[document], last[document]):
            shingle = np.uint32(hashes[position] >> np.uint64(32))
            for row in range(permutations):
                value = np.uint32(shingle * a[row] + b[row])
                out[document, row] = min(out[document, row], value)


def minima_61(shingles: Shingles, seed: int, permutations: int) -> UInt64s:
    """The reference's minima, shape (documents, permutations); all ones for a document without shingles."""
    out = np.full((len(shingles.first), permutations), np.iinfo(np.uint64).max, np.uint64)
    _minima_61(shingles.hashes, shingles.first, shingles.last, *parameters_61(seed, permutations), out)
    return out


def minima_32(shingles: Shingles, seed: int, permutations: int) -> UInt32s:
    """The faster variant's minima, shape (documents, permutations); all ones for a document without shingles."""
    out = np.full((len(shingles.first), permutations), np.iinfo(np.uint32).max, np.uint32)
    _minima_32(shingles.hashes, shingles.first, shingles.last, *parameters_32(seed, permutations), out)
    return out


@kernel
def _band_keys(minima: UnsignedInts, rows: int, out: UInt64s) -> None:
    for document in range(out.shape[0]):
        for band in range(out.shape[1]):
            value = PRIME_4 + np.uint64(band)
            for row in range(band * rows, (band + 1) * rows):
                value = mix(value * PRIME_2 + np.uint64(minima[document, row]))
            out[document, band] = value


def band_keys(minima: UInt64s | UInt32s, bands: int, rows: int) -> UInt64s:
    """A 64-bit hash of each band, shape (documents, bands); equal minima in different bands have different keys."""
    out = np.empty((len(minima), bands), np.uint64)
    _band_keys(minima, rows, out)
    return out


@kernel
def _sketch(minima: UnsignedInts, out: UInt8s) -> None:
    for document in range(out.shape[0]):
        for row in range(out.shape[1]):
            out[document, row] = np.uint8((np.uint64(minima[document, row]) * PRIME_1) >> np.uint64(56))


def sketch(minima: UInt64s | UInt32s) -> UInt8s:
    """Eight bits of each minimum, shape (documents, permutations): b-bit MinHash (Li and König, 2010), b = 8."""
    out = np.empty(minima.shape, np.uint8)
    _sketch(minima, out)
    return out


CHANCE = 1 / 256
"""Probability that two sketches agree in a byte although the minima differ."""


def similarity(left: UInt8s, right: UInt8s) -> Float64s:
    """Estimated Jaccard similarity of each pair of sketches, shape (pairs,), corrected for chance agreement.

    Its standard deviation at similarity s is about √(s(1 − s) / permutations): 0.04 at 0.8 with 112.
    """
    agree = np.count_nonzero(left == right, axis=1) / left.shape[1]
    return np.asarray(np.maximum(agree - CHANCE, 0.0) / (1 - CHANCE))
