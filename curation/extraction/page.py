"""The main text of one page, as the stage `Extract` gives it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from curation.archives.charset import to_utf8
from curation.errors import ExtractionError
from curation.extraction.extract import Extract
from curation.stages.batch import Batch
from curation.stages.parameters import build
from curation.text.valid import valid_text


def extract(html: str | bytes, **options: Any) -> str:
    """The main text of a page.

    It runs in a child process, as in a run, so that a page which hangs, crashes the parser or eats memory raises an
    error here instead of ending your session. The first call starts that process, in about a second; it stays for the
    calls that follow. For many pages, `Pipeline([Extract()])` on a table with a column `html` is quicker still.

    Args:
        html: The page. Bytes are decoded as a browser would: byte order mark, meta tag, then detection.
        **options: Parameters of `Extract`: `extractor` ("trafilatura", "resiliparse", or "package.module:function"),
            `favor` ("precision", "balanced", "recall"), `fast`, `time_limit` (seconds of processor time),
            `memory_limit_mb`, `max_html_characters`.

    Returns:
        The text, empty if there is none.

    Raises:
        ExtractionError: The page ran into a limit, or the extractor failed on it; the message tells the cause.
        RecipeError: There is no such option, or it cannot have this value.

    Example:
        >>> from curation import extract
        >>> page = "<body><nav>Home</nav><article><p>The ferry leaves the harbour at nine.</p></article></body>"
        >>> extract(page, extractor="resiliparse")
        'The ferry leaves the harbour at nine.'
    """
    stage = build(Extract, options, "extract()")
    page = bytes(to_utf8(html, "")[0]).decode() if isinstance(html, bytes) else valid_text(html)
    strings = {"id": "0", "text": None, "html": page}
    outcome = stage(
        Batch(pa.RecordBatch.from_arrays([pa.array([v], pa.string()) for v in strings.values()], [*strings]))
    )
    reason = outcome.reasons[0].as_py() if outcome.reasons is not None else None
    if reason not in (None, "no_text"):
        cause = outcome.signals.field("failure")[0].as_py() if outcome.signals is not None else None
        raise ExtractionError(f"no text extracted: {reason}{f' ({cause})' if cause else ''}")
    return outcome.batch.text[0].as_py() or ""
