"""Hashes of ids, by which what many files say of one document comes together.

The ids of a run, or of two, do not fit into memory. Their hashes travel through an exchange whose partitions do. At 128
bits two of a billion ids share a hash with a probability of about 10⁻²¹.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

PARTITION_BYTES = 64 << 20


def partitions_for(rows: int, row_bytes: int) -> int:
    """Partitions for so many rows in all, of so many bytes each."""
    return max(1, min(4096, -(-rows * row_bytes // PARTITION_BYTES)))


def hash_texts(texts: pa.Array) -> npt.NDArray[np.uint64]:
    """128-bit hashes of strings, shape (texts, 2); a null counts as the empty string."""
    digests = b"".join(xxhash.xxh3_128_digest((text or "").encode()) for text in texts.to_pylist())
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)
