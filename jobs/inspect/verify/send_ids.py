"""The part of `curate verify` that partitions ids: those in corpus/, removed/, drop lists and token shards.

Every mention of a document is sent as 61 bytes to the partition of its id's hash. Partitions are checked one by one
(check_ids.py), so memory does not grow with the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Bools, Int64s, UInt8s, UInt64s
from curation.dedup.decisions import URL
from curation.errors import StepFailed
from curation.jobs.inspect.verify.check_files import UNREADABLE
from curation.jobs.inspect.verify.check_shards import ids_of, read_rows
from curation.jobs.inspect.verify.faults import Fault
from curation.store.exchange import Exchange, Sender, partition_of
from curation.store.folder import Folder
from curation.store.hashing import hash_strings, hash_texts
from curation.store.paths import CLUSTERED, DROPS
from curation.store.shards import read_numbered
from curation.tokenize.encoding.cluster_ids import cluster_ids

CORPUS, REMOVED, DROPPED, CUT, SURVIVOR, URL_SURVIVOR, TRAIN, VALIDATION = range(8)
"""Where an id is mentioned. DROPPED: in removed/dedup, by deduplication; CUT: in removed/dedup, by a later stage."""

Ids = pa.schema(
    [
        ("high", pa.uint64()),
        ("low", pa.uint64()),
        ("kind", pa.uint8()),
        ("spot", pa.uint64()),
        ("file", pa.int32()),
        ("row", pa.int64()),
        ("count", pa.int64()),
        ("cluster_high", pa.uint64()),
        ("cluster_low", pa.uint64()),
    ]
)
"""A mention of an id: hash of the id, kind, hashes of the record's file and of its place in it, file and row, number of
tokens, and hash of the near-duplicate cluster (0 if in none)."""
PLACE_BITS = 32
"""Bits of the hash of a record's place in its file, the lower ones of `spot`; 0 if the place is unknown."""

ROW_BYTES = 61


def send_ids(
    sender: Sender,
    ids: pa.Array,
    kind: int | UInt8s,
    file: int,
    rows: Int64s,
    *,
    spots: UInt64s | None = None,
    counts: Any = None,
    clusters: UInt64s | None = None,
) -> None:
    """Send mentions of ids to their partitions.

    Args:
        sender: Where to send.
        ids: The ids.
        kind: Where they are mentioned: one kind for all, or uint8[n].
        file: Number of the file that mentions them.
        rows: int64[n]. Their rows in the file.
        spots: uint64[n]. Hashes of their files and places; 0 by default.
        counts: Numbers of tokens; -1 by default.
        clusters: uint64[n, 2]. Hashes of near-duplicate clusters; 0 by default.
    """
    n = len(ids)
    if not n:
        return
    hashes = hash_texts(ids)
    zeros = np.zeros(n, np.uint64)
    columns = [
        hashes[:, 0],
        hashes[:, 1],
        np.broadcast_to(np.asarray(kind, np.uint8), n),
        zeros if spots is None else spots,
        np.full(n, file, np.int32),
        np.asarray(rows, np.int64),
        np.full(n, -1, np.int64) if counts is None else np.asarray(counts, np.int64),
        *(zeros if clusters is None else clusters[:, side] for side in (0, 1)),
    ]
    batch = pa.RecordBatch.from_arrays([pa.array(np.ascontiguousarray(column)) for column in columns], schema=Ids)
    sender.send(batch, partition_of(hashes[:, 0], sender.partitions))


@dataclass(frozen=True, slots=True)
class IdFile:
    """A file with ids.

    Attributes:
        number: Number of the file among all files.
        path: Path of the file.
        shard: Name of its shard.
        kind: Where its ids are mentioned.
    """

    number: int
    path: str
    shard: str
    kind: int


@dataclass(frozen=True, slots=True)
class SendIds:
    """Sends the ids of one file; a picklable task for the cluster."""

    folder: Folder
    exchange: Exchange

    def __call__(self, file: IdFile) -> Fault | None:
        """Send the ids of a file; returns a fault if it cannot be read."""
        try:
            self._send_file(file)
        except UNREADABLE as error:
            return Fault(file.path, f"cannot be read ({str(error).splitlines()[0]})")
        return None

    def _send_file(self, file: IdFile) -> None:
        with self.exchange.sender(f"ids-{file.number:06d}", Ids) as sender:
            if file.kind == SURVIVOR:
                self._send_survivors(sender, file)
                return
            clusters = self._clusters(file) if file.kind == CORPUS else None
            columns = [
                "id",
                "file_path",
                "warc_offset",
                "row",
                "token_count",
                *(["stage"] if file.kind == DROPPED else []),
            ]
            for rows, batch in read_numbered(self.folder, file.path, columns, 16_384):
                self._send(sender, file, batch, rows, None if clusters is None else clusters[rows])

    def _send(self, sender: Sender, file: IdFile, batch: pa.RecordBatch, rows: Int64s, clusters: Any) -> None:
        kind: Any = file.kind
        if file.kind == DROPPED:
            dropped = pc.equal(batch.column("stage"), "dedup").to_numpy(zero_copy_only=False)
            kind = np.where(dropped, DROPPED, CUT).astype(np.uint8)
        counts = batch.column("token_count").fill_null(-1).to_numpy()
        send_ids(
            sender, batch.column("id"), kind, file.number, rows, spots=_spots(batch), counts=counts, clusters=clusters
        )

    def _send_survivors(self, sender: Sender, file: IdFile) -> None:
        for rows, batch in read_numbered(self.folder, file.path, ["survivor_id", "survivor_run", "reason"], 16_384):
            in_run = batch.column("survivor_run").is_null().to_numpy(zero_copy_only=False)
            by_url = pc.equal(batch.column("reason"), URL).to_numpy(zero_copy_only=False)
            kind = np.where(by_url, URL_SURVIVOR, SURVIVOR).astype(np.uint8)
            ids = batch.column("survivor_id").filter(pa.array(in_run))
            send_ids(sender, ids, kind[in_run], file.number, rows[in_run])

    def _clusters(self, file: IdFile) -> UInt64s:
        """Hashes of the near-duplicate clusters of a corpus shard's documents; zeros for documents in none."""
        ids = ids_of(self.folder, file.path)
        try:
            clusters = cluster_ids(self.folder, file.shard, ids)
        except StepFailed:  # missing or extra rows, which the shard's own check reports
            return np.zeros((len(ids), 2), np.uint64)
        hashes = hash_texts(clusters).copy()
        listed = _listed(self.folder, file.shard, len(ids))
        hashes[~listed] = 0
        return hashes


def _listed(folder: Folder, shard: str, rows: int) -> Bools:
    """Which corpus rows are in dedup/kept/, bool[rows]."""
    kept, dropped = (read_rows(folder, files.path(shard)) for files in (CLUSTERED, DROPS))
    listed = np.zeros(rows, np.bool_)
    listed[kept - np.searchsorted(dropped, kept)] = True
    return listed


def _spots(batch: pa.RecordBatch) -> UInt64s:
    """Hashes of each document's file and place in it, as in `Ids`."""
    offsets = batch.column("warc_offset")
    if "row" in batch.schema.names:  # not in runs of earlier versions
        offsets = pc.coalesce(offsets, batch.column("row"))
    half = np.uint64(PLACE_BITS)
    places = (hash_strings(offsets.cast(pa.string()), 0) >> half) | np.uint64(1)
    places[offsets.is_null().to_numpy(zero_copy_only=False)] = 0
    return (hash_strings(batch.column("file_path"), 0) >> half << half) | places
