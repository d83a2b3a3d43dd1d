"""Returns freed memory to the system, so that no phase of training pays for the one before it."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pyarrow as pa

from curation.arrays import UInt32s


class ShrinkableArray:
    """An array in its own memory mapping whose end can be released while the rest is in use.

    On systems that cannot release part of a mapping, all of it is kept.

    Attributes:
        array: uint32[size].
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, max(4 * size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # as NumPy does for its own arrays
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.array: UInt32s = np.frombuffer(self._memory, np.uint32, size)

    def keep(self, size: int) -> None:
        """Release the whole memory pages after the first `size` numbers; their content is lost."""
        first = -(-4 * size // mmap.PAGESIZE) * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and first < len(self._memory):
            self._memory.madvise(mmap.MADV_DONTNEED, first)


def release_memory() -> None:
    """Return the freed memory that Arrow's pool and glibc's malloc hold on to. Takes milliseconds.

    Arrow's pool returns only what this thread has freed.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
