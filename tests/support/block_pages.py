"""Pages as the extractor "blocks" sees them, for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from curation.archives.reader import ReadSettings, read_batches
from curation.arrays import Bools
from curation.extraction.blocks.markdown import write_markdown
from curation.extraction.blocks.parse import END, FIRST_RUN, START, Page, parse
from curation.extraction.blocks.write import write_text


def read_pages(archive: Path) -> Iterator[tuple[str, str]]:
    """URL and HTML of the pages in an archive."""
    with archive.open("rb") as stream:
        for batch in read_batches(stream, str(archive), ReadSettings(), Counter()):
            for url, html in zip(batch.column("url").to_pylist(), batch.column("html").to_pylist(), strict=True):
                if html:
                    yield url, html


def parsed(html: str) -> Page:
    return parse(np.frombuffer(html.encode(), np.uint8))


def block_texts(page: Page) -> list[str]:
    """The text of each block."""
    runs = [page.text[run[START] : run[END]].tobytes() for run in page.runs]
    bounds = page.blocks[:, FIRST_RUN].tolist()
    return [b"".join(runs[first:end]).decode() for first, end in pairwise(bounds)]


def chosen(page: Page, left_out: str = "") -> Bools:
    """All blocks but those that contain the word `left_out`."""
    return np.array([not left_out or left_out not in text for text in block_texts(page)], np.bool_)


def as_markdown(html: str, left_out: str = "") -> str:
    """The Markdown of all blocks but those that contain the word `left_out`."""
    page = parsed(html)
    return write_markdown(page, html.encode(), chosen(page, left_out))


def as_text(html: str, left_out: str = "") -> str:
    """The text of all blocks but those that contain the word `left_out`."""
    page = parsed(html)
    return write_text(page, chosen(page, left_out)).tobytes().decode()
