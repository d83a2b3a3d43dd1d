"""Hash kernels: xxHash64 equals the library's, and mixing is a permutation."""

from __future__ import annotations

import numpy as np
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.algorithms.hashing import mix_all, pairs_checksum, xxhash64


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 40))
def test_xxhash64_equals_the_library(data: bytes, before: int, after: int) -> None:
    """The hash equals the library's for any slice of any bytes, at any alignment."""
    buffer = np.frombuffer(b"x" * before + data + b"y" * after, np.uint8)
    if len(buffer):
        assert int(xxhash64(buffer, before, before + len(data))) == xxhash.xxh64_intdigest(data)


def test_mix_is_a_permutation() -> None:
    """Small numbers become distinct numbers that are spread over all 64 bits."""
    mixed = mix_all(np.arange(200_000))
    assert len(np.unique(mixed)) == 200_000
    assert abs(np.unpackbits(mixed.view(np.uint8)).mean() - 0.5) < 0.001


def test_checksum_of_pairs() -> None:
    """The order of the pairs does not matter, but the order within a pair does."""
    left, right = np.arange(50), np.arange(50) * 7 + 1
    order = np.random.default_rng(0).permutation(50)
    assert pairs_checksum(left, right) == pairs_checksum(left[order], right[order])
    assert pairs_checksum(left, right) != pairs_checksum(right, left)
    assert pairs_checksum(left, right) != pairs_checksum(left[1:], right[1:])
