"""The unpacked bytes of an archive, divided into runs that can be read without a gap.

A run ends at damage, at the end of the file, or where a member begins that does not continue the bytes before it. A
record never crosses the end of its run, which limits what damage can cost.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import IO

from curation.archives.ledger import PADDING, RECORDS, Ledger, Loss
from curation.archives.packings import PACKED
from curation.archives.raw_file import BUFFER
from curation.archives.start_lines import begins_record
from curation.archives.unpack import BLANK, UnpackedPiece, Unpacker
from curation.archives.watch import Watch

LOOKAHEAD = 1 << 8
"""Bytes examined after a record to check that its stated length was right."""


TRAILER = 64
"""Packed bytes after a record's last byte that can hold no other record: the checksum of its member."""


class Runs:
    """A window on the bytes of the current run: `_buffer`, consumed up to `_at`."""

    def __init__(self, stream: IO[bytes], counts: Counter[str], losses: list[Loss], watch: Watch) -> None:
        self._watch = watch
        self._unpacker = Unpacker(stream)
        self._ledger = Ledger(self._unpacker.covered, counts, losses)
        self._ahead: UnpackedPiece | None = None
        self._buffer, self._at = b"", 0
        # Position of the buffer's start in the unpacked run, and the stretches of the file from there on:
        # (end in the unpacked run, bytes unpacked, begin in the file, end in the file).
        self._origin = 0
        self._stretches: deque[tuple[int, int, int, int]] = deque()
        # Unpacked input: the file offset of the buffer's start. Packed input: the members that begin after `_at`, by
        # position in the unpacked run and file offset.
        self._plain_offset: int | None = None
        self._members: deque[tuple[int, int]] = deque()
        # The last member that begins at or before `_at`: its position in the unpacked run and its file offset.
        self._member: tuple[int, int] | None = None
        # Whether the last member in the buffer goes on beyond it, and was found to be damaged or not.
        self._member_continues = self._member_checked = False
        # Why the run ends: "end", "member" or the kind of damage; None while the end has not been reached.
        self._ending: str | None = None
        # Whether the last record read is known to be complete, although its member is cut or damaged.
        self._complete = False
        # The buffer position from which bytes may be wrong, and the damage that makes them doubtful.
        self._doubt_start, self._doubt_cause = 0, ""

    def _next_piece(self) -> UnpackedPiece | None:
        self._watch.advancing()
        piece, self._ahead = self._ahead or self._unpacker.next(), None
        return piece

    def _open_run(self, piece: UnpackedPiece) -> None:
        """Start a new run with a piece."""
        self._buffer, self._at, self._plain_offset, self._doubt_cause = b"", 0, None, ""
        self._origin, self._member = 0, None
        self._members.clear()
        self._stretches.clear()
        self._ending = piece.damage
        self._append([piece])

    def _append(self, pieces: list[UnpackedPiece]) -> None:
        """Drop the consumed bytes from the buffer and add new pieces."""
        size = len(self._buffer) - self._at
        if self._plain_offset is not None:
            self._plain_offset += self._at
        if self._members:
            self._offset(self._at)
        self._doubt_start -= self._at
        self._origin += self._at
        parts = [self._buffer[self._at :]] if size else []
        for piece in pieces:
            if not piece.packed and self._plain_offset is None:
                self._plain_offset = (piece.offset or 0) - size
            elif piece.packed and piece.offset is not None:
                self._members.append((self._origin + size, piece.offset))
                self._member_checked = False
            if piece.doubt is not None:
                self._doubt(size, piece.doubt)
            parts.append(piece.data)
            size += len(piece.data)
            self._member_continues = piece.packed and not piece.last
            if piece.end < piece.begin:  # the member ran on into the next one
                cut = (min(piece.end, offset) for stretch in self._stretches for offset in stretch[2:])
                self._stretches = deque((*stretch[:2], next(cut), next(cut)) for stretch in self._stretches)
            self._stretches.append((self._origin + size, len(piece.data), min(piece.begin, piece.end), piece.end))
        self._buffer, self._at = parts[0] if len(parts) == 1 else b"".join(parts), 0

    def _doubt(self, place: int, cause: str) -> None:
        """Note that the bytes from a position of the buffer on may be wrong."""
        self._doubt_start = min(place, self._doubt_start) if self._doubt_cause else place
        self._doubt_cause = cause

    def _file_offset(self) -> int:
        """File offset of the bytes up to `_at`: within a packed stretch, in proportion."""
        place = self._origin + self._at
        if not self._stretches:
            return self._ledger.position
        while len(self._stretches) > 1 and self._stretches[0][0] < place:
            self._stretches.popleft()
        end, size, begin, stop = self._stretches[0]
        return stop if place >= end else begin + (stop - begin) * (place - end + size) // size

    def _count(self, kind: str) -> None:
        """Count the bytes consumed since the last count as records or padding."""
        self._ledger.add(self._file_offset(), kind)

    def _lose(self, cause: str, records: int) -> None:
        """Count the bytes consumed since the last count as lost."""
        self._ledger.lose(self._file_offset(), cause, records)

    def _close_run(self) -> None:
        """Count what the run covers beyond its last byte: the end of a member, or what damage made unreadable."""
        if not self._stretches:
            return
        end = self._stretches[-1][3]
        if (self._complete and end - self._ledger.position <= TRAILER) or self._ending == "too_large":
            self._ledger.add(end, RECORDS)
        elif self._is_damaged():
            self._ledger.lose(end, str(self._ending), 0)
        else:
            self._ledger.add(end, PADDING)

    def _fill(self, size: int, ahead: int = 0) -> bool:
        """Load `size` more bytes of the run, and up to `ahead` more, into the buffer; False if the run has fewer.

        The `ahead` bytes are never taken from the next member, which may not belong to the run.
        """
        have = len(self._buffer) - self._at
        if have >= size + ahead:
            return True
        pieces: list[UnpackedPiece] = []
        if have < size and self._ahead is not None and not self._begins_run(self._ahead, is_enough=False):
            self._ending = None
        while have < size + ahead and self._ending is None:
            piece = self._next_piece()
            if piece is None:
                self._ending = "end"
            elif self._begins_run(piece, is_enough=have >= size):
                self._ahead, self._ending = piece, "member"
            else:
                pieces.append(piece)
                have += len(piece.data)
                self._ending = piece.damage
        if pieces:
            self._append(pieces)
        return have >= size

    def _begins_run(self, piece: UnpackedPiece, *, is_enough: bool) -> bool:
        """Whether a piece does not continue the bytes read before it."""
        if not piece.packed or self._plain_offset is not None:
            return self._plain_offset is None
        return piece.offset is not None and (is_enough or bool(piece.damage) or begins_record(piece.data))

    def _is_damaged(self) -> bool:
        return self._ending is not None and self._ending not in ("end", "member")

    def _offset(self, place: int) -> int | None:
        """The file offset from which the byte at `place` of the buffer can be read; None inside a packed member.

        `place` is not before that of the last call.
        """
        if self._plain_offset is not None:
            return self._plain_offset + place
        place += self._origin
        while self._members and self._members[0][0] <= place:
            self._member = self._members.popleft()
        return self._member[1] if self._member is not None and self._member[0] == place else None

    def _skip_blank(self) -> bool:
        """Advance to the next byte that is not blank; False if the run has none."""
        window = LOOKAHEAD
        while True:
            if self._buffer.startswith(b"WARC/", self._at):
                return True
            ahead = self._buffer[self._at : self._at + window]
            rest = ahead.lstrip(BLANK)
            self._at += len(ahead) - len(rest)
            if rest:
                return True
            window = min(2 * window, BUFFER)
            if self._at == len(self._buffer):
                self._fill(0, 1)
                if self._at == len(self._buffer):
                    return False

    def _continue_at(self, offset: int | None) -> bool:
        """Go on at file offset `offset` of an uncompressed run; False if that ends the run, or if it is None."""
        if self._plain_offset is not None and offset is not None:
            place = offset - self._plain_offset
            if place < len(self._buffer) and PACKED.match(self._buffer, place) is None:
                self._at, self._ending = place, None
                while self._stretches[0][0] <= self._origin + place:
                    self._stretches.popleft()
                end, _, _, stop = self._stretches[0]
                self._stretches[0] = end, end - self._origin - place, offset, stop
                return True
        self._go_to(offset)
        return False

    def _go_to(self, offset: int | None) -> None:
        """End the run; the next one begins at file offset `offset`, or there is none if it is None."""
        self._unpacker.resume(offset)
        self._ahead = None
        self._stretches.clear()
        self._buffer, self._at, self._ending = b"", 0, "end"
