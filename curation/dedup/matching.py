"""The first two tasks: band keys go where equal ones meet; where they meet, pairs come out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.compiled import kernel
from curation.dedup.hashing import PRIME_2, Hashes, mix
from curation.dedup.layout import Numbers, PartitionTask, RangeTask, Shard, Work, partition_of
from curation.dedup.pairs import CANDIDATE, EXACT_BAND, find_pairs, unique_pairs
from curation.dedup.signatures import band_keys, exact_hashes
from curation.dedup.urls import removed_by_url
from curation.exchange import Exchange
from curation.shards import count_rows, read_shard

READ_ROWS = 16_384
"""Signatures read at once: 4 MB."""

KEYS = pa.schema([("band", pa.uint16()), ("key", pa.uint64()), ("check", pa.uint64()), ("document", pa.int64())])
PAIRS = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("kind", pa.uint8())])


def count_documents(shard: Shard) -> int:
    """Documents of a shard, from the footer of its signatures."""
    return count_rows(shard.folder, f"signatures/{shard.name}.parquet")


def read_signatures(shard: Shard, columns: list[str]) -> Iterator[tuple[Numbers, pa.RecordBatch]]:
    """The signatures of a shard that has documents, in batches, with the documents' numbers."""
    first = shard.first
    for batch in read_shard(shard.folder, f"signatures/{shard.name}.parquet", columns, READ_ROWS):
        yield np.arange(first, first + batch.num_rows, dtype=np.int64), batch
        first += batch.num_rows


def keys_exchange(work: Work) -> Exchange:
    """Rows of KEYS, by key."""
    bands, _ = work.settings.banding
    return work.by_key("keys", work.documents * (bands + work.settings.exact))


def pairs_exchange(work: Work) -> Exchange:
    """Rows of PAIRS, by the range of the left document."""
    return work.by_range("pairs")


@kernel
def _whole(keys: Hashes, out: Hashes) -> None:
    for row in range(keys.shape[0]):
        value = np.uint64(0)
        for band in range(keys.shape[1]):
            value = mix(value * PRIME_2 + keys[row, band])
        out[row] = value


def spread(task: RangeTask) -> int:
    """Send every band key and text hash of a range's documents to where equal ones meet. Returns rows sent."""
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


def band_rows(documents: Numbers, keys: Hashes) -> pa.RecordBatch:
    """Rows of KEYS for the band keys of some documents, keys of shape (documents, bands)."""
    rows, bands = keys.shape
    whole = np.empty(rows, np.uint64)
    _whole(keys, whole)
    band = np.tile(np.arange(bands, dtype=np.uint16), rows)
    columns = [band, keys.ravel(), np.repeat(whole, bands), np.repeat(documents, bands)]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=KEYS)


def _text_rows(documents: Numbers, hashes: Hashes) -> pa.RecordBatch:
    columns = [np.full(len(documents), EXACT_BAND), hashes[:, 0].copy(), hashes[:, 1].copy(), documents]
    return pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=KEYS)


def match(task: PartitionTask) -> int:
    """Find the pairs among rows of equal keys and send them to the left document's range. Returns pairs sent."""
    work = task.work
    rows = task.exchange.receive_table(task.number, KEYS)
    bands, keys, checks, documents = (rows.column(name).to_numpy() for name in KEYS.names)
    left, right, kinds = unique_pairs(*find_pairs(bands, keys, checks, documents, work.settings.verify))
    if work.settings.mode == "against":
        within = (left >= work.earlier_documents) & (kinds == CANDIDATE)
        left, right, kinds = left[~within], right[~within], kinds[~within]
    batch = pa.RecordBatch.from_arrays([pa.array(left), pa.array(right), pa.array(kinds)], schema=PAIRS)
    with pairs_exchange(work).sender(task.name, PAIRS) as sender:
        sender.send(batch, work.range_of(left))
    return sender.rows
