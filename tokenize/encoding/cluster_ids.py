"""Which near-duplicate cluster each document of a corpus shard is of, so that no cluster is in both splits.

Deduplication leaves one document of most clusters, whose others are gone. It leaves several where a cluster was too
large and was taken apart, or where duplicates among this run's documents are kept on purpose: these share an id here.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.errors import StepFailed
from curation.store.folder import Folder
from curation.store.shards import count_rows, read_table


def cluster_ids(folder: Folder, shard: str, ids: pa.StringArray) -> pa.StringArray:
    """The id of each document's cluster, its own where it is of none; `ids` are those of corpus/<shard>.parquet.

    The rows of dedup/kept/<shard>.parquet count in documents/, from which the corpus has lost those of dedup/drop/.
    StepFailed if the three do not fit together.
    """
    if not folder.exists(f"dedup/kept/{shard}.parquet"):
        return ids
    kept = read_table(folder, f"dedup/kept/{shard}.parquet", ["row", "cluster_id"])
    if not kept.num_rows:
        return ids
    dropped = read_table(folder, f"dedup/drop/{shard}.parquet", ["row"])["row"].to_numpy()
    documents = count_rows(folder, f"documents/{shard}.parquet")
    if documents - len(dropped) != len(ids):
        raise StepFailed(f"{shard}: {documents} documents less {len(dropped)} dropped are not the corpus' {len(ids)}")
    rows = kept["row"].to_numpy()
    places = np.full(len(ids), -1, np.int64)
    places[rows - np.searchsorted(dropped, rows)] = np.arange(len(rows))
    clusters = kept["cluster_id"].combine_chunks().take(pa.array(places, mask=places < 0))
    return pc.coalesce(clusters, ids)
