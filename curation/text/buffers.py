"""The buffers of a column of strings, as NumPy arrays."""

from __future__ import annotations

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
