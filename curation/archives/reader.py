"""Read archives into batches: every record becomes a page in a batch or is counted under a name."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le, MinLen

from curation.archives.charset import is_utf8, to_utf8
from curation.archives.http import NON_SPACE, decoded_body, parse_headers, parse_response
from curation.archives.records import Record, read_records
from curation.errors import UnreadableArchive
from curation.stages.batch import Batch
from curation.stages.parameters import checked
from curation.store import schema

__all__ = ["ReadSettings", "UnreadableArchive", "read_batches"]

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

BATCH_BYTES = 8 << 20
"""Bytes of text and HTML per batch. Twice as much takes a quarter more time: allocations of that size are returned to
the system and zeroed by it each time."""

MAX_PAGE_BYTES = 1 << 30
"""A batch addresses its text with 32-bit offsets."""

_UNINFORMATIVE_TYPES = frozenset({"", "application/octet-stream", "unknown/unknown", "application/unknown", "*/*"})
"""Content types that say nothing (WHATWG mimesniff, section 5)."""

_DUMP = re.compile(r"CC-MAIN-\d{4}-\d{2}")

_NOT_A_PAGE = re.compile(r"(?:dns|whois|screenshot|urn|metadata|warcinfo):", re.IGNORECASE)
"""URL schemes that crawlers use for records that are not pages."""


_HTML_TAG = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype html|html|head|body|title|script|style|div"
    rb"|table|p|a|b|br|h1|meta|link|iframe|font)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
"""How an HTML page begins, after the WHATWG's sniffing rules (mimesniff, section 7.1)."""


Records = Annotated[
    tuple[Literal["response", "conversion", "resource"], ...],
    MinLen(1),
    "a list of some of response, conversion, resource",
]


@checked
@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Table [read] of a recipe.

    Attributes:
        dump: Value of the column `dump`. By default the CommonCrawl name in the path, else the `isPartOf` of the
            archive's warcinfo record.
        records: WARC record types to read.
        max_page_bytes: Larger payloads are skipped and counted.
    """

    dump: str | None = None
    records: Records = ("response", "conversion")
    max_page_bytes: Annotated[int, Ge(1), Le(MAX_PAGE_BYTES)] = 32 << 20

    version: ClassVar[int] = 2
    libraries: ClassVar[tuple[str, ...]] = ("resiliparse", "chardetng-py")


def read_batches(
    stream: IO[bytes],
    path: str,
    settings: ReadSettings,
    counts: Counter[str],
    *,
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
            decisions (`charset.`, `type.`, `transfer.`, `content.`, `repaired.`) and HTTP statuses (`status.`).
        max_documents: Largest number of pages in a batch.
        max_bytes: Approximate size of the text and HTML in a batch, in bytes.

    Yields:
        Batches in file order. An empty file has no pages and is counted as `file.empty`.

    Raises:
        UnreadableArchive: The file has bytes but no WARC or ARC record.
    """
    rows = _PageBuffer(path)
    dump = settings.dump or _dump_of(path)
    wanted = frozenset(settings.records) | {"warcinfo"}
    for record in read_records(stream, counts, wanted, settings.max_page_bytes):
        if record.kind == "warcinfo":
            counts["passed.warcinfo"] += 1
            if not settings.dump and _dump_of(path) is None:
                dump = parse_headers(record.content).get("ispartof") or dump
            continue
        page = _page(record, settings, counts)
        if page is None:
            continue
        rows.add(page, dump, record.offset)
        if len(rows) >= max_documents or rows.size >= max_bytes:
            yield rows.batch()
            rows = _PageBuffer(path)
    if len(rows):
        yield rows.batch()


@dataclass(frozen=True, slots=True)
class _Page:
    """A page; `content` is UTF-8, either HTML or plain text."""

    id: str
    url: str | None
    date: str | None
    content: bytes | memoryview
    is_html: bool = True


class _Strings:
    """A string column under construction. UTF-8 is copied once, right away, while it is in the processor's cache."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._ends: list[int] = [0]
        self._valid: list[bool] = []

    def add(self, value: bytes | memoryview | None) -> None:
        """Append bytes that are known to be valid UTF-8, or null."""
        if value is not None:
            self.content += value
        self._ends.append(len(self.content))
        self._valid.append(value is not None)

    def array(self) -> pa.StringArray:
        """The column; the bytes are not copied again."""
        buffers = (np.array(self._ends, np.int32), self.content, np.packbits(self._valid, bitorder="little"))
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
        return len(self._texts.content) + len(self._htmls.content)

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


def _dump_of(path: str) -> str | None:
    match = _DUMP.search(path)
    return match[0] if match else None


def _page(record: Record, settings: ReadSettings, counts: Counter[str]) -> _Page | None:
    """The page in a record, or None; either way it is counted."""
    headers = record.headers
    url = headers.get("warc-target-uri", "").strip("<> ") or None
    date = headers.get("warc-date") or None
    if record.kind == "conversion":
        return _converted(record, url, date, counts)
    response = parse_response(record.buffer, record.start, record.end)
    if not response.status and _NOT_A_PAGE.match(url or ""):
        counts["skipped.not_http"] += 1
        return None
    if response.status:
        counts[f"status.{response.status // 100}xx"] += 1
    content_type = response.headers.get("content-type", "")
    if record.kind == "resource" or (not response.status and not content_type):
        content_type = headers.get("content-type", "")
    body = decoded_body(response, counts, settings.max_page_bytes)
    if body is None:
        return None
    kind, source = _content_type(headers, content_type, body)
    counts[f"type.{source}"] += 1
    if kind not in HTML_TYPES:
        counts["skipped.not_html"] += 1
        return None
    if not NON_SPACE.search(body):
        counts["skipped.empty"] += 1
        return None
    html, choice = to_utf8(body, content_type)
    counts[f"charset.{choice}"] += 1
    if "warc-truncated" in headers:
        counts["cut_by_crawler"] += 1
    counts["pages.html"] += 1
    return _Page(_id(record, url, date), url, date, html)


def _converted(record: Record, url: str | None, date: str | None, counts: Counter[str]) -> _Page | None:
    kind = record.headers.get("warc-identified-payload-type") or record.headers.get("content-type") or "text/plain"
    if _essence(kind) not in HTML_TYPES | {"text/plain"}:
        counts["skipped.not_html"] += 1
        return None
    counts["pages.text"] += 1
    content = memoryview(record.buffer)[record.start : record.end]
    text = content if is_utf8(content) else bytes(content).decode("utf-8", "replace").encode()
    return _Page(_id(record, url, date), url, date, text, is_html=False)


def _id(record: Record, url: str | None, date: str | None) -> str:
    """The record's id; an ARC record has none, so one is derived from its URL, date and length."""
    length = record.end - record.start
    return record.headers.get("warc-record-id") or f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'{url} {date} {length}').urn}>"


def _content_type(headers: dict[str, str], declared: str, body: bytes | memoryview) -> tuple[str, str]:
    """The page's media type and its source: identified, http_header or sniffed."""
    identified = headers.get("warc-identified-payload-type")
    if identified:
        return _essence(identified), "identified"
    essence = _essence(declared)
    if "/" in essence and essence not in _UNINFORMATIVE_TYPES:
        return essence, "http_header"
    return ("text/html" if _HTML_TAG.match(body[:4096]) else ""), "sniffed"


def _essence(content_type: str) -> str:
    """ "Text/HTML; charset=x" → "text/html"."""
    return content_type.partition(";")[0].partition(",")[0].strip().lower()
