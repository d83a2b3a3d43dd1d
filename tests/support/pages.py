"""Texts and addresses of the shared pages, for tests that compare with the reference."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding


def pages(data: Path) -> Iterator[tuple[str, str]]:
    """URL and HTML of every page in web/."""
    for path in sorted((data / "web").glob("*.warc.gz")):
        stream = io.BytesIO(path.read_bytes())
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
            body = record.reader.read()
            if "html" in (record.http_content_type or "html"):
                yield record.headers["WARC-Target-URI"], bytes_to_str(body, detect_encoding(body))


@cache
def addresses(data: Path) -> tuple[str, ...]:
    """All URLs of web/."""
    return tuple(url for url, _ in pages(data))


@cache
def texts(data: Path) -> tuple[str, ...]:
    """By resiliparse, the main text of every page in web/ and the whole text of every fifth: good and bad ones."""
    extracted = []
    for number, (_, html) in enumerate(pages(data)):
        extracted.append(extract_plain_text(html, main_content=True))
        if number % 5 == 0:
            extracted.append(extract_plain_text(html))
    return tuple(extracted)
