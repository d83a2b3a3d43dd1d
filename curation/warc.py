"""Archives to batches: every record read is a page in a batch or a count with a name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import pyarrow as pa

from curation import schema
from curation.archive import Record, UnreadableArchive, read_records
from curation.batch import Batch
from curation.charset import decode
from curation.errors import ParameterError
from curation.http import decoded_body, parse_response

__all__ = ["ReadSettings", "UnreadableArchive", "read_batches"]

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

_DUMP = re.compile(r"CC-MAIN-\d{4}-\d{2}")

_NO_PAGE = re.compile(r"(?:dns|whois|screenshot|urn|metadata|warcinfo):", re.IGNORECASE)
"""Schemes under which crawlers file what is no page."""

_HTML_TAG = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype html|html|head|body|title|script|style|div"
    rb"|table|p|a|b|br|h1|meta|link|iframe|font)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
"""What a page begins with, after the WHATWG's rules for sniffing (mimesniff, section 7.1)."""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Table [read] of a recipe.

    dump: the column `dump`; without it, the CommonCrawl name in the path. records: WARC types that are read.
    max_page_bytes: larger payloads are a counted skip.
    """

    dump: str | None = None
    records: tuple[str, ...] = ("response", "conversion")
    max_page_bytes: int = 32 << 20

    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("fastwarc", "resiliparse")

    def __post_init__(self) -> None:
        allowed = ("response", "conversion", "resource")
        if not self.records or set(self.records) - set(allowed):
            raise ParameterError("records", list(self.records), f"some of {', '.join(allowed)}")
        if self.max_page_bytes < 1:
            raise ParameterError("max_page_bytes", self.max_page_bytes, "at least 1")


def read_batches(
    stream: IO[bytes],
    path: str,
    settings: ReadSettings,
    counts: Counter[str],
    *,
    max_documents: int = 256,
    max_bytes: int = 16 << 20,
) -> Iterator[Batch]:
    """Pages of an archive in batches of columns `schema.RECORD`, at most `max_documents` or about `max_bytes` each.

    stream: seekable, at its start. path: what `file_path` says. counts: gets every record by type, and every skip and
    choice by name. Raises UnreadableArchive if nothing in the file is an archive.
    """
    rows: list[dict[str, Any]] = []
    size = 0
    dump = settings.dump or _dump_of(path)
    for record in read_records(stream, counts, frozenset(settings.records), settings.max_page_bytes):
        page = _page(record, settings, counts)
        if page is None:
            continue
        rows.append({**page, "dump": dump, "file_path": path, "warc_offset": record.offset})
        size += len(record.content)
        if len(rows) >= max_documents or size >= max_bytes:
            yield _batch(rows)
            rows, size = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[dict[str, Any]]) -> Batch:
    return Batch(pa.RecordBatch.from_pylist(rows, schema=schema.RECORD))


def _dump_of(path: str) -> str | None:
    found = _DUMP.search(path)
    return found[0] if found else None


def _page(record: Record, settings: ReadSettings, counts: Counter[str]) -> dict[str, Any] | None:
    """Columns of one document, or None, counted."""
    headers = record.headers
    url = headers.get("warc-target-uri", "").strip("<> ")
    row = {"id": headers.get("warc-record-id") or f"{url}#{headers.get('warc-date', '')}", "url": url}
    row["date"] = headers.get("warc-date", "")
    if record.kind == "conversion":
        return _converted(record, row, counts)
    response = parse_response(record.content)
    if not response.status and _NO_PAGE.match(url):
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
    if not body.strip():
        counts["skipped.empty"] += 1
        return None
    html, choice = decode(body, content_type)
    counts[f"charset.{choice}"] += 1
    if "warc-truncated" in headers:
        counts["pages.cut_by_crawler"] += 1
    counts["pages.html"] += 1
    return {**row, "html": html}


def _converted(record: Record, row: dict[str, Any], counts: Counter[str]) -> dict[str, Any] | None:
    kind = record.headers.get("warc-identified-payload-type") or record.headers.get("content-type") or "text/plain"
    if _essence(kind) not in HTML_TYPES | {"text/plain"}:
        counts["skipped.not_html"] += 1
        return None
    counts["pages.text"] += 1
    return {**row, "text": record.content.decode("utf-8", "replace")}


def _content_type(headers: dict[str, str], declared: str, body: bytes) -> tuple[str, str]:
    """The page's type, and by what it is known: identified, http_header or sniffed."""
    identified = headers.get("warc-identified-payload-type")
    if identified:
        return _essence(identified), "identified"
    essence = _essence(declared)
    if "/" in essence and essence not in ("application/octet-stream", "unknown/unknown", "application/unknown"):
        return essence, "http_header"
    return ("text/html" if _HTML_TAG.match(body[:4096]) else ""), "sniffed"


def _essence(content_type: str) -> str:
    """ "Text/HTML; charset=x" → "text/html"."""
    return content_type.partition(";")[0].strip().lower()
