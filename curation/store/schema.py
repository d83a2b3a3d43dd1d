"""The columns of documents, removed documents, and records between reading and extraction.

The corpus has FineWeb's nine columns first, so that every reader of FineWeb can read it, then our own. A schema is
never inferred from data: a shard in which every language is null has the same types as any other.
"""

from __future__ import annotations

import pyarrow as pa

DOCUMENT = pa.schema(
    [
        ("text", pa.string()),
        ("id", pa.string()),
        ("dump", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("file_path", pa.string()),
        ("language", pa.string()),
        ("language_score", pa.float64()),
        ("token_count", pa.int64()),
        ("minhash_cluster_size", pa.int64()),
        ("warc_offset", pa.int64()),
        ("row", pa.int64()),
    ]
)
"""Columns of documents/ and corpus/. `id` is the WARC-Record-ID, `date` ISO 8601, `warc_offset` in bytes.

`row` is the number of the row or line in the file, from 0; null in documents from archives, as `warc_offset` in others.
"""

LATER = frozenset({"row"})
"""Columns that version 0.1.0 did not write."""

HTML = pa.field("html", pa.string())
"""The decoded page, only between reading and extraction; null for a record of plain text (WET)."""

RECORD = DOCUMENT.append(HTML)
"""Columns of a batch from the reader."""


def removed(signals: pa.DataType) -> pa.Schema:
    """Columns of removed/<step>/<shard>.parquet for a recipe with the struct type `signals`.

    `stage` is the stage's name, `reason` the rule as `stage.rule`; signals of stages that were not reached are null.
    """
    return pa.schema([*DOCUMENT, ("stage", pa.string()), ("reason", pa.string()), ("signals", signals)])
