"""Memory for large blocks is used again, instead of being returned to the system and zeroed by it for each block."""

from __future__ import annotations

from functools import cache

BLOCK = 16 << 20
"""Larger blocks are still returned: more than a batch has."""


@cache
def reuse_large_blocks() -> None:
    """Tell the allocator of this process, once, that blocks of up to `BLOCK` bytes are freed and wanted again.

    glibc keeps a block for later if it has seen one as large that was freed; it keeps up to twice as much. The pages of
    this one are never touched. Other allocators, and one that is configured by variables, stay as they are.
    """
    bytearray(BLOCK)
