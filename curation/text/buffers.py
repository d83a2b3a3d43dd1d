"""Columns of strings: their buffers as NumPy arrays, and slices of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt8s


def text_bytes(texts: pa.Array) -> tuple[UInt8s, Int64s]:
    """The bytes of a string, large_string or binary array, which may be a slice of another; nothing is copied.

    Returns:
        Bytes, and offsets int64[texts + 1]: text `i` is `bytes[offsets[i]:offsets[i + 1]]`.
    """
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, ends, data = texts.buffers()
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(ends, width)[texts.offset : texts.offset + len(texts) + 1]
    return np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), offsets.astype(np.int64)


def cut_by_size(sizes: Int64s, limit: int) -> Iterator[tuple[int, int]]:
    """Cut rows into consecutive ranges `(start, stop)` of at most `limit` bytes, or of one row that is larger.

    >>> list(cut_by_size(np.array([3, 3, 9, 1]), 6))
    [(0, 2), (2, 3), (3, 4)]
    """
    ends = np.cumsum(sizes)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + limit, side="right")))
        yield start, stop
        start = stop
