"""The real pages of the shared test data, as read by the reader."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from curation.archives.reader import ReadSettings, read_batches


@cache
def web_pages(data: Path) -> list[tuple[str, str]]:
    """URL and HTML of every page, in the order of the archives."""
    return list(_read(data))


def _read(data: Path) -> Iterator[tuple[str, str]]:
    for archive in sorted((data / "web").glob("*.warc.gz")):
        with archive.open("rb") as stream:
            for batch in read_batches(stream, str(archive), ReadSettings(), Counter()):
                yield from zip(batch.column("url").to_pylist(), batch.column("html").to_pylist(), strict=True)
