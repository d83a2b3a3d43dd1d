"""A range reads what matters of its own shards' clustered documents and sends it to their cluster's partition."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curation.dedup.grouping import MEMBERS, members_exchange
from curation.dedup.hashing import mix_all
from curation.dedup.layout import RangeTask, Shard, Work, partition_of
from curation.exchange import Exchange
from curation.shards import read_table


def described(permutations: int) -> pa.Schema:
    """Columns of a clustered document on its way to its cluster's partition."""
    return pa.schema(
        [
            *MEMBERS,
            ("row", pa.int64()),
            ("value", pa.float64()),
            ("id", pa.string()),
            ("shard", pa.string()),
            ("run", pa.string()),
            ("exact", pa.binary(16)),
            ("sketch", pa.binary(permutations)),
        ]
    )


def described_exchange(work: Work, members: int) -> Exchange:
    """Rows of `described`, by cluster, `members` in all; a row is eight times as big as partitions are made for."""
    return work.by_key("described", 8 * members)


def describe(task: RangeTask, exchange: Exchange) -> int:
    """Send what is to be known of the range's clustered documents to their clusters. Returns their number."""
    rows = members_exchange(task.work).receive_table(task.number, MEMBERS)
    rows = rows.sort_by("document")
    documents = rows.column("document").to_numpy()
    schema = described(task.work.settings.permutations)
    with exchange.sender(task.name, schema) as sender:
        for shard in task.shards:
            inside = slice(*np.searchsorted(documents, [shard.first, shard.stop]).tolist())
            members = rows.slice(inside.start, inside.stop - inside.start)
            if members.num_rows:
                batch = _describe_shard(task.work, shard, members, schema)
                roots = batch.column("root").to_numpy()
                sender.send(batch, partition_of(mix_all(roots), exchange.partitions))
    return sender.rows


def _describe_shard(work: Work, shard: Shard, members: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    rows = members.column("document").to_numpy() - shard.first
    signed = read_table(shard.folder, f"signatures/{shard.name}.parquet", ["exact", "sketch"]).take(pa.array(rows))
    ids = read_table(shard.folder, f"documents/{shard.name}.parquet", ["id"]).take(pa.array(rows))
    columns = [
        members.column("document"),
        members.column("root"),
        pa.array(rows),
        pa.array(work.worth.of(shard.folder, shard.name, rows)),
        ids.column("id"),
        pa.array([shard.name] * len(rows)),
        pa.array([shard.earlier] * len(rows), pa.string()),
        signed.column("exact"),
        signed.column("sketch"),
    ]
    return pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()[0]
