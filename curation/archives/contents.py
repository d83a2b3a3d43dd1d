"""The contents of records: where each ends, whatever its header says, and whether it can be trusted.

A content whose stated length leads to the next record is taken as it is. Otherwise it ends where the next record
begins, and is used if nothing suggests that a part of it is missing. What was unpacked from a member that is damaged
further on is used only if a digest confirms it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import IO

from curation.archives import digests
from curation.archives.budget import Budget
from curation.archives.byte_runs import LOOKAHEAD, Runs
from curation.archives.http import parse_response, response_length, unchunk
from curation.archives.ledger import RECORDS, Loss
from curation.archives.packings import PACKED
from curation.archives.raw_file import BUFFER
from curation.archives.record_headers import Header
from curation.archives.start_lines import (
    MAX_DIGITS,
    MAX_LINE,
    arc_line,
    begins_record,
    count_types,
    find_damaged_start,
    find_start,
)
from curation.archives.unpack import BLANK
from curation.archives.watch import Watch

TOO_LARGE = "too_large"
"""The cause for which a sound record is skipped."""

RECORD_END = b"\r\n\r\n"

_WARC_END, _ARC_END = re.compile(rb"\r?\n\r?\n\Z"), re.compile(rb"\r?\n\Z")
_PAGE_SCHEME = re.compile(rb"(?:https?://|ftp://|dns:)", re.IGNORECASE)
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,40}+:")

MAX_REPEATS = 8
"""How often per file a stretch is read again because a record in it states a length beyond the end of the stretch."""


class Contents(Runs):
    """Reads contents at the current position of a run."""

    def __init__(
        self, stream: IO[bytes], counts: Counter[str], max_bytes: int, losses: list[Loss], watch: Watch
    ) -> None:
        super().__init__(stream, counts, losses, watch)
        self._counts, self._max_bytes = counts, max_bytes
        self._start, self._end = 0, 0  # the last content read, as positions in the buffer
        self._in_arc = self._damage_counted = False
        # Unpacked bytes to drop at the start of the next run, which repeats what was read before, and why it does.
        self._repeated, self._repeated_cause, self._repeats_left = 0, "", MAX_REPEATS
        # Bytes unpacked of a run that is read again because a record in it states a length beyond its end.
        self._run_size: int | None = None
        # For headers and contents; the unpacker has one of its own.
        self._budget = Budget(self._ledger.position)

    def read_content(self, header: Header) -> str | None:
        """Read the content and advance to its end. Returns the cause if it is lost, else None."""
        if header.length > self._max_bytes:
            return self._skip_content(header.length)
        ahead = MAX_LINE if self._in_arc else LOOKAHEAD
        self._fill(header.length, ahead)
        end = self._at + header.length
        if end > len(self._buffer):
            inner = self._search(self._at, len(self._buffer))
            return self._read_long(header, len(self._buffer) if inner is None else inner)
        if not self._begins_next(end, ahead):
            inner = self._search(self._at, end)
            return self._read_short(header) if inner is None else self._read_long(header, inner)
        return self._take(header, end, end)

    def _take(self, header: Header, end: int, stop: int, repair: str = "") -> str | None:
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

    def _read_short(self, header: Header) -> str | None:
        """Read a content that goes on behind its stated end, or is followed by something that is not a record."""
        stop = self._next_start(header.length)
        if not self._budget.allows(self._ledger.position):
            self._at = stop
            return self._cut_cause(stop)
        cause = self._read_before(stop, header)
        self._budget.spend(stop - self._at)
        return cause

    def _read_before(self, stop: int, header: Header) -> str | None:
        """Read a content that goes on behind its stated end, up to `stop` at most."""
        stated = self._at + header.length
        if self._is_unwritten(stated):
            self._at = stop
            return self._cut_cause(stop)
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

    def _read_long(self, header: Header, stop: int) -> str | None:
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
        place = self._unpacker.find(self._plain_offset + start)
        found = None if place is None or place >= self._plain_offset + stop else place - self._plain_offset
        within = find_start(self._buffer, start, stop if found is None else found, arc=True) if self._in_arc else None
        return found if within is None else within

    def _find(self) -> tuple[bool, int]:
        """Advance to the next record of a packed run or to its end; also counts lines that state a type."""
        records, tail = 0, MAX_LINE if self._in_arc else LOOKAHEAD
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
        for end in (b"\n", b"\r\n") if self._in_arc else (RECORD_END, b"\n\n"):
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

    def _confirms_digest(self, header: Header) -> bool:
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
        if self._run_size is not None and place + length > self._run_size:
            self._find()
            return self._repeated_cause
        is_beyond = False
        while length > (size := len(self._buffer) - self._at):
            length -= size
            self._at = len(self._buffer)
            if not self._fill(1):
                is_beyond = True
                break
        else:
            self._at += length
            self._fill(0, LOOKAHEAD)
            if self._begins_next(self._at, LOOKAHEAD):
                return TOO_LARGE
        cause = str(self._ending) if self._is_damaged() else "truncated" if self._ending == "end" else "wrong_length"
        if member is not None and self._repeats_left:
            self._repeats_left -= 1
            self._repeated, self._repeated_cause = place - member[0], cause
            self._run_size = self._origin + self._at - member[0] if is_beyond else None
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
                return TOO_LARGE
        following = self._unpacker.find(start)
        self._ledger.lose(self._unpacker.size() if following is None else following, "wrong_length", 0)
        self._go_to(following)
        return "wrong_length" if following is not None or end <= self._unpacker.size() else "truncated"

    def _is_unwritten(self, end: int) -> bool:
        """Whether zeros go on beyond a stated end, as where storage was reserved and never written."""
        return self._buffer[end - 1 : end + 1] == b"\0\0"

    def _begins_next(self, end: int, ahead: int) -> bool:
        """Whether the next `ahead` bytes behind a stated end are blanks that the next record may follow."""
        if self._is_unwritten(end):
            return False
        following = self._buffer[end : end + ahead]
        rest = following.lstrip(BLANK)
        if rest.startswith(b"WARC/") or b"WARC/".startswith(rest):
            return True
        if PACKED.match(rest):
            return self._plain_offset is not None
        if not self._in_arc:
            return False
        place = end + len(following) - len(rest)
        line = self._buffer.rfind(b"\n", max(self._at, place - MAX_LINE), place) + 1
        if line == place:
            return arc_line(self._buffer, place) is not None or (b"\n" not in rest and _SCHEME.match(rest) is not None)
        # Some writers end no record with a line end; but the middle of a header's URL looks like a header, too.
        is_header = _PAGE_SCHEME.match(rest) is not None and arc_line(self._buffer, place) is not None
        return is_header and arc_line(self._buffer, line or self._at) is None
