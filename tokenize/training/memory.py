"""Memory given back to the system, so that no phase pays for the one before it."""

from __future__ import annotations

import ctypes
import mmap
import sys

import numpy as np
import pyarrow as pa

from curation.arrays import UInt32s


class ShrinkableArray:
    """Numbers in memory of their own, the end of which can be given back while they are in use.

    array: uint32[size]. Where the system cannot take a part of a mapping back, all of it stays.
    """

    def __init__(self, size: int) -> None:
        self._memory = mmap.mmap(-1, max(4 * size, 1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # as NumPy does for arrays of its own
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.array: UInt32s = np.frombuffer(self._memory, np.uint32, size)

    def keep(self, size: int) -> None:
        """Give back what is behind the first `size` numbers, whole pages of it, which is lost."""
        first = -(-4 * size // mmap.PAGESIZE) * mmap.PAGESIZE
        if hasattr(mmap, "MADV_DONTNEED") and first < len(self._memory):
            self._memory.madvise(mmap.MADV_DONTNEED, first)


def give_back() -> None:
    """Return what Arrow's pool and, where it is glibc's, malloc keep of freed memory. Takes milliseconds.

    Arrow's pool gives back what this thread has freed only.
    """
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
