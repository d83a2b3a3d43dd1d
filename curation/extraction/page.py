"""Extracts the main text of one page, by the stage `Extract`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.archives.charset import to_utf8
from curation.errors import ExtractionError
from curation.extraction.extract import Extract
from curation.stages.batch import Batch
from curation.stages.parameters import build
from curation.text.valid import valid_text


def extract(html: str | bytes | bytearray | memoryview, **options: Any) -> str:
    """Extract the main text of a page.

    Extraction runs in a child process, as in a run, so that a page which hangs, crashes the parser or exhausts memory
    raises an error instead of ending your session. The first call starts that process, which takes about a second;
    later calls reuse it. For many pages, `Pipeline([Extract()])` on a table with a column `html` is faster.

    Args:
        html: The page. Bytes are decoded as a browser would: byte order mark, meta tag, then detection.
        **options: Parameters of `Extract`: `extractor` ("trafilatura", "resiliparse", or "package.module:function"),
            `favor` ("precision", "balanced", "recall"), `fast`, `time_limit` (seconds of processor time),
            `memory_limit_mb`, `max_html_characters`.

    Returns:
        The text, empty if there is none.

    Raises:
        ExtractionError: The page exceeded a limit, or the extractor failed on it; the message names the cause.
        RecipeError: An option does not exist or has an invalid value.
        TypeError: The page is neither a string nor bytes.

    Example:
        >>> from curation import extract
        >>> page = "<body><nav>Home</nav><article><p>The ferry leaves the harbor at nine.</p></article></body>"
        >>> extract(page, extractor="resiliparse")
        'The ferry leaves the harbor at nine.'
    """
    stage = build(Extract, options, "extract()")
    page = valid_text(html) if isinstance(html, str) else bytes(to_utf8(_bytes(html), "")[0]).decode()
    strings = {"id": "0", "text": None, "html": page}
    outcome = stage(
        Batch(pa.RecordBatch.from_arrays([pa.array([v], pa.string()) for v in strings.values()], [*strings]))
    )
    reason = outcome.reasons[0].as_py() if outcome.reasons is not None else None
    if reason not in (None, "no_text"):
        cause = outcome.signals.field("failure")[0].as_py() if outcome.signals is not None else None
        raise ExtractionError(f"no text extracted: {reason}{f' ({cause})' if cause else ''}")
    return outcome.batch.text[0].as_py() or ""


def _bytes(html: bytes | bytearray | memoryview) -> bytes:
    if isinstance(html, (bytes, bytearray, memoryview)):
        return bytes(html)
    raise TypeError(f"the page must be a string or bytes, not {type(html).__name__}")
