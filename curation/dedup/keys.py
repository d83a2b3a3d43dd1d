"""Phase 1, keys: a range of shards sends its band keys and text hashes to partitions, equal ones to the same one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from curation.arrays import Int64s, UInt64s
from curation.dedup.algorithms.hashing import PRIME_2, mix
from curation.dedup.algorithms.pair_search import EXACT_BAND
from curation.dedup.documents import RangeTask, Shard, Work
from curation.dedup.signatures import band_keys, exact_hashes
from curation.dedup.urls import removed_by_url
from curation.running.compiled import kernel
from curation.store.exchange import Exchange, partition_of
from curation.store.paths import SIGNATURES
from curation.store.shards import count_rows, read_numbered

READ_ROWS = 16_384
"""Signatures to read at a time: 4 MB."""

KEYS = pa.schema([("band", pa.uint16()), ("key", pa.uint64()), ("check", pa.uint64()), ("document", pa.int64())])


def count_documents(shards: Sequence[Shard]) -> list[int]:
    """Number of documents of each shard, from the footers of their signatures."""
    return [count_rows(shard.folder, SIGNATURES.path(shard.name)) for shard in shards]


def read_signatures(shard: Shard, columns: list[str]) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Yield the signatures of a shard in batches, each with the numbers of its documents."""
    for rows, batch in read_numbered(shard.folder, SIGNATURES.path(shard.name), columns, READ_ROWS):
        yield rows + shard.first, batch


def keys_exchange(work: Work) -> Exchange:
    """Exchange of KEYS rows by key."""
    bands, _ = work.settings.banding
    return work.by_key("keys", work.documents * (bands + work.settings.exact))


@kernel
def _hash_signatures(keys: UInt64s, out: UInt64s) -> None:
    for row in range(keys.shape[0]):
        value = np.uint64(0)
        for band in range(keys.shape[1]):
            value = mix(value * PRIME_2 + keys[row, band])
        out[row] = value


def spread(task: RangeTask) -> int:
    """Send all band keys and text hashes of a range's documents to their partitions. Returns the rows sent."""
    exact, exchange = task.work.settings.exact, keys_exchange(task.work)
    removed = removed_by_url(task.work, task.number)
    with exchange.sender(task.name, KEYS) as sender:
        for shard in task.shards:
            for documents, batch in read_signatures(shard, ["keys", "exact"]):
                usable = batch.column("keys").is_valid().to_numpy(zero_copy_only=False) & ~np.isin(documents, removed)
                rows = [band_rows(documents[usable], band_keys(batch)[usable])]
                rows += [_text_rows(documents[usable], exact_hashes(batch)[usable])] if exact else []
                for part in rows:
                    sender.send(part, partition_of(part.column("key").to_numpy(), exchange.partitions))
    return sender.rows


def band_rows(documents: Int64s, keys: UInt64s) -> pa.RecordBatch:
    """Make KEYS rows from the band keys of documents, shape (documents, bands)."""
    rows, bands = keys.shape
    signature_hashes = np.empty(rows, np.uint64)
    _hash_signatures(keys, signature_hashes)
    band = np.tile(np.arange(bands, dtype=np.uint16), rows)
    columns = [band, keys.ravel(), np.repeat(signature_hashes, bands), np.repeat(documents, bands)]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=KEYS)


def _text_rows(documents: Int64s, hashes: UInt64s) -> pa.RecordBatch:
    columns = [np.full(len(documents), EXACT_BAND), hashes[:, 0].copy(), hashes[:, 1].copy(), documents]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=KEYS)
