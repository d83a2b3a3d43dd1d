"""Texts and addresses of the shared pages, for tests that compare with the reference."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from itertools import islice
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
def texts(data: Path, step: int = 1) -> tuple[str, ...]:
    """Every `step`-th of: the main text of every page in web/ by resiliparse, and the whole text of every fifth."""
    every = (
        (html, is_main)
        for number, (_, html) in enumerate(pages(data))
        for is_main in ((True, False) if number % 5 == 0 else (True,))
    )
    return tuple(extract_plain_text(html, main_content=is_main) for html, is_main in islice(every, 0, None, step))
