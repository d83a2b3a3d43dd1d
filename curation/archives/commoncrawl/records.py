"""Whether bytes that were fetched are the record that the index describes."""

from __future__ import annotations

from collections import Counter
from io import BytesIO

from curation.archives.digests import confirms
from curation.archives.http import parse_response
from curation.archives.record_headers import KINDS
from curation.archives.records import read_records
from curation.errors import UnreadableArchive

MAX_RECORD = 128 << 20
"""Bytes of the largest record, packed and unpacked. CommonCrawl cuts pages at 1 MiB, since 2025 at 5 MiB."""

MAX_ARCHIVE = 1 << 40
"""Bytes of the largest archive. CommonCrawl's have about 1 GB."""

GONE, DAMAGED, CHANGED = "gone", "damaged", "changed"
"""Why a record is left out: the archive does not have these bytes, they are no record, or one with other content."""


def problem(data: bytes, digest: str | None) -> str | None:
    """What is wrong with a record, or None.

    Args:
        data: Its bytes in the archive.
        digest: Digest of its payload by the index, SHA-1 in base 32 or hexadecimal, or with another algorithm in front
            as in WARC; None if the index has none, then the one that the record itself states counts.
    """
    if not data.strip(b"\0"):
        return GONE
    counts: Counter[str] = Counter()
    try:
        records = list(read_records(BytesIO(data), counts, KINDS, MAX_RECORD))
    except UnreadableArchive:
        return DAMAGED
    if len(records) != 1 or counts["bytes.lost"] or counts["bytes.records"] != len(data):
        return DAMAGED
    (record,) = records
    named = digest if digest and ":" in digest else f"sha1:{digest}"
    stated = named if digest else record.headers.get("warc-payload-digest", "")
    body = parse_response(record.buffer, record.start, record.end).body
    return None if not stated or confirms(stated, [body]) else CHANGED
