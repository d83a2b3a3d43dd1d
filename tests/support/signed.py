"""Folders of documents and signatures for tests of deduplication, and the reference's result for the same texts."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from curation.dedup.documents import Shard
from curation.dedup.run import DedupResult, deduplicate
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import signature_schema, signatures
from curation.dedup.survivor_rules import survivor_value
from curation.running.cluster import Cluster
from curation.stages.batch import Batch
from curation.store import schema
from curation.store.folder import Folder
from curation.store.shards import ShardWriter

PLAIN = {"variant": "datatrove", "bands": 14, "rows": 8, "verify": False, "exact": False, "max_cluster_size": None}
"""Settings with which the result equals the reference's."""


def cut(items: Sequence[Any], parts: int) -> list[Sequence[Any]]:
    """Items in `parts` consecutive parts of about equal size."""
    size = max(1, -(-len(items) // parts))
    return [items[start : start + size] for start in range(0, len(items), size)]


def sign(folder: Folder, shard: str, rows: Sequence[dict[str, Any]], settings: DedupSettings) -> None:
    """Write a shard of documents/ and signatures/."""
    table = pa.RecordBatch.from_pylist(list(rows), schema=schema.DOCUMENT)
    with ShardWriter(folder, f"documents/{shard}.parquet", schema.DOCUMENT) as writer:
        writer.write(table)
    with ShardWriter(folder, f"signatures/{shard}.parquet", signature_schema(settings)) as writer:
        writer.write(signatures(Batch(table), settings))


def documents(texts: Sequence[str], **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows with ids 0, 1, 2 … and further columns if given."""
    return [
        {"text": text, "id": str(i), **{name: values[i] for name, values in columns.items()}}
        for i, text in enumerate(texts)
    ]


def run(
    path: Path, rows: Sequence[dict[str, Any]], settings: DedupSettings, parts: int = 1, cluster: Cluster | None = None
) -> tuple[Folder, list[str], DedupResult]:
    """Deduplicate rows in `parts` shards; returns the folder, the names of the shards, and the result."""
    folder = Folder(str(path))
    names = []
    for number, part in enumerate(cut(rows, parts)):
        names.append(f"shard-{number:03d}")
        sign(folder, names[-1], part, settings)
    shards = [Shard(folder, name, 0, 0) for name in names]
    result = deduplicate(
        folder, settings, survivor_value(settings.survivor), shards, cluster or Cluster(), "fingerprint"
    )
    return folder, names, result


def dropped(folder: Folder, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the drop lists by document id."""
    removed_rows = {}
    for name in names:
        ids = pq.read_table(folder.path(f"documents/{name}.parquet"), columns=["id"])["id"].to_pylist()
        for row in pq.read_table(folder.path(f"dedup/drop/{name}.parquet")).to_pylist():
            removed_rows[ids[row["row"]]] = row
    return removed_rows


def clusters(folder: Folder, names: Sequence[str]) -> set[frozenset[str]]:
    """Ids of each cluster with more than one document."""
    members_by_cluster: dict[str, set[str]] = {}
    for name in names:
        ids = pq.read_table(folder.path(f"documents/{name}.parquet"), columns=["id"])["id"].to_pylist()
        for place in ("drop", "kept"):
            for row in pq.read_table(folder.path(f"dedup/{place}/{name}.parquet")).to_pylist():
                members_by_cluster.setdefault(row["cluster_id"], set()).add(ids[row["row"]])
    return {frozenset(members) for members in members_by_cluster.values() if len(members) > 1}


def reference_signer(folder: str) -> Any:
    """datatrove's step that makes signatures, patched: it passes text to xxhash, which needs bytes since version 4."""
    import xxhash
    from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
    from heuristic_cases import split_once

    split_once()
    step = MinhashDedupSignature(output_folder=folder)
    step._hash_func = lambda text: xxhash.xxh64_intdigest(text.encode())
    return step


def reference_clusters(path: Path, texts: Sequence[str]) -> tuple[set[frozenset[str]], set[str]]:
    """Clusters of datatrove's own steps on the texts, and the ids it removes."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets, MinhashDedupCluster

    for step, number in (("sigs", 1), ("buckets", 14), ("clusters", 1)):
        (path / step).mkdir(parents=True)
        for rank in range(number):
            if step == "sigs":
                source = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
                reference_signer(str(path / "sigs")).run(source, rank, number)
            elif step == "buckets":
                MinhashDedupBuckets(str(path / "sigs"), str(path / "buckets")).run(None, rank, number)
            else:
                MinhashDedupCluster(str(path / "buckets"), str(path / "clusters"), save_cluster_id=True).run(None, 0, 1)
    members_by_cluster: dict[int, set[str]] = {}
    for pair in _pairs(path / "clusters" / "000000.clusters"):
        members_by_cluster.setdefault(pair[1], set()).add(str(pair[0]))
    removed = (path / "clusters" / "000000.remove").read_bytes()
    removed_rows = {str(number) for (number,) in struct.iter_unpack("<I", removed)}
    return {frozenset(members) for members in members_by_cluster.values()}, removed_rows


def _pairs(path: Path) -> list[tuple[int, int]]:
    return [(document, cluster) for document, cluster in struct.iter_unpack("<2I", path.read_bytes())]
