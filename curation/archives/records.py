"""Read the records of WARC and ARC files in any packing, and resume after any damage.

Maintained WARC readers stop at the first damage, trust a record's length beyond the end of its gzip member, or cannot
read ARC. So records are split here, from the pieces that `curation.archives.unpack` yields. Four fifths of the time is
spent inflating. On sound files the tests compare it with fastwarc, which needs nine tenths of the time.

Stated facts are checked. A length that does not lead to the end of the record is wrong: the record then ends where the
next one begins, and is used if nothing suggests that a part of it is missing. What was unpacked from a gzip member
whose checksum fails is used only where a digest in the record's header confirms it. Whatever cannot be used is counted,
in records and in bytes of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import IO, NamedTuple

from curation.archives.contents import MAX_REPEATS, RECORD_END, TOO_LARGE, Contents
from curation.archives.http import header_end
from curation.archives.ledger import PADDING, RECORDS, Loss
from curation.archives.packings import GZIP, PACKED, ZSTD, format_hint
from curation.archives.record_headers import MAX_HEADER, USUAL_HEADER, Header, read_arc_header, read_warc_header
from curation.archives.start_lines import DAMAGED_START, MAX_LINE, WARC_LINE, arc_line, find_start
from curation.archives.unpack import UnpackedPiece
from curation.archives.watch import Watch
from curation.errors import NotDivisible, UnreadableArchive


class Record(NamedTuple):
    """One record; its content is `buffer[start:end]`.

    Attributes:
        offset: Byte offset in the file; None inside a compressed member, which cannot be read from the middle.
        kind: WARC type. An ARC record is a "response".
        headers: Header values by lower-cased name; the fields of an ARC header line have WARC's names.
        buffer: Bytes that contain the record.
        start: First byte of the content in `buffer`.
        end: Byte after the content in `buffer`.
    """

    offset: int | None
    kind: str
    headers: dict[str, str]
    buffer: bytes
    start: int
    end: int

    @property
    def content(self) -> bytes:
        """A copy of the content."""
        return self.buffer[self.start : self.end]


def read_records(
    stream: IO[bytes],
    counts: Counter[str],
    wanted: frozenset[str],
    max_bytes: int,
    losses: list[Loss] | None = None,
    watch: Watch | None = None,
    stop: int | None = None,
) -> Iterator[Record]:
    """Read records in file order, starting at the stream's position.

    Args:
        stream: A seekable stream.
        counts: Updated with `records.<kind>` for every record and `records.damaged` for one of unknown kind;
            `skipped.<cause>` for every record that is lost (truncated, wrong_length, garbage, damaged_header,
            damaged_gzip, damaged_zstd) or too_large; `passed.<kind>` for every one that is not wanted;
            `repaired.<what>` for one that is yielded in spite of damage; `bytes.records`, `bytes.padding` and
            `bytes.lost`, which add up to the bytes from the stream's position to the end of the file; `file.empty`.
        wanted: Kinds of records to yield.
        max_bytes: Largest content in bytes; larger records are skipped without holding them in memory.
        losses: What was lost is appended to it, in file order.
        watch: Told about the progress; may end reading, which loses the rest of the file.
        stop: File offset of the record before which to stop; None for the end of the file.

    Raises:
        UnreadableArchive: The file has bytes but no record in any form.
        NotDivisible: Reading does not come to a record at `stop`, or not in a state in which it could begin there.
    """
    losses, watch = [] if losses is None else losses, watch or Watch()
    yield from _Reader(stream, counts, wanted, max_bytes, losses, watch, stop).records()


class _Reader(Contents):
    """One pass over an archive."""

    def __init__(
        self,
        stream: IO[bytes],
        counts: Counter[str],
        wanted: frozenset[str],
        max_bytes: int,
        losses: list[Loss],
        watch: Watch,
        stop: int | None,
    ) -> None:
        super().__init__(stream, counts, max_bytes, losses, watch)
        self._wanted, self._stop, self._stopped = wanted, stop, False
        self._bytes_seen = self._record_seen = False

    def records(self) -> Iterator[Record]:
        """Yield all wanted records until the watch ends reading."""
        records = self._all_records()
        if type(self._watch) is Watch:  # never interferes
            yield from records
            return
        while (cause := self._watch.splitting()) is None:
            record = next(records, None)
            if record is None:
                return
            yield record
        self._count_damaged(cause, 1)
        self._ledger.lose(self._unpacker.size(), cause, 1)

    def _all_records(self) -> Iterator[Record]:
        while (piece := self._next_piece()) is not None:
            if self._stop is not None and piece.begin >= self._stop:
                self._stop_at(piece.offset if piece.damage is None else None)
                return
            header = self._read_whole_member(piece) if piece.whole else None
            if header is None:
                self._open_run(piece)
                yield from self._run()
                if self._stopped:
                    return
                self._close_run()
            else:
                self._ledger.add(piece.end, RECORDS)
                if header.kind in self._wanted:
                    start = header.size
                    yield Record(piece.offset, header.kind, header.headers, piece.data, start, start + header.length)
        if self._stop is not None:
            raise NotDivisible(f"no record begins at offset {self._stop:,}")
        self._ledger.add(self._unpacker.size(), PADDING)
        if not self._record_seen:
            if self._bytes_seen:
                raise UnreadableArchive(f"no WARC or ARC record found{format_hint(self._unpacker.peek(0, 16))}")
            self._counts["file.empty"] += 1

    def _run(self) -> Iterator[Record]:
        self._damage_counted = self._complete = False
        if not self._repeated:
            self._run_size = None
        if self._repeated and not self._skip_repeated():
            return
        while self._skip_blank():
            self._count(PADDING)
            if self._stop is not None and self._ledger.position >= self._stop:
                is_plain = self._plain_offset is not None
                self._stop_at(self._ledger.position if is_plain else None)
                return
            self._complete = False
            self._bytes_seen = True
            header = self._read_header()
            if header is None and self._plain_offset is not None and PACKED.match(self._buffer, self._at):
                self._go_to(self._plain_offset + self._at)
                break
            if header is None:
                if not self._skip_to_record(self._lost_cause()):
                    break
                continue
            self._record_seen = True
            self._in_arc = header.is_arc
            self._counts[f"records.{header.kind}"] += 1
            offset = self._offset(self._at)
            self._at += header.size
            cause = self.read_content(header)
            if cause is None or cause == TOO_LARGE:
                self._count(RECORDS)
            else:
                self._lose(cause, 1)
            if cause is None and header.kind in self._wanted:
                yield Record(offset, header.kind, header.headers, self._buffer, self._start, self._end)
            else:
                self._counts[f"skipped.{cause}" if cause else f"passed.{header.kind}"] += 1
        if self._is_damaged() and not self._damage_counted:
            self._bytes_seen = True
            self._count_damaged(str(self._ending), 1)
            if self._ending != TOO_LARGE:
                self._ledger.lose(self._ledger.position, str(self._ending), 1)

    def _stop_at(self, offset: int | None) -> None:
        """Stop before a record, if a reader that begins there would read on as this one.

        Args:
            offset: File offset of the record; None if it is not one that can be read from there.

        Raises:
            NotDivisible: It would not.
        """
        is_there = offset == self._stop == self._ledger.position
        is_kept = all(budget.is_kept(self._ledger.position) for budget in (self._budget, self._unpacker.budget))
        if not is_there or self._repeats_left < MAX_REPEATS or not is_kept:
            raise NotDivisible(f"no record begins at offset {self._stop:,}")
        self._stopped = True

    # ---- headers

    def _read_whole_member(self, piece: UnpackedPiece) -> Header | None:
        """Read and count the header of a record that fills a sound member, as most do; None for any other."""
        data = piece.data
        line = WARC_LINE.match(data)
        end = header_end(data, 0, MAX_HEADER) if line is not None and data.endswith(RECORD_END) else -1
        if line is None or end < 0:
            return None
        header = read_warc_header(data, 0, line.end(), end, self._wanted)
        if header is None or end + header.length + len(RECORD_END) != len(data) or header.length > self._max_bytes:
            return None
        self._record_seen = True
        self._in_arc = False
        self._counts[f"records.{header.kind}"] += 1
        if header.kind not in self._wanted:
            self._counts[f"passed.{header.kind}"] += 1
        return header

    def _read_header(self) -> Header | None:
        """Read the header at the current position, or None if there is none."""
        longest = self._longest_header()
        while True:
            arc = arc_line(self._buffer, self._at)
            if arc is not None:
                return read_arc_header(arc)
            line = WARC_LINE.match(self._buffer, self._at)
            usual = self._at + USUAL_HEADER
            end = header_end(self._buffer, self._at, usual)
            if end < 0:
                if find_start(self._buffer, self._at + 1, min(usual, len(self._buffer)), arc=False) is not None:
                    return None
                end = header_end(self._buffer, usual - 2, self._at + longest)
            size = len(self._buffer) - self._at
            # Twice as much each time: a header may be cut into many small members.
            if line is not None and end > 0:
                header, size = read_warc_header(self._buffer, self._at, line.end(), end, self._wanted), end - self._at
            elif size > max(longest, MAX_LINE) or not (self._fill(2 * size) or len(self._buffer) - self._at > size):
                header = None
            else:
                continue
            if header is None and size > USUAL_HEADER:
                self._budget.spend(min(size, longest))
            return header

    def _longest_header(self) -> int:
        """Length of the longest header that is read at the current position: less after many that are damaged."""
        return MAX_HEADER if self._budget.allows(self._ledger.position) else USUAL_HEADER

    # ---- damage

    def _lost_cause(self) -> str:
        """Why the bytes at the current position, which are not a record, are lost."""
        data, at = self._buffer, self._at
        stop = min(len(data), at + self._longest_header())
        is_warc = data.startswith(b"WARC/", at)
        began = is_warc or DAMAGED_START.match(data, at, stop) is not None or arc_line(data, at) is not None
        self._record_seen = self._record_seen or began
        if began and self._is_damaged() and header_end(data, at, stop) < 0:
            self._damage_counted = True
            return str(self._ending)
        if self._ending == "end" and len(data) - at < MAX_HEADER:
            is_cut = header_end(data, at, stop) < 0 if is_warc else _is_cut(data[at : at + 8])
            if is_cut:
                return "truncated"
        return "damaged_header" if began else "garbage"

    def _count_damaged(self, cause: str, records: int) -> None:
        self._counts["records.damaged"] += records
        self._counts[f"skipped.{cause}"] += records

    def _skip_to_record(self, cause: str) -> bool:
        """Count what is before the next record of this run as lost; False if there is no further record in it."""
        if self._plain_offset is not None:
            start = self._plain_offset + self._at
            following = self._unpacker.find(start + 1)
            stop = self._unpacker.size() if following is None else following
            records = max(1, self._unpacker.count_types(start, stop))
            self._count_damaged(cause, records)
            self._ledger.lose(stop, cause, records)
            return self._continue_at(following)
        self._at += 1
        found, records = self._find()
        self._count_damaged(cause, max(1, records))
        self._lose(cause, max(1, records))
        return found

    def _skip_repeated(self) -> bool:
        """Advance to the record after the one for which this run is read again; False if there is none."""
        while self._repeated and self._fill(1):
            size = min(self._repeated, len(self._buffer) - self._at)
            self._at += size
            self._repeated -= size
        self._repeated = 0
        found, _ = self._find()
        self._lose(self._repeated_cause, 0)
        return found


def _is_cut(rest: bytes) -> bool:
    """Whether the last bytes of a file are only a part of how a record or a member begins."""
    return any(start.startswith(rest) for start in (b"WARC/", GZIP, ZSTD))
