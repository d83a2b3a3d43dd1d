"""A watch on reading: told what is being done, it can leave out a record, or end reading, for a cause it names."""

from __future__ import annotations


class Watch:
    """A watch that never interferes. A subclass may limit the time between two calls."""

    def splitting(self) -> str | None:
        """Called before each search for the next record; a cause ends reading there."""
        return None

    def advancing(self) -> None:
        """Called whenever more bytes of the file were unpacked."""

    def decoding(self) -> str | None:
        """Called before a record becomes a page; a cause leaves the record out."""
        return None
