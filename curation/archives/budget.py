"""A limit for work that damage or hostile bytes can cause again and again, in proportion to what was read.

What is done twice for a sound file, or for one with the damage that files have, is far below it.
"""

from __future__ import annotations

PER_BYTE, FREE = 16, 1 << 21


class Budget:
    """The bytes of a file that may be looked at once more: `PER_BYTE` for each byte read, and `FREE` in addition.

    Args:
        start: File offset at which reading begins.
    """

    def __init__(self, start: int) -> None:
        self._start, self._spent, self._was_refused = start, 0, False

    def allows(self, offset: int) -> bool:
        """Whether more may be spent by a reader that has come to a file offset."""
        is_left = self._spent <= PER_BYTE * (offset - self._start) + FREE
        self._was_refused = self._was_refused or not is_left
        return is_left

    def spend(self, size: int) -> None:
        """Note that a number of bytes will be looked at once more."""
        self._spent += size

    def is_kept(self, offset: int) -> bool:
        """Whether a reader of the whole file, too, could spend what one did that began at `start`."""
        return not self._was_refused and self._spent <= PER_BYTE * (offset - self._start)
