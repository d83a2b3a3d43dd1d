"""The near-duplicate cluster of each document in a corpus shard, so that no cluster is in both splits.

Deduplication keeps one document of most clusters. It keeps several where a cluster was so large that it was divided, or
where duplicates among this run's documents are kept on purpose. Those documents share a cluster id here.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import StepFailed
from curation.store.folder import Folder
from curation.store.paths import CLUSTERED, DOCUMENTS, DROPS
from curation.store.shards import count_rows, read_table


def cluster_ids(folder: Folder, shard: str, ids: pa.StringArray) -> pa.StringArray:
    """The cluster id of each document, or the document's own id if it is in no cluster.

    Rows in dedup/kept/<shard>.parquet are row numbers of documents/; the corpus is documents/ without the rows in
    dedup/drop/.

    Args:
        folder: Output folder of the run that wrote the corpus.
        shard: Name of the corpus shard.
        ids: Column `id` of the corpus shard.

    Raises:
        StepFailed: The row counts of documents/, dedup/drop/ and corpus/ do not add up.
    """
    if not folder.exists(CLUSTERED.path(shard)):
        return ids
    kept = read_table(folder, CLUSTERED.path(shard), ["row", "cluster_id"])
    if not kept.num_rows:
        return ids
    dropped = read_table(folder, DROPS.path(shard), ["row"])["row"].to_numpy()
    documents = count_rows(folder, DOCUMENTS.path(shard))
    if documents - len(dropped) != len(ids):
        raise StepFailed(f"{shard}: {documents} documents minus {len(dropped)} dropped are not the corpus' {len(ids)}")
    rows = kept["row"].to_numpy()
    positions = np.full(len(ids), -1, np.int64)
    positions[rows - np.searchsorted(dropped, rows)] = np.arange(len(rows))
    clusters = kept["cluster_id"].combine_chunks().take(pa.array(positions, mask=positions < 0))
    return pc.coalesce(clusters, ids)
