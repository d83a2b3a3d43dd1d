"""A watch on reading: told what is being done, it can leave out a record that took too long before, and stop."""

from __future__ import annotations


class Watch:
    """A watch that never interferes. A subclass may limit the time between two calls."""

    def splitting(self) -> bool:
        """Called before each search for the next record; False ends reading there."""
        return True

    def advancing(self) -> None:
        """Called whenever more bytes of the file were unpacked."""

    def decoding(self) -> bool:
        """Called before a record becomes a page; False skips the record."""
        return True


UNWATCHED = Watch()
