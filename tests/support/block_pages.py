"""Pages as the extractor "blocks" sees them, for tests."""

from __future__ import annotations

import numpy as np

from curation.arrays import Bools
from curation.extraction.blocks.markdown import write_markdown
from curation.extraction.blocks.parse import Page, parse
from curation.extraction.blocks.write import write_text
from curation.extraction.training.labels import block_texts


def parsed(html: str) -> Page:
    return parse(np.frombuffer(html.encode(), np.uint8))


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
