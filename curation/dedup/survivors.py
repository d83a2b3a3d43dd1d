"""Phase 5, survivors: keep one document of each cluster and write a drop list for each shard.

A range reads the data of its clustered documents that the choice needs and sends it to the cluster's partition. There
the survivors are chosen, and the verdicts are sent back to the ranges, which write the lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Int64s
from curation.dedup.algorithms.hashing import mix_all
from curation.dedup.algorithms.survivor_choice import Choice, ClusterMembers, choose
from curation.dedup.clusters import MEMBERS, members_exchange
from curation.dedup.decisions import DROPS, EXACT, KEPT, NEAR, VERDICTS
from curation.dedup.documents import PartitionTask, RangeTask, Shard, Work
from curation.dedup.signatures import exact_hashes, sketches
from curation.dedup.urls import url_verdicts_exchange
from curation.store import paths
from curation.store.exchange import Exchange, partition_of
from curation.store.paths import DOCUMENTS, SIGNATURES
from curation.store.shards import Output, ShardWriter, read_table


def described(permutations: int) -> pa.Schema:
    """Columns of a clustered document that is sent to its cluster's partition."""
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
    """Exchange of `described` rows by cluster, `members` in total; they are eight times as large as usual rows."""
    return work.by_key("described", 8 * members)


def describe(task: RangeTask, exchange: Exchange) -> int:
    """Send the data of a range's clustered documents to their clusters. Returns the number of documents."""
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
    signed = read_table(shard.folder, SIGNATURES.path(shard.name), ["exact", "sketch"]).take(pa.array(rows))
    ids = read_table(shard.folder, DOCUMENTS.path(shard.name), ["id"]).take(pa.array(rows))
    columns = [
        members.column("document"),
        members.column("root"),
        pa.array(rows),
        pa.array(work.survivor_value.of(shard.folder, shard.name, rows)),
        ids.column("id"),
        pa.array([shard.name] * len(rows)),
        pa.array([shard.earlier] * len(rows), pa.string()),
        signed.column("exact"),
        signed.column("sketch"),
    ]
    return pa.Table.from_arrays(columns, schema=schema).combine_chunks().to_batches()[0]


def verdicts_exchange(work: Work) -> Exchange:
    """Exchange of VERDICTS rows by the document's range."""
    return work.by_range("verdicts")


def decide(task: PartitionTask) -> tuple[Mapping[str, int], list[dict[str, Any]]]:
    """Choose the survivors of a partition's clusters and send each verdict to its document's range.

    Returns:
        The number of clusters by size (bucket "2", "3-4", "5-8" …), and rows of LARGE.
    """
    work, settings = task.work, task.work.settings
    rows = task.exchange.receive_table(task.number, described(settings.permutations)).sort_by("document")
    documents, roots = rows.column("document").to_numpy(), rows.column("root").to_numpy()
    earlier = documents < work.earlier_documents
    limit = settings.max_cluster_size if settings.verify else None
    values = rows.column("value").to_numpy()
    choice = choose(ClusterMembers(roots, documents, earlier, values, sketches(rows)), settings.threshold, limit)
    ids = rows.column("id")
    cluster_ids = ids.take(pa.array(np.searchsorted(documents, roots)))
    table = _verdicts(rows, cluster_ids, choice, settings.exact)
    listed = ~earlier[choice.order]
    if settings.mode == "against" and len(earlier):
        has_earlier = earlier[choice.order[choice.starts]]
        listed &= np.repeat(has_earlier, np.diff(np.r_[choice.starts, len(choice.order)]))
    table = table.filter(pa.array(listed))
    with verdicts_exchange(work).sender(task.name, VERDICTS) as sender:
        for batch in table.to_batches():
            sender.send(batch, work.range_of(batch.column("document").to_numpy()))
    counts = np.diff(np.r_[choice.starts, len(choice.order)])
    return Counter(map(size_bucket, counts.tolist())), _large(cluster_ids, choice, counts, settings.max_cluster_size)


def _verdicts(rows: pa.Table, cluster_ids: pa.ChunkedArray, choice: Choice, exact: bool) -> pa.Table:
    """VERDICTS rows in the order of the choice."""
    order, survivors = pa.array(choice.order), pa.array(choice.survivors)
    hashes = exact_hashes(rows)
    same_text = (hashes[choice.order] == hashes[choice.survivors]).all(axis=1) & exact
    reasons = np.where(same_text, EXACT, NEAR)
    is_kept = choice.order == choice.survivors
    survivor_rows = rows.select(["id", "shard", "row", "run"]).take(survivors)
    columns = {
        "document": rows.column("document").take(order),
        "reason": pa.array(reasons, pa.string(), mask=is_kept),
        "similarity": pa.array(choice.similarities),
        "cluster_id": cluster_ids.take(order),
        "cluster_size": pa.array(choice.sizes),
        "survivor_id": survivor_rows.column("id"),
        "survivor_shard": survivor_rows.column("shard"),
        "survivor_row": survivor_rows.column("row"),
        "survivor_run": survivor_rows.column("run"),
    }
    return pa.Table.from_arrays(list(columns.values()), schema=VERDICTS)


def _large(ids: pa.ChunkedArray, choice: Choice, counts: Int64s, limit: int | None) -> list[dict[str, Any]]:
    rows = []
    for cluster in np.flatnonzero(counts > limit).tolist() if limit is not None else ():
        part = slice(choice.starts[cluster], choice.starts[cluster] + counts[cluster])
        removed = choice.order[part] != choice.survivors[part]
        similarities = choice.similarities[part][removed]
        rows.append(
            {
                "cluster_id": ids[int(choice.order[part.start])].as_py(),
                "documents": int(counts[cluster]),
                "kept": int((~removed).sum()),
                "similarity_mean": round(float(similarities.mean()), 4) if len(similarities) else None,
                "similarity_least": round(float(similarities.min()), 4) if len(similarities) else None,
            }
        )
    return rows


def size_bucket(size: int) -> str:
    """The bucket of a cluster size, by powers of two.

    >>> [size_bucket(size) for size in (2, 3, 4, 5, 8, 9)]
    ['2', '3-4', '3-4', '5-8', '5-8', '9-16']
    """
    upper = 1 << (size - 1).bit_length()
    return str(size) if upper // 2 + 1 == upper else f"{upper // 2 + 1}-{upper}"


def write_lists(task: RangeTask) -> tuple[Mapping[str, int], list[Output]]:
    """Write the drop list and the survivors of each shard of a range, except shards of earlier runs.

    Returns:
        The number of removed documents by reason, and the files.
    """
    work = task.work
    parts = [verdicts_exchange(work).receive_table(task.number, VERDICTS)]
    if work.settings.url:
        parts.append(url_verdicts_exchange(work).receive_table(task.number, VERDICTS))
    table = pa.concat_tables(parts).sort_by("document")
    documents = table.column("document").to_numpy()
    reasons: Counter[str] = Counter()
    outputs: list[Output] = []
    for shard in task.shards:
        if shard.earlier is not None:
            continue
        start, stop = np.searchsorted(documents, [shard.first, shard.stop]).tolist()
        verdicts = table.slice(start, stop - start)
        rows = pa.array(documents[start:stop] - shard.first)
        verdicts = verdicts.set_column(0, "row", rows)
        is_kept = pc.is_null(verdicts.column("reason"))
        for files, schema, mask in ((paths.DROPS, DROPS, pc.invert(is_kept)), (paths.CLUSTERED, KEPT, is_kept)):
            with ShardWriter(work.folder, files.path(shard.name), schema) as writer:
                writer.write(verdicts.filter(mask).select(schema.names))
            outputs.append(writer.output)
        reasons.update(value for value in verdicts.column("reason").to_pylist() if value is not None)
    return reasons, outputs
