"""Fuzzes the text in a page's JSON."""

from __future__ import annotations

import numpy as np
from fuzzing import fuzz

from curation.extraction.blocks.embedded import embedded_text
from curation.extraction.blocks.parse import parse

PROSE = b"The river rose for three days. On the fourth, the water reached the old mill. Nobody had expected that. " * 2

SEEDS = [
    b'<script type="application/ld+json">{"@graph": [{"@type": "Article", "articleBody": "<p>a\\u00e9"}]}</script>',
    b'<script type="application/json">{"props": [{"body": "'
    + PROSE
    + b'"}, {"text": "<p>'
    + PROSE
    + b'</p>"}]}</script>',
    b'<div data-preloaded="{&quot;topic_1&quot;:&quot;{\\&quot;cooked\\&quot;:\\&quot;<p>a\\&quot;}&quot;}"></div>',
]
WORDS = [
    b'"',
    b"\\",
    b"{",
    b"[",
    b"}",
    b"]",
    b"&quot;",
    b"&lt;",
    b"<p>",
    b"<!--",
    b"-->",
    b"\\ud800",
    b"\\u0000",
    b"1e999",
    b":",
]


def test_any_json_is_read_in_time() -> None:
    """Any JSON gives valid text, in linear time."""
    fuzz(_check, SEEDS, WORDS)


def _check(data: bytes) -> None:
    source = data.decode(errors="replace").encode()
    text = embedded_text(source, parse(np.frombuffer(source, np.uint8)).scripts)
    assert text == "\n".join(line for line in text.split("\n") if line)
    text.encode()
