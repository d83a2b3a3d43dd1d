"""Divides an archive into parts that are read by themselves, so that one archive keeps all cores busy.

A part begins with a record: with a gzip member of which it is the first, or anywhere in an uncompressed archive. What
looks like a record may be the content of one, so each part is checked when it is read: it has to come to the record
with which the next one begins. If it does not, the archive is read whole (`NotDivisible`).

One large gzip member, zstd frames, which may need what is before them, and servers that give no ranges are not divided.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import IO

from curation.archives.inputs import Input
from curation.archives.packings import DICTIONARY, SKIPPABLE, ZSTD
from curation.archives.raw_file import RawFile
from curation.archives.reader import crawl_of
from curation.archives.record_headers import KINDS
from curation.archives.record_search import RecordSearch
from curation.archives.records import Record, read_records
from curation.archives.zstd_dictionaries import Dictionaries
from curation.errors import CurationError

PART_BYTES = 4 << 20
"""Size of the first parts of a local archive: some seconds of work. It does not depend on the number of workers, so
that a run can be resumed with another one."""

REMOTE_PART_BYTES = 32 << 20
"""The same for other archives: every part takes requests, and a few megabytes are fetched twice."""

LAST_PARTS = 4
"""Parts get smaller towards the end, down to a quarter, so that all workers end at about the same time: each takes at
most this fraction of what is left."""

SEARCH_BYTES = 4 << 20
"""How far to search for the record with which a part begins."""

MAX_RECORD = 32 << 20
"""Bytes of the largest record with which a part may begin."""


def is_divisible(source: Input) -> bool:
    """Whether an input is an archive that is worth dividing."""
    is_whole = source.kind == "archive" and not source.is_part and not source.path.startswith("memory://")
    return is_whole and source.size >= 2 * _first_part(source)


def divide(source: Input) -> tuple[Input, ...]:
    """The parts of an archive in file order; only the archive itself if it cannot be divided."""
    try:
        with source.open() as stream:
            head = stream.read(4)
            if head.startswith(ZSTD) or SKIPPABLE.match(head) or not getattr(stream, "has_ranges", True):
                return (source,)
            first = _record_at(stream, 0)
            places = (_next_start(stream, place) for place in part_places(source.size, _first_part(source)))
            starts = sorted({0, *(place for place in places if place is not None)})
    except (OSError, CurationError):
        return (source,)
    dump = crawl_of(first) if first is not None and first.kind == "warcinfo" else None
    ends = [*starts[1:], None]
    return tuple(replace(source, start=start, stop=end, dump=dump) for start, end in zip(starts, ends, strict=True))


def part_places(size: int, first: int) -> list[int]:
    """Where parts of a file of `size` bytes begin, but for the first of them, which has `first` bytes."""
    last = max(first // 4, 1)
    places: list[int] = []
    place = 0
    while True:
        place += max(last, min(first, (size - place) // LAST_PARTS))
        if size - place < last:
            return places
        places.append(place)


def _first_part(source: Input) -> int:
    return PART_BYTES if source.is_local else REMOTE_PART_BYTES


def _next_start(stream: IO[bytes], place: int) -> int | None:
    """File offset of the first sound record at or after a place that can be read from there; None if there is none."""
    stream.seek(place)
    raw = RawFile(stream)
    found = RecordSearch(raw, Dictionaries(raw)).find(place, place + SEARCH_BYTES)
    if found is None or raw.peek_at(found, 4).startswith((ZSTD, DICTIONARY)):
        return None
    record = _record_at(stream, found)
    return None if record is None else record.offset


def _record_at(stream: IO[bytes], offset: int) -> Record | None:
    stream.seek(offset)
    return next(read_records(stream, Counter(), KINDS, MAX_RECORD), None)
