"""What deduplication leaves in the output folder: the columns of its files and its reasons."""

from __future__ import annotations

import pyarrow as pa

NEAR, EXACT, URL = "near_duplicate", "exact_duplicate", "url_duplicate"
"""Reasons of the step."""

DROPS = pa.schema(
    [
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("similarity", pa.float64()),
        ("cluster_id", pa.string()),
        ("cluster_size", pa.int64()),
        ("survivor_id", pa.string()),
        ("survivor_shard", pa.string()),
        ("survivor_row", pa.int64()),
        ("survivor_run", pa.string()),
    ]
)
"""Columns of dedup/drop/<shard>.parquet, by row of documents/<shard>.parquet, ascending.

similarity: estimated Jaccard similarity to the survivor, null for `url_duplicate`; cluster_id: id of the first
document of the cluster; cluster_size: documents that the survivor stands for, itself included; survivor_run: null, or
the folder of the earlier run that the survivor is in."""

KEPT = pa.schema([("row", pa.int64()), ("cluster_id", pa.string()), ("cluster_size", pa.int64())])
"""Columns of dedup/kept/<shard>.parquet: documents of clusters that stay, by row, ascending."""

VERDICTS = DROPS.set(0, pa.field("document", pa.int64()))
"""What is decided of a document, on its way back to its range; `reason` is null if it stays."""

LARGE = pa.schema(
    [
        ("cluster_id", pa.string()),
        ("documents", pa.int64()),
        ("kept", pa.int64()),
        ("similarity_mean", pa.float64()),
        ("similarity_least", pa.float64()),
    ]
)
"""Columns of dedup/large_clusters.parquet: clusters above the limit, how many of their documents stay, and the
similarity of the others to the document that each lost to."""

NUMBERS = pa.schema([("shard", pa.string()), ("run", pa.string()), ("first", pa.int64()), ("documents", pa.int64())])
"""Columns of dedup/shards.parquet: the number of each shard's first document, by which dedup/pairs names documents, in
input order; run: null, or the folder of the earlier run that has the shard."""
