"""The part of `curate verify` that searches for near-duplicates across train and validation, by the run's signatures.

Only a few documents are in validation. Their band keys are marked in a bitmap of fixed size, and only documents with a
marked key are sent on, partitioned by key, to compare their sketches. Memory is bounded by the bitmap, the signatures
of a shard, and a partition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Int64s, UInt8s, UInt32s, UInt64s
from curation.dedup.algorithms.minhash import similarity
from curation.dedup.algorithms.pair_search import ALL_PAIRS
from curation.dedup.settings import DedupSettings
from curation.dedup.signatures import band_keys, sketches
from curation.jobs.inspect.verify.check_ids import Splits
from curation.jobs.inspect.verify.check_shards import ids_of, read_rows
from curation.jobs.inspect.verify.faults import Fault, some_of
from curation.jobs.inspect.verify.send_ids import VALIDATION
from curation.running.cluster import Cluster
from curation.store.exchange import Exchange, Sender, partition_of, partitions_by_size
from curation.store.folder import Folder
from curation.store.paths import CORPUS, DOCUMENTS, DROPS, REMOVED_BY_DEDUP, SIGNATURES
from curation.store.shards import count_rows, read_numbered, read_table

BITMAP_BITS = 1 << 27
"""16 MiB: with a million documents in validation, one in ten keys of the other documents is marked by chance."""

MAX_PAIRS = 1 << 16
"""Maximum number of pairs with the same key that are compared."""

BITMAP = "marked.bits"


@dataclass(frozen=True, slots=True)
class NearDuplicateSearch:
    """What the tasks share.

    Attributes:
        folder: Output folder of the run.
        work: Folder for temporary files that all workers can access.
        settings: Recipe table [dedup].
        by_file: The split of each document, partitioned by file.
        shards: Names of the corpus shards, by file number.
        keys: Where to send documents with marked keys, partitioned by key.
    """

    folder: Folder
    work: Folder
    settings: DedupSettings
    by_file: Exchange
    shards: tuple[str, ...]
    keys: Exchange

    @property
    def columns(self) -> pa.Schema:
        """Columns of the documents that are sent by marked key."""
        sketch = pa.binary(self.settings.permutations)
        return pa.schema(
            [("key", pa.uint64()), ("split", pa.uint8()), ("file", pa.int32()), ("row", pa.int64()), ("sketch", sketch)]
        )

    def splits(self, partition: int) -> Iterator[tuple[int, pa.Table]]:
        """The shards of a partition by number, each with the splits of its corpus rows."""
        table = self.by_file.receive_table(partition, Splits)
        for number in sorted(pc.unique(table["file"]).to_pylist()):
            yield number, table.filter(pc.equal(table["file"], number))


@dataclass(frozen=True, slots=True)
class NearDuplicateCheck:
    """Near-duplicates across the splits.

    Attributes:
        faults: Those that deduplication should have found.
        notes: Those that deduplication does not guarantee to find.
    """

    faults: list[Fault]
    notes: list[str]


def check_near(near: NearDuplicateSearch, cluster: Cluster) -> NearDuplicateCheck:
    """Mark the keys of validation documents, send the documents with marked keys, and compare them."""
    marked = np.zeros(BITMAP_BITS // 8, np.uint8)
    for path in cluster.each(MarkValidationKeys(near), list(range(near.by_file.partitions))):
        positions = np.frombuffer(near.work.read(path), np.uint32)
        np.bitwise_or.at(marked, positions >> 3, np.left_shift(1, positions & 7).astype(np.uint8))
    near.work.write(BITMAP, marked.tobytes())
    cluster.gather(SendMarkedKeys(near), list(range(near.by_file.partitions)))
    checks = cluster.gather(CompareMarkedDocuments(near), list(range(near.keys.partitions)))
    faults = {fault for part in checks for fault in part.faults}
    notes = sorted({note for part in checks for note in part.notes})
    ordered = sorted(faults, key=lambda fault: (fault.file, fault.row or 0, fault.what))
    return NearDuplicateCheck(some_of(ordered), notes)


def near_partitions(documents: int, held: int) -> int:
    """Number of partitions for documents with marked keys: validation, its near-duplicates, one in ten by chance.

    Args:
        documents: Number of all documents.
        held: Number of documents in validation.
    """
    return partitions_by_size(14 * (2 * held + documents // 10), 160)


def _spots_of(table: pa.RecordBatch | pa.Table) -> UInt64s:
    """Band keys, made distinct per band, uint64[rows, bands]."""
    keys = band_keys(table)
    with np.errstate(over="ignore"):
        return np.asarray(keys * np.uint64(0x9E3779B97F4A7C15) + np.arange(keys.shape[1]).astype(np.uint64), np.uint64)


def _positions(spots: UInt64s) -> UInt32s:
    return (spots >> np.uint64(37)).astype(np.uint32)


def document_rows(folder: Folder, shard: str) -> Int64s:
    """The row in documents/ of each row of corpus/, int64[corpus rows]."""
    ids = ids_of(folder, DOCUMENTS.path(shard))
    kept = np.ones(len(ids), np.bool_)
    kept[read_rows(folder, DROPS.path(shard))] = False
    documents = count_rows(folder, CORPUS.path(shard))
    if int(kept.sum()) != documents:
        removed = read_table(folder, REMOVED_BY_DEDUP.path(shard), ["id", "stage"])
        later = removed["id"].filter(pc.not_equal(removed["stage"], "dedup")).combine_chunks()
        kept &= ~pc.is_in(ids, value_set=later).to_numpy(zero_copy_only=False)
    return np.flatnonzero(kept)


@dataclass(frozen=True, slots=True)
class MarkValidationKeys:
    """Writes the bitmap positions of the band keys of a partition's validation documents."""

    near: NearDuplicateSearch

    def __call__(self, partition: int) -> str:
        """Write the positions as uint32; returns the path."""
        parts = [np.empty(0, np.uint32)]
        for number, splits in self.near.splits(partition):
            held = splits.filter(pc.equal(splits["split"], VALIDATION))["row"].to_numpy()
            if not len(held):
                continue
            shard = self.near.shards[number]
            rows = document_rows(self.near.folder, shard)[held]
            table = read_table(self.near.folder, SIGNATURES.path(shard), ["keys"]).take(pa.array(rows))
            table = table.filter(pc.is_valid(table["keys"]))
            parts.append(np.unique(_positions(_spots_of(table)).ravel()))
        path = f"marked/{partition:06d}"
        self.near.work.write(path, np.concatenate(parts).tobytes())
        return path


@dataclass(frozen=True, slots=True)
class SendMarkedKeys:
    """Sends every document of a partition's shards under each marked key that it has."""

    near: NearDuplicateSearch

    def __call__(self, partition: int) -> int:
        """Send the documents of a partition; returns the number of rows."""
        near = self.near
        marked = np.frombuffer(near.work.read(BITMAP), np.uint8)
        with near.keys.sender(f"near-{partition:06d}", near.columns) as sender:
            for number, splits in near.splits(partition):
                self._send_shard(sender, marked, number, splits)
        return sender.rows

    def _send_shard(self, sender: Sender, marked: UInt8s, number: int, splits: pa.Table) -> None:
        near, shard = self.near, self.near.shards[number]
        kept = document_rows(near.folder, shard)
        corpus_row, split = np.full(int(kept.max(initial=-1)) + 1, -1), np.zeros(len(kept), np.uint8)
        corpus_row[kept] = np.arange(len(kept))
        split[splits["row"].to_numpy()] = splits["split"].to_numpy()
        for numbers, batch in read_numbered(near.folder, SIGNATURES.path(shard), ["keys", "sketch"], 4096):
            signed = batch.column("keys").is_valid().to_numpy(zero_copy_only=False)
            spots, sketch = _spots_of(batch), batch.column("sketch")
            positions = _positions(spots)
            hit = ((marked[positions >> 3] >> (positions & 7)) & 1).astype(np.bool_) & signed[:, None]
            rows, bands = np.nonzero(hit)
            documents = numbers[rows]
            known = np.where(documents < len(corpus_row), corpus_row[np.minimum(documents, len(corpus_row) - 1)], -1)
            sides = np.where(known >= 0, split[np.maximum(known, 0)], 0).astype(np.uint8)
            keys = spots[rows, bands]
            columns = [pa.array(keys), pa.array(sides), pa.array(np.full(len(rows), number, np.int32))]
            columns += [pa.array(known), sketch.take(pa.array(rows))]
            if len(rows):
                marked_rows = pa.RecordBatch.from_arrays(columns, schema=near.columns)
                sender.send(marked_rows, partition_of(keys, sender.partitions))


@dataclass(frozen=True, slots=True)
class CompareMarkedDocuments:
    """Compares documents of different splits that share a key."""

    near: NearDuplicateSearch

    def __call__(self, partition: int) -> NearDuplicateCheck:
        """Compare the documents of a partition; returns those that are similar."""
        table = self.near.keys.receive_table(partition, self.near.columns)
        if not table.num_rows:
            return NearDuplicateCheck([], [])
        table = table.sort_by([("key", "ascending"), ("file", "ascending"), ("row", "ascending")])
        keys, split = table["key"].to_numpy(), table["split"].to_numpy()
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        bounds = np.r_[starts, len(keys)]
        faults: list[Fault] = []
        notes: list[str] = []
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            sides = split[start:stop]
            held, train = np.flatnonzero(sides == VALIDATION), np.flatnonzero((sides != VALIDATION) & (sides != 0))
            if len(held) and len(train):
                promised = stop - start <= ALL_PAIRS and self.near.settings.mode != "against"
                similar = self._similar(table.slice(start, stop - start), held, train)
                faults += similar if promised else []
                notes += [] if promised else [str(fault) for fault in similar]
        return NearDuplicateCheck(some_of(faults), notes[:10])

    def _similar(self, rows: pa.Table, held: Int64s, train: Int64s) -> list[Fault]:
        left, right = (side.ravel()[:MAX_PAIRS] for side in np.meshgrid(held, train, indexing="ij"))
        sketch = sketches(rows)
        alike = similarity(sketch[left], sketch[right])
        settings = self.near.settings
        close = np.flatnonzero(alike >= settings.threshold) if settings.verify else np.arange(len(left))
        file, row = rows["file"].to_numpy(), rows["row"].to_numpy()
        names = [CORPUS.path(self.near.shards[number]) for number in file.tolist()]
        faults = []
        for pair in close.tolist():
            a, b = int(left[pair]), int(right[pair])
            what = f"is in validation, and {names[b]} row {row[b]}, in training, is similar to it ({alike[pair]:.2f})"
            faults.append(Fault(names[a], what, f"a similarity below {settings.threshold}", int(row[a])))
        return faults
