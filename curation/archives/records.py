"""Read the records of WARC and ARC files in any packing, and resume after any damage.

Maintained WARC readers stop at the first damage, trust a record's length beyond the end of its gzip member, or cannot
read ARC. So records are split here, from the pieces that `curation.archives.unpack` yields. Four fifths of the time is
spent inflating. On sound files the tests compare it with fastwarc, which needs six sevenths of the time.

Stated facts are checked. A length that does not lead to the end of the record is wrong: the record then ends where the
next one begins, and is used if nothing suggests that a part of it is missing. What was unpacked from a gzip member
whose checksum fails is used only where a digest in the record's header confirms it. Whatever cannot be used is counted,
in records and in bytes of the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from curation.archives import digests
from curation.archives.byte_runs import LOOKAHEAD, Runs
from curation.archives.http import header_end, parse_headers, parse_response, response_length, unchunk
from curation.archives.ledger import PADDING, RECORDS, Loss
from curation.archives.start_lines import (
    DAMAGED_START,
    MAX_DIGITS,
    MAX_LINE,
    WARC_LINE,
    ArcLine,
    arc_line,
    begins_record,
    count_types,
    find_damaged_start,
    find_start,
)
from curation.archives.unpack import BLANK, BUFFER, GZIP, ZSTD, UnpackedPiece
from curation.archives.watch import Watch
from curation.errors import UnreadableArchive

MAX_HEADER = 1 << 16
"""Longest record header in bytes; anything longer is not a header."""

KINDS = frozenset(("warcinfo", "response", "resource", "request", "metadata", "revisit", "conversion", "continuation"))
"""Record types of WARC 1.1; any other is counted as unknown."""

_NOT_A_FIELD = re.compile(rb"\n(?![a-z-]{2,64}+[ \t]{0,64}+:)")
_RECORD_END = b"\r\n\r\n"
_WARC_END, _ARC_END = re.compile(rb"\r?\n\r?\n\Z"), re.compile(rb"\r?\n\Z")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,40}+:")
_TOO_LARGE = "too_large"

_FORMATS = {
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x89LZO": "lzo",
    b"PAR1": "Parquet",
    b"SQLite format 3": "SQLite",
}
"""Formats that people store archives or pages in, by their first bytes, for the error."""

_MAX_REPEATS = 8
"""How often per file a stretch is read again because a record in it states a length beyond the end of the stretch."""


@dataclass(frozen=True, slots=True)
class Record:
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


@dataclass(frozen=True, slots=True)
class _Header:
    kind: str
    headers: dict[str, str]
    length: int
    size: int
    is_arc: bool = False


def read_records(
    stream: IO[bytes],
    counts: Counter[str],
    wanted: frozenset[str],
    max_bytes: int,
    losses: list[Loss] | None = None,
    watch: Watch | None = None,
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

    Raises:
        UnreadableArchive: The file has bytes but no record in any form.
    """
    yield from _Reader(stream, counts, wanted, max_bytes, [] if losses is None else losses, watch or Watch()).records()


class _Reader(Runs):
    """One pass over an archive."""

    def __init__(
        self,
        stream: IO[bytes],
        counts: Counter[str],
        wanted: frozenset[str],
        max_bytes: int,
        losses: list[Loss],
        watch: Watch,
    ) -> None:
        super().__init__(stream, counts, losses, watch)
        self._counts, self._wanted, self._max_bytes = counts, wanted, max_bytes
        self._start, self._end = 0, 0  # the last content read, as positions in the buffer
        self._in_arc = self._bytes_seen = self._record_seen = False
        self._damage_counted = False
        # Unpacked bytes to drop at the start of the next run, which repeats what was read before, and why it does.
        self._repeated, self._repeated_cause, self._repeats_left = 0, "", _MAX_REPEATS

    def records(self) -> Iterator[Record]:
        """Yield all wanted records until the watch ends reading."""
        records = self._all_records()
        while (cause := self._watch.splitting()) is None:
            record = next(records, None)
            if record is None:
                return
            yield record
        self._count_damaged(cause, 1)
        self._ledger.lose(self._unpacker.size(), cause, 1)

    def _all_records(self) -> Iterator[Record]:
        while (piece := self._next_piece()) is not None:
            header = self._read_whole_member(piece) if piece.whole else None
            if header is None:
                self._open_run(piece)
                yield from self._run()
                self._close_run()
            else:
                self._ledger.add(piece.end, RECORDS)
                if header.kind in self._wanted:
                    start = header.size
                    yield Record(piece.offset, header.kind, header.headers, piece.data, start, start + header.length)
        self._ledger.add(self._unpacker.size(), PADDING)
        if not self._record_seen:
            if self._bytes_seen:
                raise UnreadableArchive(f"no WARC or ARC record found{_format_hint(self._unpacker.peek(0, 16))}")
            self._counts["file.empty"] += 1

    def _run(self) -> Iterator[Record]:
        self._damage_counted = self._complete = False
        if self._repeated and not self._skip_repeated():
            return
        while self._skip_blank():
            self._count(PADDING)
            self._complete = False
            self._bytes_seen = True
            header = self._read_header()
            if header is None and self._plain_offset is not None and self._buffer.startswith((GZIP, ZSTD), self._at):
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
            cause = self._read_content(header)
            if cause is None or cause == _TOO_LARGE:
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
            if self._ending != _TOO_LARGE:
                self._ledger.lose(self._ledger.position, str(self._ending), 1)

    # ---- headers

    def _read_whole_member(self, piece: UnpackedPiece) -> _Header | None:
        """Read and count the header of a record that fills a sound member, as most do; None for any other."""
        data = piece.data
        line = WARC_LINE.match(data)
        end = header_end(data, 0, MAX_HEADER) if line is not None and data.endswith(_RECORD_END) else -1
        if line is None or end < 0:
            return None
        header = self._read_warc_header(data, 0, line.end(), end)
        if header is None or end + header.length + len(_RECORD_END) != len(data) or header.length > self._max_bytes:
            return None
        self._record_seen = True
        self._in_arc = False
        self._counts[f"records.{header.kind}"] += 1
        if header.kind not in self._wanted:
            self._counts[f"passed.{header.kind}"] += 1
        return header

    def _read_header(self) -> _Header | None:
        """Read the header at the current position, or None if there is none."""
        while True:
            arc = arc_line(self._buffer, self._at)
            if arc is not None:
                return self._read_arc_header(arc)
            line = WARC_LINE.match(self._buffer, self._at)
            end = header_end(self._buffer, self._at, self._at + MAX_HEADER)
            if line is not None and end > 0:
                return self._read_warc_header(self._buffer, self._at, line.end(), end)
            size = len(self._buffer) - self._at
            # Twice as much each time: a header may be cut into many small members.
            if size > MAX_HEADER or not (self._fill(2 * size) or len(self._buffer) - self._at > size):
                return None

    def _read_warc_header(self, data: bytes, start: int, fields: int, end: int) -> _Header | None:
        lowered = data[fields - 1 : end].lower()
        length = _field(lowered, b"content-length")
        if not length.isdigit() or len(length) > MAX_DIGITS or _NOT_A_FIELD.match(lowered) or b"\nwarc/" in lowered:
            return None
        kind = _field(lowered, b"warc-type").decode("latin-1")
        headers = parse_headers(data[fields:end]) if kind in self._wanted else {}
        return _Header(kind if kind in KINDS else "unknown", headers, int(length), end - start)

    def _read_arc_header(self, line: ArcLine) -> _Header | None:
        if line.length is None:
            return None
        url = line.url.decode("utf-8", "replace")
        kind = "filedesc" if url.startswith("filedesc:") else "response"
        content_type = line.content_type.decode("latin-1")
        headers = {"warc-target-uri": url, "warc-date": _iso(line.date.decode()), "content-type": content_type}
        return _Header(kind, headers, line.length, line.size, is_arc=True)

    # ---- damage

    def _lost_cause(self) -> str:
        """Why the bytes at the current position, which are not a record, are lost."""
        rest = self._buffer[self._at : self._at + MAX_HEADER]
        began = rest.startswith(b"WARC/") or DAMAGED_START.match(rest) is not None or arc_line(rest) is not None
        self._record_seen = self._record_seen or began
        if began and self._is_damaged() and header_end(rest, 0, len(rest)) < 0:
            self._damage_counted = True
            return str(self._ending)
        if self._ending == "end" and len(rest) < MAX_HEADER and _is_cut(rest):
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
            self._go_to(following)
            return False
        found, records = self._find()
        self._count_damaged(cause, max(1, records))
        self._lose(cause, max(1, records))
        return found

    def _find(self) -> tuple[bool, int]:
        """Advance to the next record of a packed run or to its end; also counts lines that state a type."""
        records, tail = 0, MAX_LINE if self._in_arc else LOOKAHEAD
        self._at += 1
        while True:
            found = find_start(self._buffer, self._at, len(self._buffer), arc=self._in_arc)
            stop = found if found is not None else max(self._at, len(self._buffer) - tail)
            records += count_types(self._buffer, self._at, stop)
            self._at = stop
            if found is not None:
                return True, records
            size = len(self._buffer) - self._at
            if not self._fill(size + BUFFER) and len(self._buffer) - self._at == size:
                self._at = len(self._buffer)
                return False, records

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

    # ---- contents

    def _read_content(self, header: _Header) -> str | None:
        """Read the content and advance to its end. Returns the cause if it is lost, else None."""
        if header.length > self._max_bytes:
            return self._skip_content(header.length)
        ahead = MAX_LINE if self._in_arc else LOOKAHEAD
        self._fill(header.length, ahead)
        end = self._at + header.length
        if end > len(self._buffer):
            inner = self._search(self._at, len(self._buffer))
            return self._read_long(header, len(self._buffer) if inner is None else inner)
        rest = self._buffer[end : end + ahead].lstrip(BLANK)
        if rest and not self._begins_next(end, rest):
            inner = self._search(self._at, end)
            return self._read_short(header) if inner is None else self._read_long(header, inner)
        return self._take(header, end, end)

    def _take(self, header: _Header, end: int, stop: int, repair: str = "") -> str | None:
        """Accept a content that ends at `end`, and advance to `stop`, unless it was unpacked from a damaged member."""
        self._start, self._end, self._at = self._at, end, stop
        cause = ""
        if self._is_damaged() and not self._buffer[stop : stop + LOOKAHEAD].lstrip(BLANK):
            self._damage_counted = True
            if self._ending == "truncated":
                repair = "cut_after_record"
                self._complete = True
            else:
                cause = str(self._ending)
        elif self._member_continues and not self._member_checked and self._ending is None:
            self._member_checked = True
            if (damage := self._unpacker.damage_ahead()) is not None:
                self._doubt(self._start, damage)
        if self._doubt_cause and end > self._doubt_start:
            self._damage_counted = True
            cause = self._doubt_cause
        if cause:
            if not self._confirms_digest(header):
                return cause
            repair, self._complete = "confirmed_by_digest", True
        if repair:
            self._counts[f"repaired.{repair}"] += 1
        return None

    def _read_short(self, header: _Header) -> str | None:
        """Read a content that goes on behind its stated end, or is followed by something that is not a record."""
        stop = self._next_start(header.length)
        stated = self._at + header.length
        damaged = None if self._in_arc else find_damaged_start(self._buffer, stated, stop)
        stop = stop if damaged is None else damaged
        by_http = self._http_end(stop)
        if by_http is not None and by_http > stated:
            return self._take(header, by_http, by_http, "length_too_short")
        if self._record_end(stated, stated + LOOKAHEAD) is not None:
            return self._take(header, stated, stated)
        end = self._content_end(stop)
        if end is not None:
            return self._take(header, end, end, "length_too_short")
        self._at = stop
        return self._cut_cause(stop)

    def _read_long(self, header: _Header, stop: int) -> str | None:
        """Read a content that ends before its stated end: where the next record begins, or with the run."""
        end, by_http = self._content_end(stop), self._http_end(stop)
        if by_http is not None:
            return self._take(header, by_http, stop, "length_too_long")
        if end is not None and self._has_lost_returns(header.length, end):
            return self._take(header, end, stop, "line_ends")
        is_member = self._plain_offset is None and self._ending in ("member", "end") and not self._member_continues
        if end is not None and (is_member or stop < len(self._buffer)) and not self._states_more(end):
            return self._take(header, end, stop, "length_too_long")
        self._at = stop
        return self._cut_cause(stop)

    def _cut_cause(self, stop: int) -> str:
        """Why a content that ends at `stop` is incomplete."""
        if stop < len(self._buffer):
            return "wrong_length"
        if self._is_damaged():
            self._damage_counted = True
            return str(self._ending)
        return "truncated" if self._ending == "end" else "wrong_length"

    def _search(self, start: int, stop: int) -> int | None:
        """Position in [`start`, `stop`) of the buffer where the next record, or a member with one, begins, or None."""
        if self._plain_offset is None:
            return find_start(self._buffer, start, stop, arc=self._in_arc)
        found = self._unpacker.find(self._plain_offset + start)
        return None if found is None or found >= self._plain_offset + stop else found - self._plain_offset

    def _next_start(self, distance: int) -> int:
        """Position of the next record, `distance` bytes or more ahead, or of the end of what a content may reach."""
        while True:
            found = self._search(self._at + distance, len(self._buffer))
            if found is not None:
                return found
            size = len(self._buffer) - self._at
            distance = max(distance, size - MAX_LINE)
            if size > self._max_bytes or not (self._fill(size + BUFFER) or len(self._buffer) - self._at > size):
                return len(self._buffer)

    def _record_end(self, start: int, stop: int) -> int | None:
        """Position after the line ends that close a record, if they are at `start`."""
        for end in (b"\n", b"\r\n") if self._in_arc else (_RECORD_END, b"\n\n"):
            if self._buffer.startswith(end, start, stop):
                return start + len(end)
        return None

    def _content_end(self, stop: int) -> int | None:
        """End of a content whose record ends at `stop`, or None if the line ends that close a record are missing."""
        match = (_ARC_END if self._in_arc else _WARC_END).search(self._buffer[max(self._at, stop - 4) : stop])
        return None if match is None else stop - len(match[0])

    def _http_end(self, stop: int) -> int | None:
        """End of the HTTP response in [`_at`, `stop`) by its own Content-Length; None if it is missing or wrong."""
        length = response_length(self._buffer[self._at : stop])
        return None if length is None else self._at + length

    def _states_more(self, end: int) -> bool:
        """Whether the HTTP response that ends at `end` is longer by its own Content-Length."""
        response = parse_response(self._buffer, self._at, end)
        stated = response.headers.get("content-length", "")
        return stated.isdecimal() and (len(stated) > MAX_DIGITS or int(stated) > len(response.body))

    def _has_lost_returns(self, stated: int, end: int) -> bool:
        """Whether the content was `stated` bytes long before carriage returns were removed from its line ends."""
        content = self._buffer[self._at : end]
        lines = content.count(b"\n")
        return len(content) < stated <= len(content) + lines and content.count(b"\r\n") <= lines // 2

    def _confirms_digest(self, header: _Header) -> bool:
        """Whether a digest in the record's header, of the block or of the payload, matches the content."""
        block, payload = (header.headers.get(f"warc-{kind}-digest", "") for kind in ("block", "payload"))
        if block:
            return digests.confirms(block, [memoryview(self._buffer)[self._start : self._end]])
        if not payload:
            return False
        body = parse_response(self._buffer, self._start, self._end).body
        return digests.confirms(payload, [body, unchunk(bytes(body)) or b""])

    def _skip_content(self, length: int) -> str:
        """Skip content that is too large to hold in memory. Returns the cause to count."""
        if self._plain_offset is not None:
            return self._skip_plain_content(self._plain_offset + self._at, length)
        place, member = self._origin + self._at, self._member
        while length > (size := len(self._buffer) - self._at):
            length -= size
            self._at = len(self._buffer)
            if not self._fill(1):
                break
        else:
            self._at += length
            self._fill(0, LOOKAHEAD)
            rest = self._buffer[self._at : self._at + LOOKAHEAD].lstrip(BLANK)
            if not rest or self._begins_next(self._at, rest):
                return _TOO_LARGE
        cause = str(self._ending) if self._is_damaged() else "truncated" if self._ending == "end" else "wrong_length"
        if member is not None and self._repeats_left:
            self._repeats_left -= 1
            self._repeated, self._repeated_cause = place - member[0], cause
            self._go_to(member[1])
        self._damage_counted = self._is_damaged()
        return cause

    def _skip_plain_content(self, start: int, length: int) -> str:
        """Skip content of a file that is not packed: look whether a record begins after its stated end."""
        end = start + length
        if end <= self._unpacker.size():
            after = self._unpacker.peek(end, LOOKAHEAD)
            rest = after.lstrip(BLANK)
            if not rest or begins_record(self._unpacker.peek(end + len(after) - len(rest), MAX_LINE)):
                self._ledger.add(end, RECORDS)
                self._go_to(end)
                return _TOO_LARGE
        following = self._unpacker.find(start)
        self._ledger.lose(self._unpacker.size() if following is None else following, "wrong_length", 0)
        self._go_to(following)
        return "wrong_length" if following is not None or end <= self._unpacker.size() else "truncated"

    def _begins_next(self, end: int, rest: bytes) -> bool:
        """Whether `rest`, the bytes after the blanks behind a stated end, may be the next record."""
        if rest.startswith(b"WARC/") or b"WARC/".startswith(rest):
            return True
        if rest.startswith((GZIP, ZSTD)):
            return self._plain_offset is not None
        if not self._in_arc:
            return False
        place = self._buffer.index(rest, end)
        if self._buffer[place - 1 : place] != b"\n":
            return False
        return arc_line(self._buffer, place) is not None or (b"\n" not in rest and _SCHEME.match(rest) is not None)


def _field(lowered: bytes, name: bytes) -> bytes:
    """The first value of a field in a lower-cased header that begins with a newline; empty if there is none."""
    start = lowered.find(b"\n" + name + b":")
    end = lowered.find(b"\n", start + 1)
    if start < 0 or lowered[end + 1 : end + 2] in (b" ", b"\t"):
        return parse_headers(lowered).get(name.decode(), "").encode()
    return lowered[start + len(name) + 2 : end].strip()


def _format_hint(head: bytes) -> str:
    """What to do about a file of another format, by its first bytes; empty if the format is unknown."""
    for magic, name in _FORMATS.items():
        if head.startswith(magic):
            return f"; the file is in {name} format: unpack it first"
    return ""


def _is_cut(rest: bytes) -> bool:
    """Whether the last bytes of a file are the beginning of a record or of a member."""
    if rest.startswith(b"WARC/"):
        return header_end(rest, 0, len(rest)) < 0
    return any(start.startswith(rest) for start in (b"WARC/", GZIP, ZSTD))


def _iso(date: str) -> str:
    """20140401000000 → 2014-04-01T00:00:00Z; shorter dates are padded with zeros, longer ones are cut."""
    d = date.ljust(14, "0")
    return f"{d[:4]}-{d[4:6]}-{d[6:8]}T{d[8:10]}:{d[10:12]}:{d[12:14]}Z"
