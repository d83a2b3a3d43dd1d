"""Hashes of strings, equal on every machine and in every process, used to sample, order and exchange rows.

With 128 bits, two of a billion ids share a hash with a probability of about 10⁻²¹.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import xxhash

from curation.arrays import UInt64s

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2⁶⁴ divided by the golden ratio, the increment of splitmix64."""


def mix_bits(values: UInt64s) -> UInt64s:
    """Apply the finalizer of splitmix64 (Steele et al., 2014), a bijection of 64-bit integers that scatters them."""
    with np.errstate(over="ignore"):
        values = values + GOLDEN
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def hash_strings(strings: pa.StringArray, seed: int) -> UInt64s:
    """xxh3 of each string, shape (strings,). A null counts as the empty string."""
    hashed = (xxhash.xxh3_64_intdigest((text or "").encode(), seed) for text in strings.to_pylist())
    return np.fromiter(hashed, np.uint64, len(strings))


def hash_texts(texts: pa.Array) -> UInt64s:
    """128-bit hashes of strings, shape (texts, 2); a null counts as the empty string."""
    digests = b"".join(xxhash.xxh3_128_digest((text or "").encode()) for text in texts.to_pylist())
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)
