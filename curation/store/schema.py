"""The one place that says which columns a document, a removed document and a record on its way have.

The corpus has FineWeb's nine columns first, so that whatever reads FineWeb reads it, then this project's own.
A schema is never inferred from data: a shard in which every language is null has the same type as any other.
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
    ]
)
"""Columns of documents/ and corpus/. `id` is the WARC-Record-ID, `date` ISO 8601, `warc_offset` in bytes."""

HTML = pa.field("html", pa.string())
"""The decoded page, between reading and extraction only; null for a record that carries plain text (WET)."""

RECORD = DOCUMENT.append(HTML)
"""Columns of a batch as it leaves the reader."""


def removed(signals: pa.DataType) -> pa.Schema:
    """Columns of removed/<step>/<shard>.parquet, given the recipe's `signals` struct type.

    `stage` names the stage, `reason` the rule as `stage.rule`; a signal is null where its stage was not reached.
    """
    return pa.schema([*DOCUMENT, ("stage", pa.string()), ("reason", pa.string()), ("signals", signals)])
