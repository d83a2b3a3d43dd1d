"""Reading what deduplication decided of a shard, for whoever writes the corpus."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from curation.shards import read_table
from curation.storage import Folder


def read_drops(folder: Folder, shard: str) -> pa.Table:
    """The documents of a shard that go, by ascending row; columns as `contracts.DROPS` says."""
    return read_table(folder, f"dedup/drop/{shard}.parquet")


def read_kept(folder: Folder, shard: str) -> pa.Table:
    """The documents of a shard that stay for a cluster, by ascending row; columns as `contracts.KEPT` says."""
    return read_table(folder, f"dedup/kept/{shard}.parquet")


def read_sizes(folder: Folder, shard: str, documents: int) -> npt.NDArray[np.int64]:
    """For every row of a shard, the number of documents it stands for, itself included: 1 unless it has duplicates."""
    sizes = np.ones(documents, np.int64)
    kept = read_kept(folder, shard)
    sizes[kept.column("row").to_numpy()] = kept.column("cluster_size").to_numpy()
    return sizes
