"""The real pages of the shared test data, decoded, with their URLs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.parse.encoding import bytes_to_str, detect_encoding


@cache
def web_pages(data: Path) -> list[tuple[str, str]]:
    """URL and HTML of every page, in the order of the archives."""
    return list(_read(data))


def _read(data: Path) -> Iterator[tuple[str, str]]:
    for archive in sorted((data / "web").glob("*.warc.gz")):
        with archive.open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response):
                if "html" in (record.http_content_type or ""):
                    body = record.reader.read()
                    yield record.headers["WARC-Target-URI"], _decode(body, record.http_charset)


def _decode(body: bytes, charset: str | None) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        text: str = bytes_to_str(body, charset or detect_encoding(body))
        return text.encode("utf-8", "replace").decode("utf-8")
