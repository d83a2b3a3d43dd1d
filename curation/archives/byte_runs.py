"""The unpacked bytes of an archive, in runs: what can be read on end.

A run ends where a member begins that has nothing to do with what came before it, at damage, or with the file. A record
never goes beyond its run, so what damage costs is known.
"""

from __future__ import annotations

from typing import IO

from curation.archives.unpack import BLANK, UnpackedPiece, Unpacker, begins_record

LOOKAHEAD = 1 << 8
"""Bytes looked at after a record to see whether its length was right."""


class Runs:
    """A window on the bytes of the present run: `_buffer`, read up to `_at`."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._unpacker = Unpacker(stream)
        self._ahead: UnpackedPiece | None = None
        self._buffer, self._at = b"", 0
        # Of bytes that are not packed, where in the file the buffer begins; of packed ones, where members begin.
        self._plain: int | None = None
        self._members: dict[int, int] = {}
        # Why the run ends: end, member, or the damage; None while that is not known.
        self._ended: str | None = None
        # From where on in the buffer bytes are in doubt, and why.
        self._doubtful, self._doubt = 0, ""

    def _next_piece(self) -> UnpackedPiece | None:
        piece, self._ahead = self._ahead or self._unpacker.next(), None
        return piece

    def _open_run(self, piece: UnpackedPiece) -> None:
        """Start on a piece."""
        self._buffer, self._at, self._members, self._plain, self._doubt = b"", 0, {}, None, ""
        self._ended = piece.damage
        self._append([piece])

    def _append(self, pieces: list[UnpackedPiece]) -> None:
        """Drop what is read from the buffer, add what is new."""
        size = len(self._buffer) - self._at
        if self._plain is not None:
            self._plain += self._at
        self._members = {place - self._at: offset for place, offset in self._members.items() if place >= self._at}
        self._doubtful -= self._at
        parts = [self._buffer[self._at :]] if size else []
        for piece in pieces:
            if not piece.packed and self._plain is None:
                self._plain = (piece.offset or 0) - size
            elif piece.packed and piece.offset is not None:
                self._members[size] = piece.offset
            if piece.doubt is not None:
                self._doubtful, self._doubt = size, piece.doubt
            parts.append(piece.data)
            size += len(piece.data)
        self._buffer, self._at = parts[0] if len(parts) == 1 else b"".join(parts), 0

    def _fill(self, size: int, ahead: int = 0) -> bool:
        """Whether the run has `size` more bytes; they are in the buffer then, and up to `ahead` more.

        What is only looked at ahead is not taken from the next member, which may be no part of the run.
        """
        have = len(self._buffer) - self._at
        if have >= size + ahead:
            return True
        pieces: list[UnpackedPiece] = []
        if have < size and self._ahead is not None and not self._begins_run(self._ahead, is_enough=False):
            self._ended = None
        while have < size + ahead and self._ended is None:
            piece = self._next_piece()
            if piece is None:
                self._ended = "end"
            elif self._begins_run(piece, is_enough=have >= size):
                self._ahead, self._ended = piece, "member"
            elif piece.damage is not None:
                self._ended = piece.damage
            else:
                pieces.append(piece)
                have += len(piece.data)
        if pieces:
            self._append(pieces)
        return have >= size

    def _begins_run(self, piece: UnpackedPiece, *, is_enough: bool) -> bool:
        """Whether a piece has nothing to do with what was read before it."""
        if not piece.packed or self._plain is not None:
            return self._plain is None
        return piece.offset is not None and (is_enough or bool(piece.damage) or begins_record(piece.data))

    def _is_damaged(self) -> bool:
        return self._ended is not None and self._ended not in ("end", "member")

    def _offset(self, place: int) -> int | None:
        """Where in the file the byte at `place` of the buffer can be reached."""
        return self._members.get(place) if self._plain is None else self._plain + place

    def _skip_blank(self) -> bool:
        """Go to the next byte that is not blank; False if the run has none."""
        while True:
            if self._buffer.startswith(b"WARC/", self._at):
                return True
            ahead = self._buffer[self._at : self._at + LOOKAHEAD]
            rest = ahead.lstrip(BLANK)
            self._at += len(ahead) - len(rest)
            if rest:
                return True
            if self._at == len(self._buffer):
                self._fill(0, 1)
                if self._at == len(self._buffer):
                    return False

    def _go_to(self, offset: int | None) -> None:
        """End the run; the next begins at `offset` of the file, or nowhere."""
        self._unpacker.resume(offset)
        self._buffer, self._at, self._ended = b"", 0, "end"
