"""A file that is read forward through a buffer and can go back, for a search or to unpack a member again."""

from __future__ import annotations

from typing import IO

BUFFER = 1 << 20
"""Bytes of the file that a search looks at together."""

READ = 1 << 18
"""Bytes read from the file at a time: these stay in the processor's cache until they are used."""


class RawFile:
    """A buffered stream that can go back."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hold(b"")
        self._base = stream.tell()
        self._size: int | None = None

    @property
    def position(self) -> int:
        """File offset of the next byte."""
        return self._base + self._at

    def size(self) -> int:
        """Size of the file."""
        if self._size is None:
            self._size = self._stream.seek(0, 2)
            self._stream.seek(self._base + len(self._data))
        return self._size

    def seek(self, offset: int | None) -> None:
        """Move to an offset of the file, or to its end if None."""
        if offset is None:
            offset = self._stream.seek(0, 2)
        elif self._base <= offset <= self._base + len(self._data):
            self._at = offset - self._base
            return
        else:
            self._stream.seek(offset)
        self._base = offset
        self._hold(b"")

    def back(self, size: int) -> None:
        """Return the last `size` bytes of those that were taken last."""
        self.seek(self.position - size)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes without consuming them; fewer only at the end."""
        if len(self._data) - self._at < size:
            self._fill(size)
        return self._data[self._at : self._at + size]

    def peek_at(self, offset: int, size: int) -> bytes:
        """`size` bytes at an offset, without a change of the position; fewer only at the end."""
        here = self.position
        self.seek(offset)
        data = self.peek(size)
        self.seek(here)
        return data

    def take(self, size: int) -> memoryview:
        """Consume the next `size` bytes and return them without a copy; fewer only at the end."""
        if len(self._data) - self._at < size:
            self._fill(size)
        data = self._view[self._at : self._at + size]
        self._at += len(data)
        return data

    def distance(self, mark: bytes, start: int, stop: int) -> int:
        """How far away the next mark is, from `start` on and before `stop`; 0 if the buffer does not have it there."""
        place = self._data.find(mark, self._at + start, self._at + stop)
        return 0 if place < 0 else place - self._at

    def _fill(self, size: int) -> None:
        parts = [self._data[self._at :]]
        have = len(parts[0])
        while have < size:
            part = self._stream.read(max(READ, size - have))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self._base += self._at
        self._hold(b"".join(parts))

    def _hold(self, data: bytes) -> None:
        self._data, self._view, self._at = data, memoryview(data), 0
