"""Read archives into batches: every record becomes a page in a batch or is counted under a name."""

from __future__ import annotations

import re
import uuid
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, MinLen

from curation.archives.charset import to_utf8
from curation.archives.columns import DEFAULT_COLUMNS, ColumnNames
from curation.archives.detection import detect_utf_16
from curation.archives.http import NON_SPACE, Response, decoded_body, parse_headers, parse_response
from curation.archives.ledger import Loss
from curation.archives.media_types import (
    HTTP_TYPES,
    OTHER,
    TEXTS,
    begins_html,
    group_of,
    is_binary,
    is_noise,
    media_type,
    signature_group,
    sniff,
)
from curation.archives.records import Record, read_records
from curation.archives.watch import Watch
from curation.errors import NotDivisible, UnreadableArchive, require
from curation.stages.batch import Batch
from curation.stages.parameters import checked
from curation.store import schema

if TYPE_CHECKING:
    from curation.archives.inputs import Input

__all__ = ["ReadSettings", "UnreadableArchive", "read_batches"]

BATCH_BYTES = 8 << 20
"""Bytes of text and HTML per batch. Twice as much takes a quarter more time: allocations of that size are returned to
the system and zeroed by it each time."""

CONTENT_BYTES = BATCH_BYTES + (1 << 20)
"""Bytes that are reserved for the pages of a batch, to which the last page may add more."""

MAX_PAGE_BYTES = 1 << 30
"""A batch addresses its text with 32-bit offsets."""

_DUMP = re.compile(r"CC-MAIN-\d{4}-\d{2}")

_NOT_A_PAGE = re.compile(r"(?:dns|whois|screenshot|urn|metadata|warcinfo):", re.IGNORECASE)
"""URL schemes that crawlers use for records that are not pages."""

_ROBOTS = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*/robots\.txt(?:[?#]|$)", re.IGNORECASE)

_STATUS = re.compile(r"([1-9])xx|([1-9]\d\d)(?:-([1-9]\d\d))?")
"""A class of HTTP statuses, a single one or a range."""

Records = Annotated[
    tuple[Literal["response", "conversion", "resource"], ...],
    MinLen(1),
    "a list of some of response, conversion, resource",
]

Types = Annotated[tuple[Literal["html", "text", "markdown"], ...], MinLen(1), "a list of some of html, text, markdown"]

_STATUSES = '"all", or statuses such as "2xx", 404 and "500-599", or a list of them'

Columns = Annotated[ColumnNames, "a table of names"]

Status = Annotated[int | str | tuple[int | str, ...], _STATUSES]


@checked
@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Table [read] of a recipe.

    Attributes:
        dump: Value of the column `dump`. By default the CommonCrawl name in the path, else the `isPartOf` of the
            archive's warcinfo record.
        records: WARC record types to read.
        max_page_bytes: Larger payloads are skipped and counted.
        max_seconds: Processor time for one record, in seconds. One that takes longer is skipped and named.
        status: HTTP statuses of pages: "all", or classes ("2xx"), single ones (404) and ranges ("500-599"), one or a
            list. A record without a status, such as a resource, is always read.
        types: What responses and resources to read: html, text (plain) or markdown. A conversion record (WET) of text
            is always read.
        columns: Table [read.columns]: which columns of Parquet and JSON Lines hold what.
        text_files: Whether a text file is one document, "whole", or each of its "lines" is one.
        sample: Share of the input files to read, at least one, chosen by a hash of their paths and of `seed`: a larger
            share has all files of a smaller one.
        seed: Random seed of `sample`.
    """

    dump: str | None = None
    records: Records = ("response", "conversion")
    max_page_bytes: Annotated[int, Ge(1), Le(MAX_PAGE_BYTES)] = 32 << 20
    max_seconds: Annotated[float, Gt(0)] = 30.0
    status: Status = "2xx"
    types: Types = ("html",)
    columns: Columns = DEFAULT_COLUMNS
    text_files: Literal["whole", "lines"] = "whole"
    sample: Annotated[float, Gt(0), Le(1)] = 1.0
    seed: int = 0

    version: ClassVar[int] = 3
    chooses_inputs: ClassVar[tuple[str, ...]] = ("sample", "seed")
    libraries: ClassVar[tuple[str, ...]] = ("resiliparse", "chardetng-py")

    def __post_init__(self) -> None:
        require(_wanted_statuses(self.status) is not None, "status", self.status, _STATUSES)

    def wants_status(self, status: int) -> bool:
        """Whether pages with this HTTP status are read; 0 is none."""
        return status == 0 or status in (_wanted_statuses(self.status) or ())


@lru_cache(maxsize=64)
def _wanted_statuses(setting: int | str | tuple[int | str, ...]) -> frozenset[int] | None:
    """The HTTP statuses that a setting names; None if it is not valid."""
    wanted: set[int] = set()
    for part in setting if isinstance(setting, tuple) else (setting,):
        match = _STATUS.fullmatch("100-999" if part == "all" else str(part))
        if match is None:
            return None
        if match[1]:
            first, last = int(match[1]) * 100, int(match[1]) * 100 + 99
        else:
            first, last = int(match[2]), int(match[3] or match[2])
        if first > last:
            return None
        wanted |= set(range(first, last + 1))
    return frozenset(wanted) or None


def read_batches(
    stream: IO[bytes],
    path: str,
    settings: ReadSettings,
    counts: Counter[str],
    *,
    losses: list[Loss] | None = None,
    watch: Watch | None = None,
    part: Input | None = None,
    max_documents: int = 256,
    max_bytes: int = BATCH_BYTES,
) -> Iterator[Batch]:
    """Read the pages of an archive in batches with the columns of `schema.RECORD`.

    Args:
        stream: A seekable stream, read from its current position: after a seek to a page's `warc_offset` that page
            comes first.
        path: Value of the column `file_path`.
        settings: Table [read] of the recipe.
        counts: Updated with every record by type (`records.`) and by what became of it: a page (`pages.`), a record of
            a type that is not wanted (`passed.`) or skipped by cause (`skipped.`); these add up to the records. Also
            decisions (`charset.`, `type.`, `transfer.`, `content.`, `repaired.`), HTTP statuses (`status.`), and bytes
            of the file (`bytes.records`, `bytes.padding`, `bytes.lost`).
        losses: What could not be read is appended to it.
        watch: Told about every record before it is worked on.
        part: The part of the archive to read, from `divide`; the stream is at its start. The rest of the file by
            default.
        max_documents: Largest number of pages in a batch.
        max_bytes: Approximate size of the text and HTML in a batch, in bytes.

    Yields:
        Batches in file order. An empty file has no pages and is counted as `file.empty`.

    Raises:
        UnreadableArchive: The file has bytes but no WARC or ARC record.
        NotDivisible: The part does not end where the next one begins, or not as that one takes for granted.
    """
    rows = _PageBuffer(path)
    is_named = bool(settings.dump or dump_of(path))
    dump = settings.dump or dump_of(path) or (part.dump if part is not None and part.start else None)
    stop = None if part is None else part.stop
    wanted = frozenset(settings.records) | {"warcinfo"}
    watch, losses = watch or Watch(), [] if losses is None else losses
    for record in read_records(stream, counts, wanted, settings.max_page_bytes, losses, watch, stop=stop):
        if (cause := watch.decoding()) is not None:
            counts[f"skipped.{cause}"] += 1
            losses.append(Loss(record.offset or 0, 0, cause, 1))
            continue
        if record.kind == "warcinfo":
            counts["passed.warcinfo"] += 1
            if not is_named:
                dump = crawl_of(record) or dump
            continue
        page = _page(record, settings, counts)
        if page is None:
            continue
        rows.add(page, dump, record.offset)
        if len(rows) >= max_documents or rows.size >= max_bytes:
            yield rows.batch()
            rows = _PageBuffer(path)
    if part is not None and stop is not None and not (is_named or dump == part.dump):
        raise NotDivisible(f"the archive names another crawl before offset {stop:,} than in its first record")
    if len(rows):
        yield rows.batch()


class _Page(NamedTuple):
    """A page; `content` is UTF-8, either HTML or plain text."""

    id: str
    url: str | None
    date: str | None
    content: bytes | memoryview
    is_html: bool = True


class _Strings:
    """A string column under construction. UTF-8 is copied once, right away, while it is in the processor's cache."""

    def __init__(self) -> None:
        self.size = 0
        self._content = np.empty(0, np.uint8)
        self._ends: list[int] = [0]
        self._valid: list[bool] = []

    def add(self, value: bytes | memoryview | None) -> None:
        """Append bytes that are known to be valid UTF-8, or null."""
        if value is not None:
            start, self.size = self.size, self.size + len(value)
            if self.size > len(self._content):
                larger = np.empty(max(CONTENT_BYTES, self.size), np.uint8)
                larger[:start] = self._content[:start]
                self._content = larger
            self._content[start : self.size] = np.frombuffer(value, np.uint8)
        self._ends.append(self.size)
        self._valid.append(value is not None)

    def array(self) -> pa.StringArray:
        """The column; the bytes are not copied again."""
        self._content.resize(self.size, refcheck=False)
        buffers = (np.array(self._ends, np.int32), self._content, np.packbits(self._valid, bitorder="little"))
        return pa.StringArray.from_buffers(len(self._valid), *map(pa.py_buffer, buffers))


class _PageBuffer:
    """The pages of the next batch."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._texts, self._htmls = _Strings(), _Strings()
        self._others: list[tuple[str, str | None, str | None, str | None, int | None]] = []

    def __len__(self) -> int:
        return len(self._others)

    @property
    def size(self) -> int:
        """Bytes of text and HTML."""
        return self._texts.size + self._htmls.size

    def add(self, page: _Page, dump: str | None, offset: int | None) -> None:
        """Append a page."""
        self._texts.add(None if page.is_html else page.content)
        self._htmls.add(page.content if page.is_html else None)
        self._others.append((page.id, page.url, page.date, dump, offset))

    def batch(self) -> Batch:
        """All pages as a batch."""
        columns = dict(zip(("id", "url", "date", "dump", "warc_offset"), zip(*self._others, strict=True), strict=True))
        columns["file_path"] = (self._path,) * len(self)
        arrays = {"text": self._texts.array(), "html": self._htmls.array()}
        arrays |= {name: pa.array(values, schema.RECORD.field(name).type) for name, values in columns.items()}
        arrays |= {part.name: pa.nulls(len(self), part.type) for part in schema.RECORD if part.name not in arrays}
        return Batch(pa.RecordBatch.from_arrays([arrays[name] for name in schema.RECORD.names], schema=schema.RECORD))


def dump_of(path: str) -> str | None:
    """The name of a CommonCrawl crawl in a path, or None."""
    match = _DUMP.search(path)
    return match[0] if match else None


def crawl_of(warcinfo: Record) -> str | None:
    """The name of the crawl that a warcinfo record gives, or None."""
    return parse_headers(warcinfo.content).get("ispartof") or None


def _page(record: Record, settings: ReadSettings, counts: Counter[str]) -> _Page | None:
    """The page in a record, or None; either way it is counted."""
    headers = record.headers
    url = headers.get("warc-target-uri", "").strip("<> ") or None
    date = headers.get("warc-date") or None
    payload = (_conversion if record.kind == "conversion" else _payload)(record, url, settings, counts)
    if payload is None:
        return None
    group, content_type, body = payload
    if not NON_SPACE.search(body):
        counts["skipped.empty"] += 1
        return None
    is_text = group in TEXTS
    if group not in settings.types and not (is_text and record.kind == "conversion"):
        counts[f"skipped.type.{group}"] += 1
        return None
    content, choice = to_utf8(body, content_type, is_html=not is_text)
    counts[f"charset.{choice}"] += 1
    if "warc-truncated" in headers:
        counts["cut_by_crawler"] += 1
    if "warc-segment-number" in headers:
        counts["cut_by_segments"] += 1
    counts[f"pages.{group}"] += 1
    return _Page(_id(record, url, date), url, date, content, is_html=not is_text)


class _Payload(NamedTuple):
    """What a record holds.

    Attributes:
        group: Group of media types.
        content_type: The declared type, with its charset.
        body: The bytes; still packed if the type alone shows that they are not wanted.
    """

    group: str
    content_type: str
    body: bytes | memoryview


def _payload(record: Record, url: str | None, settings: ReadSettings, counts: Counter[str]) -> _Payload | None:
    """What a response or a resource holds, or None if it is skipped, whatever it is."""
    response = parse_response(record.buffer, record.start, record.end)
    if not response.status and _NOT_A_PAGE.match(url or ""):
        counts["skipped.not_http"] += 1
        return None
    if response.status:
        counts[f"status.{response.status // 100}xx"] += 1
    if not settings.wants_status(response.status):
        counts["skipped.status"] += 1
        return None
    declared = response.headers.get("content-type", "")
    if record.kind == "resource" or (not response.status and not declared):
        declared = record.headers.get("content-type", "")
    group, source, content_type = _content_type(record.headers, declared)
    body: bytes | memoryview = response.body
    if group is None or group == OTHER or group in settings.types:
        decoded = decoded_body(response, counts, settings.max_page_bytes)
        if decoded is None:
            return None
        body = decoded
        if group is None or (group == OTHER and begins_html(body)):
            group, source = sniff(body), "sniffed"
    counts[f"type.{source}"] += 1
    if group == "text" and _ROBOTS.match(url or ""):
        group = "robots_txt"
    elif group in settings.types:
        group = _data_group(group, content_type, body) or group
    return _Payload(group, content_type, body)


def _data_group(group: str, content_type: str, body: bytes | memoryview) -> str | None:
    """The group of a body that is no text, whatever is declared; None if it may be text. UTF-16 looks binary."""
    is_wide = "utf-16" in content_type.lower() or body[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
    if is_wide or not is_binary(body) or detect_utf_16(body, None) is not None:
        return None
    return signature_group(bytes(body[:16])) or ("binary" if group in TEXTS or is_noise(body) else None)


def _conversion(record: Record, url: str | None, settings: ReadSettings, counts: Counter[str]) -> _Payload | None:
    """What a conversion record holds: the text of a page, unless it says otherwise."""
    headers = record.headers
    essence, content_type = media_type(headers.get("content-type", ""))
    if essence in HTTP_TYPES:
        return _payload(record, url, settings, counts)
    group = group_of(essence or media_type(headers.get("warc-identified-payload-type", ""))[0])
    content = memoryview(record.buffer)[record.start : record.end]
    if group is not None and group != "html" and group not in TEXTS:
        return _Payload(group, content_type, content)
    body = decoded_body(Response(0, {}, content), counts, settings.max_page_bytes)
    if body is None:
        return None
    group = group or ("html" if begins_html(body) else "text")
    return _Payload(_data_group(group, content_type, body) or group, content_type, body)


def _id(record: Record, url: str | None, date: str | None) -> str:
    """The record's id; an ARC record has none, so one is derived from its URL, date and length."""
    length = record.end - record.start
    return record.headers.get("warc-record-id") or f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'{url} {date} {length}').urn}>"


def _content_type(headers: dict[str, str], declared: str) -> tuple[str | None, str, str]:
    """The type of a response or a resource as it is declared.

    Args:
        headers: Of the record.
        declared: The Content-Type of the payload.

    Returns:
        The group of media types, None if only the body can tell; its source, identified or http_header; and the value
        of the Content-Type that has the charset.
    """
    essence, content_type = media_type(declared)
    identified = media_type(headers.get("warc-identified-payload-type", ""))[0]
    return group_of(identified or essence), "identified" if identified else "http_header", content_type
