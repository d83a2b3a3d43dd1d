"""The tasks of line-level deduplication: lines are counted where equal ones meet, and cut where they came from.

A range sends (hash, documents) for each batch of documents it reads; where a hash occurs in too many, every range that
sent it is told, reads its documents again and lists the places. Memory: a batch of documents, an exchange's buffer, and
the hashes that one range is told of.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from curation.batch import Batch
from curation.dedup.drops import read_drops
from curation.dedup.layout import Numbers, PartitionTask, RangeTask, Shard, Work, partition_of
from curation.dedup.lines import CUTS, document_counts, line_hashes
from curation.exchange import Exchange
from curation.shards import Output, ShardWriter, read_shard

COUNTS = pa.schema([("hash", pa.uint64()), ("documents", pa.int32()), ("range", pa.int32())])

FREQUENT = pa.schema([("hash", pa.uint64())])

LINES_A_DOCUMENT = 32
"""Lines expected of a document, to choose the number of partitions by."""


def line_counts_exchange(work: Work) -> Exchange:
    """Rows of COUNTS, by hash."""
    return work.by_key("line-counts", LINES_A_DOCUMENT * work.documents)


def frequent_lines_exchange(work: Work) -> Exchange:
    """Rows of FREQUENT, by the range that has such lines."""
    return work.by_range("frequent-lines")


def send_lines(task: RangeTask) -> int:
    """Send how many of the documents that stay have each line. Returns rows sent."""
    exchange = line_counts_exchange(task.work)
    with exchange.sender(task.name, COUNTS) as sender:
        for shard in task.shards:
            for _, batch in _staying(task.work, shard):
                owner, _, hashes = line_hashes(batch, task.work.settings.line_scope)
                found, counts = document_counts(owner, hashes)
                numbers = np.full(len(found), task.number, np.int32)
                columns = [pa.array(found), pa.array(counts.astype(np.int32)), pa.array(numbers)]
                rows = pa.RecordBatch.from_arrays(columns, schema=COUNTS)
                sender.send(rows, partition_of(found, exchange.partitions))
    return sender.rows


def choose_lines(task: PartitionTask) -> int:
    """Tell the ranges which of their lines stand in too many documents. Returns the number of such lines."""
    work, limit = task.work, task.work.settings.max_line_documents or 0
    rows = task.exchange.receive_table(task.number, COUNTS)
    hashes, place = np.unique(rows.column("hash").to_numpy(), return_inverse=True)
    totals = np.bincount(place, weights=rows.column("documents").to_numpy(), minlength=len(hashes))
    frequent = totals > limit
    told = np.unique(np.stack([rows.column("range").to_numpy().astype(np.int64), place], 1)[frequent[place]], axis=0)
    batch = pa.RecordBatch.from_arrays([pa.array(hashes[told[:, 1]])], schema=FREQUENT)
    with frequent_lines_exchange(work).sender(task.name, FREQUENT) as sender:
        sender.send(batch, told[:, 0])
    return int(frequent.sum())


def write_lines(task: RangeTask) -> list[Output]:
    """List the lines to cut of each of the range's shards: dedup/lines/<shard>.parquet."""
    work = task.work
    rows = frequent_lines_exchange(work).receive_table(task.number, FREQUENT)
    frequent = rows.column("hash").to_numpy()
    outputs = []
    for shard in task.shards:
        if shard.earlier is not None:
            continue
        with ShardWriter(work.folder, f"dedup/lines/{shard.name}.parquet", CUTS, row_group_rows=1 << 17) as writer:
            for numbers, batch in _staying(work, shard) if len(frequent) else ():
                owner, inside, hashes = line_hashes(batch, work.settings.line_scope)
                cut = np.isin(hashes, frequent)
                columns = [pa.array(numbers[owner[cut]]), pa.array(inside[cut].astype(np.int32))]
                writer.write(pa.RecordBatch.from_arrays(columns, schema=CUTS))
        outputs.append(writer.output)
    return outputs


def _staying(work: Work, shard: Shard) -> Iterator[tuple[Numbers, Batch]]:
    """The documents of a shard of this run that are no duplicates, with their rows."""
    if shard.earlier is not None:
        return
    dropped, row = read_drops(work.folder, shard.name).column("row").to_numpy(), 0
    for table in read_shard(shard.folder, f"documents/{shard.name}.parquet", ["text", "url"]):
        rows = np.arange(row, row + table.num_rows, dtype=np.int64)
        row += table.num_rows
        stays = ~np.isin(rows, dropped)
        yield rows[stays], Batch(table).keep(stays)
